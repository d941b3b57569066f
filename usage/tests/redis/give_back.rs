//! Giving back and usage in Redis: many sidecars, a Redis that loses its data, and keys that end.

use std::sync::atomic::{AtomicUsize, Ordering};

use glyph_usage::{
    Batch, Charge, Counters, Decision, Drawn, GivenBack, Grant, Line, RedisCounters, Spend, Step,
};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::support::{Front, MONTH, PLAIN, RELAXED, connect, front, int, redis_now};

const DAY: i64 = 86_400;

fn grant(available: u64) -> [Grant; 1] {
    [Grant {
        id: "g".into(),
        available,
        floor: 0,
        returned: 0,
        expires_at: None,
    }]
}

/// A charge of so many calls and credits of the grant `g`, made now.
async fn charge(front: &Front, customer: &str, id: &str, calls: u64, credits: u64) -> Charge {
    let drawn = Drawn {
        grant: "g".into(),
        credits,
    };
    Charge {
        customer: customer.into(),
        id: id.to_owned(),
        at: redis_now(&front.redis).await,
        period: MONTH,
        calls,
        credits: if credits > 0 { vec![drawn] } else { Vec::new() },
    }
}

/// What a request of cost 0 tells: calls used, credits left.
async fn look(counters: &RedisCounters, grants: &[Grant]) -> (u64, u64) {
    let request = Spend {
        cost: 0,
        limit: Some(5),
        grants,
        ..PLAIN
    };
    let outcome = counters.spend(&request).await.unwrap();
    (outcome.used, outcome.credits.unwrap().left)
}

/// The floor of a sidecar that saw the charge must not undo what another one gave back, nor a loss either of both.
#[tokio::test]
async fn what_one_sidecar_spent_and_another_gave_back_is_right_for_both_and_after_a_loss() {
    let front = front(RELAXED).await;
    let (other, _keeper) = connect(&front.redis, RELAXED).await;
    let grants = grant(10);
    let request = Spend {
        cost: 8,
        limit: Some(5),
        grants: &grants,
        ..PLAIN
    };
    front.counters.spend(&request).await.unwrap();
    assert_eq!(look(&other, &grants).await, (5, 7));
    let charge = charge(&front, "alice", "one", 5, 3).await;
    assert_eq!(other.give_back(&charge).await.unwrap(), GivenBack::Now);
    for counters in [&front.counters, &other, &front.counters] {
        assert_eq!(look(counters, &grants).await, (0, 10));
    }
    front.redis.flush().await.unwrap();
    assert_eq!(look(&front.counters, &grants).await, (0, 10));
    let used = front.counters.used_credits(&["alice"]).await.unwrap();
    let counted = used[0]["g"];
    assert_eq!((counted.used, counted.returned), (3, 3));
    assert_eq!(look(&other, &grants).await, (0, 10));
}

/// CASE 52, for what is given back and for usage.
#[tokio::test]
async fn every_key_of_giving_back_and_of_usage_has_an_end() {
    let front = front(RELAXED).await;
    let charge = charge(&front, "alice", "one", 2, 3).await;
    front.counters.give_back(&charge).await.unwrap();
    let line = Line {
        key_id: "k".to_owned(),
        endpoint: "items".to_owned(),
        class: "2xx".to_owned(),
    };
    let batch = Batch {
        customer: "alice".to_owned(),
        hour: 0,
        source: "one".to_owned(),
        number: 1,
        rows: vec![(line, 3)],
    };
    front.counters.add_usage(&batch).await.unwrap();
    let hour = charge.at - charge.at % 3600;
    let ttl = async |key: &str| {
        let line = format!("TTL glyph:{{alice}}:{key}");
        int(&front.redis.command_line(&line).await.unwrap())
    };
    for (key, least, most) in [
        (format!("returned:{}", MONTH.start), 7 * DAY, i64::MAX),
        (format!("returns:{hour}"), 3600, 3 * 3600),
        ("credits".to_owned(), 366 * DAY, 2 * 366 * DAY),
        ("usage:hour:0".to_owned(), 34 * DAY, 35 * DAY),
        ("usage:day:0".to_owned(), 399 * DAY, 400 * DAY),
        ("usage:from:one".to_owned(), DAY, 2 * DAY),
    ] {
        let ttl = ttl(&key).await;
        assert!((least..=most).contains(&ttl), "{key}: {ttl}");
    }
    let all = r#"EVAL "return #redis.call('KEYS', 'glyph:{alice}:*')" 0"#;
    let all = front.redis.command_line(all).await.unwrap();
    assert_eq!(int(&all), 6, "and there are no others");
    let immortal = format!("PERSIST glyph:{{alice}}:returned:{}", MONTH.start);
    assert_eq!(front.redis.command_line(&immortal).await.unwrap(), ":1");
    front.counters.spend(&PLAIN).await.unwrap();
    assert!(ttl(&format!("returned:{}", MONTH.start)).await > 7 * DAY);
}

