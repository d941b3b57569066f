//! One object for one resource, through crashes, lost answers, races and deletions.

use std::sync::{Arc, Mutex};

use glyph_crds::{GlyphCustomer, Subscription, Tier};
use glyph_harness::proxy::{Call, CallKind, Callee, Calls, Moment, Proxy, Trap};
use glyph_harness::{Service, poll_until};
use glyph_stripe_sim::{Fault, FaultKind, When};
use kube::api::{Patch, PatchParams};
use serde_json::json;

use crate::stage::{SOON, Stage};

/// An operator whose calls to Stripe are counted.
pub async fn watched(stage: &Stage) -> (Arc<Service>, Calls, Proxy) {
    let calls = Calls::new();
    let proxy = Proxy::http(&calls, Callee::Stripe, &stage.stripe.base_url())
        .await
        .unwrap();
    let settings = stage.settings().set("STRIPE_API_BASE", proxy.url());
    let operator = Arc::new(stage.operator_with(settings).await);
    (operator, calls, proxy)
}

/// Has the operator killed when `counted` happens next.
pub fn kill_at(operator: &Arc<Service>, calls: &Calls, moment: Moment, counted: fn(&Call) -> bool) {
    let victim = Arc::new(Mutex::new(Some(operator.clone())));
    let action = Box::new(move || {
        if let Some(operator) = victim.lock().unwrap().take() {
            operator.kill();
        }
    });
    calls.set(Trap {
        at: 1,
        moment,
        counted,
        action,
    });
}

/// An operator whose calls to Stripe are counted, killed when `counted` happens.
async fn killed_at(
    stage: &Stage,
    moment: Moment,
    counted: fn(&Call) -> bool,
) -> (Arc<Service>, Calls, Proxy) {
    let (operator, calls, proxy) = watched(stage).await;
    kill_at(&operator, &calls, moment, counted);
    (operator, calls, proxy)
}

pub async fn sprung(calls: &Calls) {
    poll_until("the operator to be killed", SOON, async || calls.sprung())
        .await
        .unwrap();
}

fn makes_a_customer(call: &Call) -> bool {
    call.kind == CallKind::Write && call.what == "/v1/customers"
}

fn makes_a_checkout(call: &Call) -> bool {
    call.kind == CallKind::Write && call.what == "/v1/checkout/sessions"
}

async fn linked(stage: &Stage, name: &str) -> String {
    stage
        .condition::<GlyphCustomer>(name, "Ready", "True", "Linked")
        .await;
    let status = stage.get::<GlyphCustomer>(name).await.status.unwrap();
    assert_eq!(status.intent, None, "nothing is under way any more");
    status.stripe_customer_id.unwrap()
}

/// CASE 1.
#[tokio::test]
async fn a_crash_after_the_create_and_before_its_answer_makes_no_second_customer() {
    let stage = Stage::new("crash").await;
    let (operator, calls, _proxy) = killed_at(&stage, Moment::BeforeAnswer, makes_a_customer).await;
    stage.customer("ada").await;
    sprung(&calls).await;
    assert_eq!(stage.ever("customer"), 1, "it was made");
    operator.start_again().await.unwrap();
    linked(&stage, "ada").await;
    assert_eq!(stage.ever("customer"), 1);
}

/// CASE 1, for what a person could pay twice.
#[tokio::test]
async fn a_crash_after_the_checkout_was_made_leaves_one_payable_link() {
    let stage = Stage::new("crashpay").await;
    let (operator, calls, _proxy) = killed_at(&stage, Moment::BeforeAnswer, makes_a_checkout).await;
    stage.tiers().await;
    stage.customer("ada").await;
    stage.subscription("ada", "ada", "starter").await;
    sprung(&calls).await;
    operator.start_again().await.unwrap();
    stage.pay("ada").await;
    stage.active("ada").await;
    assert_eq!(
        ["checkout.session", "subscription"].map(|kind| stage.ever(kind)),
        [1, 1]
    );
}

