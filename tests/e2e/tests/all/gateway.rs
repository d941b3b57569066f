//! What Envoy lets through, with `examples/envoy/envoy.yaml` as it is: header hygiene, odd paths, odd
//! credentials, and a sidecar that is gone.

use std::time::Duration;

use anyhow::Result;
use glyph_e2e::caller::{PATH, code, said};
use glyph_e2e::resources;
use glyph_e2e::world::{Wanted, World};
use glyph_harness::poll_until;
use serde_json::Value;

use crate::support::world;

/// A customer with a key on an unlimited tier, and a gateway that knows it.
async fn world_with_key(prefix: &str) -> Result<(World<'static>, String)> {
    let world = world(prefix, Wanted::gateways(1)).await?;
    world
        .create(&resources::free_tier(resources::DEFAULT_TIER, None))
        .await?;
    world
        .create(&resources::customer("ada", &world.email("ada")))
        .await?;
    world.create(&resources::api_key("laptop", "ada")).await?;
    let key = world.key("laptop").await?;
    world.gateway()?.until_answer(&key, 200, "").await?;
    Ok((world, key))
}

/// The values of one field that reached upstream.
fn reached(echo: &Value, field: &str) -> Vec<String> {
    let values = echo["headers"][field]
        .as_array()
        .cloned()
        .unwrap_or_default();
    values
        .iter()
        .map(|value| value.as_str().unwrap_or_default().to_owned())
        .collect()
}

/// CASES 45 and 46.
#[tokio::test]
async fn upstream_sees_our_fields_once_and_never_the_callers_nor_the_credential() -> Result<()> {
    let (world, key) = world_with_key("hygiene").await?;
    let bearer = format!("Bearer {key}");
    let forged = [
        ("authorization", bearer.as_str()),
        ("x-glyph-customer", "mallory"),
        ("x-glyph-customer", "mallory-twice"),
        ("x_glyph_customer", "mallory-underscore"),
        ("X-Glyph-Tier", "enterprise"),
        ("x-glyph-anything-else", "mallory"),
    ];
    let answer = world.gateway()?.caller.get(PATH, &forged).await?;
    assert_eq!(answer.status, 200, "{}", said(&answer));
    let echo: Value = answer.json()?;
    assert_eq!(reached(&echo, "x-glyph-customer"), ["ada"], "{echo}");
    assert_eq!(
        reached(&echo, "x-glyph-tier"),
        [resources::DEFAULT_TIER],
        "{echo}"
    );
    assert!(reached(&echo, "x-glyph-anything-else").is_empty(), "{echo}");
    assert!(!echo.to_string().contains("mallory"), "{echo}");
    assert!(
        !echo.to_string().contains(&key),
        "the credential must stop at Envoy"
    );
    let by_other_name = world
        .gateway()?
        .caller
        .get(PATH, &[("x-api-key", &key)])
        .await?;
    assert_eq!(by_other_name.status, 200, "{}", said(&by_other_name));
    assert!(
        !by_other_name.text().contains(&key),
        "the credential must stop at Envoy"
    );
    Ok(())
}

/// CASE 47.
#[tokio::test]
async fn paths_reach_check_and_upstream_normalised_or_not_at_all() -> Result<()> {
    let (world, key) = world_with_key("paths").await?;
    let bearer = format!("Bearer {key}");
    let fields = [("authorization", bearer.as_str())];
    for (asked, seen) in [
        ("/a/../x", "/x"),
        ("/a/%2e%2e/x", "/x"),
        ("//x", "/x"),
        ("/a//b?q=//c", "/a/b?q=//c"),
    ] {
        let answer = world.gateway()?.caller.get(asked, &fields).await?;
        let echo: Value = answer.json().unwrap_or_default();
        assert_eq!(
            (answer.status, echo["path"].as_str()),
            (200, Some(seen)),
            "{asked}: {}",
            said(&answer)
        );
    }
    let escaped = world.gateway()?.caller.get("/a%2f..%2fx", &fields).await?;
    assert_ne!(
        escaped.status,
        200,
        "an escaped slash must not pass as it is: {}",
        said(&escaped)
    );
    Ok(())
}

