//! Credits that were used are written down, so that Redis can be lost.

use glyph_crds::period::calendar_month;
use glyph_crds::{CreditGrant, GlyphCustomer, GrantState, Tier};
use glyph_harness::{Redis, poll_until};
use glyph_runtime::clock::{Clock as _, SystemClock};
use kube::ResourceExt as _;
use serde_json::json;

use crate::stage::{SOON, Stage};

/// A customer and a grant of 100 credits by an admin; their UIDs.
async fn given(stage: &Stage, name: &str) -> (String, String) {
    let customer = stage.customer(name).await.uid().unwrap();
    let spec = json!({"customerRef": {"name": name}, "credits": 100,
        "source": {"type": "Admin", "reason": "a test"}});
    let grant = stage.create::<CreditGrant>(name, spec).await.uid().unwrap();
    (customer, grant)
}

async fn used(stage: &Stage, name: &str, used: i64) -> CreditGrant {
    stage
        .until(name, "what was used", |grant: &CreditGrant| {
            (grant.status.as_ref()?.used == used).then(|| grant.clone())
        })
        .await
}

async fn balance(stage: &Stage, name: &str, wanted: [i64; 3]) {
    stage
        .until(name, "the balance", |customer: &GlyphCustomer| {
            let credits = customer.status.as_ref()?.credits.as_ref()?;
            ([credits.granted, credits.used, credits.left] == wanted).then_some(())
        })
        .await
}

/// (CASE 53) for credits.
#[tokio::test]
async fn used_credits_reach_the_statuses_and_a_lost_redis_lowers_none() {
    let stage = Stage::new("checkpoint").await;
    let redis = Redis::start().await.unwrap();
    let settings = stage
        .settings()
        .set("REDIS_URL", redis.url())
        .set("GLYPH_CREDITS_CHECKPOINT", "1");
    let _operator = stage.operator_with(settings).await;
    let spend = async |(customer, grant): &(String, String), used: i64| {
        let line = format!("HSET glyph:{{{customer}}}:credits {grant} {used}");
        redis.command_line(&line).await.unwrap();
    };
    let (ada, eve) = (given(&stage, "ada").await, given(&stage, "eve").await);
    balance(&stage, "ada", [100, 0, 100]).await;
    spend(&ada, 40).await;
    let first = used(&stage, "ada", 40).await;
    assert!(first.status.unwrap().as_of.is_some());
    balance(&stage, "ada", [100, 40, 60]).await;

    redis.flush().await.unwrap();
    spend(&ada, 3).await;
    spend(&eve, 100).await;
    let all = used(&stage, "eve", 100).await;
    assert_eq!(all.status.unwrap().state, Some(GrantState::Exhausted));
    balance(&stage, "eve", [100, 100, 0]).await;
    // The last credit was used by a call that failed: it is given back after it was written down.
    let (customer, grant) = &eve;
    let line = format!("HSET glyph:{{{customer}}}:credits returned:{grant} 10");
    redis.command_line(&line).await.unwrap();
    balance(&stage, "eve", [100, 90, 10]).await;
    let given_back = stage.get::<CreditGrant>("eve").await.status.unwrap();
    assert_eq!(given_back.state, Some(GrantState::Granted));
    let kept = stage.get::<CreditGrant>("ada").await.status.unwrap();
    assert_eq!(
        kept.used, 40,
        "a counter that began anew is below what is written down"
    );
    balance(&stage, "ada", [100, 40, 60]).await;

    stage.delete::<CreditGrant>("ada").await;
    balance(&stage, "ada", [0, 0, 0]).await;
}

#[tokio::test]
async fn without_redis_balances_are_told_and_its_absence_is_said_once() {
    let stage = Stage::new("nocheckpoint").await;
    let settings = stage.settings().set("GLYPH_CREDITS_CHECKPOINT", "1");
    let operator = stage.operator_with(settings).await;
    given(&stage, "ada").await;
    balance(&stage, "ada", [100, 0, 100]).await;
    assert_eq!(operator.log().matches("REDIS_URL is not given").count(), 1);
}

/// The customer's month is the calendar's, in UTC, on the default tier.
#[tokio::test]
async fn customers_are_shown_by_the_share_of_their_quota_that_they_have_used() {
    let stage = Stage::new("quota-use").await;
    let redis = Redis::start().await.unwrap();
    let settings = stage
        .settings()
        .set("REDIS_URL", redis.url())
        .set("GLYPH_CREDITS_CHECKPOINT", "1");
    let spec = json!({"displayName": "Free", "keysBeforePayment": true, "quota": {"requests": 10}});
    stage.create::<Tier>("free", spec).await;
    let operator = stage.operator_with(settings).await;
    let month = calendar_month(SystemClock.now());
    for (name, used) in [("ada", 0), ("bob", 6), ("eve", 10)] {
        let uid = stage.customer(name).await.uid().unwrap();
        let line = format!(
            "SET glyph:{{{uid}}}:quota:{} {used}",
            month.start.as_second()
        );
        redis.command_line(&line).await.unwrap();
    }
    let wanted = [
        ("0", 1),
        ("0.5", 1),
        ("0.75", 2),
        ("0.99", 2),
        ("1", 3),
        ("+Inf", 3),
    ]
    .map(|(share, customers)| format!("glyph_quota_use_customers{{le=\"{share}\"}} {customers}\n"));
    let shown = async || {
        let metrics = format!("{}/metrics", operator.admin_url());
        let text = glyph_harness::net::get(&metrics).await.ok()?.text();
        wanted.iter().all(|line| text.contains(line)).then_some(())
    };
    poll_until("everybody's quota", SOON, shown).await.unwrap();
}
