//! The counters on a real Redis: conformance, and everything that happens to a Redis in its life.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod support;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use glyph_harness::Redis;
use glyph_usage::conformance::Subject;
use glyph_usage::{
    Counters, CountersError, DEFAULT_DEADLINE, Decision, Rate, RedisCounters, Spend, Unavailable,
};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use support::{Front, MONTH, PLAIN, RELAXED, connect, eventually, front, int};
use tokio_util::sync::CancellationToken;

impl Subject for Front {
    type Counters = RedisCounters;

    fn counters(&self) -> Arc<RedisCounters> {
        Arc::new(self.counters.clone())
    }

    async fn pass(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}

mod conformance {
    glyph_usage::conformance_tests!(super::front(super::RELAXED));
}

const RATE: Rate = Rate {
    requests_per_second: 1,
    burst: 100,
};
const QUOTA_KEY: &str = "glyph:{alice}:quota:4000000000";
const RATE_KEY: &str = "glyph:{alice}:rate:key";

/// CASE 52.
#[tokio::test]
async fn every_counter_has_an_end_and_an_immortal_one_is_given_one_also_by_a_refusal() {
    let front = front(RELAXED).await;
    let request = Spend {
        limit: Some(2),
        rate: Some(RATE),
        ..PLAIN
    };
    let ttl = async |key| {
        int(&front
            .redis
            .command_line(&format!("TTL {key}"))
            .await
            .unwrap())
    };
    let ends = async |when: &str| {
        let (quota, rate) = (ttl(QUOTA_KEY).await, ttl(RATE_KEY).await);
        // Seven days after the period, which ends in a distant year, and once the burst is whole again.
        assert!(
            quota > 7 * 86_400 && (0..=100).contains(&rate),
            "{when}: {quota} {rate}"
        );
    };
    // Half the burst, so that the rate's key does not end by itself meanwhile.
    for _ in 0..50 {
        let free = Spend { cost: 0, ..request };
        front.counters.spend(&free).await.unwrap();
    }
    front.counters.spend(&request).await.unwrap();
    ends("after the first request").await;

    for used in [2, 2] {
        for key in [QUOTA_KEY, RATE_KEY] {
            assert_eq!(
                front
                    .redis
                    .command_line(&format!("PERSIST {key}"))
                    .await
                    .unwrap(),
                ":1"
            );
        }
        let outcome = front.counters.spend(&request).await.unwrap();
        assert_eq!(outcome.used, used);
        ends(&format!("after {:?}", outcome.decision)).await;
    }
}

#[tokio::test]
async fn a_counter_of_a_period_that_has_ended_lives_on_while_it_is_used() {
    let front = front(RELAXED).await;
    let period = glyph_usage::Period {
        start: 1_000_000_000,
        end: 1_002_592_000,
    };
    let request = Spend {
        limit: Some(1),
        period,
        ..PLAIN
    };
    assert_eq!(
        front.counters.spend(&request).await.unwrap().decision,
        Decision::Admitted
    );
    assert_eq!(
        connect(&front.redis, RELAXED)
            .await
            .0
            .spend(&request)
            .await
            .unwrap()
            .decision,
        Decision::QuotaExceeded
    );
}

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

