//! The table of decisions, through Envoy.

use glyph_harness::{Program, Result, Service};
use jiff::ToSpan as _;
use serde_json::{Value, json};

use crate::stage::{Stage, answer, code, now, secret, settings, variant};

#[tokio::test]
async fn a_good_key_passes_in_either_header_and_upstream_learns_who_asks_and_not_the_key()
-> Result<()> {
    let stage = Stage::set().await?;
    let key = stage.world.key("laptop", "ada", json!({})).await;
    stage.until(&key, 200).await;
    let bearer = format!("Bearer {key}");
    for (name, value) in [("authorization", &bearer), ("x-api-key", &key)] {
        let passed = answer(stage.get("/v1/items?a=b").header(name, value)).await;
        assert_eq!(passed.status, 200, "{}", passed.text());
        let seen: Value = passed.json()?;
        let headers = &seen["headers"];
        assert_eq!(seen["path"], "/v1/items?a=b");
        assert_eq!(
            headers["x-glyph-customer"],
            json!([format!("{}/ada", stage.world.namespace.name())])
        );
        assert_eq!(
            (&headers["x-glyph-tier"], &headers["x-glyph-key-id"]),
            (&json!(["free"]), &json!(["id-laptop"]))
        );
        assert!(headers.get("x-glyph-subject").is_none());
        assert!(
            !passed.text().contains(&key),
            "the credential reached upstream"
        );
        assert!(
            passed
                .header("ratelimit-policy")
                .starts_with("\"month\";q=100;w=")
        );
        assert!(passed.header("ratelimit").starts_with("\"month\";r=9"));
    }
    Ok(())
}

#[tokio::test]
async fn each_refusal_has_the_status_and_the_code_of_the_table() -> Result<()> {
    let stage =
        Stage::set_with(|settings| settings.set("GLYPH_BILLING_URL", "https://billing.example"))
            .await?;
    let world = &stage.world;
    let past = now() - 1.hour();
    let good = world.key("good", "ada", json!({})).await;
    let revoked = world.key("revoked", "ada", json!({"revoked": true})).await;
    let expired = world
        .key("expired", "ada", json!({"expiresAt": past}))
        .await;
    let elsewhere = world
        .key(
            "elsewhere",
            "ada",
            json!({"allowedCidrs": ["203.0.113.0/24"]}),
        )
        .await;
    world.customer("bob", json!({"suspended": true})).await;
    let suspended = world.key("suspended", "bob", json!({})).await;
    world.customer("eve", json!({})).await;
    world
        .subscription("eve", json!({"state": "unpaid", "tier": "starter"}))
        .await;
    let unpaid = world.key("unpaid", "eve", json!({})).await;
    world.customer("tom", json!({})).await;
    world
        .subscription("tom", json!({"state": "active", "tier": "gone"}))
        .await;
    let tierless = world.key("tierless", "tom", json!({})).await;
    stage.until(&good, 200).await;
    stage.until(&tierless, 503).await;

    for (key, status, expected) in [
        (secret("unknown"), 401, "invalid_credential"),
        ("not a key".to_owned(), 401, "invalid_credential"),
        (revoked, 401, "key_revoked"),
        (expired, 401, "key_expired"),
        (unpaid, 402, "payment_required"),
        (suspended, 403, "suspended"),
        (elsewhere, 403, "address_denied"),
        (tierless, 503, "unavailable"),
    ] {
        let refused = stage.with_key(&key).await;
        assert_eq!(
            (refused.status, code(&refused).as_str()),
            (status, expected),
            "{}",
            refused.text()
        );
        assert_eq!(refused.header("www-authenticate").is_empty(), status != 401);
        assert_eq!(refused.header("retry-after").is_empty(), status != 503);
        assert!(!refused.text().contains(&key));
        if status == 402 {
            assert_eq!(
                refused.json::<Value>()?["pay_at"],
                "https://billing.example"
            );
        }
    }
    let missing = answer(stage.get("/")).await;
    assert_eq!(
        (missing.status, code(&missing).as_str()),
        (401, "missing_credential")
    );
    assert_eq!(missing.header("www-authenticate"), "Bearer realm=\"glyph\"");
    Ok(())
}

#[tokio::test]
async fn the_quota_is_the_customers_the_last_call_passes_and_the_next_says_when_and_where_to_upgrade()
-> Result<()> {
    let stage =
        Stage::set_with(|settings| settings.set("GLYPH_BILLING_URL", "https://billing.example"))
            .await?;
    stage
        .world
        .tier("small", json!({"quota": {"requests": 5}}))
        .await;
    stage
        .world
        .subscription(
            "ada",
            json!({"state": "active", "tier": "small", "currentPeriod": {
                "start": now() - 1.hour(), "end": now() + 100.hours(),
            }}),
        )
        .await;
    let one = stage.world.key("one", "ada", json!({})).await;
    let other = stage.world.key("other", "ada", json!({})).await;
    let first = stage.until(&one, 200).await;
    assert!(
        first.header("ratelimit").starts_with("\"month\";r=4;t="),
        "{first:?}"
    );
    stage.until(&other, 200).await;
    for left in [2, 1, 0] {
        let passed = stage.with_key(&one).await;
        assert!(
            passed
                .header("ratelimit")
                .starts_with(&format!("\"month\";r={left};t=")),
            "{passed:?}"
        );
    }
    for key in [&one, &other] {
        let refused = stage.with_key(key).await;
        assert_eq!(
            (refused.status, code(&refused).as_str()),
            (429, "quota_exceeded")
        );
        assert!(refused.header("ratelimit").starts_with("\"month\";r=0;t="));
        assert!(refused.header("retry-after").parse::<u64>().unwrap() > 24 * 3600);
        assert_eq!(
            refused.json::<Value>()?["upgrade_at"],
            "https://billing.example"
        );
    }
    assert_eq!(
        stage.upstream.requests(),
        5,
        "exactly the quota reached the API"
    );
    Ok(())
}

