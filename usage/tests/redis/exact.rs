//! Exactly the limit: many sidecars at once, and random requests against a plain sum.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use glyph_usage::{Counters, Decision, MAX_COUNT, Rate, Spend};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::support::{Front, MONTH, PLAIN, RELAXED, connect, front};

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
                *sum = MAX_COUNT.min(*sum + if fits { cost } else { 0 });

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
