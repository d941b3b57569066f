//! A plan that changes: in the spec, and in Stripe.

use glyph_crds::{Subscription, Tier};
use serde_json::{Value, json};

use crate::stage::Stage;

/// A paid subscription to `starter`, and a tier above it.
async fn subscribed(name: &str) -> Stage {
    let stage = Stage::new(name).await;
    stage.tiers().await;
    let price = json!({"currency": "usd", "amount": 9900, "interval": "Month"});
    let spec = json!({"displayName": "Professional", "price": price});
    stage.create::<Tier>("professional", spec).await;
    stage.customer("ada").await;
    stage.subscription("ada", "ada", "starter").await;
    stage
}

fn in_stripe(stage: &Stage) -> Value {
    stage.stripe.control().objects("subscription")[0].clone()
}

async fn price_of(stage: &Stage, tier: &str) -> String {
    stage
        .condition::<Tier>(tier, "Ready", "True", "OnSale")
        .await;
    let status = stage.get::<Tier>(tier).await.status.unwrap();
    status.stripe_price_id.unwrap()
}

async fn change_in_portal(stage: &Stage, price: &str) {
    let subscription = in_stripe(stage);
    let item = subscription["items"]["data"][0]["id"].as_str().unwrap();
    let path = format!("/v1/subscriptions/{}", subscription["id"].as_str().unwrap());
    let form = format!("items[0][id]={item}&items[0][price]={price}");
    stage.in_dashboard("POST", &path, &form).await;
}

async fn until_in_force(stage: &Stage, tier: &str) {
    stage
        .until("ada", "the tier in force", |s: &Subscription| {
            (s.status.as_ref()?.tier.as_deref() == Some(tier)).then_some(())
        })
        .await;
}

/// CASE 33.
#[tokio::test]
async fn an_upgrade_moves_the_one_subscription() {
    let stage = subscribed("upgrade").await;
    let _operator = stage.operator().await;
    stage.pay("ada").await;
    stage.active("ada").await;
    let price = price_of(&stage, "professional").await;
    stage
        .patch::<Subscription>("ada", json!({"tier": "professional"}))
        .await;
    until_in_force(&stage, "professional").await;
    assert_eq!(in_stripe(&stage)["items"]["data"][0]["price"]["id"], price);
    assert_eq!(
        ["checkout.session", "subscription"].map(|kind| stage.ever(kind)),
        [1, 1]
    );
    stage
        .condition::<Subscription>("ada", "Drifted", "False", "AsDeclared")
        .await;
}

#[tokio::test]
async fn a_plan_changed_in_stripe_is_taken_over_and_said_or_put_back() {
    let stage = subscribed("portal").await;
    let _operator = stage.operator().await;
    stage.pay("ada").await;
    stage.active("ada").await;
    let price = price_of(&stage, "professional").await;
    change_in_portal(&stage, &price).await;
    until_in_force(&stage, "professional").await;
    stage
        .condition::<Subscription>("ada", "Drifted", "True", "TierChangedInStripe")
        .await;
    stage
        .patch::<Subscription>("ada", json!({"driftPolicy": "Revert"}))
        .await;
    until_in_force(&stage, "starter").await;
    change_in_portal(&stage, &price).await;
    let starter = price_of(&stage, "starter").await;
    stage
        .until("ada", "the plan of the spec", |s: &Subscription| {
            let put_back = in_stripe(&stage)["items"]["data"][0]["price"]["id"] == starter;
            let status = s.status.as_ref()?;
            (put_back && status.tier.as_deref() == Some("starter")).then_some(())
        })
        .await;
    assert_eq!(stage.ever("subscription"), 1);
}
