//! What every implementation of [`Counters`] must do, as tests generic over it. [`conformance_tests!`] runs them all.
//!
//! [`conformance_tests!`]: crate::conformance_tests

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::{Counters, CountersError, Decision, MAX_BURST, MAX_COUNT, MAX_REQUESTS_PER_SECOND};
use crate::{Outcome, Period, Rate, Spend};

/// An implementation under test, with nothing counted yet, and its time.
pub trait Subject {
    /// The implementation.
    type Counters: Counters;

    /// The counters. All calls give the same ones.
    fn counters(&self) -> Arc<Self::Counters>;

    /// Lets this much of the counters' time pass.
    fn pass(&self, time: Duration) -> impl Future<Output = ()>;
}

/// Makes one `#[tokio::test]` of each rule. The argument is an async block that gives a new [`Subject`].
#[macro_export]
macro_rules! conformance_tests {
    ($subject:expr) => {
        $crate::conformance_tests! { $subject;
            exactly_the_limit_is_admitted_and_then_nothing
            a_cost_that_does_not_fit_is_refused_and_consumes_nothing
            a_refusal_by_the_rate_limit_consumes_no_quota
            a_refusal_by_the_quota_consumes_no_rate
            a_burst_is_admitted_and_the_next_request_told_when_to_come_back
            the_burst_is_whole_again_after_the_time_told
            a_request_of_cost_zero_consumes_no_quota_but_is_rate_limited
            keys_share_their_customers_quota_and_have_a_rate_each
            customers_share_nothing
            neighbouring_periods_are_counted_apart
            a_limit_changed_while_live_keeps_what_was_used
            a_rate_limit_lowered_while_live_locks_nobody_out_longer_than_its_window
            unlimited_use_is_counted
            a_floor_raises_the_counter_and_never_lowers_it
            counts_up_to_two_to_the_53_are_exact
            what_cannot_be_counted_is_refused
            many_parallel_spenders_get_exactly_the_limit
        }
    };
    ($subject:expr; $($rule:ident)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $rule() {
            $crate::conformance::$rule(&$subject.await).await;
        }
    )*};
}

/// A month that has not ended, far from the present one.
const MONTH: Period = Period {
    start: 4_000_000_000,
    end: 4_002_678_400,
};

/// A request of cost 1 by the key `key` of the customer `alice`, without limits.
const PLAIN: Spend<'static> = Spend {
    customer: "alice",
    key_id: "key",
    cost: 1,
    period: MONTH,
    limit: None,
    floor: 0,
    rate: None,
};

/// A burst of 3, then one in a second.
const SLOW: Rate = Rate {
    requests_per_second: 1,
    burst: 3,
};

async fn spend(subject: &impl Subject, spend: Spend<'_>) -> Outcome {
    subject.counters().spend(&spend).await.expect("an outcome")
}

async fn used(subject: &impl Subject, customer: &str, period: Period) -> u64 {
    subject
        .counters()
        .used(customer, period)
        .await
        .expect("a count")
}

/// Spends until the rate limit says no: how many were admitted, what was said then, and how many intervals of a
/// second have begun meanwhile (on real time a slow machine may have earned more than the burst).
async fn exhaust(subject: &impl Subject, request: Spend<'_>) -> (u32, Duration, u32) {
    let start = Instant::now();
    for admitted in 0.. {
        let outcome = spend(subject, request).await;
        if let Decision::RateLimited { retry_after } = outcome.decision {
            assert_eq!(outcome.rate.map(|rate| rate.remaining), Some(0));
            return (admitted, retry_after, start.elapsed().as_secs() as u32 + 1);
        }
        assert_eq!(outcome.decision, Decision::Admitted);
    }
    unreachable!("the loop has no end of its own")
}

/// The limit is a limit: not one less, not one more.
pub async fn exactly_the_limit_is_admitted_and_then_nothing(subject: &impl Subject) {
    let request = Spend {
        limit: Some(5),
        ..PLAIN
    };
    for count in 1..=5 {
        let outcome = spend(subject, request).await;
        assert_eq!(outcome.decision, Decision::Admitted);
        assert_eq!(
            (outcome.used, outcome.remaining, outcome.rate),
            (count, Some(5 - count), None)
        );
    }
    for _ in 0..3 {
        let outcome = spend(subject, request).await;
        assert_eq!(
            (outcome.decision, outcome.used, outcome.remaining),
            (Decision::QuotaExceeded, 5, Some(0))
        );
    }
    assert_eq!(
        spend(
            subject,
            Spend {
                limit: Some(0),
                customer: "bob",
                ..PLAIN
            }
        )
        .await
        .used,
        0
    );
    assert_eq!(
        (
            used(subject, "alice", MONTH).await,
            used(subject, "bob", MONTH).await
        ),
        (5, 0)
    );
}

