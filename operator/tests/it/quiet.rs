//! A quiet world costs nothing, and a spec alone decides.

use glyph_crds::{ApiKey, GlyphCustomer, Tier};
use glyph_harness::poll_until;
use glyph_harness::proxy::{CallKind, Callee, Calls, Proxy};
use serde_json::json;

use crate::stage::{SOON, Stage};

/// CASE 17, and the measure of it: full passes every second, and no write to Stripe or Kubernetes.
#[tokio::test]
async fn passes_over_a_quiet_world_write_nothing() {
    let stage = Stage::new("quiet").await;
    let calls = Calls::new();
    let (_proxy, kubeconfig) = Proxy::kubernetes(&calls, stage.namespace.plane())
        .await
        .unwrap();
    let settings = stage
        .settings()
        .set("KUBECONFIG", kubeconfig.to_string_lossy())
        .set("GLYPH_RESYNC", "1");
    let _operator = stage.operator_with(settings).await;
    stage.tiers().await;
    let spec = json!({"email": stage.email("ada"), "cognito": {"create": true}});
    stage.create::<GlyphCustomer>("ada", spec).await;
    stage.subscription("ada", "ada", "starter").await;
    stage.key("ada", "ada").await;
    stage.pay("ada").await;
    stage.active("ada").await;
    stage
        .condition::<ApiKey>("ada", "Ready", "True", "KeyDelivered")
        .await;
    let kubernetes = || {
        let counted = |call: &&glyph_harness::proxy::Call| {
            call.callee == Callee::Kubernetes && call.kind == CallKind::Write
        };
        calls
            .list()
            .iter()
            .filter(counted)
            .map(|call| call.what.clone())
            .collect::<Vec<_>>()
    };
    let reads = || {
        let path = "/v1/customers/";
        let requests = stage.stripe.control().requests();
        requests
            .iter()
            .filter(|r| r.method == "GET" && r.path.starts_with(path))
            .count()
    };
    stage
        .until("starter", "its subscriber", |tier: &Tier| {
            (tier.status.as_ref()?.subscribers == Some(1)).then_some(())
        })
        .await;
    let passes = async |more: usize| {
        let seen = reads();
        let passed = async || (reads() >= seen + more).then_some(());
        poll_until("more passes", SOON, passed).await.unwrap();
    };
    // The last Events of what went before are out by then.
    passes(2).await;
    let (stripe, before) = (stage.writes(), kubernetes());
    passes(5).await;
    assert_eq!(stage.writes(), stripe, "a write to Stripe");
    assert_eq!(kubernetes(), before, "a write to Kubernetes");
}

/// CASE 18.
#[tokio::test]
async fn a_price_changed_and_changed_back_is_what_it_was() {
    let stage = Stage::new("aba").await;
    let _operator = stage.operator().await;
    stage.tiers().await;
    stage
        .condition::<Tier>("starter", "Ready", "True", "OnSale")
        .await;
    for amount in [3900, 2900] {
        stage
            .patch::<Tier>("starter", json!({"price": {"amount": amount}}))
            .await;
        stage
            .until("starter", "the new price", |tier: &Tier| {
                (tier.status.as_ref()?.observed_generation == tier.metadata.generation)
                    .then_some(())
            })
            .await;
        stage
            .condition::<Tier>("starter", "Ready", "True", "OnSale")
            .await;
    }
    let prices = stage.stripe.control().objects("price");
    let active: Vec<_> = prices
        .iter()
        .filter(|price| price["active"] == true)
        .collect();
    assert_eq!(active.len(), 1);
    assert_eq!(active[0]["unit_amount"], 2900);
    assert_eq!(
        active[0]["lookup_key"],
        format!("{}-starter", stage.namespace.name())
    );
    let status = stage.get::<Tier>("starter").await.status.unwrap();
    assert_eq!(status.stripe_price_id.as_deref(), active[0]["id"].as_str());
    assert_eq!(stage.ever("product"), 1);
}

/// CASE 18, the other half; Stripe's sentence reaches the condition.
#[tokio::test]
async fn a_spec_that_stripe_refuses_says_so_and_recovers_when_it_is_corrected() {
    let stage = Stage::new("invalid").await;
    let _operator = stage.operator().await;
    let price = json!({"currency": "xxx", "amount": 2900, "interval": "Month"});
    stage
        .create::<Tier>("starter", json!({"displayName": "Starter", "price": price}))
        .await;
    let message = stage
        .condition::<Tier>("starter", "Stalled", "True", "Refused")
        .await;
    assert!(message.contains("xxx"), "{message}");
    stage
        .patch::<Tier>("starter", json!({"price": {"currency": "usd"}}))
        .await;
    stage
        .condition::<Tier>("starter", "Ready", "True", "OnSale")
        .await;
    stage
        .condition::<Tier>("starter", "Stalled", "False", "Progressing")
        .await;
}
