//! The rules of credits: what is past the quota, wholly or not at all, and never more than was granted.

use std::time::Duration;

use super::{MONTH, PLAIN, Subject, spend, used};
use crate::Decision::{Admitted, QuotaExceeded, RateLimited};
use crate::{Counters, CountersError, Credits, Decision, Grant, MAX_COUNT, MAX_GRANTS};
use crate::{Period, Rate, Spend};

/// A grant that never expires, of which nothing is known to be used.
fn grant(id: &str, available: u64) -> Grant {
    Grant {
        id: id.into(),
        available,
        floor: 0,
        returned: 0,
        expires_at: None,
    }
}

/// A request of alice's under this limit, with these grants.
fn under(limit: u64, cost: u64, grants: &[Grant]) -> Spend<'_> {
    let limit = Some(limit);
    Spend {
        limit,
        cost,
        grants,
        ..PLAIN
    }
}

/// The request is decided so; then so many calls are used, it has taken so many credits, and so many are left.
async fn check(
    subject: &impl Subject,
    request: Spend<'_>,
    decision: Decision,
    [used, taken, left]: [u64; 3],
) {
    let outcome = spend(subject, request).await;
    let credits = Some(Credits { taken, left });
    let seen = (outcome.decision, outcome.used, outcome.credits);
    assert_eq!(seen, (decision, used, credits), "{request:?}");
}

/// Alice's credits used, of these grants.
async fn credits_used<const N: usize>(subject: &impl Subject, ids: [&str; N]) -> [i64; N] {
    let counters = subject.counters();
    let all = counters.used_credits(&["alice"]).await.expect("credits");
    ids.map(|id| all[0].get(id).map_or(0, |counted| counted.used))
}

/// One decision over both: they are taken together, or neither is.
pub async fn what_the_quota_does_not_hold_is_taken_from_credits_wholly_or_not_at_all(
    subject: &impl Subject,
) {
    let grants = [grant("g", 10)];
    check(subject, under(5, 3, &grants), Admitted, [3, 0, 10]).await;
    check(subject, under(5, 6, &grants), Admitted, [5, 4, 6]).await;
    check(subject, under(5, 7, &grants), QuotaExceeded, [5, 0, 6]).await;
    check(subject, under(5, 6, &grants), Admitted, [5, 6, 0]).await;
    check(subject, under(5, 1, &grants), QuotaExceeded, [5, 0, 0]).await;
    // A higher limit is in force at once, and is used before credits.
    check(subject, under(6, 1, &grants), Admitted, [6, 0, 0]).await;
    assert_eq!(credits_used(subject, ["g"]).await, [10]);
    assert_eq!(spend(subject, under(6, 1, &[])).await.credits, None);
}

/// The caller says which is spent first; a request may be paid from several.
pub async fn grants_are_spent_in_the_order_given_and_counted_by_their_ids(subject: &impl Subject) {
    let grants = [grant("soon", 3), grant("late", 4), grant("never", 5)];
    check(subject, under(0, 2, &grants), Admitted, [0, 2, 10]).await;
    check(subject, under(0, 6, &grants), Admitted, [0, 6, 4]).await;
    let ids = ["soon", "late", "never"];
    assert_eq!(credits_used(subject, ids).await, [3, 4, 1]);
    // A grant that came later, and one that is gone, change nothing in the counts of the others.
    let changed = [grant("new", 1), grant("never", 5)];
    check(subject, under(0, 3, &changed), Admitted, [0, 3, 2]).await;
    let ids = ["soon", "late", "never", "new"];
    assert_eq!(credits_used(subject, ids).await, [3, 4, 3, 1]);
}

/// Expiry is the counters' to judge, for a caller's clock may be wrong.
pub async fn an_expired_grant_is_passed_over_and_comes_back_for_nobody(subject: &impl Subject) {
    let ended = subject.now().await;
    let expired = Grant {
        expires_at: Some(ended),
        ..grant("expired", 5)
    };
    let alive = Grant {
        expires_at: Some(MONTH.end),
        ..grant("alive", 2)
    };
    let grants = [expired.clone(), alive];
    check(subject, under(0, 3, &grants), QuotaExceeded, [0, 0, 2]).await;
    check(subject, under(0, 2, &grants), Admitted, [0, 2, 0]).await;
    check(subject, under(0, 1, &[expired]), QuotaExceeded, [0, 0, 0]).await;
    assert_eq!(credits_used(subject, ["expired", "alive"]).await, [0, 2]);
}