/// A dear request that does not fit leaves room for a cheap one that does.
pub async fn a_cost_that_does_not_fit_is_refused_and_consumes_nothing(subject: &impl Subject) {
    let request = Spend {
        limit: Some(10),
        ..PLAIN
    };
    assert_eq!(
        spend(
            subject,
            Spend {
                cost: 11,
                ..request
            }
        )
        .await
        .decision,
        Decision::QuotaExceeded
    );
    assert_eq!(spend(subject, Spend { cost: 7, ..request }).await.used, 7);
    let refused = spend(subject, Spend { cost: 4, ..request }).await;
    assert_eq!(
        (refused.decision, refused.used, refused.remaining),
        (Decision::QuotaExceeded, 7, Some(3))
    );
    let fits = spend(subject, Spend { cost: 3, ..request }).await;
    assert_eq!((fits.decision, fits.used), (Decision::Admitted, 10));
}

/// A customer who is too fast does not pay for being refused.
pub async fn a_refusal_by_the_rate_limit_consumes_no_quota(subject: &impl Subject) {
    let request = Spend {
        limit: Some(1000),
        rate: Some(SLOW),
        ..PLAIN
    };
    let (admitted, _, _) = exhaust(subject, request).await;
    assert_eq!(used(subject, "alice", MONTH).await, u64::from(admitted));
}

/// A customer without quota left does not become too fast by trying.
pub async fn a_refusal_by_the_quota_consumes_no_rate(subject: &impl Subject) {
    let request = Spend {
        limit: Some(1),
        rate: Some(Rate {
            requests_per_second: 1,
            burst: 100,
        }),
        ..PLAIN
    };
    spend(subject, request).await;
    for _ in 0..10 {
        let refused = spend(subject, request).await;
        assert_eq!(refused.decision, Decision::QuotaExceeded);
        assert!(
            refused.rate.is_some_and(|rate| rate.remaining >= 99),
            "{refused:?}"
        );
    }
}

/// GCRA: the burst at once, then a wait of at most one interval.
pub async fn a_burst_is_admitted_and_the_next_request_told_when_to_come_back(
    subject: &impl Subject,
) {
    let request = Spend {
        rate: Some(SLOW),
        ..PLAIN
    };
    let first = spend(subject, request).await;
    let rate = first.rate.expect("a rate");
    assert_eq!(rate.remaining, 2);
    assert!(
        rate.full_after > Duration::ZERO && rate.full_after <= Duration::from_secs(1),
        "{rate:?}"
    );

    let (admitted, retry_after, seconds) = exhaust(subject, request).await;
    assert!(
        admitted >= 2 && admitted < 2 + seconds + 1,
        "{admitted} in {seconds} s"
    );
    assert!(
        retry_after > Duration::ZERO && retry_after <= Duration::from_secs(1),
        "{retry_after:?}"
    );
    subject.pass(retry_after).await;
    assert_eq!(spend(subject, request).await.decision, Decision::Admitted);
}

/// After a pause the burst is there again, and no more than the burst.
pub async fn the_burst_is_whole_again_after_the_time_told(subject: &impl Subject) {
    let request = Spend {
        rate: Some(Rate {
            requests_per_second: 2,
            burst: 2,
        }),
        ..PLAIN
    };
    let mut full_after = Duration::ZERO;
    while let Outcome {
        decision: Decision::Admitted,
        rate: Some(rate),
        ..
    } = spend(subject, request).await
    {
        full_after = rate.full_after;
    }
    assert!(full_after <= Duration::from_secs(1), "{full_after:?}");
    subject.pass(full_after + Duration::from_secs(1)).await;
    let rate = spend(subject, request).await.rate;
    assert_eq!(rate.map(|rate| rate.remaining), Some(1));
}

