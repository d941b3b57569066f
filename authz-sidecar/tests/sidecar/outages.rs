//! Parts that are away: the sidecar, Redis, the API server. CASES 50, 53, 54.

use std::time::{Duration, Instant};

use glyph_harness::{Result, poll_until};
use serde_json::json;

use crate::stage::{SOON, Stage, code};

#[tokio::test]
async fn without_a_sidecar_envoy_refuses_with_503_and_with_one_again_it_lets_through() -> Result<()>
{
    let stage = Stage::set().await?;
    let key = stage.world.key("laptop", "ada", json!({})).await;
    stage.until(&key, 200).await;
    let before = stage.upstream.requests();
    stage.sidecar.kill();
    for _ in 0..5 {
        assert_eq!(stage.with_key(&key).await.status, 503);
    }
    assert_eq!(stage.upstream.requests(), before);
    stage.sidecar.start_again().await?;
    stage.until(&key, 200).await;
    Ok(())
}

#[tokio::test]
async fn a_sidecar_that_hangs_is_503_within_envoys_timeout() -> Result<()> {
    let stage = Stage::set().await?;
    let key = stage.world.key("laptop", "ada", json!({})).await;
    stage.until(&key, 200).await;
    stage.sidecar.pause();
    let begun = Instant::now();
    assert_eq!(stage.with_key(&key).await.status, 503);
    assert!(
        begun.elapsed() < Duration::from_secs(2),
        "{:?}",
        begun.elapsed()
    );
    stage.sidecar.resume();
    stage.until(&key, 200).await;
    Ok(())
}

#[tokio::test]
async fn it_ends_well_when_asked_to() -> Result<()> {
    let stage = Stage::set().await?;
    let key = stage.world.key("laptop", "ada", json!({})).await;
    stage.until(&key, 200).await;
    assert!(stage.sidecar.stop(), "{}", stage.sidecar.log());
    Ok(())
}

#[tokio::test]
async fn redis_that_hangs_costs_a_deadline_then_nothing_and_comes_back_by_itself() -> Result<()> {
    let stage = Stage::set_with(|settings| settings.without("GLYPH_REDIS_DEADLINE")).await?;
    let key = stage.world.key("laptop", "ada", json!({})).await;
    stage.until(&key, 200).await;
    stage.redis.pause();
    for _ in 0..20 {
        let begun = Instant::now();
        let refused = stage.with_key(&key).await;
        assert_eq!(
            (refused.status, code(&refused).as_str()),
            (503, "unavailable")
        );
        assert_eq!(refused.header("retry-after"), "1");
        assert!(
            begun.elapsed() < Duration::from_secs(1),
            "{:?}",
            begun.elapsed()
        );
    }
    let metrics = glyph_harness::net::get(&format!("{}/metrics", stage.sidecar.admin_url()))
        .await?
        .text();
    assert!(
        metrics.contains("glyph_authz_redis_available 0\n"),
        "the breaker is open: {metrics}"
    );
    stage.redis.resume();
    stage.until(&key, 200).await;
    Ok(())
}

#[tokio::test]
async fn redis_that_is_gone_means_the_stated_budget_for_each_customer_and_no_more() -> Result<()> {
    let stage =
        Stage::set_with(|settings| settings.set("GLYPH_WHEN_REDIS_DOWN", "allow:3")).await?;
    stage.world.customer("bob", json!({})).await;
    let ada = [
        stage.world.key("one", "ada", json!({})).await,
        stage.world.key("two", "ada", json!({})).await,
    ];
    let bob = stage.world.key("bobs", "bob", json!({})).await;
    for key in [&ada[0], &ada[1], &bob] {
        stage.until(key, 200).await;
    }
    stage.redis.stop();
    let mut admitted = [0, 0];
    for _ in 0..6 {
        for (customer, key) in [(0, &ada[0]), (0, &ada[1]), (1, &bob)] {
            let got = stage.with_key(key).await;
            assert!(got.status == 200 || code(&got) == "unavailable");
            admitted[customer] += u32::from(got.status == 200);
        }
    }
    assert_eq!(admitted, [3, 3]);
    stage.redis.start_again().await?;
    stage.until(&bob, 200).await;
    Ok(())
}

#[tokio::test]
async fn redis_that_was_flushed_or_restarted_does_not_give_the_quota_again() -> Result<()> {
    let stage = Stage::set().await?;
    stage
        .world
        .tier("small", json!({"quota": {"requests": 3}}))
        .await;
    stage
        .world
        .subscription("ada", json!({"state": "active", "tier": "small"}))
        .await;
    let key = stage.world.key("laptop", "ada", json!({})).await;
    stage.until(&key, 200).await;
    stage.until(&key, 429).await;
    assert_eq!(stage.upstream.requests(), 3);
    stage.redis.flush().await?;
    assert_eq!(code(&stage.with_key(&key).await), "quota_exceeded");
    stage.redis.restart().await?;
    let counted = async || Some(stage.with_key(&key).await).filter(|answer| answer.status != 503);
    let refused = poll_until("Redis back", SOON, counted).await?;
    assert_eq!(code(&refused), "quota_exceeded");
    assert_eq!(stage.upstream.requests(), 3);
    Ok(())
}
