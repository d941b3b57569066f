//! The main job: applied, paid, active, a key.

use glyph_crds::{
    ApiKey, CreditGrant, CreditPack, GlyphCustomer, Subscription, SubscriptionState, Tier,
};
use serde_json::json;

use crate::stage::Stage;

#[tokio::test]
async fn a_customer_pays_at_the_link_and_gets_a_key() {
    let stage = Stage::new("main").await;
    let _operator = stage.operator().await;
    stage.tiers().await;
    let cognito = json!({"create": true});
    let email = stage.email("ada");
    stage
        .create::<GlyphCustomer>("ada", json!({"email": email, "cognito": cognito}))
        .await;
    stage.subscription("ada-starter", "ada", "starter").await;
    stage.key("ada-laptop", "ada").await;

    stage
        .condition::<Tier>("starter", "Ready", "True", "OnSale")
        .await;
    stage
        .condition::<Tier>("free", "Ready", "True", "Free")
        .await;
    stage
        .condition::<GlyphCustomer>("ada", "Ready", "True", "Linked")
        .await;
    let waits = stage
        .condition::<Subscription>("ada-starter", "Ready", "False", "AwaitingPayment")
        .await;
    let unpaid = stage
        .get::<Subscription>("ada-starter")
        .await
        .status
        .unwrap();
    assert!(waits.contains(&unpaid.checkout_url.unwrap()), "{waits}");
    let waits = stage
        .until(
            "ada-laptop",
            "a key that says where to pay",
            |key: &ApiKey| {
                let ready = crate::stage::condition(key, "Ready")?;
                (ready.reason == "AwaitingPayment" && ready.message.contains("http"))
                    .then_some(ready.message)
            },
        )
        .await;
    assert!(
        waits.starts_with("waiting for payment of tier starter by customer ada: pay at"),
        "{waits}"
    );
    assert_eq!(stage.secret("ada-laptop").await, None);

    stage.pay("ada-starter").await;
    let paid = stage.active("ada-starter").await.status.unwrap();
    assert_eq!(paid.state, Some(SubscriptionState::Active));
    assert_eq!(paid.tier.as_deref(), Some("starter"));
    assert!(
        paid.current_period.is_some() && paid.checkout_url.is_none(),
        "{paid:?}"
    );
    stage
        .condition::<ApiKey>("ada-laptop", "Ready", "True", "KeyDelivered")
        .await;
    let key = stage.secret("ada-laptop").await.unwrap();
    let status = stage.get::<ApiKey>("ada-laptop").await.status.unwrap();
    assert!(
        key.starts_with(&status.prefix.unwrap()),
        "the prefix shown is the key's"
    );
    assert_eq!(status.hashes.len(), 1);

    let customer = stage
        .until("ada", "the tier in force", |c: &GlyphCustomer| {
            let status = c.status.clone()?;
            (status.tier.as_deref() == Some("starter")).then_some(status)
        })
        .await;
    let user = stage.cognito.user(&email).await.unwrap().unwrap();
    let in_stripe = &stage.stripe.control().objects("customer")[0];
    assert_eq!(user["custom:stripe_customer_id"], in_stripe["id"]);
    assert_eq!(in_stripe["metadata"]["cognito_sub"], user["sub"]);
    assert_eq!(customer.cognito_sub.as_deref(), user["sub"].as_str());
    assert_eq!(
        ["customer", "product", "price", "subscription"].map(|kind| stage.ever(kind)),
        [1; 4]
    );
    for reason in ["AwaitingPayment", "Active"] {
        stage.told("ada-starter", reason).await;
    }
}

#[tokio::test]
async fn without_any_webhook_the_payment_is_noticed_all_the_same() {
    let stage = Stage::without_webhooks("untold").await;
    let _operator = stage.operator().await;
    stage.tiers().await;
    stage.customer("ada").await;
    stage.subscription("ada-starter", "ada", "starter").await;
    stage.pay("ada-starter").await;
    stage.active("ada-starter").await;
}

#[tokio::test]
async fn a_pack_is_put_on_sale_and_a_grant_is_recorded_once_its_customer_exists() {
    let stage = Stage::new("packs").await;
    let _operator = stage.operator().await;
    let price = json!({"currency": "usd", "amount": 1900});
    stage
        .create::<CreditPack>(
            "extra",
            json!({"displayName": "Extra", "credits": 5000, "price": price}),
        )
        .await;
    stage
        .condition::<CreditPack>("extra", "Ready", "True", "OnSale")
        .await;
    let source = json!({"type": "Admin", "reason": "sorry"});
    let grant = json!({"customerRef": {"name": "ada"}, "credits": 10, "source": source});
    stage.create::<CreditGrant>("sorry", grant).await;
    stage
        .condition::<CreditGrant>("sorry", "Ready", "False", "CustomerNotFound")
        .await;
    stage.customer("ada").await;
    stage
        .condition::<CreditGrant>("sorry", "Ready", "True", "Recorded")
        .await;
}
