//! Credits in Redis: exact for many sidecars at once, kept through a loss of Redis, and never forgotten by a TTL.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use glyph_usage::{Counters, Credits, CreditsUsed, Decision, Grant, Rate, RedisCounters, Spend};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::support::{Front, MONTH, PLAIN, RELAXED, connect, front, int};

const CREDITS_KEY: &str = "glyph:{alice}:credits";
const YEAR: i64 = 366 * 86_400;

fn grant(id: &str, available: u64) -> Grant {
    Grant {
        id: id.into(),
        available,
        floor: 0,
        returned: 0,
        expires_at: None,
    }
}

/// A request of alice's, past a quota of nothing.
fn from(grants: &[Grant]) -> Spend<'_> {
    Spend {
        limit: Some(0),
        grants,
        ..PLAIN
    }
}

async fn redis_int(front: &Front, line: &str) -> i64 {
    int(&front.redis.command_line(line).await.unwrap())
}

/// The credits that a request has left behind, if it was admitted.
async fn left(counters: &RedisCounters, request: Spend<'_>) -> Option<u64> {
    let outcome = counters.spend(&request).await.unwrap();
    let admitted = outcome.decision == Decision::Admitted;
    let credits = outcome.credits.unwrap();
    assert_eq!(credits.taken, if admitted { request.cost } else { 0 });
    admitted.then_some(credits.left)
}

/// CASE 57: four sidecars, each with its own connection, eight clients, costs that straddle quota and grants.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_sidecars_at_once_spend_quota_and_credits_to_the_last_one_and_none_twice() {
    let front = front(RELAXED).await;
    let mut sidecars = vec![(front.counters.clone(), None)];
    for _ in 0..3 {
        let (counters, keeper) = connect(&front.redis, RELAXED).await;
        sidecars.push((counters, Some(keeper)));
    }
    let clients: Vec<_> = (0..8)
        .map(|client| {
            let counters = sidecars[client % 4].0.clone();
            tokio::spawn(async move {
                let key_id = format!("key{client}");
                let grants = [grant("a", 100), grant("b", 33), grant("c", 167)];
                let (mut passed, mut taken) = (0, 0);
                for turn in 0..300 {
                    let request = Spend {
                        key_id: &key_id,
                        // The ones at the end find what the dear ones could not take.
                        cost: if turn < 100 { 1 + turn % 3 } else { 1 },
                        limit: Some(200),
                        rate: Some(Rate {
                            requests_per_second: 1000,
                            burst: 1_000_000,
                        }),
                        grants: &grants,
                        ..PLAIN
                    };
                    let outcome = counters.spend(&request).await.unwrap();
                    if outcome.decision == Decision::Admitted {
                        passed += request.cost;
                    }
                    taken += outcome.credits.unwrap().taken;
                }
                (passed, taken)
            })
        })
        .collect();
    let mut sums = (0, 0);
    for client in clients {
        let (passed, taken) = client.await.unwrap();
        sums = (sums.0 + passed, sums.1 + taken);
    }
    assert_eq!(sums, (500, 300));
    assert_eq!(front.counters.used("alice", MONTH).await.unwrap(), 200);
    let used = front.counters.used_credits(&["alice"]).await.unwrap();
    let counted = |used| CreditsUsed { used, returned: 0 };
    let expected =
        [("a", 100), ("b", 33), ("c", 167)].map(|(id, used)| (id.to_owned(), counted(used)));
    assert_eq!(used, [expected.into()]);
}

/// CASE 53.
#[tokio::test]
async fn a_flushed_redis_gives_back_no_credit_that_a_living_sidecar_has_seen_spent() {
    let front = front(RELAXED).await;
    let grants = [grant("g", 10)];
    for spent in 1..=9 {
        assert_eq!(left(&front.counters, from(&grants)).await, Some(10 - spent));
    }
    front.redis.flush().await.unwrap();
    assert_eq!(left(&front.counters, from(&grants)).await, Some(0));

    // The other sidecar has seen nothing, and finds what the first has put back.
    let (other, _keeper) = connect(&front.redis, RELAXED).await;
    assert_eq!(left(&other, from(&grants)).await, None);

    // A refusal puts the count back as well.
    front.redis.flush().await.unwrap();
    assert_eq!(left(&front.counters, from(&grants)).await, None);
    let used = other.used_credits(&["alice"]).await.unwrap();
    assert_eq!(used[0]["g"].used, 10);
}

/// CASE 53: Redis and every sidecar lost, so the checkpoint alone is left.
#[tokio::test]
async fn with_redis_and_all_sidecars_gone_only_what_was_spent_since_the_checkpoint_comes_back() {
    let front = front(RELAXED).await;
    let grants = [grant("g", 10)];
    for _ in 0..6 {
        front.counters.spend(&from(&grants)).await.unwrap();
    }
    front.redis.flush().await.unwrap();
    let checkpointed = [Grant {
        floor: 4,
        ..grant("g", 10)
    }];
    let (new, _keeper) = connect(&front.redis, RELAXED).await;
    assert_eq!(left(&new, from(&checkpointed)).await, Some(5));
}

