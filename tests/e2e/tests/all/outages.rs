//! What happens while a part is away, and that everything goes on by itself once it is back.

use std::time::{Duration, Instant};

use anyhow::Result;
use glyph_crds::GlyphCustomer;
use glyph_crds::common::condition;
use glyph_e2e::caller::{code, said};
use glyph_e2e::flow::Flow;
use glyph_e2e::resources;
use glyph_e2e::world::{SOON, Wanted, World};
use glyph_harness::ControlPlane;
use glyph_stripe_sim::{Fault, FaultKind, When};

use crate::support::{conforms_to_stripe, world};

/// Longer than Redis may hold a request up, and far shorter than Redis is away.
const AT_ONCE: Duration = Duration::from_secs(1);

/// A customer with a key and this quota, and a gateway that knows it.
async fn with_key(world: &World<'_>, quota: Option<u64>) -> Result<String> {
    world
        .create(&resources::free_tier(resources::DEFAULT_TIER, quota))
        .await?;
    world
        .create(&resources::customer("ada", &world.email("ada")))
        .await?;
    world.create(&resources::api_key("laptop", "ada")).await?;
    let key = world.key("laptop").await?;
    world.gateway()?.until_answer(&key, 200, "").await?;
    Ok(key)
}

/// Refused at once, as the policy for a missing Redis says.
async fn refused_at_once(world: &World<'_>, key: &str) -> Result<()> {
    let begun = Instant::now();
    let answer = world.gateway()?.caller.ask(key).await?;
    assert_eq!(
        (answer.status, code(&answer).as_str()),
        (503, "unavailable"),
        "{}",
        said(&answer)
    );
    assert!(
        !answer.header("retry-after").is_empty(),
        "503 says when to come back"
    );
    assert!(begun.elapsed() < AT_ONCE, "{:?}", begun.elapsed());
    Ok(())
}

/// CASE 54 and the point 7.
#[tokio::test]
async fn redis_stopped_or_hung_is_503_at_once_and_200_when_it_is_back() -> Result<()> {
    let world = world("redis-away", Wanted::gateways(1)).await?;
    let key = with_key(&world, Some(1_000_000)).await?;
    world.redis.stop();
    for _ in 0..20 {
        refused_at_once(&world, &key).await?;
    }
    world.redis.start_again().await?;
    world.gateway()?.until_answer(&key, 200, "").await?;
    world.redis.pause();
    for _ in 0..20 {
        refused_at_once(&world, &key).await?;
    }
    world.redis.resume();
    world.gateway()?.until_answer(&key, 200, "").await?;
    Ok(())
}

/// CASE 53 and the point 7: one sidecar remembers what it has seen.
#[tokio::test]
async fn a_flushed_redis_gives_nobody_their_quota_twice() -> Result<()> {
    const QUOTA: u64 = 60;
    let world = world("redis-flushed", Wanted::gateways(1)).await?;
    let key = with_key(&world, Some(QUOTA)).await?;
    let mut admitted = 1;
    for turn in 2..=2 * QUOTA {
        if turn == QUOTA / 2 {
            world.redis.flush().await?;
        }
        let answer = world.gateway()?.caller.ask(&key).await?;
        match answer.status {
            200 => admitted += 1,
            status => assert_eq!(
                (status, code(&answer).as_str()),
                (429, "quota_exceeded"),
                "{}",
                said(&answer)
            ),
        }
    }
    assert_eq!(admitted, QUOTA);
    Ok(())
}

/// The point 7, on a control plane of its own.
#[tokio::test]
async fn thirty_seconds_without_the_api_server_stop_no_request_and_need_no_hand_afterwards()
-> Result<()> {
    let plane = ControlPlane::start().await?;
    plane.apply_kinds().await?;
    let world = World::start(&plane, "api-away", Wanted::gateways(1)).await?;
    let key = with_key(&world, None).await?;
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
    Ok(())
}

/// CASE 7 and the point 7.
#[tokio::test]
async fn a_stripe_that_answers_500_is_a_condition_and_is_got_over_without_a_hand() -> Result<()> {
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
    tokio::time::sleep(Duration::from_secs(5)).await;
    control.clear_faults();
    Flow::Main.play(&world).await?;
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
