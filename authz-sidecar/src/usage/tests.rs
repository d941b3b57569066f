//! What becomes of log entries, with the counters in memory.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use glyph_runtime::clock::ManualClock;
use glyph_usage::{
    Batch, CreditsUsed, GivenBack, MemoryCounters, Outcome, Period, Spend, Unavailable, UsageRow,
};

use super::*;

const NOW: i64 = 1_800_000_000;
const PERIOD: Period = Period {
    start: NOW - 10,
    end: NOW + 1_000_000,
};

/// Counters whose answers get lost while they are `late`: they have counted all the same.
struct Late {
    memory: MemoryCounters,
    late: AtomicBool,
}

impl Late {
    fn new() -> Self {
        Self {
            memory: MemoryCounters::new(|| NOW as u64 * 1_000_000),
            late: AtomicBool::new(false),
        }
    }

    fn answer<T>(&self, answer: Result<T, CountersError>) -> Result<T, CountersError> {
        if self.late.load(Ordering::Relaxed) {
            Err(CountersError::Unavailable(Unavailable::ConnectionLost))
        } else {
            answer
        }
    }
}

impl Counters for Late {
    async fn spend(&self, spend: &Spend<'_>) -> Result<Outcome, CountersError> {
        self.memory.spend(spend).await
    }

    async fn give_back(&self, charge: &Charge) -> Result<GivenBack, CountersError> {
        self.answer(self.memory.give_back(charge).await)
    }

    async fn used(&self, customer: &str, period: Period) -> Result<u64, CountersError> {
        self.memory.used(customer, period).await
    }

    async fn used_credits(
        &self,
        customers: &[&str],
    ) -> Result<Vec<BTreeMap<String, CreditsUsed>>, CountersError> {
        self.memory.used_credits(customers).await
    }

    async fn add_usage(&self, batch: &Batch) -> Result<bool, CountersError> {
        self.answer(self.memory.add_usage(batch).await)
    }

    async fn usage_of(
        &self,
        customer: &str,
        from: i64,
        to: i64,
        step: Step,
    ) -> Result<Vec<UsageRow>, CountersError> {
        self.memory.usage_of(customer, from, to, step).await
    }
}

fn clock() -> ManualClock {
    ManualClock::new(Timestamp::from_second(NOW).unwrap())
}

fn usage() -> (Usage, Charges) {
    Usage::new(UsageSource::AccessLog, "source".to_owned())
}

fn logged(status: u64, began: i64) -> Logged<'static> {
    Logged {
        status,
        began: began as u64,
        ..Logged::default()
    }
}

fn receipt(charge: Option<&str>) -> Receipt {
    Receipt {
        refused: false,
        whose: Some(("uid".to_owned(), "key".to_owned())),
        endpoint: "items".to_owned(),
        charge: charge.map(|id| Charge {
            customer: "uid".into(),
            id: id.to_owned(),
            at: NOW,
            period: PERIOD,
            calls: 1,
            credits: Vec::new(),
        }),
    }
}

async fn rows(counters: &Late) -> Vec<(i64, String, u64)> {
    let rows = counters.usage_of("uid", NOW - 7200, NOW + 7200, Step::Hour);
    let row = |row: UsageRow| {
        (
            row.start - Step::Hour.start_of(NOW),
            row.line.class,
            row.requests,
        )
    };
    rows.await.unwrap().into_iter().map(row).collect()
}

#[tokio::test]
async fn a_request_is_counted_in_the_hour_it_began_in_unless_that_cannot_be_believed() {
    let (usage, _charges) = usage();
    let hour = NOW - Step::Hour.start_of(NOW);
    for began in [NOW - hour - 1, NOW, NOW + 5, 0, NOW - 9999] {
        usage.ended(&logged(200, began), receipt(None), NOW);
    }
    let counters = Late::new();
    usage.flush(&counters, &clock()).await;
    let expected = [(-3600, "2xx".to_owned(), 1), (0, "2xx".to_owned(), 4)];
    assert_eq!(rows(&counters).await, expected);
}

#[tokio::test]
async fn an_answer_that_is_lost_is_asked_for_again_and_nothing_counts_twice() {
    let (usage, _charges) = usage();
    let counters = Late::new();
    counters.late.store(true, Ordering::Relaxed);
    usage.ended(&logged(200, NOW), receipt(None), NOW);
    usage.flush(&counters, &clock()).await;
    usage.ended(&logged(200, NOW), receipt(None), NOW);
    usage.flush(&counters, &clock()).await;
    counters.late.store(false, Ordering::Relaxed);
    for _ in 0..3 {
        usage.flush(&counters, &clock()).await;
    }
    assert_eq!(rows(&counters).await, [(0, "2xx".to_owned(), 2)]);
    assert!(usage.outbox().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_failed_call_is_given_back_once_whatever_becomes_of_the_answer() {
    let (usage, charges) = usage();
    let counters = Late::new();
    let request = Spend {
        customer: "uid",
        key_id: "key",
        cost: 3,
        period: PERIOD,
        limit: Some(3),
        floor: 0,
        rate: None,
        grants: &[],
    };
    counters.spend(&request).await.unwrap();
    for (id, status) in [
        ("one", 200),
        ("two", 404),
        ("three", 0),
        ("four", 503),
        ("four", 503),
    ] {
        usage.ended(&logged(status, NOW), receipt(Some(id)), NOW);
    }
    counters.late.store(true, Ordering::Relaxed);
    usage.served.close();
    let found = async {
        sleep(AGAIN * 2).await;
        counters.late.store(false, Ordering::Relaxed);
    };
    let clock = clock();
    tokio::join!(usage.keep_giving_back(&counters, &clock, charges), found);
    assert_eq!(counters.used("uid", PERIOD).await.unwrap(), 2);
}

#[tokio::test]
async fn what_cannot_be_believed_counts_nothing_and_gives_nothing_back() {
    let (usage, mut charges) = usage();
    let peppers = Peppers::parse("1:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=").unwrap();
    let now = Timestamp::from_second(NOW).unwrap();
    let mut forged = logged(503, NOW);
    forged.receipt = Some("receipt1 passed uid key items one 1800000000 1 2 1 - 00");
    for entry in [Ok(forged), Ok(logged(503, NOW)), Err(Malformed::Truncated)] {
        usage.logged(entry, &peppers, now);
    }
    assert!(usage.outbox().is_empty());
    assert!(charges.try_recv().is_err());
}

#[tokio::test]
async fn what_is_left_when_the_process_ends_reaches_redis() {
    let (usage, _charges) = usage();
    let counters = Late::new();
    usage.ended(&logged(200, NOW), receipt(None), NOW);
    usage.served.close();
    let hour = Duration::from_secs(3600);
    usage.keep_flushed(&counters, &clock(), hour).await;
    assert_eq!(rows(&counters).await, [(0, "2xx".to_owned(), 1)]);
}
