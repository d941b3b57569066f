//! What no webhook told is healed, and what is settled costs a new process nothing.

use glyph_crds::{CreditPurchase, GlyphCustomer, Subscription, SubscriptionState, Tier};
use glyph_harness::proxy::{Call, CallKind, Callee, Calls, Proxy};
use glyph_harness::{Service, Settings, poll_until};
use glyph_stripe_sim::Payment;
use serde_json::json;

use crate::credits;
use crate::stage::{Kind, SOON, Stage};

/// A customer who pays, and an operator that sweeps every second.
async fn paid(stage: &Stage) -> (Subscription, Settings) {
    stage.tiers().await;
    stage.customer("ada").await;
    stage.subscription("ada", "ada", "starter").await;
    stage.pay("ada").await;
    (stage.active("ada").await, swept(stage))
}

fn swept(stage: &Stage) -> Settings {
    stage.settings().set("GLYPH_EVENT_SWEEP", "1")
}

fn id(subscription: Subscription) -> String {
    subscription.status.unwrap().stripe_subscription_id.unwrap()
}

async fn canceled(stage: &Stage) {
    let canceled = |s: &Subscription| {
        (s.status.as_ref()?.state == Some(SubscriptionState::Canceled)).then_some(())
    };
    stage.until("ada", "its end", canceled).await;
}

/// Waits for so many sweeps that begin from now on.
async fn sweeps(stage: &Stage, more: usize) {
    let seen = || {
        let requests = stage.stripe.control().requests();
        requests
            .iter()
            .filter(|r| r.path.starts_with("/v1/events"))
            .count()
    };
    let before = seen();
    let done = async || (seen() > before + more).then_some(());
    poll_until("sweeps", SOON, done).await.unwrap();
}

/// What a start asks Stripe, but for events.
async fn asked_at_a_start(stage: &Stage, operator: &Service) -> Vec<String> {
    assert!(operator.stop());
    stage.stripe.control().clear_requests();
    operator.start_again().await.unwrap();
    sweeps(stage, 3).await;
    let requests = stage.stripe.control().requests().into_iter();
    let asked = requests.map(|request| request.path);
    asked
        .filter(|path| !path.starts_with("/v1/events"))
        .collect()
}

/// Waits until all three kinds say that they are settled.
async fn settled(stage: &Stage) {
    let what = "that it is settled";
    let customer = |c: &GlyphCustomer| c.status.as_ref()?.settled_for.clone();
    stage.until("ada", what, customer).await;
    let subscription = |s: &Subscription| s.status.as_ref()?.settled_for.clone();
    stage.until("ada", what, subscription).await;
    let tier = |t: &Tier| t.status.as_ref()?.settled_for.clone();
    stage.until("starter", what, tier).await;
}

/// What was last written of one of ada's, or of her tier.
async fn version<K: Kind>(stage: &Stage, name: &str) -> Option<String> {
    let one = stage.namespace.api::<K>().get_opt(name).await.unwrap()?;
    one.meta().resource_version.clone()
}

/// Waits until four sweeps in a row wrote to nobody: what was just seen may still be acted on.
async fn at_rest(stage: &Stage) {
    let mut last = None;
    for _ in 0..20 {
        sweeps(stage, 4).await;
        let now = [
            version::<Tier>(stage, "starter").await,
            version::<GlyphCustomer>(stage, "ada").await,
            version::<Subscription>(stage, "ada").await,
            version::<CreditPurchase>(stage, "ada").await,
        ];
        if last.replace(now.clone()) == Some(now) {
            return;
        }
    }
    panic!("sweeps go on writing: {last:?}");
}

#[tokio::test]
async fn an_event_that_no_webhook_told_is_taken_from_stripes_list() {
    let stage = Stage::without_webhooks("untold").await;
    let _operator = stage.operator_with(swept(&stage)).await;
    let (ada, _) = paid(&stage).await;
    let path = format!("/v1/subscriptions/{}", id(ada));
    stage.in_dashboard("DELETE", &path, "").await;
    canceled(&stage).await;
}

/// No operator: the webhook goes nowhere, and Stripe's next try is minutes away.
#[tokio::test]
async fn what_happens_while_nobody_leads_is_noticed_by_the_next_leader() {
    let stage = Stage::new("leaderless").await;
    let operator = stage.operator_with(swept(&stage)).await;
    let (ada, _) = paid(&stage).await;
    settled(&stage).await;
    at_rest(&stage).await;
    assert!(operator.stop());
    let path = format!("/v1/subscriptions/{}", id(ada));
    stage.in_dashboard("DELETE", &path, "").await;
    operator.start_again().await.unwrap();
    canceled(&stage).await;
}

#[tokio::test]
async fn a_restart_over_a_settled_world_writes_nothing_and_asks_for_events_only() {
    let stage = Stage::new("restart").await;
    let calls = Calls::new();
    let (_proxy, kubeconfig) = Proxy::kubernetes(&calls, stage.namespace.plane())
        .await
        .unwrap();
    let settings = swept(&stage).set("KUBECONFIG", kubeconfig.to_string_lossy());
    let operator = stage.operator_with(settings).await;
    paid(&stage).await;
    settled(&stage).await;
    at_rest(&stage).await;
    let before = calls.list().len();
    assert_eq!(
        asked_at_a_start(&stage, &operator).await,
        Vec::<String>::new()
    );
    let is_write = |call: &Call| (call.callee, call.kind) == (Callee::Kubernetes, CallKind::Write);
    let written: Vec<_> = calls
        .list()
        .into_iter()
        .skip(before)
        .filter(|call| is_write(call))
        .collect();
    assert!(written.is_empty(), "{written:#?}");
}

/// Who is gone costs as little as who stays.
#[tokio::test]
async fn a_subscription_that_has_ended_and_a_payment_that_failed_rest_and_cost_a_start_nothing() {
    let stage = Stage::new("ended").await;
    let operator = stage.operator_with(swept(&stage)).await;
    let (ada, _) = paid(&stage).await;
    credits::pack(&stage, json!({})).await;
    let spec = json!({"customerRef": {"name": "ada"}, "pack": credits::PACK});
    stage.create::<CreditPurchase>("ada", spec).await;
    let session = credits::link(&stage).await;
    let ordered = stage.stripe.control().pay_by_bank(&session, None, true);
    assert!(matches!(ordered, Payment::Done(_)), "{ordered:?}");
    assert!(stage.stripe.control().conclude_debit(&session, false));
    stage
        .condition::<CreditPurchase>("ada", "Ready", "False", "PaymentFailed")
        .await;
    let path = format!("/v1/subscriptions/{}", id(ada));
    stage.in_dashboard("DELETE", &path, "").await;
    canceled(&stage).await;
    settled(&stage).await;
    let purchase = |p: &CreditPurchase| p.status.as_ref()?.settled_for.clone();
    stage.until("ada", "that it is settled", purchase).await;
    at_rest(&stage).await;
    assert_eq!(
        asked_at_a_start(&stage, &operator).await,
        Vec::<String>::new()
    );
}