/// CASE 4.
#[tokio::test]
async fn a_crash_then_an_edited_spec_ends_with_one_customer_as_edited() {
    let stage = Stage::new("edited").await;
    let (operator, calls, _proxy) = killed_at(&stage, Moment::BeforeAnswer, makes_a_customer).await;
    stage.customer("ada").await;
    sprung(&calls).await;
    stage
        .patch::<GlyphCustomer>("ada", json!({"displayName": "Countess"}))
        .await;
    operator.start_again().await.unwrap();
    linked(&stage, "ada").await;
    let made = stage.stripe.control().objects("customer");
    assert_eq!(
        (made.len(), made[0]["name"].as_str()),
        (1, Some("Countess"))
    );
}

/// CASE 5: Stripe has forgotten the key, and a search finds nothing yet.
#[tokio::test]
async fn a_crash_and_a_day_later_the_customer_is_found_by_looking() {
    let stage = Stage::new("dayafter").await;
    let (operator, calls, _proxy) = killed_at(&stage, Moment::BeforeAnswer, makes_a_customer).await;
    stage.customer("ada").await;
    sprung(&calls).await;
    stage.stripe.control().advance(25 * 3600);
    stage.stripe.control().set_search_lag(100 * 3600);
    let mut status = stage.get::<GlyphCustomer>("ada").await.status.unwrap();
    let started = &mut status.intent.as_mut().unwrap().started_at;
    started.0 -= jiff::SignedDuration::from_hours(25);
    stage
        .rewrite::<GlyphCustomer>("ada", "glyph-customer-controller", &status)
        .await;
    operator.start_again().await.unwrap();
    linked(&stage, "ada").await;
    assert_eq!(stage.ever("customer"), 1);
}

/// CASE 2: while Stripe takes its time, somebody else writes labels, annotations and spec.
#[tokio::test]
async fn a_patch_between_create_and_status_write_does_not_lose_the_id() {
    let stage = Stage::new("patched").await;
    let slow = Fault::new(FaultKind::Latency { ms: 1500 }).on("POST", "/v1/customers");
    stage.stripe.control().add_fault(slow);
    let _operator = stage.operator().await;
    stage.customer("ada").await;
    stage
        .until("ada", "an intent", |c: &GlyphCustomer| {
            c.status.as_ref()?.intent.clone()
        })
        .await;
    let api = stage.namespace.api::<GlyphCustomer>();
    let patch = json!({"metadata": {"labels": {"team": "a"}, "annotations": {"glyphapi.ai/stripe-event": "evt_x"}},
        "spec": {"displayName": "Countess"}});
    api.patch("ada", &PatchParams::default(), &Patch::Merge(&patch))
        .await
        .unwrap();
    let id = linked(&stage, "ada").await;
    stage
        .until("ada", "the later spec", |c: &GlyphCustomer| {
            (c.status.as_ref()?.observed_generation == c.metadata.generation).then_some(())
        })
        .await;
    let made = stage.stripe.control().objects("customer");
    assert_eq!(
        (stage.ever("customer"), made[0]["id"].as_str()),
        (1, Some(id.as_str()))
    );
    assert_eq!(made[0]["name"].as_str(), Some("Countess"));
}

/// CASE 3: wakes pile up while the cache is behind what was just written.
#[tokio::test]
async fn many_wakes_on_a_stale_cache_make_one_customer() {
    let stage = Stage::new("stale").await;
    let _operator = stage.operator().await;
    let api = stage.namespace.api::<GlyphCustomer>();
    for name in ["a", "b", "c", "d"] {
        stage.customer(name).await;
        for event in 0..25 {
            let patch = json!({"metadata": {"annotations": {"glyphapi.ai/stripe-event": format!("evt_{event}")}}});
            api.patch(name, &PatchParams::default(), &Patch::Merge(&patch))
                .await
                .unwrap();
        }
    }
    for name in ["a", "b", "c", "d"] {
        linked(&stage, name).await;
    }
    assert_eq!(stage.ever("customer"), 4);
    let creates = stage.stripe.control().requests().into_iter();
    let creates =
        creates.filter(|r| r.method == "POST" && r.path == "/v1/customers" && !r.replayed);
    assert_eq!(creates.count(), 4);
}

