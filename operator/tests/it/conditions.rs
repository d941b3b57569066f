//! What a person reads when something is missing or in the way.

use std::fs;

use glyph_crds::{ApiKey, GlyphCustomer, Subscription, Tier};
use serde_json::json;

use crate::stage::Stage;

#[tokio::test]
async fn a_missing_key_of_stripe_is_named_and_works_as_soon_as_its_file_is_there() {
    let stage = Stage::new("nokey").await;
    let directory = tempfile::tempdir().unwrap();
    let key = stage
        .settings()
        .get("STRIPE_SECRET_KEY")
        .unwrap()
        .to_owned();
    let settings = stage.settings().without("STRIPE_SECRET_KEY");
    let settings = settings.set("GLYPH_CREDENTIALS_DIR", directory.path().to_string_lossy());
    let _operator = stage.operator_with(settings).await;
    stage.customer("ada").await;
    let message = stage
        .condition::<GlyphCustomer>("ada", "Stalled", "True", "CredentialMissing")
        .await;
    assert!(message.contains("STRIPE_SECRET_KEY"), "{message}");
    let note = stage.told("ada", "CredentialMissing").await;
    assert!(note.contains("STRIPE_SECRET_KEY"), "{note}");
    fs::write(directory.path().join("STRIPE_SECRET_KEY"), "sk_test_wrong").unwrap();
    let message = stage
        .condition::<GlyphCustomer>("ada", "Stalled", "True", "CredentialMissing")
        .await;
    assert!(!message.contains("sk_test_wrong"), "{message}");
    fs::write(directory.path().join("STRIPE_SECRET_KEY"), key).unwrap();
    stage
        .condition::<GlyphCustomer>("ada", "Ready", "True", "Linked")
        .await;
}

#[tokio::test]
async fn without_peppers_no_key_is_made_and_the_setting_is_named() {
    let stage = Stage::new("nopepper").await;
    let _operator = stage
        .operator_with(stage.settings().without("GLYPH_KEY_PEPPERS"))
        .await;
    stage
        .create::<Tier>(
            "free",
            json!({"displayName": "Free", "keysBeforePayment": true}),
        )
        .await;
    stage.customer("ada").await;
    stage.key("laptop", "ada").await;
    let message = stage
        .condition::<ApiKey>("laptop", "Stalled", "True", "CredentialMissing")
        .await;
    assert!(message.contains("GLYPH_KEY_PEPPERS"), "{message}");
    assert_eq!(stage.secret("laptop").await, None);
}

/// CASE 13.
#[tokio::test]
async fn of_two_resources_with_one_address_the_older_wins_and_the_other_takes_over_when_it_goes() {
    let stage = Stage::new("rivals").await;
    let _operator = stage.operator().await;
    let spec = json!({"email": stage.email("ada")});
    stage.create::<GlyphCustomer>("first", spec.clone()).await;
    stage
        .condition::<GlyphCustomer>("first", "Ready", "True", "Linked")
        .await;
    stage.next_second("first").await;
    stage.create::<GlyphCustomer>("second", spec).await;
    let message = stage
        .condition::<GlyphCustomer>("second", "Stalled", "True", "Conflict")
        .await;
    assert!(
        message.contains("GlyphCustomer first is older"),
        "{message}"
    );
    assert_eq!(stage.ever("customer"), 1);
    stage.delete::<GlyphCustomer>("first").await;
    stage
        .condition::<GlyphCustomer>("second", "Ready", "True", "Linked")
        .await;
}

#[tokio::test]
async fn a_subscription_waits_for_customer_and_tier_and_goes_on_by_itself() {
    let stage = Stage::new("waits").await;
    let _operator = stage.operator().await;
    stage.subscription("ada", "ada", "starter").await;
    stage
        .condition::<Subscription>("ada", "Ready", "False", "CustomerNotFound")
        .await;
    stage.customer("ada").await;
    stage
        .condition::<Subscription>("ada", "Ready", "False", "TierNotFound")
        .await;
    stage.tiers().await;
    stage
        .condition::<Subscription>("ada", "Ready", "False", "AwaitingPayment")
        .await;
}

#[tokio::test]
async fn a_price_made_by_hand_is_adopted_or_its_difference_is_named() {
    let stage = Stage::new("byhand").await;
    let _operator = stage.operator().await;
    let product = stage
        .in_dashboard("POST", "/v1/products", "name=Ours")
        .await;
    let body = format!(
        "product={}&currency=usd&unit_amount=2900&recurring[interval]=month",
        product["id"].as_str().unwrap()
    );
    let made = stage.in_dashboard("POST", "/v1/prices", &body).await;
    let id = made["id"].as_str().unwrap();
    let price = json!({"currency": "usd", "amount": 3900, "interval": "Month"});
    let spec = json!({"displayName": "Starter", "price": price, "stripe": {"priceId": id}});
    stage.create::<Tier>("starter", spec).await;
    let message = stage
        .condition::<Tier>("starter", "Stalled", "True", "PriceMismatch")
        .await;
    assert!(message.contains("its amount is 2900"), "{message}");
    stage
        .patch::<Tier>("starter", json!({"price": {"amount": 2900}}))
        .await;
    stage
        .condition::<Tier>("starter", "Ready", "True", "OnSale")
        .await;
    let status = stage.get::<Tier>("starter").await.status.unwrap();
    assert_eq!(status.stripe_price_id.as_deref(), Some(id));
    assert_eq!(["product", "price"].map(|kind| stage.ever(kind)), [1, 1]);
}

#[tokio::test]
async fn the_second_of_two_subscriptions_of_a_customer_says_which_is_in_charge() {
    let stage = Stage::new("two").await;
    let _operator = stage.operator().await;
    stage.tiers().await;
    stage.customer("ada").await;
    stage.subscription("ada-1", "ada", "starter").await;
    stage.pay("ada-1").await;
    stage.active("ada-1").await;
    stage.subscription("ada-2", "ada", "starter").await;
    let message = stage
        .condition::<Subscription>("ada-2", "Stalled", "True", "Conflict")
        .await;
    assert!(
        message.contains("Subscription ada-1 speaks for customer ada"),
        "{message}"
    );
    assert_eq!(stage.ever("checkout.session"), 1);
}