/// Money: it ends only when it has not been asked for in more than a year, and then checkpoints know it.
#[tokio::test]
async fn the_hash_of_credits_outlives_every_request_by_a_year_and_ends_when_nobody_asks() {
    let front = front(RELAXED).await;
    let grants = [grant("g", 2)];
    let ttl = async || redis_int(&front, &format!("TTL {CREDITS_KEY}")).await;
    // Nothing spent is nothing kept.
    let held = Spend {
        limit: Some(1),
        ..from(&grants)
    };
    front.counters.spend(&held).await.unwrap();
    assert_eq!(ttl().await, -2);

    front.counters.spend(&from(&grants)).await.unwrap();
    assert!((YEAR..=2 * YEAR).contains(&ttl().await));
    // Neither one without an end nor one that is near its end stays so, also when the quota holds the request, or
    // there is nothing left.
    let unspent = Spend { cost: 0, ..held };
    for request in [unspent, from(&grants), from(&grants)] {
        for spoil in ["PERSIST KEY", "EXPIRE KEY 1000"] {
            let spoil = spoil.replace("KEY", CREDITS_KEY);
            assert_eq!(redis_int(&front, &spoil).await, 1);
            front.counters.spend(&request).await.unwrap();
            assert!((YEAR..=2 * YEAR).contains(&ttl().await), "{spoil}");
        }
    }
    // One that is far from its end is left alone: no write for each request.
    let later = YEAR + 1000;
    redis_int(&front, &format!("EXPIRE {CREDITS_KEY} {later}")).await;
    front.counters.spend(&unspent).await.unwrap();
    assert!(ttl().await <= later);
}

#[tokio::test]
async fn credits_overwritten_by_hand_fail_for_their_customer_and_for_no_other() {
    let front = front(RELAXED).await;
    let grants = [grant("g", 10)];
    let bob = Spend {
        customer: "bob",
        ..from(&grants)
    };
    for line in [
        format!("HSET {CREDITS_KEY} g lots"),
        format!("SET {CREDITS_KEY} 7"),
    ] {
        front.redis.command_line(&line).await.unwrap();
        let answer = front.counters.spend(&from(&grants)).await;
        assert!(answer.is_err(), "{answer:?}");
        let used = front.counters.used("alice", MONTH).await.unwrap();
        assert_eq!(used, 0, "nothing is half counted");
        front.counters.spend(&bob).await.unwrap();
        let all = front.counters.used_credits(&["alice", "bob"]).await;
        let all = all.unwrap();
        assert!(all[0].is_empty() && all[1]["g"].used > 0, "{all:?}");
    }
}

#[derive(Clone, Debug)]
enum Step {
    Spend {
        cost: u64,
        limit: Option<u64>,
        /// Of three grants: what may be used of it, and what the checkpoint knows.
        grants: [(u64, u64); 3],
    },
    Flush,
}

fn step() -> impl Strategy<Value = Step> {
    let limit = prop::option::weighted(0.9, prop::sample::select(vec![0, 5, 20]));
    let available = prop::sample::select(vec![0, 3, 10, 40]);
    let floor = prop::sample::select(vec![0, 0, 0, 0, 2, 12]);
    let spend = (
        prop::sample::select(vec![0, 1, 1, 2, 7, 30]),
        limit,
        prop::array::uniform3((available, floor)),
    );
    let spend = spend.prop_map(|(cost, limit, grants)| Step::Spend {
        cost,
        limit,
        grants,
    });
    prop_oneof![15 => spend, 1 => Just(Step::Flush)]
}

/// The sums are right whatever comes: grants cut and grown, checkpoints, a Redis that forgets all.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_sequence_is_decided_as_sums_decide_and_no_loss_of_redis_gives_credits_back() {
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

const IDS: [&str; 3] = ["a", "b", "c"];

async fn run_steps(front: &Front, run: usize, steps: Vec<Step>) -> Result<(), TestCaseError> {
    let customer = format!("run{run}");
    let mut quota = 0;
    let mut used = HashMap::<&str, u64>::new();
    for step in steps {
        let Step::Spend {
            cost,
            limit,
            grants,
        } = step
        else {
            front.redis.flush().await.unwrap();
            continue;
        };
        let grants = [0, 1, 2].map(|n| Grant {
            floor: grants[n].1,
            ..grant(IDS[n], grants[n].0)
        });
        let mut rooms = HashMap::new();
        for grant in &grants {
            let used = used.entry(IDS[rooms.len()]).or_default();
            *used = grant.floor.max(*used);
            rooms.insert(grant.id.clone(), grant.available.saturating_sub(*used));
        }
        let over = limit.map_or(0, |limit: u64| cost - cost.min(limit.saturating_sub(quota)));
        let all: u64 = rooms.values().sum();
        let fits = over <= all;
        let mut owed = if fits { over } else { 0 };
        let credits = Credits {
            taken: owed,
            left: all - owed,
        };
        quota += if fits { cost - over } else { 0 };
        for id in IDS {
            let take = owed.min(rooms[id]);
            owed -= take;
            *used.entry(id).or_default() += take;
        }

        let request = Spend {
            customer: &customer,
            cost,
            limit,
            grants: &grants,
            ..PLAIN
        };
        let outcome = front.counters.spend(&request).await.unwrap();
        prop_assert_eq!(outcome.decision == Decision::Admitted, fits);
        prop_assert_eq!((outcome.used, outcome.credits), (quota, Some(credits)));
    }
    Ok(())
}