#[tokio::test]
async fn the_rate_limit_is_the_keys_and_a_refusal_by_it_takes_nothing_of_the_quota() -> Result<()> {
    let stage = Stage::set().await?;
    stage
        .world
        .subscription("ada", json!({"state": "active", "tier": "starter"}))
        .await;
    let fast = stage.world.key("fast", "ada", json!({})).await;
    let slow = stage
        .world
        .key(
            "slow",
            "ada",
            json!({"rateLimit": {"requestsPerSecond": 1000}}),
        )
        .await;
    let probe = async || Some(stage.with_key(&fast).await).filter(|answer| answer.status == 429);
    let refused = glyph_harness::poll_until("a refusal", crate::stage::SOON, probe).await?;
    assert_eq!(code(&refused), "rate_limited");
    assert_eq!(refused.header("retry-after"), "1");
    assert!(
        refused
            .header("ratelimit-policy")
            .ends_with("\"rate\";q=5;w=5"),
        "{refused:?}"
    );
    let passed = stage.until(&slow, 200).await;
    let used = 10_000 - remaining(&passed.header("ratelimit"));
    assert_eq!(
        used,
        stage.upstream.requests(),
        "only what passed is counted"
    );
    Ok(())
}

fn remaining(field: &str) -> u64 {
    let number = field.split_once(";r=").unwrap().1;
    number.split([';', ',']).next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn what_is_decided_is_counted_by_code_and_tier_and_never_by_customer_or_key() -> Result<()> {
    let stage = Stage::set().await?;
    let key = stage.world.key("laptop", "ada", json!({})).await;
    stage.until(&key, 200).await;
    stage.with_key(&secret("unknown")).await;
    let metrics = glyph_harness::net::get(&format!("{}/metrics", stage.sidecar.admin_url()))
        .await?
        .text();
    for line in [
        "glyph_authz_decisions_total{code=\"ok\",tier=\"free\",endpoint=\"unmatched\"} ",
        "glyph_authz_decisions_total{code=\"invalid_credential\",tier=\"\",endpoint=\"unmatched\"} ",
        "glyph_authz_decision_seconds_count ",
        "glyph_authz_index_resources{kind=\"ApiKey\"} 1\n",
        "glyph_authz_index_synced{kind=\"Tier\"} 1\n",
        "glyph_authz_redis_available 1\n",
    ] {
        assert!(metrics.contains(line), "{line} is not in {metrics}");
    }
    let mut words = metrics.split(|letter: char| !letter.is_alphanumeric());
    assert!(
        !words.any(|word| word == "ada" || word == "laptop"),
        "{metrics}"
    );
    Ok(())
}

#[tokio::test]
async fn two_sidecars_admit_the_quota_once() -> Result<()> {
    let stage = Stage::set().await?;
    stage
        .world
        .tier("small", json!({"quota": {"requests": 20}}))
        .await;
    stage
        .world
        .subscription("ada", json!({"state": "active", "tier": "small"}))
        .await;
    let key = stage.world.key("laptop", "ada", json!({})).await;
    let settings = settings(&stage.world, &stage.redis);
    let second = Service::start(Program::Authz, settings).await?;
    let config = crate::stage::config(crate::stage::example(), &second, &stage.upstream);
    let second_envoy = glyph_harness::Envoy::start(&config).await?;
    stage.until(&key, 200).await;
    let through = |url: String| {
        let key = key.clone();
        async move {
            let mut passed = 0;
            for _ in 0..20 {
                let got = answer(http::Request::get(&url).header("x-api-key", &key)).await;
                passed += u64::from(got.status == 200);
            }
            passed
        }
    };
    let (one, two) = futures::join!(through(stage.envoy.url()), through(second_envoy.url()));
    assert_eq!(one + two, 19, "one was used before");
    assert_eq!(stage.upstream.requests(), 20);
    Ok(())
}

#[tokio::test]
async fn a_route_takes_of_the_quota_what_the_example_says_it_costs() -> Result<()> {
    let costly = variant("costly", |text| {
        let shown = |line: &str| {
            let said = line
                .trim_start()
                .strip_prefix('#')
                .map(str::trim_start)
                .unwrap_or_default();
            let wanted = [
                "typed_per_filter_config:",
                "envoy.filters.http.ext_authz:",
                "\"@type\"",
                "check_settings:",
            ];
            let shown = wanted.iter().any(|wanted| said.starts_with(wanted));
            if shown {
                line.replacen("# ", "", 1)
            } else {
                line.to_owned()
            }
        };
        text.lines().map(|line| shown(line) + "\n").collect()
    });
    let stage = Stage::set_behind(costly, |settings| settings).await?;
    let key = stage.world.key("laptop", "ada", json!({})).await;
    let first = stage.until(&key, 200).await;
    assert_eq!(remaining(&first.header("ratelimit")), 95);
    assert_eq!(
        remaining(&stage.with_key(&key).await.header("ratelimit")),
        90
    );
    Ok(())
}
