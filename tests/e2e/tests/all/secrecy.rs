//! Secrets planted in every credential are found nowhere they must not be.

use anyhow::Result;
use glyph_e2e::caller::PATH;
use glyph_e2e::flow::Flow;
use glyph_e2e::resources;
use glyph_e2e::world::{KEY_FIELD, SOON, Wanted, World};
use glyph_harness::net::get;
use glyph_harness::{Service, poll_until};
use glyph_stripe_sim::{Fault, FaultKind, When};
use k8s_openapi::api::core::v1::Secret;

use crate::support::{conforms_to_stripe, world};

/// A key in the right form that nobody made; who presents it must not find it in a log either.
const UNKNOWN_KEY: &str = "glyph_sk_live_canaryCanaryCanaryCanaryCanary00";

/// CASE 51.
#[tokio::test]
async fn no_secret_is_in_any_log_at_trace_event_status_metric_or_error() -> Result<()> {
    let world = world("canary", Wanted::gateways(1).logging("trace")).await?;
    let answers = live_through_everything(&world).await?;
    let key = world.key("ada-laptop").await?;
    let mut places = everything_written(&world).await?;
    places.push(("the answers", answers.concat()));
    let mut secrets = world.secrets.all().to_vec();
    secrets.extend([key.as_str(), UNKNOWN_KEY]);
    for (place, text) in &places {
        assert!(text.len() > 100, "{place} is empty: {text}");
        for secret in &secrets {
            let before = text.find(secret).map(|at| &text[..at]);
            let line = before.map(|before| before.lines().last());
            assert_eq!(line, None, "{place} holds {secret}");
        }
    }
    the_key_is_in_its_secret_alone(&world, &key).await?;
    conforms_to_stripe(&world).await
}

/// All that people and their tools read: logs, metrics, resources, Events.
async fn everything_written(world: &World<'_>) -> Result<Vec<(&'static str, String)>> {
    let gateway = world.gateway()?;
    let metrics = async |program: &Service| get(&format!("{}/metrics", program.admin_url())).await;
    let yaml = async |what| {
        world
            .namespace
            .kubectl(&["get", what, "-o", "yaml"])
            .await?
            .ok()
    };
    Ok(vec![
        ("the operator's log", world.operator.log()),
        ("the sidecar's log", gateway.sidecar.log()),
        ("Envoy's log", gateway.envoy.log()),
        (
            "the operator's metrics",
            metrics(&world.operator).await?.text(),
        ),
        (
            "the sidecar's metrics",
            metrics(&gateway.sidecar).await?.text(),
        ),
        ("the resources", yaml("glyph").await?),
        ("the Events", yaml("events").await?),
    ])
}

/// Success and failure of everything that takes a credential; gives what callers were answered.
async fn live_through_everything(world: &World<'_>) -> Result<Vec<String>> {
    world
        .create(&resources::free_tier(resources::DEFAULT_TIER, Some(3)))
        .await?;
    let control = world.stripe.control();
    control.add_fault(Fault::new(FaultKind::ServerError { when: When::Before }).times(2));
    Flow::Main.apply(world).await?;
    Flow::Main.play(world).await?;
    let key = world.key("ada-laptop").await?;
    let gateway = world.gateway()?;
    let mut answers = vec![gateway.until_answer(&key, 200, "").await?.text()];
    for bearer in [UNKNOWN_KEY, &key[1..], &format!("{key},{key}")] {
        answers.push(gateway.caller.ask(bearer).await?.text());
        answers.push(
            gateway
                .caller
                .get(PATH, &[("x-api-key", bearer)])
                .await?
                .text(),
        );
    }
    // Stripe refuses the key; the operator says so in a condition and an Event.
    control.set_api_key("sk_test_another");
    world
        .create(&resources::customer("grace", &world.email("grace")))
        .await?;
    let said = |customer: &glyph_crds::GlyphCustomer| {
        let conditions = &customer.status.as_ref()?.conditions;
        conditions
            .iter()
            .find(|one| one.message.contains("STRIPE_SECRET_KEY"))
            .map(|_| ())
    };
    world
        .until(
            "grace",
            "a condition that names STRIPE_SECRET_KEY",
            SOON,
            said,
        )
        .await?;
    // A webhook with another secret's signature, Redis away.
    let operator = format!("http://{}/webhooks/stripe", world.operator.address());
    let body = r#"{"id":"evt_canary"}"#;
    let request = hyper::Request::post(operator).header(
        "stripe-signature",
        glyph_stripe_sim::signature("whsec_other", 0, body.as_bytes()),
    );
    answers.push(glyph_harness::net::send(request.body(body)?).await?.text());
    world.redis.stop();
    answers.push(gateway.until_answer(&key, 503, "unavailable").await?.text());
    Ok(answers)
}

/// The one place where the key may be.
async fn the_key_is_in_its_secret_alone(world: &World<'_>, key: &str) -> Result<()> {
    let secrets = world.namespace.api::<Secret>();
    let holding = async || {
        let all = secrets.list(&Default::default()).await.ok()?;
        let holds = |secret: &&Secret| {
            secret
                .data
                .iter()
                .flatten()
                .any(|(_, value)| value.0 == key.as_bytes())
        };
        Some(
            all.items
                .iter()
                .filter(holds)
                .map(|secret| secret.data.clone().unwrap_or_default())
                .collect::<Vec<_>>(),
        )
    };
    let found = poll_until("the Secrets", SOON, holding).await?;
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].keys().collect::<Vec<_>>(), [KEY_FIELD]);
    Ok(())
}
