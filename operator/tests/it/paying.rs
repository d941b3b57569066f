//! The first payment: for what is asked now, and never twice for one customer.

use glyph_crds::{GlyphCustomer, Subscription, Tier};
use glyph_harness::poll_until;
use glyph_harness::proxy::{Call, CallKind, Calls, Moment};
use glyph_stripe_sim::{Fault, FaultKind};
use serde_json::json;

use crate::once::{kill_at, sprung, watched};
use crate::plans::{in_stripe, price_of, subscribed};
use crate::stage::{SOON, Stage, condition};

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
    let billed = in_stripe(&stage);
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

/// Waits for a call to Stripe after the first `seen`.
async fn until_called(calls: &Calls, seen: usize, path: &str) {
    let called = async || {
        let later = calls.list().into_iter().skip(seen);
        later
            .into_iter()
            .any(|call| call.what.starts_with(path))
            .then_some(())
    };
    poll_until("a call to Stripe", SOON, called).await.unwrap();
}

/// The first decides that it is in charge while it is alone, and is held up before it has begun: the second, of the same
/// second, would go before it where its UID is smaller, as every other one's is.
#[tokio::test]
async fn of_two_made_in_one_second_one_is_charged() {
    const CUSTOMERS: [&str; 8] = ["ada", "bob", "cyd", "dan", "eve", "fay", "gus", "hal"];
    let (lists, sessions) = ("/v1/subscriptions", "/v1/checkout/sessions");
    let stage = Stage::new("samesecond").await;
    let (_operator, calls, _proxy) = watched(&stage).await;
    stage.tiers().await;
    price_of(&stage, "starter").await;
    let slow = |ms, path| {
        let fault = Fault::new(FaultKind::Latency { ms })
            .on("GET", path)
            .times(1);
        stage.stripe.control().add_fault(fault);
    };
    for name in CUSTOMERS {
        stage.customer(name).await;
        with_card(&stage, name).await;
        let wish = json!({"customerRef": {"name": name}, "tier": "starter", "payment": "DefaultPaymentMethod"});
        let seen = calls.list().len();
        slow(150, sessions);
        let both = ["a", "b"].map(|number| format!("{name}-{number}"));
        stage.create::<Subscription>(&both[0], wish.clone()).await;
        until_called(&calls, seen, sessions).await;
        slow(2000, lists);
        // What is asked next is the look before the create.
        until_called(&calls, calls.list().len(), lists).await;
        stage.create::<Subscription>(&both[1], wish).await;
        let mut ends = [String::new(), String::new()];
        for (one, end) in both.iter().zip(&mut ends) {
            *end = stage
                .until(one, "to be charged or in conflict", |s: &Subscription| {
                    let reason = condition(s, "Ready")?.reason;
                    matches!(reason.as_str(), "Active" | "Conflict").then_some(reason)
                })
                .await;
        }
        ends.sort();
        assert_eq!(ends, ["Active", "Conflict"], "{name}");
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
