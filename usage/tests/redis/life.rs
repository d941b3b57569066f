//! What a Redis goes through: flushed, hung, restarted, away, out of memory, set up wrongly.

use std::time::{Duration, Instant};

use glyph_harness::Redis;
use glyph_usage::{
    Counters, CountersError, DEFAULT_DEADLINE, Decision, RedisCounters, Spend, Unavailable,
};
use tokio_util::sync::CancellationToken;

use crate::support::{MONTH, PLAIN, RELAXED, connect, eventually, front};

/// As the breaker has it.
const FAILURES_TO_OPEN: usize = 5;

/// CASE 53.
#[tokio::test]
async fn a_flushed_redis_comes_back_at_the_highest_count_seen_for_every_sidecar() {
    let front = front(RELAXED).await;
    let request = Spend {
        limit: Some(10),
        ..PLAIN
    };
    for _ in 0..9 {
        front.counters.spend(&request).await.unwrap();
    }
    front.redis.flush().await.unwrap();
    assert_eq!(front.counters.used("alice", MONTH).await.unwrap(), 9);
    assert_eq!(front.counters.spend(&request).await.unwrap().used, 10);

    // The other sidecar has seen nothing, and finds what the first has put back.
    let (other, _keeper) = connect(&front.redis, RELAXED).await;
    assert_eq!(
        other.spend(&request).await.unwrap().decision,
        Decision::QuotaExceeded
    );

    // A refusal puts the count back as well.
    front.redis.flush().await.unwrap();
    assert_eq!(
        front.counters.spend(&request).await.unwrap().decision,
        Decision::QuotaExceeded
    );
    assert_eq!(other.used("alice", MONTH).await.unwrap(), 10);
}

/// CASE 54.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hung_redis_costs_a_few_requests_the_deadline_and_the_rest_nothing_and_recovers_by_itself()
 {
    let front = front(DEFAULT_DEADLINE).await;
    eventually("an answer", async || {
        front.counters.spend(&PLAIN).await.is_ok()
    })
    .await;
    front.redis.pause();

    for _ in 0..FAILURES_TO_OPEN {
        let begun = Instant::now();
        let answer = front.counters.spend(&PLAIN).await.unwrap_err();
        assert!(
            matches!(answer, CountersError::Unavailable(Unavailable::TooLate(_))),
            "{answer:?}"
        );
        assert!(begun.elapsed() >= DEFAULT_DEADLINE);
    }
    assert!(!front.counters.is_available());
    let begun = Instant::now();
    for _ in 0..1000 {
        let answer = front.counters.spend(&PLAIN).await;
        assert!(
            matches!(
                answer,
                Err(CountersError::Unavailable(Unavailable::NotConnected))
            ),
            "{answer:?}"
        );
    }
    assert!(
        begun.elapsed() < 10 * DEFAULT_DEADLINE,
        "1000 refusals took {:?}",
        begun.elapsed()
    );

    front.redis.resume();
    eventually("an answer after SIGCONT", async || {
        front.counters.spend(&PLAIN).await.is_ok()
    })
    .await;
}

/// CASE 56.
#[tokio::test]
async fn a_restarted_redis_is_found_again_and_given_the_script_and_the_count() {
    let front = front(RELAXED).await;
    front
        .counters
        .spend(&Spend { cost: 5, ..PLAIN })
        .await
        .unwrap();
    front.redis.stop();
    let lost = front.counters.spend(&PLAIN).await.unwrap_err();
    assert!(matches!(lost, CountersError::Unavailable(_)), "{lost:?}");
    eventually("the loss to be noticed", async || {
        !front.counters.is_available()
    })
    .await;
    front.redis.start_again().await.unwrap();
    eventually("a new connection", async || front.counters.is_available()).await;
    assert_eq!(front.counters.spend(&PLAIN).await.unwrap().used, 6);
}

/// CASE 56.
#[tokio::test]
async fn a_script_that_redis_has_forgotten_is_sent_again_within_the_same_request() {
    let front = front(RELAXED).await;
    for used in 1..=3 {
        assert_eq!(
            front.redis.command_line("SCRIPT FLUSH").await.unwrap(),
            "+OK"
        );
        assert_eq!(front.counters.spend(&PLAIN).await.unwrap().used, used);
    }
}

/// CASE 56.
#[tokio::test]
async fn a_redis_that_evicts_counters_is_refused_at_the_start_with_what_to_change() {
    for policy in ["allkeys-lru", "allkeys-random", "volatile-lru"] {
        let redis = Redis::start_with(&["--maxmemory-policy", policy])
            .await
            .unwrap();
        let counters = RedisCounters::new(&redis.url(), None, RELAXED).unwrap();
        let connecting = counters.keep_connected(CancellationToken::new());
        let ended = tokio::time::timeout(RELAXED, connecting).await.unwrap();
        let refused = ended.unwrap_err().to_string();
        assert!(
            refused.starts_with(&format!("Redis has maxmemory-policy {policy}: ")),
            "{refused}"
        );
        assert!(
            refused.ends_with("; set maxmemory-policy to noeviction"),
            "{refused}"
        );
        assert!(!counters.is_available());
    }
}

#[tokio::test]
async fn redis_may_be_away_at_the_start_and_is_found_when_it_comes() {
    let redis = Redis::start().await.unwrap();
    redis.stop();
    let counters = RedisCounters::new(&redis.url(), None, RELAXED).unwrap();
    let keeper = counters.clone();
    let keeper = tokio::spawn(async move { keeper.keep_connected(CancellationToken::new()).await });
    let answer = counters.spend(&PLAIN).await.unwrap_err();
    assert_eq!(
        answer.to_string(),
        "the counters are not available: no connection to Redis"
    );
    redis.start_again().await.unwrap();
    eventually("a connection", async || counters.is_available()).await;
    counters.spend(&PLAIN).await.unwrap();
    keeper.abort();
}

#[tokio::test]
async fn a_redis_that_refuses_writes_is_left_alone_until_it_takes_them() {
    let front = front(RELAXED).await;
    let set = async |setting: &str| {
        front
            .redis
            .command_line(&format!("CONFIG SET {setting}"))
            .await
            .unwrap()
    };
    assert_eq!(set("maxmemory 1").await, "+OK");
    for _ in 0..FAILURES_TO_OPEN {
        let answer = front.counters.spend(&PLAIN).await.unwrap_err();
        assert!(matches!(answer, CountersError::Failed(_)), "{answer:?}");
    }
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_millis(300) {
        assert!(!front.counters.is_available());
        tokio::task::yield_now().await;
    }
    assert_eq!(set("maxmemory 0").await, "+OK");
    eventually("an answer", async || {
        front.counters.spend(&PLAIN).await.is_ok()
    })
    .await;
}
