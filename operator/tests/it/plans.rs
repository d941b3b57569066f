//! A plan that changes: in the spec, and in Stripe.

use glyph_crds::{Subscription, Tier};
use serde_json::{Value, json};

use crate::stage::Stage;

/// A paid subscription to `starter`, and a tier above it.
pub async fn subscribed(name: &str) -> Stage {
    let stage = Stage::new(name).await;
    stage.tiers().await;
    let price = json!({"currency": "usd", "amount": 9900, "interval": "Month"});
    let spec = json!({"displayName": "Professional", "price": price});
    stage.create::<Tier>("professional", spec).await;
    stage.customer("ada").await;
    stage.subscription("ada", "ada", "starter").await;
    stage
}

pub fn in_stripe(stage: &Stage) -> Value {
    stage.stripe.control().objects("subscription")[0].clone()
}

pub async fn price_of(stage: &Stage, tier: &str) -> String {
    stage
        .condition::<Tier>(tier, "Ready", "True", "OnSale")
        .await;
    let status = stage.get::<Tier>(tier).await.status.unwrap();
    status.stripe_price_id.unwrap()
}

pub async fn change_in_portal(stage: &Stage, price: &str) {
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
    until_pending(&stage, Some("starter")).await;
    assert_eq!(in_stripe(&stage)["items"]["data"][0]["price"]["id"], price);
    assert_eq!(stage.ever("subscription"), 1);
}

async fn until_pending(stage: &Stage, tier: Option<&str>) {
    stage
        .until("ada", "the tier to come", |s: &Subscription| {
            let status = s.status.as_ref()?;
            (status.pending_tier.as_deref() == tier).then_some(())
        })
        .await;
}

#[tokio::test]
async fn a_cheaper_tier_comes_with_the_next_period_and_can_be_taken_back() {
    let stage = subscribed("downgrade").await;
    let _operator = stage.operator().await;
    stage.pay("ada").await;
    stage.active("ada").await;
    let [starter, professional] = [
        price_of(&stage, "starter").await,
        price_of(&stage, "professional").await,
    ];
    let wish = async |tier: &str| {
        stage
            .patch::<Subscription>("ada", json!({"tier": tier}))
            .await;
    };
    wish("professional").await;
    until_in_force(&stage, "professional").await;
    wish("starter").await;
    until_pending(&stage, Some("starter")).await;
    wish("professional").await;
    until_pending(&stage, None).await;
    assert_eq!(in_stripe(&stage)["schedule"], Value::Null);
    wish("starter").await;
    until_pending(&stage, Some("starter")).await;
    assert_eq!(
        in_stripe(&stage)["items"]["data"][0]["price"]["id"],
        professional
    );
    stage.stripe.control().advance(32 * 86_400);
    until_in_force(&stage, "starter").await;
    until_pending(&stage, None).await;
    assert_eq!(
        in_stripe(&stage)["items"]["data"][0]["price"]["id"],
        starter
    );
    assert_eq!(stage.ever("subscription"), 1);
}

#[tokio::test]
async fn what_a_customer_cancels_in_the_portal_stands() {
    let stage = subscribed("portal-cancel").await;
    let _operator = stage.operator().await;
    stage.pay("ada").await;
    stage.active("ada").await;
    let path = format!(
        "/v1/subscriptions/{}",
        in_stripe(&stage)["id"].as_str().unwrap()
    );
    stage
        .in_dashboard("POST", &path, "cancel_at_period_end=true")
        .await;
    stage
        .condition::<Subscription>("ada", "Drifted", "True", "CancellationChangedInStripe")
        .await;
    assert_eq!(in_stripe(&stage)["cancel_at_period_end"], true);
    stage
        .patch::<Subscription>("ada", json!({"driftPolicy": "Revert"}))
        .await;
    stage
        .condition::<Subscription>("ada", "Drifted", "False", "AsDeclared")
        .await;
    assert_eq!(in_stripe(&stage)["cancel_at_period_end"], false);
}

#[tokio::test]
async fn an_upgrade_that_cannot_be_charged_changes_nothing() {
    let stage = subscribed("declined-upgrade").await;
    let _operator = stage.operator().await;
    stage.pay("ada").await;
    stage.active("ada").await;
    let starter = price_of(&stage, "starter").await;
    price_of(&stage, "professional").await;
    let customer = in_stripe(&stage)["customer"].as_str().unwrap().to_owned();
    let form = format!("customer={customer}");
    let path = "/v1/payment_methods/pm_card_chargeCustomerFail/attach";
    let card = stage.in_dashboard("POST", path, &form).await;
    let form = format!("default_payment_method={}", card["id"].as_str().unwrap());
    let path = format!(
        "/v1/subscriptions/{}",
        in_stripe(&stage)["id"].as_str().unwrap()
    );
    stage.in_dashboard("POST", &path, &form).await;
    stage
        .patch::<Subscription>("ada", json!({"tier": "professional"}))
        .await;
    stage
        .condition::<Subscription>("ada", "Synced", "False", "Refused")
        .await;
    let found = stage.get::<Subscription>("ada").await.status.unwrap();
    assert_eq!(found.tier.as_deref(), Some("starter"));
    assert_eq!(
        in_stripe(&stage)["items"]["data"][0]["price"]["id"],
        starter
    );
}
