//! What a GlyphApi says of its endpoints, through Envoy. CASE 47 for its paths.

use std::time::Duration;

use glyph_crds::GlyphApi;
use glyph_harness::net::Answer;
use glyph_harness::{Result, poll_until};
use http::Request;
use serde_json::{Value, json};

use crate::stage::{SOON, Stage, answer, code};

/// A stage with an API that denies what it does not name.
async fn stage() -> Result<Stage> {
    let stage = Stage::set().await?;
    let endpoints = json!([
        {"name": "health", "path": "/health", "methods": ["GET"], "auth": "None"},
        {"name": "list", "path": "/v1/items", "methods": ["GET"], "auth": "Optional"},
        {"name": "make", "path": "/v1/items", "methods": ["POST"], "scopes": ["items:write"], "cost": 30},
        {"name": "one", "path": "/v1/items/{id}"},
    ]);
    let spec = json!({"endpoints": endpoints, "unmatched": "Deny"});
    stage.world.api("shop", spec).await;
    until(&stage, "/health", 200).await;
    Ok(stage)
}

/// Waits until a GET without a credential is answered with `status`.
async fn until(stage: &Stage, path: &str, status: u16) -> Answer {
    let probe = async || Some(answer(stage.get(path)).await).filter(|got| got.status == status);
    let what = format!("{path} to be {status}");
    poll_until(&what, SOON, probe).await.unwrap()
}

async fn asked(stage: &Stage, method: &str, path: &str, key: &str) -> Answer {
    let request = Request::builder()
        .method(method)
        .uri(format!("{}{path}", stage.envoy.url()))
        .header("x-api-key", key);
    answer(request).await
}

#[tokio::test]
async fn each_endpoint_takes_its_cost_and_needs_its_scopes() -> Result<()> {
    let stage = stage().await?;
    let whole = stage.world.key("whole", "ada", json!({})).await;
    let limited = json!({"scopes": ["items:read"]});
    let limited = stage.world.key("limited", "ada", limited).await;
    stage.until(&whole, 200).await;
    stage.until(&limited, 200).await;
    let left = |answer: &Answer| {
        let told = answer.header("ratelimit");
        let left = told
            .split("r=")
            .nth(1)
            .and_then(|rest| rest.split(';').next());
        left.and_then(|left| left.parse::<u64>().ok()).unwrap()
    };
    let before = left(&asked(&stage, "GET", "/v1/items/7", &whole).await);
    let made = asked(&stage, "POST", "/v1/items", &whole).await;
    assert_eq!((made.status, left(&made)), (200, before - 30));
    let refused = asked(&stage, "POST", "/v1/items", &limited).await;
    assert_eq!(
        (refused.status, code(&refused).as_str()),
        (403, "scope_denied")
    );
    let after = asked(&stage, "DELETE", "/v1/items/7", &limited).await;
    assert_eq!((after.status, left(&after)), (200, before - 31));
    let denied = asked(&stage, "GET", "/v2", &whole).await;
    assert_eq!(
        (denied.status, code(&denied).as_str()),
        (404, "no_such_endpoint")
    );
    Ok(())
}

#[tokio::test]
async fn a_public_path_needs_nothing_takes_nothing_and_hands_nothing_on() -> Result<()> {
    let stage = stage().await?;
    let key = stage.world.key("laptop", "ada", json!({})).await;
    let counted = stage.until(&key, 200).await;
    let lie = "other/eve";
    for credential in [&key, "nonsense"] {
        let request = stage.get("/health").header("x-api-key", credential);
        let passed = answer(request.header("x-glyph-customer", lie)).await;
        assert_eq!(
            (passed.status, passed.header("ratelimit").as_str()),
            (200, "")
        );
        let seen: Value = passed.json()?;
        for name in [
            "x-api-key",
            "authorization",
            "x-glyph-customer",
            "x-glyph-tier",
        ] {
            assert_eq!(seen["headers"][name], Value::Null, "{name}");
        }
    }
    let anonymous = answer(stage.get("/v1/items")).await;
    assert_eq!(
        (anonymous.status, anonymous.header("ratelimit").as_str()),
        (200, "")
    );
    let bad = asked(&stage, "GET", "/v1/items", "nonsense").await;
    assert_eq!(
        (bad.status, code(&bad).as_str()),
        (401, "invalid_credential")
    );
    let next = stage.with_key(&key).await;
    assert_ne!(counted.header("ratelimit"), "");
    assert_ne!(
        next.header("ratelimit"),
        counted.header("ratelimit"),
        "optional, with a key: counted"
    );
    stage.redis.stop();
    until(&stage, "/health", 200).await;
    Ok(())
}

