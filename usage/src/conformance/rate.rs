//! The rules of the rate limit, and what it and the quota leave of each other.

use std::time::{Duration, Instant};

use super::{MONTH, PLAIN, Subject, spend, used};
use crate::{Decision, Outcome, Rate, Spend};

/// A burst of 3, then one in a second.
const SLOW: Rate = Rate {
    requests_per_second: 1,
    burst: 3,
};

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
