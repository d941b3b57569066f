//! What is sold: products and prices that follow their tiers, prices made by hand, and tiers in use.

use glyph_crds::{CreditPack, GlyphCustomer, Subscription, Tier, TierStatus};
use glyph_harness::proxy::{Call, CallKind, Moment};
use serde_json::{Value, json};

use crate::once::{kill_at, sprung, watched};
use crate::stage::{Stage, condition};

/// Waits until the spec as it is now is on sale.
async fn on_sale(stage: &Stage, tier: &str) -> TierStatus {
    stage
        .until(tier, "that it is on sale as it is now", |tier: &Tier| {
            let ready = condition(tier, "Ready")?;
            let seen = ready.observed_generation == tier.metadata.generation;
            (seen && ready.reason == "OnSale").then(|| tier.status.clone())?
        })
        .await
}

async fn change(stage: &Stage, spec: Value) -> TierStatus {
    stage.patch::<Tier>("starter", spec).await;
    on_sale(stage, "starter").await
}

/// What Stripe has of a kind that is not archived.
fn active(stage: &Stage, kind: &str) -> Vec<Value> {
    let mut all = stage.stripe.control().objects(kind);
    all.retain(|object| object["active"] == true);
    all
}

/// A price that a person made in the dashboard, and its product.
async fn made_by_hand(stage: &Stage, terms: &str) -> (String, String) {
    let product = (stage.in_dashboard("POST", "/v1/products", "name=Ours")).await;
    let product = product["id"].as_str().unwrap().to_owned();
    let body = format!("product={product}&{terms}");
    let price = stage.in_dashboard("POST", "/v1/prices", &body).await;
    (price["id"].as_str().unwrap().to_owned(), product)
}

const A_MONTH: &str = "currency=usd&unit_amount=2900&recurring[interval]=month";

#[tokio::test]
async fn another_amount_currency_or_interval_is_another_price_and_the_former_is_archived() {
    let stage = Stage::new("terms").await;
    let _operator = stage.operator().await;
    stage.tiers().await;
    let mut former = vec![on_sale(&stage, "starter").await.stripe_price_id.unwrap()];
    let key = format!("{}-starter", stage.namespace.name());
    // A yen has no hundredths: its minor unit is the yen.
    for (changed, currency, amount, interval) in [
        (json!({"amount": 3900}), "usd", 3900, "month"),
        (json!({"currency": "eur"}), "eur", 3900, "month"),
        (json!({"interval": "Year"}), "eur", 3900, "year"),
        (
            json!({"currency": "jpy", "amount": 500}),
            "jpy",
            500,
            "year",
        ),
    ] {
        let status = change(&stage, json!({"price": changed})).await;
        let sold = active(&stage, "price");
        assert_eq!(sold.len(), 1, "{sold:?}");
        assert_eq!(
            (&sold[0]["currency"], &sold[0]["unit_amount"]),
            (&json!(currency), &json!(amount))
        );
        assert_eq!(sold[0]["recurring"]["interval"], interval);
        assert_eq!(sold[0]["lookup_key"], key.as_str());
        assert_eq!(status.stripe_price_id.as_deref(), sold[0]["id"].as_str());
        assert_eq!(status.former_price_ids, former);
        former.extend(status.stripe_price_id);
    }
    assert_eq!(stage.ever("product"), 1);
}

fn makes_a_price(call: &Call) -> bool {
    call.kind == CallKind::Write && call.what == "/v1/prices"
}

fn archives_a_price(call: &Call) -> bool {
    call.kind == CallKind::Write && call.what.starts_with("/v1/prices/")
}

/// CASES 1 and 4, for a price: and what was edited meanwhile counts.
#[tokio::test]
async fn a_price_change_that_is_killed_midway_ends_with_one_price_on_sale() {
    for (name, counted) in [
        ("price-made", makes_a_price as fn(&Call) -> bool),
        ("price-closed", archives_a_price),
    ] {
        let stage = Stage::new(name).await;
        let (operator, calls, _proxy) = watched(&stage).await;
        stage.tiers().await;
        on_sale(&stage, "starter").await;
        kill_at(&operator, &calls, Moment::BeforeAnswer, counted);
        let spec = json!({"price": {"amount": 3900}});
        stage.patch::<Tier>("starter", spec).await;
        sprung(&calls).await;
        let spec = json!({"price": {"amount": 4900}, "stripe": {"lookupKey": "another"}});
        stage.patch::<Tier>("starter", spec).await;
        operator.start_again().await.unwrap();
        let status = on_sale(&stage, "starter").await;
        let sold = active(&stage, "price");
        assert_eq!(sold.len(), 1, "{name}: {sold:?}");
        assert_eq!(sold[0]["unit_amount"], 4900, "{name}");
        assert_eq!(sold[0]["lookup_key"], "another", "{name}");
        assert_eq!(status.former_price_ids.len(), 2, "{name}: {status:?}");
        assert_eq!(
            (stage.ever("product"), stage.ever("price")),
            (1, 3),
            "{name}"
        );
    }
}

