//! What is written to Kubernetes is in force within a second; what is malformed is not in force. CASE 50.

use std::time::{Duration, Instant};

use futures::StreamExt as _;
use glyph_crds::{ApiKey, GlyphCustomer, Tier};
use glyph_harness::{ControlPlane, Envoy, Program, Redis, Result, Service, Upstream, poll_until};
use serde_json::json;

use crate::stage::{SOON, Stage, World, code, config, example, hash_of, settings};

const WITHIN: Duration = Duration::from_secs(1);

#[tokio::test]
async fn a_revoked_or_deleted_key_is_refused_within_a_second() -> Result<()> {
    let stage = Stage::set().await?;
    for number in 0..10 {
        let name = format!("k{number}");
        let key = stage.world.key(&name, "ada", json!({})).await;
        stage.until(&key, 200).await;
        let begun = Instant::now();
        if number % 2 == 0 {
            stage.world.revoke(&name).await;
        } else {
            stage.world.delete::<ApiKey>(&name).await;
        }
        let refused = stage.until(&key, 401).await;
        assert!(begun.elapsed() < WITHIN, "{:?}", begun.elapsed());
        assert_eq!(
            code(&refused),
            if number % 2 == 0 {
                "key_revoked"
            } else {
                "invalid_credential"
            }
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_change_of_tier_customer_or_subscription_is_in_force_within_a_second() -> Result<()> {
    let stage = Stage::set().await?;
    let world = &stage.world;
    let key = world.key("laptop", "ada", json!({})).await;
    stage.until(&key, 200).await;
    let within = async |status: u16| {
        let begun = Instant::now();
        stage.until(&key, status).await;
        assert!(
            begun.elapsed() < WITHIN,
            "{status} after {:?}",
            begun.elapsed()
        );
    };
    world
        .patch::<GlyphCustomer>("ada", json!({"spec": {"suspended": true}}))
        .await;
    within(403).await;
    world
        .patch::<GlyphCustomer>("ada", json!({"spec": {"suspended": false}}))
        .await;
    within(200).await;
    world
        .patch::<Tier>("free", json!({"spec": {"quota": {"requests": 1}}}))
        .await;
    within(429).await;
    world
        .subscription("ada", json!({"state": "active", "tier": "starter"}))
        .await;
    within(200).await;
    world.delete::<GlyphCustomer>("ada").await;
    within(401).await;
    Ok(())
}

#[tokio::test]
async fn a_malformed_resource_stops_working_is_counted_and_works_again_once_repaired() -> Result<()>
{
    let stage = Stage::set().await?;
    let key = stage.world.key("laptop", "ada", json!({})).await;
    stage.until(&key, 200).await;
    let status = |value: &str| json!({"hashes": [{"value": value, "pepperVersion": 1}]});
    stage
        .world
        .patch_status::<ApiKey>("laptop", status(&key))
        .await;
    let refused = stage.until(&key, 401).await;
    assert_eq!(code(&refused), "invalid_credential");
    let said = stage.sidecar.log();
    assert!(
        said.contains("laptop cannot be used and is not in force"),
        "{said}"
    );
    assert!(
        !said.contains(&key),
        "a key pasted where its hash belongs is not logged"
    );
    let metrics = glyph_harness::net::get(&format!("{}/metrics", stage.sidecar.admin_url()))
        .await?
        .text();
    assert!(
        metrics.contains("glyph_authz_malformed_resources_total{kind=\"ApiKey\"} 1\n"),
        "{metrics}"
    );
    let repaired = status(&hash_of(&stage.world.peppers(), &key));
    stage.world.patch_status::<ApiKey>("laptop", repaired).await;
    stage.until(&key, 200).await;
    Ok(())
}

#[tokio::test]
async fn peppers_reload_without_a_restart_and_old_keys_go_on() -> Result<()> {
    let files = std::env::temp_dir().join(format!("glyph-peppers-{}", std::process::id()));
    std::fs::create_dir_all(&files).unwrap();
    let write = |text: &str| std::fs::write(files.join("GLYPH_KEY_PEPPERS"), text).unwrap();
    write(&format!("1:{}", "BwcH".repeat(10) + "Bwc="));
    let stage =
        Stage::set_with(|settings| settings.set("GLYPH_CREDENTIALS_DIR", files.to_string_lossy()))
            .await?;
    let old = stage.world.key("old", "ada", json!({})).await;
    stage.until(&old, 200).await;
    let newest = format!("2:{}", "CAgI".repeat(10) + "CAg=");
    let new = stage.world.key("new", "ada", json!({})).await;
    stage.until(&new, 200).await;
    let hashes = json!({"hashes": [{"value": hash_of(&newest, &new), "pepperVersion": 2}]});
    stage.world.patch_status::<ApiKey>("new", hashes).await;
    stage.until(&new, 401).await;
    write(&format!("{newest},{}", stage.world.peppers()));
    stage.until(&new, 200).await;
    stage.until(&old, 200).await;
    std::fs::remove_dir_all(&files).unwrap();
    Ok(())
}

/// The one test that needs a control plane of its own, and half a minute: the API server away, and what comes after.
#[tokio::test]
async fn without_an_api_server_it_serves_on_and_while_it_lists_again_a_revoked_key_is_refused_within_a_second()
-> Result<()> {
    let plane = ControlPlane::start().await?;
    plane.apply_kinds().await?;
    let world = World::on(&plane).await?;
    let redis = Redis::start().await?;
    let settings = settings(&world, &redis);
    let sidecar = Service::start(Program::Authz, settings.clone()).await?;
    let upstream = Upstream::start().await?;
    let envoy = Envoy::start(&config(example(), &sidecar, &upstream)).await?;
    let status = async |key: &str| {
        let request = http::Request::get(envoy.url()).header("x-api-key", key);
        crate::stage::answer(request).await.status
    };
    let until = async |key: &str, wanted: u16| {
        let probe = async || (status(key).await == wanted).then_some(());
        poll_until(&format!("status {wanted}"), SOON, probe).await
    };
    world
        .patch::<Tier>("free", json!({"spec": {"quota": null}}))
        .await;
    let key = world.key("laptop", "ada", json!({})).await;
    let gone = world.key("gone", "ada", json!({})).await;
    // More than one page of a list.
    let many = (0..1_100).map(|number| {
        let world = &world;
        async move { world.key(&format!("k{number}"), "ada", json!({})).await }
    });
    let made = futures::stream::iter(many)
        .buffer_unordered(16)
        .collect::<Vec<_>>()
        .await;
    for key in &made[1_000..] {
        until(key, 200).await?;
    }
    until(&gone, 200).await?;

    plane.stop_api_server()?;
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(30) {
        assert_eq!(
            status(&key).await,
            200,
            "after {:?} without an API server",
            begun.elapsed()
        );
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    let fresh = Service::spawn(Program::Authz, settings.set("GLYPH_DRAIN_SECONDS", "5")).await?;
    let ready = async || {
        glyph_harness::net::get(&format!("{}/readyz", fresh.admin_url()))
            .await
            .ok()
    };
    let verdict = poll_until("an admin port", SOON, ready).await?;
    assert_eq!(
        (verdict.status, verdict.text().starts_with("index: ")),
        (503, true)
    );

    plane.start_api_server().await?;
    world.revoke("laptop").await;
    let revoked = Instant::now();
    until(&key, 401).await?;
    assert!(revoked.elapsed() < WITHIN, "{:?}", revoked.elapsed());
    world.delete::<ApiKey>("gone").await;
    let deleted = Instant::now();
    until(&gone, 401).await?;
    assert!(deleted.elapsed() < WITHIN, "{:?}", deleted.elapsed());
    for key in &made {
        assert_eq!(status(key).await, 200, "what was listed again works on");
    }
    fresh.ready().await
}