/// Cost counts quota, requests count rate.
pub async fn a_request_of_cost_zero_consumes_no_quota_but_is_rate_limited(subject: &impl Subject) {
    let request = Spend {
        cost: 0,
        limit: Some(1),
        rate: Some(SLOW),
        ..PLAIN
    };
    assert_eq!(
        spend(
            subject,
            Spend {
                cost: 1,
                rate: None,
                ..request
            }
        )
        .await
        .used,
        1
    );
    let free = spend(
        subject,
        Spend {
            limit: Some(0),
            ..request
        },
    )
    .await;
    assert_eq!(
        (free.decision, free.used, free.remaining),
        (Decision::Admitted, 1, Some(0))
    );
    exhaust(subject, request).await;
    assert_eq!(used(subject, "alice", MONTH).await, 1);
}

/// The quota is the customer's, the rate is the key's.
pub async fn keys_share_their_customers_quota_and_have_a_rate_each(subject: &impl Subject) {
    let request = Spend {
        limit: Some(1000),
        rate: Some(SLOW),
        ..PLAIN
    };
    let (admitted, _, _) = exhaust(subject, request).await;
    let other = spend(
        subject,
        Spend {
            key_id: "other",
            ..request
        },
    )
    .await;
    assert_eq!(
        (other.decision, other.used),
        (Decision::Admitted, u64::from(admitted) + 1)
    );
    assert_eq!(other.rate.map(|rate| rate.remaining), Some(2));
}

/// One customer's use is not another's, also when their keys have the same id.
pub async fn customers_share_nothing(subject: &impl Subject) {
    let request = Spend {
        limit: Some(1),
        rate: Some(Rate {
            requests_per_second: 1,
            burst: 1,
        }),
        ..PLAIN
    };
    for customer in ["alice", "bob"] {
        assert_eq!(
            spend(
                subject,
                Spend {
                    customer,
                    ..request
                }
            )
            .await
            .decision,
            Decision::Admitted
        );
    }
}

/// CASE 55: a second on either side of the edge, and clocks that differ, choose between two counters; each is exact.
pub async fn neighbouring_periods_are_counted_apart(subject: &impl Subject) {
    let next = Period {
        start: MONTH.end,
        end: MONTH.end + 2_678_400,
    };
    let request = Spend {
        limit: Some(2),
        ..PLAIN
    };
    for period in [MONTH, next, MONTH, next] {
        assert_eq!(
            spend(subject, Spend { period, ..request }).await.decision,
            Decision::Admitted
        );
    }
    for period in [MONTH, next] {
        assert_eq!(
            spend(subject, Spend { period, ..request }).await.decision,
            Decision::QuotaExceeded
        );
    }
    let prolonged = Period {
        end: MONTH.end + 1,
        ..MONTH
    };
    assert_eq!(
        spend(
            subject,
            Spend {
                period: prolonged,
                ..request
            }
        )
        .await
        .used,
        2
    );
}

/// CASE 55: raised, lowered below what is used (no underflow), taken away and back.
pub async fn a_limit_changed_while_live_keeps_what_was_used(subject: &impl Subject) {
    let with = |limit| Spend { limit, ..PLAIN };
    for _ in 0..4 {
        spend(subject, with(Some(4))).await;
    }
    assert_eq!(
        spend(subject, with(Some(4))).await.decision,
        Decision::QuotaExceeded
    );
    assert_eq!(
        spend(subject, with(Some(5))).await.decision,
        Decision::Admitted
    );
    let lowered = spend(subject, with(Some(2))).await;
    assert_eq!(
        (lowered.decision, lowered.used, lowered.remaining),
        (Decision::QuotaExceeded, 5, Some(0))
    );
    assert_eq!(spend(subject, with(None)).await.used, 6);
    assert_eq!(spend(subject, with(Some(7))).await.used, 7);
}

/// CASE 55: what was admitted under a generous limit is not a debt under a strict one.
pub async fn a_rate_limit_lowered_while_live_locks_nobody_out_longer_than_its_window(
    subject: &impl Subject,
) {
    let generous = Rate {
        requests_per_second: 1,
        burst: 1000,
    };
    let strict = Rate {
        requests_per_second: 10,
        burst: 2,
    };
    for _ in 0..100 {
        spend(
            subject,
            Spend {
                rate: Some(generous),
                ..PLAIN
            },
        )
        .await;
    }
    let request = Spend {
        rate: Some(strict),
        ..PLAIN
    };
    let refused = spend(subject, request).await;
    let Decision::RateLimited { retry_after } = refused.decision else {
        unreachable!("{refused:?}")
    };
    assert!(retry_after <= Duration::from_millis(100), "{retry_after:?}");
    subject.pass(retry_after).await;
    assert_eq!(spend(subject, request).await.decision, Decision::Admitted);
}