#[tokio::test]
async fn no_spelling_makes_a_protected_path_public() -> Result<()> {
    let stage = stage().await?;
    for sent in [
        "/health/../v1/items/7",
        "/health/%2e%2e/v1/items/7",
        "/v1/items/7?/health",
        "/v1/items/7#/health",
        "//v1/items/7",
    ] {
        assert_eq!(
            code(&answer(stage.get(sent)).await),
            "missing_credential",
            "{sent}"
        );
    }
    for sent in ["/health%2f..%2fv1%2fitems%2f7", "/health%5c"] {
        assert_eq!(answer(stage.get(sent)).await.status, 400, "{sent}");
    }
    let spelled = answer(stage.get("/health/")).await;
    assert_eq!(
        (spelled.status, code(&spelled).as_str()),
        (401, "missing_credential")
    );
    let matrix = "/health/..;x/v1/items/7";
    assert_eq!(code(&answer(stage.get(matrix)).await), "missing_credential");
    let key = stage.world.key("laptop", "ada", json!({})).await;
    stage.until(&key, 200).await;
    let seen: Value = asked(&stage, "GET", matrix, &key).await.json()?;
    assert_eq!(
        seen["path"], "/v1/items/7",
        "Envoy resolves it before it asks"
    );
    Ok(())
}

#[tokio::test]
async fn a_change_is_in_force_within_a_second_and_a_deletion_too() -> Result<()> {
    let stage = stage().await?;
    let begun = std::time::Instant::now();
    let private = json!({"spec": {"endpoints": [{"name": "health", "path": "/health"}]}});
    stage.world.patch::<GlyphApi>("shop", private).await;
    until(&stage, "/health", 401).await;
    assert!(
        begun.elapsed() < Duration::from_secs(1),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(code(&answer(stage.get("/else")).await), "no_such_endpoint");
    stage.world.delete::<GlyphApi>("shop").await;
    let refused = until(&stage, "/else", 401).await;
    assert_eq!(code(&refused), "missing_credential");
    Ok(())
}

#[tokio::test]
async fn metrics_tell_endpoints_apart_by_name_and_never_by_path() -> Result<()> {
    let stage = stage().await?;
    let key = stage.world.key("laptop", "ada", json!({})).await;
    stage.until(&key, 200).await;
    for path in ["/v1/items/7", "/v1/items/8"] {
        assert_eq!(asked(&stage, "GET", path, &key).await.status, 200);
    }
    asked(&stage, "GET", "/nowhere/9", &key).await;
    let page = glyph_harness::net::get(&format!("{}/metrics", stage.sidecar.admin_url())).await?;
    let metrics = page.text();
    for line in [
        r#"glyph_authz_decisions_total{code="ok",tier="free",endpoint="one"} 2"#,
        r#"glyph_authz_decisions_total{code="no_such_endpoint",tier="",endpoint="unmatched"}"#,
        r#"glyph_authz_decisions_total{code="ok",tier="",endpoint="health"}"#,
        r#"glyph_authz_index_resources{kind="GlyphApi"} 1"#,
    ] {
        assert!(metrics.contains(line), "no {line} in\n{metrics}");
    }
    assert!(!metrics.contains("nowhere"), "{metrics}");
    Ok(())
}