/// CASE 7, whether or not the 500 came before the effect.
#[tokio::test]
async fn a_stored_500_is_followed_by_a_look_and_a_new_key() {
    for (name, when) in [("before", When::Before), ("after", When::After)] {
        let stage = Stage::new(&format!("stored-{name}")).await;
        let fault = Fault::new(FaultKind::ServerError { when })
            .on("POST", "/v1/customers")
            .times(1);
        stage.stripe.control().add_fault(fault);
        let _operator = stage.operator().await;
        stage.customer("ada").await;
        linked(&stage, "ada").await;
        assert_eq!(stage.ever("customer"), 1, "{name} the effect");
    }
}

/// CASE 32, the parts that concern effects.
#[tokio::test]
async fn resets_html_and_throttling_after_the_effect_make_no_second_product() {
    let stage = Stage::new("faults").await;
    let control = stage.stripe.control();
    control.add_fault(
        Fault::new(FaultKind::Reset { when: When::After })
            .on("POST", "/v1/products")
            .times(1),
    );
    control.add_fault(
        Fault::new(FaultKind::BadGateway { when: When::After })
            .on("POST", "/v1/prices")
            .times(1),
    );
    control.add_fault(
        Fault::new(FaultKind::RateLimit {
            should_retry: None,
            retry_after: Some(1),
        })
        .on("POST", "/v1/prices")
        .times(1),
    );
    let _operator = stage.operator().await;
    stage.tiers().await;
    stage
        .condition::<Tier>("starter", "Ready", "True", "OnSale")
        .await;
    assert_eq!(["product", "price"].map(|kind| stage.ever(kind)), [1, 1]);
}

/// CASE 8.
#[tokio::test]
async fn two_customers_for_one_resource_are_said_and_not_touched() {
    let stage = Stage::new("twice").await;
    stage.customer("ada").await;
    let uid = stage
        .get::<GlyphCustomer>("ada")
        .await
        .metadata
        .uid
        .unwrap();
    let body = format!(
        "email={}&metadata[glyph_kind]=GlyphCustomer&metadata[glyph_namespace]={}&metadata[glyph_name]=ada&metadata[glyph_uid]={uid}",
        stage.email("ada"),
        stage.namespace.name()
    );
    for _ in 0..2 {
        stage.in_dashboard("POST", "/v1/customers", &body).await;
    }
    let _operator = stage.operator().await;
    let message = stage
        .condition::<GlyphCustomer>("ada", "Stalled", "True", "Duplicate")
        .await;
    assert_eq!(message.matches("cus_").count(), 2, "{message}");
    assert_eq!(stage.living("customer"), 2);
}

/// CASE 10.
#[tokio::test]
async fn a_resource_deleted_in_mid_create_leaves_no_customer_behind() {
    let stage = Stage::new("midway").await;
    let (operator, calls, _proxy) = killed_at(&stage, Moment::BeforeAnswer, makes_a_customer).await;
    let spec = json!({"email": stage.email("ada"), "deletionPolicy": "Delete"});
    stage.create::<GlyphCustomer>("ada", spec).await;
    sprung(&calls).await;
    stage.delete::<GlyphCustomer>("ada").await;
    assert_eq!(stage.living("customer"), 1);
    operator.start_again().await.unwrap();
    stage.gone::<GlyphCustomer>("ada").await;
    assert_eq!(stage.living("customer"), 0);
}

/// CASE 11.
#[tokio::test]
async fn a_deletion_waits_for_stripe_and_ends_by_itself() {
    let stage = Stage::new("downdelete").await;
    let _operator = stage.operator().await;
    let spec = json!({"email": stage.email("ada"), "deletionPolicy": "Delete"});
    stage.create::<GlyphCustomer>("ada", spec).await;
    linked(&stage, "ada").await;
    stage
        .stripe
        .control()
        .add_fault(Fault::new(FaultKind::BadGateway { when: When::Before }));
    stage.delete::<GlyphCustomer>("ada").await;
    stage
        .condition::<GlyphCustomer>("ada", "Synced", "False", "Unavailable")
        .await;
    stage.stripe.control().clear_faults();
    stage.gone::<GlyphCustomer>("ada").await;
    assert_eq!(stage.living("customer"), 0);
}

