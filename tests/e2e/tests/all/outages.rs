//! What happens while a part is away, and that everything goes on by itself once it is back.
//! (What happens while Redis or a sidecar is away is shown by the sidecar's own tests.)

use std::time::{Duration, Instant};

use anyhow::Result;
use glyph_crds::GlyphCustomer;
use glyph_crds::common::condition;
use glyph_e2e::caller::said;
use glyph_e2e::flow::Flow;
use glyph_e2e::resources;
use glyph_e2e::world::{SOON, Wanted, World};
use glyph_harness::{ControlPlane, poll_until};
use glyph_stripe_sim::{Fault, FaultKind, When};

use crate::support::{conforms_to_stripe, world};

/// How long Stripe answers 500.
const OUTAGE: Duration = Duration::from_secs(60);
/// In what time everything is made and paid afterwards: the longest wait between two tries, and the work.
const RECOVERED: Duration = Duration::from_secs(90);

/// A customer with a key, and a gateway that knows it.
async fn with_key(world: &World<'_>) -> Result<String> {
    world
        .create(&resources::free_tier(resources::DEFAULT_TIER, None))
        .await?;
    world
        .create(&resources::customer("ada", &world.email("ada")))
        .await?;
    world.create(&resources::api_key("laptop", "ada")).await?;
    let key = world.key("laptop").await?;
    world.gateway()?.until_answer(&key, 200, "").await?;
    Ok(key)
}

/// On a control plane of its own, because the others are still using theirs.
#[tokio::test]
async fn thirty_seconds_without_the_api_server_stop_no_request_and_need_no_hand_afterwards()
-> Result<()> {
    let plane = ControlPlane::start().await?;
    plane.apply_kinds().await?;
    let world = World::start(&plane, "api-away", Wanted::gateways(1)).await?;
    let key = with_key(&world).await?;
    plane.stop_api_server()?;
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(30) {
        let answer = world.gateway()?.caller.ask(&key).await?;
        assert_eq!(
            answer.status,
            200,
            "after {:?}: {}",
            begun.elapsed(),
            said(&answer)
        );
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    plane.start_api_server().await?;
    assert!(world.operator.is_running() && world.gateway()?.sidecar.is_running());
    world.create(&resources::api_key("later", "ada")).await?;
    let later = world.key("later").await?;
    world.gateway()?.until_answer(&later, 200, "").await?;
    world.revoke("laptop").await?;
    world
        .gateway()?
        .until_answer(&key, 401, "key_revoked")
        .await?;
    conforms_to_stripe(&world).await
}

/// CASE 7.
#[tokio::test]
async fn a_stripe_that_answers_500_for_a_minute_is_a_condition_and_is_got_over_without_a_hand()
-> Result<()> {
    let world = world("stripe-500", Wanted::operator_only()).await?;
    let control = world.stripe.control();
    control.add_fault(Fault::new(FaultKind::ServerError { when: When::Before }));
    Flow::Main.apply(&world).await?;
    let unavailable = |customer: &GlyphCustomer| {
        let conditions = &customer.status.as_ref()?.conditions;
        let synced = conditions
            .iter()
            .find(|one| one.type_ == condition::SYNCED)?;
        (synced.status != "True" && synced.reason == "Unavailable").then_some(())
    };
    world
        .until(
            "ada",
            "a condition that says Stripe is unavailable",
            SOON,
            unavailable,
        )
        .await?;
    let begun = Instant::now();
    let minute = async || (begun.elapsed() >= OUTAGE).then_some(());
    poll_until("the outage to have lasted its minute", 2 * OUTAGE, minute).await?;
    for kind in ["customer", "product", "price", "checkout.session"] {
        assert_eq!(
            control.objects(kind).len(),
            0,
            "{kind}, while every call was refused"
        );
    }
    control.clear_faults();
    let over = Instant::now();
    Flow::Main.play(&world).await?;
    let took = over.elapsed();
    assert!(took < RECOVERED, "it took {took:?} to get over it");
    for kind in [
        "customer",
        "product",
        "price",
        "checkout.session",
        "subscription",
    ] {
        assert_eq!(control.objects(kind).len(), 1, "{kind}");
    }
    conforms_to_stripe(&world).await
}