/// Without a limit there is still something to show on the bill.
pub async fn unlimited_use_is_counted(subject: &impl Subject) {
    spend(subject, Spend { cost: 41, ..PLAIN }).await;
    let outcome = spend(subject, PLAIN).await;
    assert_eq!(
        (outcome.decision, outcome.used, outcome.remaining),
        (Decision::Admitted, 42, None)
    );
}

/// CASE 53: what a checkpoint knows is the least that was used.
pub async fn a_floor_raises_the_counter_and_never_lowers_it(subject: &impl Subject) {
    let request = Spend {
        limit: Some(10),
        ..PLAIN
    };
    assert_eq!(
        spend(
            subject,
            Spend {
                floor: 7,
                ..request
            }
        )
        .await
        .used,
        8
    );
    assert_eq!(
        spend(
            subject,
            Spend {
                floor: 3,
                ..request
            }
        )
        .await
        .used,
        9
    );
    let refused = spend(
        subject,
        Spend {
            floor: 12,
            ..request
        },
    )
    .await;
    assert_eq!(
        (refused.decision, refused.used, refused.remaining),
        (Decision::QuotaExceeded, 12, Some(0))
    );
    assert_eq!(
        used(subject, "alice", MONTH).await,
        12,
        "a refusal keeps the floor too"
    );
}

/// No rounding up to the largest limit, and no wrap beyond it.
pub async fn counts_up_to_two_to_the_53_are_exact(subject: &impl Subject) {
    let request = Spend {
        limit: Some(MAX_COUNT),
        ..PLAIN
    };
    assert_eq!(
        spend(
            subject,
            Spend {
                cost: MAX_COUNT - 2,
                ..request
            }
        )
        .await
        .used,
        MAX_COUNT - 2
    );
    assert_eq!(
        spend(subject, Spend { cost: 3, ..request }).await.decision,
        Decision::QuotaExceeded
    );
    assert_eq!(
        spend(
            subject,
            Spend {
                cost: MAX_COUNT,
                ..request
            }
        )
        .await
        .decision,
        Decision::QuotaExceeded
    );
    assert_eq!(spend(subject, request).await.used, MAX_COUNT - 1);
    assert_eq!(spend(subject, request).await.used, MAX_COUNT);
    assert_eq!(
        spend(subject, request).await.decision,
        Decision::QuotaExceeded
    );
    assert_eq!(
        spend(subject, PLAIN).await.used,
        MAX_COUNT,
        "unlimited use stops at the highest count"
    );
    assert_eq!(used(subject, "alice", MONTH).await, MAX_COUNT);
}

/// Nothing that would be counted wrongly is counted at all.
pub async fn what_cannot_be_counted_is_refused(subject: &impl Subject) {
    let rate = |requests_per_second, burst| {
        Some(Rate {
            requests_per_second,
            burst,
        })
    };
    let above = MAX_COUNT + 1;
    let wrong = [
        Spend {
            customer: "",
            ..PLAIN
        },
        Spend {
            customer: "a}b",
            ..PLAIN
        },
        Spend {
            key_id: "",
            ..PLAIN
        },
        Spend {
            cost: above,
            ..PLAIN
        },
        Spend {
            limit: Some(above),
            ..PLAIN
        },
        Spend {
            floor: above,
            ..PLAIN
        },
        Spend {
            period: Period { start: 5, end: 5 },
            ..PLAIN
        },
        Spend {
            period: Period { start: -1, end: 5 },
            ..PLAIN
        },
        Spend {
            rate: rate(0, 1),
            ..PLAIN
        },
        Spend {
            rate: rate(1, 0),
            ..PLAIN
        },
        Spend {
            rate: rate(MAX_REQUESTS_PER_SECOND + 1, 1),
            ..PLAIN
        },
        Spend {
            rate: rate(1, MAX_BURST + 1),
            ..PLAIN
        },
    ];
    for request in wrong {
        let answer = subject.counters().spend(&request).await;
        assert!(
            matches!(answer, Err(CountersError::Invalid(_))),
            "{request:?}: {answer:?}"
        );
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
                    admitted += u64::from(outcome.decision == Decision::Admitted);
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
