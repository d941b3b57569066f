//! Guessing is stopped by account and by address, whatever the caller writes about its own address.

use glyph_harness::net::Answer;
use serde_json::json;

use super::site::{PASSWORD, Site, code};

async fn guess(site: &Site, email: &str, password: &str, forwarded: &str) -> Answer {
    let body = json!({"email": email, "password": password});
    site.post_with(
        "/auth/login",
        None,
        &body,
        &[("x-forwarded-for", forwarded)],
    )
    .await
}

/// CASE 59
#[tokio::test]
async fn a_password_cannot_be_guessed_from_ever_other_addresses() {
    let site = Site::with("guess", |settings| {
        settings.set("GLYPH_ACCOUNT_ATTEMPTS_PER_EMAIL", "3")
    })
    .await;
    let ada = site.member("ada").await;
    for turn in 0..3 {
        let answer = guess(&site, &ada.email, "wrong", &format!("203.0.113.{turn}")).await;
        assert_eq!(code(&answer, 401), "invalid_login");
    }
    // Also the right one, so that nobody learns which it was.
    let stopped = guess(&site, &ada.email, PASSWORD, "203.0.113.99").await;
    assert_eq!(code(&stopped, 429), "too_many_attempts");
    let wait: u64 = stopped.header("retry-after").parse().unwrap();
    assert!((1..=900).contains(&wait), "{wait}");
    let other = guess(&site, &site.stage.email("bob"), "wrong", "203.0.113.99").await;
    assert_eq!(code(&other, 401), "invalid_login");
}

/// CASE 59
#[tokio::test]
async fn a_forged_forwarded_for_does_not_make_another_address() {
    let site = Site::with("forged", |settings| {
        settings.set("GLYPH_ACCOUNT_ATTEMPTS_PER_ADDRESS", "4")
    })
    .await;
    let email = |turn: usize| site.stage.email(&format!("victim{turn}"));
    // The one proxy that is trusted writes the last entry.
    for turn in 0..4 {
        let forged = format!("198.51.100.{turn}, 10.9.9.{turn}, 203.0.113.7");
        assert_eq!(
            code(&guess(&site, &email(turn), "wrong", &forged).await, 401),
            "invalid_login"
        );
    }
    let stopped = guess(&site, &email(5), "wrong", "192.0.2.1, 203.0.113.7").await;
    assert_eq!(code(&stopped, 429), "too_many_attempts");
    let other = guess(&site, &email(6), "wrong", "203.0.113.7, 203.0.113.8").await;
    assert_eq!(code(&other, 401), "invalid_login");
}

#[tokio::test]
async fn requests_are_limited_by_address_and_told_how_many_are_left() {
    let site = Site::with("rate", |settings| {
        settings.set("GLYPH_ACCOUNT_REQUESTS_PER_MINUTE", "50")
    })
    .await;
    let body = json!({});
    let ask = async || {
        site.post_with(
            "/auth/refresh",
            None,
            &body,
            &[("x-forwarded-for", "203.0.113.50")],
        )
        .await
    };
    let first = ask().await;
    assert_eq!(first.header("ratelimit-policy"), "\"address\";q=50;w=60");
    assert!(
        first.header("ratelimit").starts_with("\"address\";r=49;t="),
        "{:?}",
        first.headers
    );
    for _ in 1..50 {
        assert_eq!(ask().await.status, 400);
    }
    assert_eq!(code(&ask().await, 429), "rate_limited");
}

/// Guesses that cannot be counted are not let through; what nobody can guess with goes on.
#[tokio::test]
async fn without_redis_nobody_logs_in_and_the_rest_goes_on() {
    let site = Site::new("uncounted").await;
    let ada = site.member("ada").await;
    site.redis.stop();
    let answer = guess(&site, &ada.email, PASSWORD, "203.0.113.1").await;
    assert_eq!(code(&answer, 503), "unavailable");
    assert!(!answer.header("retry-after").is_empty());
    let status = site.get("/billing/status", Some(&ada.token)).await;
    assert_eq!(status.status, 200, "{}", status.text());
    let status: serde_json::Value = status.json().unwrap();
    assert_eq!(status["quota"]["used"], serde_json::Value::Null);
}