    let mut late = 0;
    loop {
        let begun = Instant::now();
        match front.counters.spend(&PLAIN).await {
            Err(CountersError::Unavailable(Unavailable::TooLate(_))) => {
                assert!(begun.elapsed() >= DEFAULT_DEADLINE);
                late += 1;
            }
            Err(CountersError::Unavailable(Unavailable::NotConnected)) => break,
            other => panic!("a hung Redis answered {other:?}"),
        }
    }
    assert_eq!(late, 5);
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
        let counters = RedisCounters::new(&redis.url(), RELAXED).unwrap();
        let refused = counters
            .keep_connected(CancellationToken::new())
            .await
            .unwrap_err()
            .to_string();
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
    let counters = RedisCounters::new(&redis.url(), RELAXED).unwrap();
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
async fn a_counter_overwritten_by_hand_fails_for_its_customer_and_for_no_other() {
    let front = front(RELAXED).await;
    assert_eq!(
        front
            .redis
            .command_line(&format!("SET {QUOTA_KEY} lots"))
            .await
            .unwrap(),
        "+OK"
    );
    for _ in 0..10 {
        let answer = front.counters.spend(&PLAIN).await;
        assert!(
            matches!(answer, Err(CountersError::Failed(_))),
            "{answer:?}"
        );
    }
    front
        .counters
        .spend(&Spend {
            customer: "bob",
            ..PLAIN
        })
        .await
        .unwrap();
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
    let mut failed = 0;
    while !matches!(
        front.counters.spend(&PLAIN).await,
        Err(CountersError::Unavailable(_))
    ) {
        failed += 1;
    }
    assert_eq!(failed, 5);
    assert_eq!(set("maxmemory 0").await, "+OK");
    eventually("an answer", async || {
        front.counters.spend(&PLAIN).await.is_ok()
    })
    .await;
}

/// CASE 57: three sidecars, each with its own connection, many keys of one customer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_sidecars_at_once_admit_exactly_the_limit_of_one_customer() {
    let front = front(RELAXED).await;
    let mut sidecars = vec![(front.counters.clone(), None)];
    for _ in 0..2 {
        let (counters, keeper) = connect(&front.redis, RELAXED).await;
        sidecars.push((counters, Some(keeper)));
    }
    let spenders: Vec<_> = (0..30)
        .map(|spender| {
            let counters = sidecars[spender % 3].0.clone();
            tokio::spawn(async move {
                let key_id = format!("key{}", spender % 10);
                let mut admitted = 0;
                for _ in 0..50 {
                    let request = Spend {
                        key_id: &key_id,
                        limit: Some(1000),
                        rate: Some(WIDE),
                        ..PLAIN
                    };
                    let outcome = counters.spend(&request).await.unwrap();
                    admitted += u64::from(outcome.decision == Decision::Admitted);
                }
                admitted
            })
        })
        .collect();
    let mut admitted = 0;
    for spender in spenders {
        admitted += spender.await.unwrap();
    }
    assert_eq!(
        (admitted, front.counters.used("alice", MONTH).await.unwrap()),
        (1000, 1000)
    );
}

/// A rate limit that is computed but does not refuse.
const WIDE: Rate = Rate {
    requests_per_second: 1000,
    burst: 1_000_000,
};

#[derive(Clone, Debug)]
enum Step {
    Spend {
        customer: usize,
        cost: u64,
        limit: Option<u64>,
        floor: u64,
    },
    Flush,
    FlushScripts,
}

fn step() -> impl Strategy<Value = Step> {
    let limit = prop::option::of(prop::sample::select(vec![0, 5, 50, 500, 1 << 52]));
    let cost = prop::sample::select(vec![0, 1, 2, 5, 100, 1 << 51]);
    let floor = prop::sample::select(vec![0, 0, 0, 3, 60]);
    let spend = (0_usize..2, cost, limit, floor);
    let spend = spend.prop_map(|(customer, cost, limit, floor)| Step::Spend {
        customer,
        cost,
        limit,
        floor,
    });
    prop_oneof![20 => spend, 1 => Just(Step::Flush), 1 => Just(Step::FlushScripts)]
}

/// The sum is right whatever comes, also when Redis forgets its data or its script in between.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_sequence_is_decided_as_a_sum_decides_and_no_loss_of_redis_lowers_it() {
    let front = front(RELAXED).await;
    let handle = tokio::runtime::Handle::current();
    let check = move || {
        let mut runner = TestRunner::new(Config {
            cases: 64,
            failure_persistence: None,
            ..Config::default()
        });
        let runs = AtomicUsize::new(0);
        runner.run(&prop::collection::vec(step(), 1..60), |steps| {
            let run = runs.fetch_add(1, Ordering::Relaxed);
            handle.block_on(run_steps(&front, run, steps))
        })
    };
    tokio::task::spawn_blocking(check).await.unwrap().unwrap();
}

async fn run_steps(front: &Front, run: usize, steps: Vec<Step>) -> Result<(), TestCaseError> {
    let mut sums = HashMap::<usize, u64>::new();
    for step in steps {
        match step {
            Step::Flush => front.redis.flush().await.unwrap(),
            Step::FlushScripts => drop(front.redis.command_line("SCRIPT FLUSH").await.unwrap()),
            Step::Spend {
                customer,
                cost,
                limit,
                floor,
            } => {
                let sum = sums.entry(customer).or_default();
                *sum = floor.max(*sum);
                let fits = cost == 0 || limit.is_none_or(|limit| *sum + cost <= limit);
                *sum = glyph_usage::MAX_COUNT.min(*sum + if fits { cost } else { 0 });

                let customer = format!("run{run}customer{customer}");
                let request = Spend {
                    customer: &customer,
                    cost,
                    limit,
                    floor,
                    ..PLAIN
                };
                let outcome = front.counters.spend(&request).await.unwrap();
                prop_assert_eq!(outcome.decision == Decision::Admitted, fits);
                prop_assert_eq!(outcome.used, *sum);
            }
        }
    }
    Ok(())
}
