//! The in-memory twin: conformance, and random requests against the plainest model of quota and rate.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use glyph_usage::conformance::Subject;
use glyph_usage::{Counters, Decision, MemoryCounters, Outcome, Period, Rate, Spend};
use proptest::prelude::*;

struct Memory {
    counters: Arc<MemoryCounters>,
    micros: Arc<AtomicU64>,
}

fn memory() -> Memory {
    let micros = Arc::new(AtomicU64::new(1_800_000_000_000_000));
    let clock = micros.clone();
    let counters = Arc::new(MemoryCounters::new(move || clock.load(Ordering::Relaxed)));
    Memory { counters, micros }
}

impl Subject for Memory {
    type Counters = MemoryCounters;

    fn counters(&self) -> Arc<MemoryCounters> {
        self.counters.clone()
    }

    async fn now(&self) -> i64 {
        (self.micros.load(Ordering::Relaxed) / 1_000_000) as i64
    }

    async fn pass(&self, time: Duration) {
        self.micros
            .fetch_add(time.as_micros() as u64, Ordering::Relaxed);
    }
}

glyph_usage::conformance_tests!(async { memory() });

#[derive(Clone, Debug)]
struct Step {
    wait_ms: u64,
    customer: usize,
    key: usize,
    cost: u64,
    limit: Option<u64>,
    rate: Option<Rate>,
}

/// Rates whose interval is whole milliseconds, as the waits are: so the model below needs no rounding.
fn step() -> impl Strategy<Value = Step> {
    let rate = (prop::sample::select(vec![1, 2, 5, 10, 100]), 1_u32..6);
    let rate = rate.prop_map(|(requests_per_second, burst)| Rate {
        requests_per_second,
        burst,
    });
    let limit = prop::option::of(prop::sample::select(vec![0, 5, 20, 100]));
    (
        0_u64..300,
        0_usize..2,
        0_usize..2,
        0_u64..4,
        limit,
        prop::option::of(rate),
    )
        .prop_map(|(wait_ms, customer, key, cost, limit, rate)| Step {
            wait_ms,
            customer,
            key,
            cost,
            limit,
            rate,
        })
}

/// A token bucket in thousandths of a token, and a sum: what GCRA and the quota must come to.
#[derive(Default)]
struct Model {
    now_ms: u64,
    used: HashMap<usize, u64>,
    buckets: HashMap<(usize, usize), (u64, u64)>,
}

impl Model {
    fn decide(&mut self, step: &Step, rate: Option<Rate>) -> (bool, bool, u64) {
        self.now_ms += step.wait_ms;
        let used = self.used.entry(step.customer).or_default();
        let over = step.cost > 0 && step.limit.is_some_and(|limit| *used + step.cost > limit);
        let mut fast = false;
        if let Some(rate) = rate {
            let full = u64::from(rate.burst) * 1000;
            let (tokens, at) = self
                .buckets
                .entry((step.customer, step.key))
                .or_insert((full, self.now_ms));
            let earned = (self.now_ms - *at) * u64::from(rate.requests_per_second);
            (*tokens, *at) = ((*tokens + earned).min(full), self.now_ms);
            fast = *tokens < 1000;
            if !over && !fast {
                *tokens -= 1000;
            }
        }
        if !over && !fast {
            *used += step.cost;
        }
        (over, fast, *used)
    }
}

const CUSTOMERS: [&str; 2] = ["alice", "bob"];
const KEYS: [&str; 2] = ["one", "two"];

fn outcome(memory: &Memory, step: &Step, rate: Option<Rate>) -> Outcome {
    memory
        .micros
        .fetch_add(step.wait_ms * 1000, Ordering::Relaxed);
    let spend = Spend {
        customer: CUSTOMERS[step.customer],
        key_id: KEYS[step.key],
        cost: step.cost,
        period: Period { start: 0, end: 1 },
        limit: step.limit,
        floor: 0,
        rate,
        grants: &[],
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(memory.counters.spend(&spend)).unwrap()
}

proptest! {
    /// One rate limit for each run: how a changed one is carried over is another rule's matter.
    #[test]
    fn any_sequence_is_decided_as_a_sum_and_a_token_bucket_decide(
        steps in prop::collection::vec(step(), 1..200),
    ) {
        let memory = memory();
        let mut model = Model::default();
        let rate = steps[0].rate;
        for step in &steps {
            let (over, fast, used) = model.decide(step, rate);
            let outcome = outcome(&memory, step, rate);
            let expected = match outcome.decision {
                Decision::Admitted => !over && !fast,
                Decision::QuotaExceeded => over,
                Decision::RateLimited { .. } => !over && fast,
            };
            prop_assert!(expected, "{step:?} over {over} fast {fast}: {outcome:?}");
            prop_assert_eq!(outcome.used, used);
        }
    }

    /// Whatever limits come and go, time told to wait is enough, and never longer than one interval.
    #[test]
    fn whoever_waits_as_told_is_admitted(steps in prop::collection::vec(step(), 1..100)) {
        let memory = memory();
        for step in &steps {
            let step = Step { limit: None, ..step.clone() };
            let Decision::RateLimited { retry_after } = outcome(&memory, &step, step.rate).decision else { continue };
            let rate = step.rate.expect("only a rate limit limits the rate");
            prop_assert!(retry_after.as_micros() <= 1_000_000 / u128::from(rate.requests_per_second));
            memory.micros.fetch_add(retry_after.as_micros() as u64, Ordering::Relaxed);
            let again = Step { wait_ms: 0, ..step.clone() };
            prop_assert_eq!(outcome(&memory, &again, again.rate).decision, Decision::Admitted);
        }
    }
}