fn makes_a_product(call: &Call) -> bool {
    call.kind == CallKind::Write && call.what == "/v1/products"
}

/// CASES 5 and 6: search knows nothing, and a hundred products of others came in between.
#[tokio::test]
async fn a_product_is_adopted_after_a_crash_without_search() {
    let stage = Stage::new("adopt").await;
    stage.stripe.control().set_search_lag(100 * 3600);
    let (operator, calls, _proxy) = watched(&stage).await;
    kill_at(&operator, &calls, Moment::BeforeAnswer, makes_a_product);
    stage.tiers().await;
    sprung(&calls).await;
    for _ in 0..120 {
        stage
            .in_dashboard("POST", "/v1/products", "name=Theirs")
            .await;
    }
    // The key is forgotten by then.
    stage.stripe.control().advance(25 * 3600);
    let mut status = stage.get::<Tier>("starter").await.status.unwrap();
    let started = &mut status.intent.as_mut().unwrap().started_at;
    started.0 -= jiff::SignedDuration::from_hours(25);
    stage
        .rewrite::<Tier>("starter", "glyph-tier-controller", &status)
        .await;
    operator.start_again().await.unwrap();
    on_sale(&stage, "starter").await;
    assert_eq!((stage.ever("product"), stage.ever("price")), (121, 1));
}

