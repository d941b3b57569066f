//! What it refuses to start with, and what it is while it cannot decide. CASES 50, 51, 56.

use glyph_harness::{ControlPlane, Program, Redis, Result, Service, Settings, poll_until};
use serde_json::json;

use crate::stage::{SOON, Stage, World, secret};

async fn world() -> Result<World<'static>> {
    World::on(ControlPlane::shared().await?).await
}

/// Starts it with settings that it must refuse, and gives what it said when it had ended.
async fn refused(settings: Settings) -> String {
    let service = Service::spawn(Program::Authz, settings).await.unwrap();
    let ended = async || (!service.is_running()).then_some(());
    poll_until("the end of a sidecar that must not start", SOON, ended)
        .await
        .unwrap();
    service.log()
}

#[tokio::test]
async fn redis_that_may_evict_counters_is_refused_with_a_sentence() -> Result<()> {
    let world = world().await?;
    for policy in ["allkeys-lru", "allkeys-random", "volatile-ttl"] {
        let redis = Redis::start_with(&["--maxmemory-policy", policy]).await?;
        let said = refused(Settings::in_namespace(&world.namespace).redis(&redis)).await;
        assert!(
            said.contains(&format!("Redis has maxmemory-policy {policy}")),
            "{said}"
        );
        assert!(
            said.contains("set maxmemory-policy to noeviction"),
            "{said}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_missing_or_wrong_setting_is_refused_by_its_name_and_never_quoted() -> Result<()> {
    let world = world().await?;
    let good = || Settings::in_namespace(&world.namespace).set("REDIS_URL", "redis://127.0.0.1:1");
    for name in ["REDIS_URL", "GLYPH_KEY_PEPPERS"] {
        let said = refused(good().without(name)).await;
        assert!(said.contains(&format!("{name} is not set")), "{said}");
        let canary = "hunter2canary";
        let said = refused(good().set(name, canary)).await;
        assert!(said.contains(name) && !said.contains(canary), "{said}");
    }
    let said = refused(good().set("GLYPH_WHEN_REDIS_DOWN", "allow")).await;
    assert!(said.contains("allow:N"), "{said}");
    let said = refused(good().set("AWS_COGNITO_USER_POOL_ID", "eu-central-1_a")).await;
    assert!(said.contains("AWS_COGNITO_CLIENT_ID"), "{said}");
    let said = refused(good().set("GLYPH_COGNITO_POOLS", "eu-central-1_a")).await;
    assert!(said.contains("--cognito-pools <JSON>"), "{said}");
    Ok(())
}

#[tokio::test]
async fn with_redis_away_at_the_start_it_is_ready_and_policy_holds_until_redis_is_there()
-> Result<()> {
    let stage = Stage::set().await?;
    let key = stage.world.key("laptop", "ada", json!({})).await;
    stage.until(&key, 200).await;
    assert!(stage.sidecar.stop());
    stage.redis.stop();
    stage.sidecar.start_again().await?;
    assert_eq!(stage.with_key(&key).await.status, 503);
    stage.redis.start_again().await?;
    stage.until(&key, 200).await;
    Ok(())
}

#[tokio::test]
async fn no_secret_is_in_any_log_or_metric_even_at_trace() -> Result<()> {
    let redis = Redis::start().await?;
    let password = "canaryRedisPassword";
    redis
        .command_line(&format!("ACL SETUSER glyph on >{password} ~* &* +@all"))
        .await?;
    let url = format!("redis://glyph:{password}@127.0.0.1:{}", redis.port());
    let stage =
        Stage::set_with(|settings| settings.set("REDIS_URL", url).set("GLYPH_LOG", "trace"))
            .await?;
    let key = stage.world.key("canary", "ada", json!({})).await;
    stage.until(&key, 200).await;
    let unknown = secret("canaryUnknown");
    let token = "eyJcanary.eyJcanary.canary";
    crate::stage::answer(
        stage
            .get("/")
            .header("authorization", format!("Bearer {unknown}")),
    )
    .await;
    crate::stage::answer(
        stage
            .get("/")
            .header("authorization", format!("Bearer {token}")),
    )
    .await;
    redis.stop();
    stage.until(&key, 503).await;
    let kubeconfig = std::fs::read_to_string(stage.world.namespace.kubeconfig()).unwrap();
    let kubeconfig: serde_json::Value = serde_json::from_str(&kubeconfig).unwrap();
    let kube_token = kubeconfig["users"][0]["user"]["token"]
        .as_str()
        .unwrap()
        .to_owned();
    let pepper = stage.world.peppers();
    let pepper = pepper.split_once(':').unwrap().1;
    let metrics = glyph_harness::net::get(&format!("{}/metrics", stage.sidecar.admin_url()))
        .await?
        .text();
    let envoy = stage.envoy.log();
    assert!(
        envoy.contains("\"customer\":"),
        "the access log is there: {envoy}"
    );
    for (place, text) in [
        ("log", stage.sidecar.log()),
        ("metrics", metrics),
        ("Envoy's log", envoy),
    ] {
        for canary in [key.as_str(), &unknown, token, password, &kube_token, pepper] {
            assert!(!text.contains(canary), "{canary} is in the {place}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn until_the_resources_are_listed_it_is_alive_not_ready_and_refuses_with_503() -> Result<()> {
    let world = world().await?;
    let redis = Redis::start().await?;
    let kubeconfig = std::fs::read_to_string(world.namespace.kubeconfig()).unwrap();
    let mut kubeconfig: serde_json::Value = serde_json::from_str(&kubeconfig).unwrap();
    kubeconfig["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:1".into();
    let file = std::env::temp_dir().join(format!("glyph-nowhere-{}", std::process::id()));
    std::fs::write(&file, kubeconfig.to_string()).unwrap();
    let settings = Settings::in_namespace(&world.namespace).redis(&redis);
    let service = Service::spawn(
        Program::Authz,
        settings.set("KUBECONFIG", file.to_string_lossy()),
    )
    .await?;
    let alive = async || {
        glyph_harness::net::get(&format!("{}/livez", service.admin_url()))
            .await
            .ok()
    };
    assert_eq!(poll_until("an admin port", SOON, alive).await?.status, 200);
    // Redis has been tried by then; the resources stay away.
    let only_the_index = async || {
        let ready = glyph_harness::net::get(&format!("{}/readyz", service.admin_url())).await;
        let ready = ready.ok()?;
        let expected = (503, "index: not all resources have been listed yet\n");
        ((ready.status, ready.text().as_str()) == expected).then_some(())
    };
    poll_until("the index alone to be waited for", SOON, only_the_index).await?;
    let denied =
        crate::rpc::check(service.address(), crate::rpc::with_key(&secret("laptop"))).await;
    assert_eq!(
        crate::rpc::denial(denied.unwrap()),
        (503, "unavailable".to_owned())
    );
    assert!(service.is_running(), "it goes on trying: {}", service.log());
    std::fs::remove_file(&file).unwrap();
    Ok(())
}