/// In mid-flight: what is left of it is lost, and the next grant pays.
pub async fn a_grant_that_expires_between_two_requests_is_not_spent_by_the_second(
    subject: &impl Subject,
) {
    let soon = Grant {
        expires_at: Some(subject.now().await + 3),
        ..grant("soon", 5)
    };
    let grants = [soon, grant("never", 5)];
    check(subject, under(0, 2, &grants), Admitted, [0, 2, 8]).await;
    subject.pass(Duration::from_secs(4)).await;
    check(subject, under(0, 6, &grants), QuotaExceeded, [0, 0, 5]).await;
    check(subject, under(0, 1, &grants), Admitted, [0, 1, 4]).await;
    assert_eq!(credits_used(subject, ["soon", "never"]).await, [2, 1]);
}

/// CASE 34: a refund after credits were spent is no underflow, and no debt to other grants.
pub async fn credits_taken_back_below_what_is_used_leave_nothing_and_owe_nothing(
    subject: &impl Subject,
) {
    let whole = [grant("refunded", 10), grant("other", 3)];
    check(subject, under(0, 7, &whole), Admitted, [0, 7, 6]).await;
    for available in [7, 4, 0] {
        let grants = [grant("refunded", available), grant("other", 3)];
        check(subject, under(0, 4, &grants), QuotaExceeded, [0, 0, 3]).await;
    }
    // A dispute that was won gives back what was not spent.
    check(subject, under(0, 6, &whole), Admitted, [0, 6, 0]).await;
    assert_eq!(credits_used(subject, ["refunded", "other"]).await, [10, 3]);
}

/// CASE 53: what a checkpoint knows is the least that was used.
pub async fn a_floor_raises_the_use_of_a_grant_and_never_lowers_it(subject: &impl Subject) {
    let from = |floor| {
        [Grant {
            floor,
            ..grant("g", 10)
        }]
    };
    check(subject, under(0, 1, &from(4)), Admitted, [0, 1, 5]).await;
    check(subject, under(0, 1, &from(2)), Admitted, [0, 1, 4]).await;
    check(subject, under(0, 3, &from(8)), QuotaExceeded, [0, 0, 2]).await;
    let kept = credits_used(subject, ["g"]).await;
    assert_eq!(kept, [8], "a refusal keeps the floor too");
    check(subject, under(0, 1, &from(12)), QuotaExceeded, [0, 0, 0]).await;
}

/// Credits are bought, not rented.
pub async fn a_new_period_gives_the_quota_again_and_no_credits(subject: &impl Subject) {
    let (start, end) = (MONTH.end, MONTH.end + 2_678_400);
    let next = Period { start, end };
    let grants = [grant("g", 5)];
    check(subject, under(2, 5, &grants), Admitted, [2, 3, 2]).await;
    let later = |cost| Spend {
        period: next,
        ..under(2, cost, &grants)
    };
    check(subject, later(1), Admitted, [1, 0, 2]).await;
    check(subject, later(3), Admitted, [2, 2, 0]).await;
    check(subject, later(1), QuotaExceeded, [2, 0, 0]).await;
    assert_eq!(used(subject, "alice", MONTH).await, 2);
}

/// There is nothing that they would have to pay for.
pub async fn without_a_limit_no_credits_are_taken(subject: &impl Subject) {
    let grants = [grant("g", 5)];
    let unlimited = Spend {
        limit: None,
        ..under(0, 100, &grants)
    };
    check(subject, unlimited, Admitted, [100, 0, 5]).await;
    assert_eq!(credits_used(subject, ["g"]).await, [0]);
}

/// The ends of what a request may cost.
pub async fn a_request_of_cost_zero_takes_no_credits_and_a_too_dear_one_none_either(
    subject: &impl Subject,
) {
    let grants = [grant("g", 5)];
    check(subject, under(0, 0, &grants), Admitted, [0, 0, 5]).await;
    let dearest = under(3, MAX_COUNT, &grants);
    check(subject, dearest, QuotaExceeded, [0, 0, 5]).await;
    check(subject, under(3, 8, &grants), Admitted, [3, 5, 0]).await;
    check(subject, under(3, 0, &grants), Admitted, [3, 0, 0]).await;
}

/// Who is too fast pays nothing for it, neither in quota nor in credits.
pub async fn a_refusal_by_the_rate_limit_takes_no_credits(subject: &impl Subject) {
    let grants = [grant("g", 1000)];
    let rate = Some(Rate {
        requests_per_second: 1,
        burst: 2,
    });
    let request = Spend {
        rate,
        ..under(1, 2, &grants)
    };
    let mut taken = 0;
    let refused = loop {
        let outcome = spend(subject, request).await;
        if outcome.decision != Admitted {
            break outcome;
        }
        taken += outcome.credits.map_or(0, |credits| credits.taken);
    };
    assert!(
        matches!(refused.decision, RateLimited { .. }),
        "{refused:?}"
    );
    let left = 1000 - taken;
    assert_eq!(refused.credits, Some(Credits { taken: 0, left }));
    assert_eq!(credits_used(subject, ["g"]).await, [taken as i64]);
}

