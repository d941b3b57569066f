//! The rules of the quota.

use super::{MONTH, PLAIN, Subject, spend, used};
use crate::Decision::{Admitted, QuotaExceeded};
use crate::{Counters, CountersError, Decision, MAX_BURST, MAX_COUNT, MAX_REQUESTS_PER_SECOND};
use crate::{Period, Rate, Spend};

/// A request of alice's under this limit.
const fn under(limit: u64) -> Spend<'static> {
    let limit = Some(limit);
    Spend { limit, ..PLAIN }
}

/// The same request with another cost.
const fn costing(cost: u64, request: Spend<'static>) -> Spend<'static> {
    Spend { cost, ..request }
}

/// The request is decided so, after which so many calls are used.
async fn check(subject: &impl Subject, request: Spend<'_>, decision: Decision, used: u64) {
    let outcome = spend(subject, request).await;
    let remaining = request.limit.map(|limit| limit.saturating_sub(used));
    let seen = (outcome.decision, outcome.used, outcome.remaining);
    assert_eq!(seen, (decision, used, remaining), "{request:?}");
}

/// The limit is a limit: not one less, not one more.
pub async fn exactly_the_limit_is_admitted_and_then_nothing(subject: &impl Subject) {
    for count in 1..=5 {
        check(subject, under(5), Admitted, count).await;
    }
    for _ in 0..3 {
        check(subject, under(5), QuotaExceeded, 5).await;
    }
    let customer = "bob";
    let nothing = Spend {
        customer,
        ..under(0)
    };
    check(subject, nothing, QuotaExceeded, 0).await;
    assert_eq!(used(subject, "alice", MONTH).await, 5);
    assert_eq!(used(subject, "bob", MONTH).await, 0);
}

/// A dear request that does not fit leaves room for a cheap one that does.
pub async fn a_cost_that_does_not_fit_is_refused_and_consumes_nothing(subject: &impl Subject) {
    check(subject, costing(11, under(10)), QuotaExceeded, 0).await;
    check(subject, costing(7, under(10)), Admitted, 7).await;
    check(subject, costing(4, under(10)), QuotaExceeded, 7).await;
    check(subject, costing(3, under(10)), Admitted, 10).await;
}

/// CASE 55: a second on either side of the edge, and clocks that differ, choose between two counters; each is exact.
pub async fn neighbouring_periods_are_counted_apart(subject: &impl Subject) {
    let (start, end) = (MONTH.end, MONTH.end + 2_678_400);
    let next = Period { start, end };
    let at = |period| Spend { period, ..under(2) };
    for count in [1, 2] {
        check(subject, at(MONTH), Admitted, count).await;
        check(subject, at(next), Admitted, count).await;
    }
    check(subject, at(MONTH), QuotaExceeded, 2).await;
    check(subject, at(next), QuotaExceeded, 2).await;
    let end = MONTH.end + 1;
    let prolonged = Period { end, ..MONTH };
    check(subject, at(prolonged), QuotaExceeded, 2).await;
}

/// CASE 55: raised, lowered below what is used (no underflow), taken away and back.
pub async fn a_limit_changed_while_live_keeps_what_was_used(subject: &impl Subject) {
    for count in 1..=4 {
        check(subject, under(4), Admitted, count).await;
    }
    check(subject, under(4), QuotaExceeded, 4).await;
    check(subject, under(5), Admitted, 5).await;
    check(subject, under(2), QuotaExceeded, 5).await;
    check(subject, PLAIN, Admitted, 6).await;
    check(subject, under(7), Admitted, 7).await;
}

/// Without a limit there is still something to show on the bill.
pub async fn unlimited_use_is_counted(subject: &impl Subject) {
    check(subject, costing(41, PLAIN), Admitted, 41).await;
    check(subject, PLAIN, Admitted, 42).await;
    assert_eq!(used(subject, "alice", MONTH).await, 42);
}

/// CASE 53: what a checkpoint knows is the least that was used.
pub async fn a_floor_raises_the_counter_and_never_lowers_it(subject: &impl Subject) {
    let from = |floor| Spend { floor, ..under(10) };
    check(subject, from(7), Admitted, 8).await;
    check(subject, from(3), Admitted, 9).await;
    check(subject, from(12), QuotaExceeded, 12).await;
    let kept = used(subject, "alice", MONTH).await;
    assert_eq!(kept, 12, "a refusal keeps the floor too");
}

/// No rounding up to the largest limit, and no wrap beyond it.
pub async fn counts_up_to_two_to_the_53_are_exact(subject: &impl Subject) {
    let most = under(MAX_COUNT);
    let nearly = MAX_COUNT - 2;
    check(subject, costing(nearly, most), Admitted, nearly).await;
    check(subject, costing(3, most), QuotaExceeded, nearly).await;
    check(subject, costing(MAX_COUNT, most), QuotaExceeded, nearly).await;
    check(subject, most, Admitted, MAX_COUNT - 1).await;
    check(subject, most, Admitted, MAX_COUNT).await;
    check(subject, most, QuotaExceeded, MAX_COUNT).await;
    // Unlimited use stops at the highest count.
    check(subject, PLAIN, Admitted, MAX_COUNT).await;
    assert_eq!(used(subject, "alice", MONTH).await, MAX_COUNT);
}

/// Nothing that would be counted wrongly is counted at all.
pub async fn what_cannot_be_counted_is_refused(subject: &impl Subject) {
    let named = |customer, key_id| Spend {
        customer,
        key_id,
        ..PLAIN
    };
    let floor = MAX_COUNT + 1;
    let at = |start, end| {
        let period = Period { start, end };
        Spend { period, ..PLAIN }
    };
    let rated = |requests_per_second, burst| {
        let rate = Some(Rate {
            requests_per_second,
            burst,
        });
        Spend { rate, ..PLAIN }
    };
    let wrong = [
        [named("", "key"), named("a}b", "key"), named("alice", "")],
        [
            costing(MAX_COUNT + 1, PLAIN),
            under(MAX_COUNT + 1),
            Spend { floor, ..PLAIN },
        ],
        [at(5, 5), at(-1, 5), at(5, i64::MAX)],
        [
            rated(0, 1),
            rated(MAX_REQUESTS_PER_SECOND + 1, 1),
            rated(1, 0),
        ],
        [
            rated(1, MAX_BURST + 1),
            named("alice", "{key"),
            named("{", "key"),
        ],
    ];
    for request in wrong.into_iter().flatten() {
        let answer = subject.counters().spend(&request).await;
        let refused = matches!(answer, Err(CountersError::Invalid(_)));
        assert!(refused, "{request:?}: {answer:?}");
    }
    let answer = subject.counters().used("", MONTH).await;
    assert!(
        matches!(answer, Err(CountersError::Invalid(_))),
        "{answer:?}"
    );
    assert_eq!(used(subject, "alice", MONTH).await, 0);
}

/// CASE 57 within one process: one customer, many keys, all at once.
pub async fn many_parallel_spenders_get_exactly_the_limit(subject: &impl Subject) {
    let spenders: Vec<_> = (0..20)
        .map(|spender| {
            let counters = subject.counters();
            tokio::spawn(async move {
                let key_id = format!("key{}", spender % 3);
                let mut admitted = 0;
                for _ in 0..25 {
                    let request = Spend {
                        key_id: &key_id,
                        limit: Some(100),
                        ..PLAIN
                    };
                    let outcome = counters.spend(&request).await.expect("an outcome");
                    admitted += u64::from(outcome.decision == Admitted);
                }
                admitted
            })
        })
        .collect();
    let mut admitted = 0;
    for spender in spenders {
        admitted += spender.await.expect("a spender that ends");
    }
    assert_eq!((admitted, used(subject, "alice", MONTH).await), (100, 100));
}
