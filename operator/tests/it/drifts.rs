//! What a person changes in Stripe's dashboard beside the plan, and a spec that cannot be had.

use glyph_crds::{Subscription, Tier};
use serde_json::{Value, json};

use crate::plans::{change_in_portal, in_stripe, price_of, subscribed};
use crate::stage::Stage;

/// A price that is no Tier's.
async fn stray_price(stage: &Stage) -> String {
    let product = stage.stripe.control().objects("product")[0]["id"].clone();
    let form = format!(
        "product={}&currency=usd&unit_amount=100&recurring[interval]=month",
        product.as_str().unwrap()
    );
    let price = stage.in_dashboard("POST", "/v1/prices", &form).await;
    price["id"].as_str().unwrap().to_owned()
}

async fn paid(name: &str) -> (Stage, glyph_harness::Service) {
    let stage = subscribed(name).await;
    let operator = stage.operator().await;
    stage.pay("ada").await;
    stage.active("ada").await;
    (stage, operator)
}

fn path(stage: &Stage) -> String {
    format!(
        "/v1/subscriptions/{}",
        in_stripe(stage)["id"].as_str().unwrap()
    )
}

async fn drifted(stage: &Stage, reason: &str) -> String {
    stage
        .condition::<Subscription>("ada", "Drifted", "True", reason)
        .await
}

async fn as_declared(stage: &Stage) {
    stage
        .condition::<Subscription>("ada", "Synced", "True", "InSync")
        .await;
    stage
        .condition::<Subscription>("ada", "Drifted", "False", "AsDeclared")
        .await;
}

async fn revert(stage: &Stage) {
    stage
        .patch::<Subscription>("ada", json!({"driftPolicy": "Revert"}))
        .await;
}

#[tokio::test]
async fn a_tier_that_is_not_sold_is_said_and_undoes_no_cancellation() {
    let (stage, _operator) = paid("unsold").await;
    let spec = json!({"displayName": "Enterprise", "contactSales": true});
    stage.create::<Tier>("enterprise", spec).await;
    stage
        .patch::<Subscription>("ada", json!({"tier": "enterprise"}))
        .await;
    stage
        .condition::<Subscription>("ada", "Synced", "False", "TierNotSold")
        .await;
    stage
        .in_dashboard("POST", &path(&stage), "cancel_at_period_end=true")
        .await;
    drifted(&stage, "CancellationChangedInStripe").await;
    assert_eq!(in_stripe(&stage)["cancel_at_period_end"], true);
}

#[tokio::test]
async fn a_price_of_no_tier_is_said_and_put_back_as_often_as_it_comes_within_an_hour() {
    let (stage, _operator) = paid("stray").await;
    let starter = price_of(&stage, "starter").await;
    let stray = stray_price(&stage).await;
    change_in_portal(&stage, &stray).await;
    let message = drifted(&stage, "PriceOfNoTier").await;
    assert!(message.contains(&stray), "{message}");
    let status = stage.get::<Subscription>("ada").await.status.unwrap();
    assert_eq!(status.tier.as_deref(), Some("starter"));
    revert(&stage).await;
    as_declared(&stage).await;
    assert_eq!(
        in_stripe(&stage)["items"]["data"][0]["price"]["id"],
        starter
    );
    for _ in 0..2 {
        change_in_portal(&stage, &stray).await;
        stage
            .until("ada", "the tier's own price again", |_: &Subscription| {
                let price = &in_stripe(&stage)["items"]["data"][0]["price"]["id"];
                (*price == starter.as_str()).then_some(())
            })
            .await;
    }
    as_declared(&stage).await;
}

#[tokio::test]
async fn a_paused_collection_is_said_and_resumed_by_the_policy() {
    let (stage, _operator) = paid("paused").await;
    let id = in_stripe(&stage)["id"].as_str().unwrap().to_owned();
    let control = stage.stripe.control();
    control.pause_collection(&id, Some("void")).unwrap();
    drifted(&stage, "CollectionPausedInStripe").await;
    stage.active("ada").await;
    assert_eq!(in_stripe(&stage)["pause_collection"]["behavior"], "void");
    revert(&stage).await;
    as_declared(&stage).await;
    assert_eq!(in_stripe(&stage)["pause_collection"], Value::Null);
}

#[tokio::test]
async fn a_schedule_made_in_stripe_stands_until_the_spec_asks_for_something() {
    let (stage, _operator) = paid("scheduled").await;
    let id = in_stripe(&stage)["id"].as_str().unwrap().to_owned();
    let form = format!("from_subscription={id}");
    let schedule = stage
        .in_dashboard("POST", "/v1/subscription_schedules", &form)
        .await;
    let message = drifted(&stage, "ScheduledInStripe").await;
    assert!(message.contains(schedule["id"].as_str().unwrap()));
    assert_eq!(in_stripe(&stage)["schedule"], schedule["id"]);
    stage
        .patch::<Subscription>("ada", json!({"cancelAtPeriodEnd": true}))
        .await;
    as_declared(&stage).await;
    let found = in_stripe(&stage);
    assert_eq!(
        (&found["schedule"], &found["cancel_at_period_end"]),
        (&Value::Null, &json!(true))
    );
}

/// CASE 28.
#[tokio::test]
async fn of_several_items_the_tiers_own_counts_and_the_others_are_said() {
    let (stage, _operator) = paid("items").await;
    let starter = price_of(&stage, "starter").await;
    let stray = stray_price(&stage).await;
    let item = in_stripe(&stage)["items"]["data"][0]["id"].clone();
    let form = format!(
        "items[0][id]={}&items[0][price]={stray}&items[1][price]={starter}",
        item.as_str().unwrap()
    );
    stage.in_dashboard("POST", &path(&stage), &form).await;
    let message = drifted(&stage, "ItemsChangedInStripe").await;
    assert!(message.contains("2 items"), "{message}");
    let status = stage.get::<Subscription>("ada").await.status.unwrap();
    assert_eq!(status.tier.as_deref(), Some("starter"));
}
