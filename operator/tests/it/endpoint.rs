//! The webhook endpoint that the operator registers for itself.

use glyph_crds::Tier;
use glyph_harness::{Settings, poll_until};
use k8s_openapi::api::core::v1::Secret;
use serde_json::Value;

use crate::stage::{SOON, Stage};

const NAME: &str = "glyph-webhook";

fn registering(stage: &Stage) -> Settings {
    stage
        .settings()
        .without("STRIPE_WEBHOOK_SECRET")
        .set("GLYPH_WEBHOOK_URL", stage.webhook_url())
}

fn endpoints(stage: &Stage) -> Vec<Value> {
    stage.stripe.control().objects("webhook_endpoint")
}

async fn kept(stage: &Stage) -> String {
    let of = async || {
        let api = stage.namespace.api::<Secret>();
        let secret = api.get_opt(NAME).await.ok()??;
        let id = secret
            .metadata
            .annotations?
            .remove("glyphapi.ai/webhook-endpoint")?;
        let all = endpoints(stage);
        (all.len() == 1 && all[0]["id"] == id.as_str()).then_some(id)
    };
    poll_until("one endpoint, whose secret is kept", SOON, of)
        .await
        .unwrap()
}

/// It is told of a payment by no other way: the link's polls are slower than the webhook, and sweeps a minute apart.
#[tokio::test]
async fn an_operator_with_a_public_address_registers_itself_once_and_is_told() {
    let stage = Stage::without_webhooks("registered").await;
    let operator = stage.operator_with(registering(&stage)).await;
    let first = kept(&stage).await;
    stage.tiers().await;
    stage.customer("ada").await;
    stage.subscription("ada", "ada", "starter").await;
    stage.pay("ada").await;
    stage.active("ada").await;
    let taken = async || {
        let all = stage.stripe.control().deliveries();
        all.iter()
            .any(|delivery| delivery.status == Some(200))
            .then_some(())
    };
    poll_until("a delivery that is believed", SOON, taken)
        .await
        .unwrap();
    assert!(operator.stop());
    operator.start_again().await.unwrap();
    assert_eq!(kept(&stage).await, first);
    assert!(
        !operator.log().contains("whsec_"),
        "the secret is in the log"
    );
}

/// Stripe tells a secret once: without it the endpoint is worth nothing.
#[tokio::test]
async fn an_endpoint_whose_secret_is_lost_is_replaced_and_deleted() {
    let stage = Stage::without_webhooks("lost").await;
    let operator = stage.operator_with(registering(&stage)).await;
    let first = kept(&stage).await;
    assert!(operator.stop());
    stage.delete::<Secret>(NAME).await;
    operator.start_again().await.unwrap();
    let second = poll_until("another endpoint", SOON, async || {
        let kept = kept(&stage).await;
        (kept != first).then_some(kept)
    });
    second.await.unwrap();
}

/// One Stripe account can serve operators of several clusters, whose namespaces and Secrets bear the same names.
#[tokio::test]
async fn endpoints_of_operators_of_the_same_names_elsewhere_are_left_alone() {
    let stage = Stage::without_webhooks("elsewhere").await;
    let mark = format!("{}/{NAME}", stage.namespace.name());
    for mark in [mark.clone(), format!("{mark}/another-uid")] {
        let form = format!(
            "url=https://elsewhere.example.com&enabled_events[]=invoice.paid&metadata[glyph_endpoint]={mark}"
        );
        stage
            .in_dashboard("POST", "/v1/webhook_endpoints", &form)
            .await;
    }
    let _operator = stage.operator_with(registering(&stage)).await;
    let registered = async || {
        let mut all = endpoints(&stage);
        all.retain(|one| one["url"] == stage.webhook_url().as_str());
        (all.len() == 1).then_some(())
    };
    poll_until("its own endpoint", SOON, registered)
        .await
        .unwrap();
    stage.tiers().await;
    stage
        .condition::<Tier>("starter", "Ready", "True", "OnSale")
        .await;
    assert_eq!(endpoints(&stage).len(), 3);
}
