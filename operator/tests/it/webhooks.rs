//! Events are hints: late, early, doubled, lost or never, the end is what Stripe says last.

use std::sync::Arc;

use glyph_crds::{Subscription, SubscriptionState};
use glyph_harness::poll_until;
use glyph_harness::proxy::{Call, Calls, Moment, Proxy, Trap};
use glyph_stripe_sim::WebhookMode;

use crate::stage::{SOON, Stage};

const HELD: WebhookMode = WebhookMode {
    held: true,
    dropped: false,
    copies: 1,
};
const DOUBLED: WebhookMode = WebhookMode {
    held: false,
    dropped: false,
    copies: 2,
};

async fn wish(stage: &Stage, name: &str) {
    stage.tiers().await;
    stage.customer(name).await;
    stage.subscription(name, name, "starter").await;
}

/// CASES 19 and 20: `updated(active)` before `created(incomplete)`, all within a second.
#[tokio::test]
async fn events_in_reverse_order_end_in_active() {
    let stage = Stage::new("reverse").await;
    let _operator = stage.operator().await;
    wish(&stage, "ada").await;
    stage.checkout("ada").await;
    stage.stripe.control().set_webhook_mode(HELD);
    stage.pay("ada").await;
    assert!(
        stage.stripe.control().release_webhooks(true) > 2,
        "there is an order to reverse"
    );
    let status = stage.active("ada").await.status.unwrap();
    assert_eq!(status.state, Some(SubscriptionState::Active));
}

/// CASE 21.
#[tokio::test]
async fn doubled_and_parallel_events_have_one_effect() {
    let stage = Stage::new("doubled").await;
    let _operator = stage.operator().await;
    stage.stripe.control().set_webhook_mode(DOUBLED);
    wish(&stage, "ada").await;
    stage.pay("ada").await;
    stage.active("ada").await;
    let events: Vec<String> = stage
        .stripe
        .control()
        .objects("event")
        .iter()
        .filter_map(|event| event["id"].as_str().map(str::to_owned))
        .collect();
    let delivered = || stage.stripe.control().deliveries().len();
    let before = delivered();
    for event in &events {
        assert!(stage.stripe.control().resend(event));
    }
    poll_until("all events again", SOON, async || {
        (delivered() >= before + events.len()).then_some(())
    })
    .await
    .unwrap();
    stage.active("ada").await;
    assert_eq!(
        ["customer", "checkout.session", "subscription"].map(|kind| stage.ever(kind)),
        [1; 3]
    );
}

/// CASE 24.
#[tokio::test]
async fn a_late_end_of_an_old_subscription_leaves_the_new_one_alive() {
    let stage = Stage::new("late").await;
    let _operator = stage.operator().await;
    wish(&stage, "ada").await;
    stage.pay("ada").await;
    let old = stage
        .active("ada")
        .await
        .status
        .unwrap()
        .stripe_subscription_id
        .unwrap();
    stage.stripe.control().set_webhook_mode(HELD);
    stage
        .in_dashboard("DELETE", &format!("/v1/subscriptions/{old}"), "")
        .await;
    stage.delete::<Subscription>("ada").await;
    stage.gone::<Subscription>("ada").await;
    stage.subscription("ada", "ada", "starter").await;
    stage.pay("ada").await;
    let new = stage
        .active("ada")
        .await
        .status
        .unwrap()
        .stripe_subscription_id
        .unwrap();
    assert_ne!(new, old);
    let held = stage.stripe.control().release_webhooks(false);
    let delivered = || stage.stripe.control().deliveries().len();
    poll_until("the late events", SOON, async || {
        (delivered() >= held).then_some(())
    })
    .await
    .unwrap();
    let after = stage.active("ada").await.status.unwrap();
    assert_eq!(after.stripe_subscription_id, Some(new));
}

/// CASE 25: Kubernetes holds the event, and the operator dies before it can act on it.
#[tokio::test]
async fn an_event_taken_before_a_crash_is_acted_on_after_it() {
    let stage = Stage::new("taken").await;
    let calls = Calls::new();
    let (_proxy, kubeconfig) = Proxy::kubernetes(&calls, stage.namespace.plane())
        .await
        .unwrap();
    let settings = stage
        .settings()
        .set("KUBECONFIG", kubeconfig.to_string_lossy());
    let operator = Arc::new(stage.operator_with(settings).await);
    wish(&stage, "ada").await;
    stage.checkout("ada").await;
    fn takes_an_event(call: &Call) -> bool {
        call.what.contains("/subscriptions/ada") && call.what.contains("glyph-webhook")
    }
    let victim = operator.clone();
    let action = Box::new(move || victim.kill());
    calls.set(Trap {
        at: 1,
        moment: Moment::BeforeAnswer,
        counted: takes_an_event,
        action,
    });
    stage.pay("ada").await;
    poll_until("the operator to be killed", SOON, async || calls.sprung())
        .await
        .unwrap();
    operator.start_again().await.unwrap();
    stage.active("ada").await;
    assert_eq!(
        ["checkout.session", "subscription"].map(|kind| stage.ever(kind)),
        [1, 1]
    );
}
