//! The first payment: for what is asked now, and never twice for one customer.

use glyph_crds::{GlyphCustomer, Subscription, Tier};
use glyph_harness::proxy::{Call, CallKind, Moment};
use glyph_stripe_sim::{Fault, FaultKind};
use serde_json::json;

use crate::once::{kill_at, sprung, watched};
use crate::plans::{price_of, subscribed};
use crate::stage::Stage;

fn makes_a_checkout(call: &Call) -> bool {
    call.kind == CallKind::Write && call.what == "/v1/checkout/sessions"
}

/// CASES 4 and 22.
#[tokio::test]
async fn a_spec_edited_after_a_crash_has_a_link_for_what_it_says_now() {
    for (name, moment) in [
        ("lostcall", Moment::BeforeForwarding),
        ("lostanswer", Moment::BeforeAnswer),
    ] {
        let stage = subscribed(name).await;
        let (operator, calls, _proxy) = watched(&stage).await;
        kill_at(&operator, &calls, moment, makes_a_checkout);
        sprung(&calls).await;
        stage
            .patch::<Subscription>("ada", json!({"tier": "professional"}))
            .await;
        operator.start_again().await.unwrap();
        let price = price_of(&stage, "professional").await;
        stage.checkout("ada").await;
        let sessions = stage.stripe.control().objects("checkout.session");
        let open: Vec<_> = sessions.iter().filter(|s| s["status"] == "open").collect();
        assert_eq!(open.len(), 1, "{name}");
        let offer = open[0]["metadata"]["glyph_offer"].as_str().unwrap();
        assert!(offer.starts_with(&price), "{name}: {offer}");
        stage.pay("ada").await;
        let paid = stage.active("ada").await.status.unwrap();
        assert_eq!(paid.tier.as_deref(), Some("professional"));
    }
}

#[tokio::test]
async fn a_price_that_changes_while_a_link_is_open_has_another_link() {
    let stage = subscribed("repriced").await;
    let _operator = stage.operator().await;
    let first = stage.checkout("ada").await;
    stage
        .patch::<Tier>("starter", json!({"price": {"amount": 3900}}))
        .await;
    stage
        .until("ada", "another link", |s: &Subscription| {
            let id = s.status.as_ref()?.checkout_session_id.as_ref()?;
            (*id != first).then_some(())
        })
        .await;
    stage.pay("ada").await;
    stage.active("ada").await;
    let billed = crate::plans::in_stripe(&stage);
    assert_eq!(billed["items"]["data"][0]["price"]["unit_amount"], 3900);
}

async fn stripe_customer(stage: &Stage, name: &str) -> String {
    stage
        .condition::<GlyphCustomer>(name, "Ready", "True", "Linked")
        .await;
    let status = stage.get::<GlyphCustomer>(name).await.status.unwrap();
    status.stripe_customer_id.unwrap()
}

/// Who has a card in Stripe, by which a subscription is charged at once.
async fn with_card(stage: &Stage, name: &str) {
    let customer = stripe_customer(stage, name).await;
    let path = "/v1/payment_methods/pm_card_visa/attach";
    let form = format!("customer={customer}");
    let card = stage.in_dashboard("POST", path, &form).await;
    let form = format!(
        "invoice_settings[default_payment_method]={}",
        card["id"].as_str().unwrap()
    );
    let path = format!("/v1/customers/{customer}");
    stage.in_dashboard("POST", &path, &form).await;
}

#[tokio::test]
async fn of_two_made_in_one_second_one_is_charged() {
    const CUSTOMERS: [&str; 4] = ["ada", "bob", "cyd", "dan"];
    let stage = Stage::new("samesecond").await;
    let _operator = stage.operator().await;
    stage.tiers().await;
    price_of(&stage, "starter").await;
    for name in CUSTOMERS {
        stage.customer(name).await;
        with_card(&stage, name).await;
    }
    // Both look before either has begun, and both find the other not begun.
    for method in ["GET", "POST"] {
        let slow = Fault::new(FaultKind::Latency { ms: 700 }).on(method, "/v1/subscriptions");
        stage.stripe.control().add_fault(slow);
    }
    let wish = |customer: &str| json!({"customerRef": {"name": customer}, "tier": "starter", "payment": "DefaultPaymentMethod"});
    for name in CUSTOMERS {
        for number in ["a", "b"] {
            stage
                .create::<Subscription>(&format!("{name}-{number}"), wish(name))
                .await;
        }
    }
    for name in CUSTOMERS {
        let [a, b] = ["a", "b"].map(|number| format!("{name}-{number}"));
        let settled = async |name: &str| {
            stage
                .until(name, "to be charged or in conflict", |s: &Subscription| {
                    let ready = crate::stage::condition(s, "Ready")?;
                    ["Active", "Conflict"]
                        .contains(&ready.reason.as_str())
                        .then_some(ready.reason)
                })
                .await
        };
        let mut both = [settled(&a).await, settled(&b).await];
        both.sort();
        assert_eq!(both, ["Active", "Conflict"], "{name}");
    }
    assert_eq!(stage.ever("subscription"), CUSTOMERS.len());
}

#[tokio::test]
async fn a_customer_whom_stripe_bills_for_another_subscription_is_offered_no_link() {
    let stage = Stage::new("double").await;
    let _operator = stage.operator().await;
    stage.tiers().await;
    let price = price_of(&stage, "starter").await;
    stage.customer("ada").await;
    let customer = stripe_customer(&stage, "ada").await;
    let form = format!(
        "customer={customer}&items[0][price]={price}&collection_method=send_invoice&days_until_due=30\
         &metadata[glyph_kind]=Subscription&metadata[glyph_namespace]={}&metadata[glyph_name]=lost&metadata[glyph_uid]=uid-lost",
        stage.namespace.name()
    );
    let other = stage.in_dashboard("POST", "/v1/subscriptions", &form).await;
    stage.subscription("ada", "ada", "starter").await;
    let message = stage
        .condition::<Subscription>("ada", "Stalled", "True", "Conflict")
        .await;
    assert!(message.contains(other["id"].as_str().unwrap()), "{message}");
    assert_eq!(stage.ever("checkout.session"), 0);
}

#[tokio::test]
async fn a_trial_without_a_card_ends_the_subscription_also_without_checkout() {
    let stage = Stage::new("cardless").await;
    let _operator = stage.operator().await;
    let price = json!({"currency": "usd", "amount": 2900, "interval": "Month"});
    let spec = json!({"displayName": "Trial", "price": price, "trialDays": 7, "trialPaymentMethod": "Optional"});
    stage.create::<Tier>("trial", spec).await;
    price_of(&stage, "trial").await;
    stage.customer("ada").await;
    let wish =
        json!({"customerRef": {"name": "ada"}, "tier": "trial", "payment": "DefaultPaymentMethod"});
    stage.create::<Subscription>("ada", wish).await;
    stage
        .condition::<Subscription>("ada", "Ready", "True", "Trialing")
        .await;
    stage.stripe.control().advance(8 * 86_400);
    stage
        .condition::<Subscription>("ada", "Ready", "False", "Ended")
        .await;
}