#[tokio::test]
async fn usage_overwritten_by_hand_spoils_no_other_row() {
    let front = front(RELAXED).await;
    let key = "glyph:{alice}:usage:day:0";
    let rows = "k items 2xx";
    for line in [
        format!("HSET {key} '{rows}' lots"),
        format!("HSET {key} nonsense 5"),
        format!("HSET {key} 'k items 4xx' 5"),
    ] {
        front.redis.command_line(&line).await.unwrap();
    }
    let read = front.counters.usage_of("alice", 0, 1, Step::Day).await;
    let read = read.unwrap();
    assert_eq!(read.len(), 1, "{read:?}");
    assert_eq!((read[0].line.class.as_str(), read[0].requests), ("4xx", 5));
}

#[derive(Clone, Debug)]
enum Turn {
    Spend {
        cost: u64,
        by: usize,
    },
    /// One of the charges made so far, by its turn.
    GiveBack {
        which: usize,
        by: usize,
    },
    Flush,
}

fn turn() -> impl Strategy<Value = Turn> {
    let cost = prop::sample::select(vec![0, 1, 1, 2, 7]);
    prop_oneof![
        12 => (cost, 0_usize..2).prop_map(|(cost, by)| Turn::Spend { cost, by }),
        8 => (0_usize..20, 0_usize..2).prop_map(|(which, by)| Turn::GiveBack { which, by }),
        1 => Just(Turn::Flush),
    ]
}

/// Two sidecars, charges given back by either and more than once, a Redis that forgets all: what both saw is a sum.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_sequence_of_charges_and_of_giving_back_is_a_sum_through_losses_of_redis() {
    let front = front(RELAXED).await;
    let (other, _keeper) = connect(&front.redis, RELAXED).await;
    let handle = tokio::runtime::Handle::current();
    let check = move || {
        let mut runner = TestRunner::new(Config {
            cases: 64,
            failure_persistence: None,
            ..Config::default()
        });
        let runs = AtomicUsize::new(0);
        runner.run(&prop::collection::vec(turn(), 1..60), |turns| {
            let run = runs.fetch_add(1, Ordering::Relaxed);
            handle.block_on(take_turns(&front, &other, run, turns))
        })
    };
    tokio::task::spawn_blocking(check).await.unwrap().unwrap();
}

async fn take_turns(
    front: &Front,
    other: &RedisCounters,
    run: usize,
    turns: Vec<Turn>,
) -> Result<(), TestCaseError> {
    let sidecars = [&front.counters, other];
    let customer = format!("run{run}");
    let grants = grant(15);
    let (mut quota, mut credits) = (0, 0);
    let mut charges: Vec<(Charge, bool)> = Vec::new();
    // What is lost with Redis is only known again once a sidecar that saw it has asked: here each sees everything.
    let see = async |quota: u64, credits: u64| {
        for counters in sidecars {
            let request = Spend {
                customer: &customer,
                cost: 0,
                limit: Some(20),
                grants: &grants,
                ..PLAIN
            };
            let seen = counters.spend(&request).await.unwrap();
            let left = seen.credits.unwrap().left;
            prop_assert_eq!((seen.used, left), (quota, 15 - credits));
        }
        Ok(())
    };
    for turn in turns {
        match turn {
            Turn::Flush => front.redis.flush().await.unwrap(),
            Turn::Spend { cost, by } => {
                let request = Spend {
                    customer: &customer,
                    cost,
                    limit: Some(20),
                    grants: &grants,
                    ..PLAIN
                };
                let outcome = sidecars[by].spend(&request).await.unwrap();
                let over = cost - cost.min(20 - quota);
                let fits = over <= 15 - credits;
                prop_assert_eq!(outcome.decision == Decision::Admitted, fits);
                if fits {
                    (quota, credits) = (quota + cost - over, credits + over);
                    let id = format!("charge{}", charges.len());
                    let made = charge(front, &customer, &id, cost - over, over).await;
                    prop_assert_eq!(&made.credits, &outcome.drawn);
                    charges.push((made, false));
                }
            }
            Turn::GiveBack { which, by } => {
                let Some((charge, given)) = charges.get_mut(which) else {
                    continue;
                };
                // An id that Redis has lost may be given back again: sidecars ask again only for want of an answer.
                if *given {
                    continue;
                }
                let answer = sidecars[by].give_back(charge).await.unwrap();
                prop_assert_eq!(answer, GivenBack::Now);
                let again = sidecars[1 - by].give_back(charge).await.unwrap();
                prop_assert_eq!(again, GivenBack::Before);
                *given = true;
                let drawn: u64 = charge.credits.iter().map(|drawn| drawn.credits).sum();
                (quota, credits) = (quota - charge.calls, credits - drawn);
            }
        }
        see(quota, credits).await?;
    }
    Ok(())
}
