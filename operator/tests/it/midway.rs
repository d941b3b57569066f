//! What is deleted while it is being made, when its customer has gone from Kubernetes already: nobody is charged, and
//! nothing can be paid any more (CASE 10).

use glyph_crds::{CreditPurchase, GlyphCustomer, Subscription};
use glyph_harness::Service;
use glyph_harness::proxy::{Call, CallKind, Calls, Moment};
use kube::api::{Patch, PatchParams};
use serde_json::json;

use crate::credits;
use crate::once::{kill_at, sprung, watched};
use crate::stage::Stage;

fn makes_a_checkout(call: &Call) -> bool {
    call.kind == CallKind::Write && call.what == "/v1/checkout/sessions"
}

fn makes_a_subscription(call: &Call) -> bool {
    call.kind == CallKind::Write && call.what == "/v1/subscriptions"
}

/// A tier and a customer who is in Stripe.
async fn linked(stage: &Stage) {
    stage.tiers().await;
    stage.customer("ada").await;
    stage
        .condition::<GlyphCustomer>("ada", "Ready", "True", "Linked")
        .await;
}

/// The operator died at a create. The customer goes at once, as it may when a namespace is deleted; so does nothing else.
async fn without_customer(stage: &Stage, calls: &Calls) {
    sprung(calls).await;
    let api = stage.namespace.api::<GlyphCustomer>();
    let freed = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    api.patch("ada", &PatchParams::default(), &freed)
        .await
        .unwrap();
    stage.delete::<GlyphCustomer>("ada").await;
    stage.gone::<GlyphCustomer>("ada").await;
}

/// States of all objects of a kind in Stripe.
fn states(stage: &Stage, kind: &str) -> Vec<String> {
    let all = stage.stripe.control().objects(kind).into_iter();
    all.map(|one| one["status"].as_str().unwrap().to_owned())
        .collect()
}

async fn wish(stage: &Stage, payment: &str) {
    let spec = json!({"customerRef": {"name": "ada"}, "tier": "starter", "payment": payment});
    stage.create::<Subscription>("ada", spec).await;
}

async fn goes(stage: &Stage, operator: &Service) {
    stage.delete::<Subscription>("ada").await;
    operator.start_again().await.unwrap();
    stage.gone::<Subscription>("ada").await;
}

#[tokio::test]
async fn a_subscription_deleted_in_mid_create_with_its_customer_is_found_and_ended() {
    let stage = Stage::new("midsub").await;
    let (operator, calls, _proxy) = watched(&stage).await;
    linked(&stage).await;
    kill_at(
        &operator,
        &calls,
        Moment::BeforeAnswer,
        makes_a_subscription,
    );
    wish(&stage, "Invoice").await;
    without_customer(&stage, &calls).await;
    assert_eq!(states(&stage, "subscription"), ["active"]);
    goes(&stage, &operator).await;
    assert_eq!(states(&stage, "subscription"), ["canceled"]);
}

#[tokio::test]
async fn a_checkout_deleted_in_mid_create_with_its_customer_cannot_be_paid_any_more() {
    let stage = Stage::new("midpay").await;
    let (operator, calls, _proxy) = watched(&stage).await;
    linked(&stage).await;
    kill_at(&operator, &calls, Moment::BeforeAnswer, makes_a_checkout);
    wish(&stage, "Checkout").await;
    without_customer(&stage, &calls).await;
    assert_eq!(states(&stage, "checkout.session"), ["open"]);
    goes(&stage, &operator).await;
    assert_eq!(states(&stage, "checkout.session"), ["expired"]);
}

/// The call never reached Stripe: it is made under its key only to be sure, and ended.
#[tokio::test]
async fn a_purchase_deleted_in_mid_create_with_its_customer_leaves_no_link_whether_or_not_it_was_made()
 {
    for (name, moment, made) in [
        ("made", Moment::BeforeAnswer, 1),
        ("unmade", Moment::BeforeForwarding, 0),
    ] {
        let stage = Stage::new(&format!("midpack-{name}")).await;
        let (operator, calls, _proxy) = watched(&stage).await;
        kill_at(&operator, &calls, moment, makes_a_checkout);
        credits::wish(&stage).await;
        without_customer(&stage, &calls).await;
        assert_eq!(stage.ever("checkout.session"), made, "{name}");
        stage.delete::<CreditPurchase>("ada").await;
        operator.start_again().await.unwrap();
        stage.gone::<CreditPurchase>("ada").await;
        assert_eq!(states(&stage, "checkout.session"), ["expired"], "{name}");
    }
}