#[tokio::test]
async fn from_our_price_to_one_made_by_hand_and_back_leaves_one_on_sale_each_time() {
    let stage = Stage::new("toandfro").await;
    let _operator = stage.operator().await;
    stage.tiers().await;
    let ours = on_sale(&stage, "starter").await;
    let (theirs, product) = made_by_hand(&stage, A_MONTH).await;
    let status = change(&stage, json!({"stripe": {"priceId": theirs}})).await;
    assert_eq!(status.stripe_price_id.as_deref(), Some(theirs.as_str()));
    assert_eq!(status.stripe_product_id.as_deref(), Some(product.as_str()));
    let ids = |kind: &str| {
        let all = active(&stage, kind).into_iter();
        all.map(|object| object["id"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(
        (ids("price"), ids("product")),
        (vec![json!(theirs)], vec![json!(product)])
    );
    let back = json!({"stripe": {"priceId": null, "lookupKey": null}});
    let status = change(&stage, back).await;
    assert_eq!(status.stripe_product_id, ours.stripe_product_id);
    assert_eq!(status.stripe_price_id, ours.stripe_price_id);
    assert_eq!(
        status.former_price_ids,
        std::slice::from_ref(&theirs),
        "who pays it is still on this tier"
    );
    assert!(
        ids("price").contains(&json!(theirs)),
        "what a person made is left alone"
    );
    assert_eq!((stage.ever("product"), stage.ever("price")), (2, 2));
}

#[tokio::test]
async fn another_lookup_key_takes_the_place_of_the_former_and_can_be_taken_back() {
    let stage = Stage::new("keys").await;
    let _operator = stage.operator().await;
    stage.tiers().await;
    let first = on_sale(&stage, "starter").await.stripe_price_id;
    for (key, expected) in [(json!("another"), "another"), (Value::Null, "")] {
        let status = change(&stage, json!({"stripe": {"lookupKey": key}})).await;
        let sold = active(&stage, "price");
        assert_eq!(sold.len(), 1, "{sold:?}");
        assert!(sold[0]["lookup_key"].as_str().unwrap().ends_with(expected));
        assert_eq!(status.stripe_price_id.as_deref(), sold[0]["id"].as_str());
    }
    assert_eq!(on_sale(&stage, "starter").await.stripe_price_id, first);
}

#[tokio::test]
async fn a_product_and_a_price_archived_in_the_dashboard_are_put_back() {
    let stage = Stage::new("putback").await;
    let _operator = stage.operator().await;
    stage.tiers().await;
    let status = on_sale(&stage, "starter").await;
    let (price, product) = (
        status.stripe_price_id.unwrap(),
        status.stripe_product_id.unwrap(),
    );
    for (kind, path) in [
        ("price", format!("/v1/prices/{price}")),
        ("product", format!("/v1/products/{product}")),
    ] {
        stage.in_dashboard("POST", &path, "active=false").await;
        let back = |_: &Tier| (active(&stage, kind).len() == 1).then_some(());
        stage
            .until("starter", "what was archived to be back", back)
            .await;
    }
    assert_eq!((stage.ever("product"), stage.ever("price")), (1, 1));
}

#[tokio::test]
async fn every_difference_of_a_price_made_by_hand_is_named_and_nothing_is_changed() {
    let stage = Stage::new("differences").await;
    let _operator = stage.operator().await;
    let (id, product) = made_by_hand(
        &stage,
        "currency=eur&unit_amount=100&recurring[interval]=year",
    )
    .await;
    let price = json!({"currency": "usd", "amount": 2900, "interval": "Month"});
    let spec = json!({"displayName": "Starter", "price": price, "stripe": {"priceId": id}});
    stage.create::<Tier>("starter", spec).await;
    let says = async |texts: &[&str]| {
        stage
            .until(
                "starter",
                &format!("a mismatch with {texts:?}"),
                |tier: &Tier| {
                    let said = condition(tier, "Stalled")?;
                    let all = texts.iter().all(|text| said.message.contains(text));
                    (said.reason == "PriceMismatch" && all).then_some(())
                },
            )
            .await;
    };
    says(&[
        "its currency is eur",
        "its amount is 100",
        "its interval is a year",
    ])
    .await;
    let right = json!({"currency": "eur", "amount": 100, "interval": "Year"});
    change(&stage, json!({"price": right})).await;
    let writes = stage.writes();
    stage
        .in_dashboard("POST", &format!("/v1/prices/{id}"), "active=false")
        .await;
    // Nobody tells of a price that carries no mark of ours: the next look does.
    stage
        .patch::<Tier>("starter", json!({"features": ["one"]}))
        .await;
    says(&["it is archived"]).await;
    stage
        .in_dashboard("POST", &format!("/v1/prices/{id}"), "active=true")
        .await;
    stage
        .in_dashboard("POST", &format!("/v1/products/{product}"), "active=false")
        .await;
    stage
        .patch::<Tier>("starter", json!({"features": ["two"]}))
        .await;
    says(&["its product is archived"]).await;
    assert_eq!(stage.writes(), writes + 3, "only the person's");
    let missing = json!({"stripe": {"priceId": "price_missing"}});
    stage.patch::<Tier>("starter", missing).await;
    stage
        .condition::<Tier>("starter", "Stalled", "True", "PriceNotFound")
        .await;
}

#[tokio::test]
async fn name_and_description_are_kept_in_step_also_when_taken_off() {
    let stage = Stage::new("described").await;
    let _operator = stage.operator().await;
    let price = json!({"currency": "usd", "amount": 1900});
    let spec =
        json!({"displayName": "Extra", "description": "More calls", "credits": 5, "price": price});
    stage.create::<CreditPack>("extra", spec).await;
    stage.tiers().await;
    on_sale(&stage, "starter").await;
    stage
        .condition::<CreditPack>("extra", "Ready", "True", "OnSale")
        .await;
    let described = |name: &str| {
        let all = stage.stripe.control().objects("product");
        let named = all.iter().find(|product| product["name"] == name);
        named.map(|product| product["description"].clone())
    };
    assert_eq!(
        (described("Starter"), described("Extra")),
        (Some(Value::Null), Some(json!("More calls")))
    );
    let described_so = json!({"displayName": "Beginner", "description": " For a start\n"});
    change(&stage, described_so).await;
    assert_eq!(described("Beginner"), Some(json!("For a start")));
    change(&stage, json!({"description": null})).await;
    assert_eq!(described("Beginner"), Some(Value::Null));
    assert_eq!(stage.ever("product"), 2);
}

#[tokio::test]
async fn a_tier_is_not_deleted_under_its_subscribers_and_takes_no_new_ones() {
    let stage = Stage::new("inuse").await;
    let _operator = stage.operator().await;
    stage.tiers().await;
    stage.customer("ada").await;
    stage.subscription("ada", "ada", "starter").await;
    stage.pay("ada").await;
    stage.active("ada").await;
    stage.delete::<Tier>("starter").await;
    let message = stage
        .condition::<Tier>("starter", "Stalled", "True", "InUse")
        .await;
    assert!(
        message.starts_with("1 still on this tier (Subscription ada)"),
        "{message}"
    );
    // Whoever is on it stays; whoever comes is refused.
    stage.customer("bob").await;
    stage.subscription("bob", "bob", "starter").await;
    stage
        .condition::<Subscription>("bob", "Ready", "False", "TierNotFound")
        .await;
    stage
        .condition::<Subscription>("ada", "Ready", "True", "Active")
        .await;
    assert_eq!(stage.ever("checkout.session"), 1);
    stage.delete::<Tier>("free").await;
    stage.delete::<Subscription>("bob").await;
    stage.gone::<Subscription>("bob").await;
    let message = stage
        .condition::<Tier>("free", "Stalled", "True", "InUse")
        .await;
    assert!(message.contains("GlyphCustomer bob"), "{message}");
    stage.delete::<Subscription>("ada").await;
    stage.gone::<Tier>("starter").await;
    assert_eq!(
        (
            active(&stage, "price").len(),
            active(&stage, "product").len()
        ),
        (0, 0)
    );
    for customer in ["ada", "bob"] {
        stage.delete::<GlyphCustomer>(customer).await;
    }
    stage.gone::<Tier>("free").await;
}