/// CASES 44 and 49.
#[tokio::test]
async fn credentials_that_are_not_exactly_one_key_are_refused_with_401() -> Result<()> {
    let (world, key) = world_with_key("credentials").await?;
    let caller = &world.gateway()?.caller;
    let bearer = format!("Bearer {key}");
    let refused: [(&str, Vec<(&str, String)>); 9] = [
        ("none", vec![]),
        ("empty", vec![("authorization", String::new())]),
        (
            "unknown",
            vec![(
                "authorization",
                format!("Bearer glyph_sk_live_{}", "0".repeat(32)),
            )],
        ),
        (
            "too short",
            vec![("authorization", bearer[..bearer.len() - 1].to_owned())],
        ),
        ("too long", vec![("authorization", format!("{bearer}0"))]),
        (
            "other environment",
            vec![("authorization", bearer.replace("_live_", "_dev_"))],
        ),
        (
            "two Authorization fields",
            vec![
                ("authorization", bearer.clone()),
                ("authorization", bearer.clone()),
            ],
        ),
        (
            "both places",
            vec![
                ("authorization", bearer.clone()),
                ("x-api-key", key.clone()),
            ],
        ),
        (
            "look-alike",
            vec![("authorization", bearer.replacen('l', "\u{217c}", 1))],
        ),
    ];
    for (what, fields) in &refused {
        let fields: Vec<_> = fields
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        let answer = caller.get(PATH, &fields).await?;
        assert_eq!(answer.status, 401, "{what}: {}", said(&answer));
        assert!(
            code(&answer).ends_with("_credential"),
            "{what}: {}",
            said(&answer)
        );
        assert!(!answer.header("www-authenticate").is_empty(), "{what}");
    }
    let in_query = caller.get(&format!("{PATH}?api_key={key}"), &[]).await?;
    assert_eq!(in_query.status, 401, "{}", said(&in_query));
    let huge = caller
        .get(
            PATH,
            &[("authorization", &format!("Bearer {}", "a".repeat(1 << 20)))],
        )
        .await;
    // Envoy may cut the connection while a megabyte is still on its way.
    assert!(huge.is_err() || huge.is_ok_and(|answer| (400..500).contains(&answer.status)));
    Ok(())
}

/// CASES 43 and 50.
#[tokio::test]
async fn a_sidecar_that_is_gone_or_hangs_is_503_and_back_again_without_a_hand() -> Result<()> {
    let (world, key) = world_with_key("down").await?;
    let gateway = world.gateway()?;
    let admitted = world.upstream.requests();
    gateway.sidecar.kill();
    for _ in 0..5 {
        let answer = gateway.caller.ask(&key).await?;
        assert_eq!(answer.status, 503, "{}", said(&answer));
    }
    gateway.sidecar.start_again().await?;
    gateway.until_answer(&key, 200, "").await?;
    gateway.sidecar.pause();
    let answer = gateway.caller.ask(&key).await?;
    gateway.sidecar.resume();
    assert_eq!(answer.status, 503, "{}", said(&answer));
    gateway.until_answer(&key, 200, "").await?;
    let passed = world.upstream.requests() - admitted;
    assert!(
        passed >= 2,
        "the two that were answered with 200 reached upstream, not {passed}"
    );
    Ok(())
}

/// CASE 50.
#[tokio::test]
async fn a_revoked_key_is_refused_within_a_second_and_a_suspended_customer_too() -> Result<()> {
    let (world, key) = world_with_key("revoked").await?;
    let gateway = world.gateway()?;
    let suspend = |suspended: bool| serde_json::json!({"spec": {"suspended": suspended}});
    let within = |what: &'static str, status: u16| {
        let key = key.clone();
        async move {
            let asked = async || {
                gateway
                    .caller
                    .ask(&key)
                    .await
                    .ok()
                    .filter(|answer| answer.status == status)
            };
            poll_until(what, Duration::from_secs(1), asked).await
        }
    };
    world
        .patch::<glyph_crds::GlyphCustomer>("ada", &suspend(true))
        .await?;
    let refused = within("403 for a suspended customer", 403).await?;
    assert_eq!(code(&refused), "suspended");
    world
        .patch::<glyph_crds::GlyphCustomer>("ada", &suspend(false))
        .await?;
    within("200 again", 200).await?;
    world.revoke("laptop").await?;
    let refused = within("401 for a revoked key", 401).await?;
    assert_eq!(code(&refused), "key_revoked");
    Ok(())
}