/// No rounding up to the largest grant, and no wrap in the sum of several.
pub async fn credits_up_to_two_to_the_53_are_exact(subject: &impl Subject) {
    let grants = [grant("g", MAX_COUNT)];
    let nearly = MAX_COUNT - 2;
    check(subject, under(0, nearly, &grants), Admitted, [0, nearly, 2]).await;
    check(subject, under(0, 3, &grants), QuotaExceeded, [0, 0, 2]).await;
    check(subject, under(0, 1, &grants), Admitted, [0, 1, 1]).await;
    let three = [grant("g", MAX_COUNT), grant("h", MAX_COUNT), grant("i", 9)];
    let most = under(0, MAX_COUNT, &three);
    check(subject, most, Admitted, [0, MAX_COUNT, 10]).await;
    let [g, h, i] = credits_used(subject, ["g", "h", "i"]).await;
    assert_eq!([g, h, i], [MAX_COUNT as i64, nearly as i64 + 1, 0]);
}

/// Nothing that would be counted wrongly is counted at all.
pub async fn grants_that_cannot_be_counted_are_refused(subject: &impl Subject) {
    let floor = MAX_COUNT + 1;
    let many: Vec<_> = (0..=MAX_GRANTS)
        .map(|n| grant(&format!("g{n}"), 1))
        .collect();
    let wrong = [
        vec![grant("", 1)],
        vec![grant("g", MAX_COUNT + 1)],
        vec![Grant {
            floor,
            ..grant("g", 1)
        }],
        many.clone(),
    ];
    for grants in wrong {
        let answer = subject.counters().spend(&under(0, 1, &grants)).await;
        let refused = matches!(answer, Err(CountersError::Invalid(_)));
        assert!(refused, "{answer:?}");
    }
    let most = under(0, 200, &many[1..]);
    check(subject, most, Admitted, [0, 200, 56]).await;
    let answer = subject.counters().used_credits(&["alice", ""]).await;
    let refused = matches!(answer, Err(CountersError::Invalid(_)));
    assert!(refused, "{answer:?}");
}

/// CASE 57 within one process, across quota and three grants.
pub async fn many_parallel_spenders_get_exactly_quota_and_credits(subject: &impl Subject) {
    let spenders: Vec<_> = (0..8)
        .map(|spender| {
            let counters = subject.counters();
            tokio::spawn(async move {
                let key_id = format!("key{}", spender % 3);
                let grants = [grant("a", 20), grant("b", 7), grant("c", 23)];
                let (mut admitted, mut taken) = (0, 0);
                for _ in 0..25 {
                    let request = Spend {
                        key_id: &key_id,
                        ..under(50, 1, &grants)
                    };
                    let outcome = counters.spend(&request).await.expect("an outcome");
                    admitted += u64::from(outcome.decision == Admitted);
                    taken += outcome.credits.map_or(0, |credits| credits.taken);
                }
                (admitted, taken)
            })
        })
        .collect();
    let mut sums = (0, 0);
    for spender in spenders {
        let (admitted, taken) = spender.await.expect("a spender that ends");
        sums = (sums.0 + admitted, sums.1 + taken);
    }
    assert_eq!(sums, (100, 50));
    assert_eq!(used(subject, "alice", MONTH).await, 50);
    assert_eq!(credits_used(subject, ["a", "b", "c"]).await, [20, 7, 23]);
}

/// What the checkpoint asks for: in the order asked, empty for who has used none.
pub async fn credits_used_are_read_for_many_customers_at_once(subject: &impl Subject) {
    let grants = [grant("g", 5)];
    for customer in ["bob", "eve"] {
        let request = Spend {
            customer,
            ..under(0, 1, &grants)
        };
        check(subject, request, Admitted, [0, 1, 4]).await;
    }
    let names: Vec<_> = (0..1001).map(|n| format!("nobody{n}")).collect();
    let mut asked: Vec<_> = names.iter().map(String::as_str).collect();
    (asked[0], asked[700]) = ("eve", "bob");
    let all = subject.counters().used_credits(&asked).await.expect("all");
    assert_eq!(all.len(), 1001);
    for (n, of) in all.iter().enumerate() {
        let expected = (n == 0 || n == 700).then_some(1);
        assert_eq!(of.get("g").map(|counted| counted.used), expected, "{n}");
    }
    let none = subject.counters().used_credits(&[]).await.expect("none");
    assert!(none.is_empty());
}