/// CASE 14.
#[tokio::test]
async fn a_resource_made_again_under_its_name_is_another_customer() {
    let stage = Stage::new("again").await;
    let _operator = stage.operator().await;
    stage.customer("ada").await;
    let first = linked(&stage, "ada").await;
    stage.delete::<GlyphCustomer>("ada").await;
    stage.gone::<GlyphCustomer>("ada").await;
    assert_eq!(
        stage.living("customer"),
        1,
        "it is kept: the policy is Retain"
    );
    stage.customer("ada").await;
    assert_ne!(linked(&stage, "ada").await, first);
    assert_eq!(stage.living("customer"), 2);
}

/// CASE 14, and nothing is left on sale or running.
#[tokio::test]
async fn a_tier_and_a_subscription_leave_nothing_running_and_can_be_made_again() {
    let stage = Stage::new("leftover").await;
    let _operator = stage.operator().await;
    stage.tiers().await;
    stage.customer("ada").await;
    stage.subscription("ada", "ada", "starter").await;
    stage.pay("ada").await;
    stage.active("ada").await;
    stage.delete::<Subscription>("ada").await;
    stage.gone::<Subscription>("ada").await;
    assert_eq!(
        stage.stripe.control().objects("subscription")[0]["status"],
        "canceled"
    );
    stage.delete::<Tier>("starter").await;
    stage.gone::<Tier>("starter").await;
    let on_sale = |kind: &str| {
        let all = stage.stripe.control().objects(kind);
        all.iter().filter(|object| object["active"] == true).count()
    };
    assert_eq!([on_sale("price"), on_sale("product")], [0, 0]);
    let price = json!({"currency": "usd", "amount": 2900, "interval": "Month"});
    stage
        .create::<Tier>("starter", json!({"displayName": "Starter", "price": price}))
        .await;
    stage
        .condition::<Tier>("starter", "Ready", "True", "OnSale")
        .await;
    assert_eq!([on_sale("price"), on_sale("product")], [1, 1]);
}

/// CASES 22 and 23: the person paid, no webhook has come, and the wish is touched again.
#[tokio::test]
async fn a_second_try_after_paying_finds_the_payment_and_offers_no_second_link() {
    let stage = Stage::without_webhooks("redirect").await;
    let _operator = stage.operator().await;
    stage.tiers().await;
    stage.customer("ada").await;
    stage.subscription("ada", "ada", "starter").await;
    stage.pay("ada").await;
    stage
        .patch::<Subscription>("ada", json!({"cancelAtPeriodEnd": true}))
        .await;
    stage.active("ada").await;
    stage
        .until("ada", "the wish to end", |_: &Subscription| {
            let ends =
                stage.stripe.control().objects("subscription")[0]["cancel_at_period_end"] == true;
            ends.then_some(())
        })
        .await;
    assert_eq!(
        ["checkout.session", "subscription"].map(|kind| stage.ever(kind)),
        [1, 1]
    );
}

/// CASE 22.
#[tokio::test]
async fn a_changed_wish_has_one_payable_link_and_it_is_for_the_new_tier() {
    let stage = Stage::new("changed").await;
    let _operator = stage.operator().await;
    stage.tiers().await;
    let price = json!({"currency": "usd", "amount": 9900, "interval": "Month"});
    stage
        .create::<Tier>(
            "professional",
            json!({"displayName": "Professional", "price": price}),
        )
        .await;
    stage.customer("ada").await;
    stage.subscription("ada", "ada", "starter").await;
    let first = stage.checkout("ada").await;
    stage
        .patch::<Subscription>("ada", json!({"tier": "professional"}))
        .await;
    stage
        .until("ada", "another link", |s: &Subscription| {
            let id = s.status.as_ref()?.checkout_session_id.as_ref()?;
            (*id != first).then_some(())
        })
        .await;
    let sessions = stage.stripe.control().objects("checkout.session");
    let open: Vec<_> = sessions.iter().filter(|s| s["status"] == "open").collect();
    assert_eq!((sessions.len(), open.len()), (2, 1));
    stage.pay("ada").await;
    let paid = stage.active("ada").await.status.unwrap();
    assert_eq!(paid.tier.as_deref(), Some("professional"));
}
