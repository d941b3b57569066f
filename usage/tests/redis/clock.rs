//! A Redis whose clock is wrong, or is set: it decides no month, and nothing that was counted is lost by it.

use std::time::Duration;

use glyph_harness::{MovedClock, Redis};
use glyph_usage::{Counters, Decision, Grant, Period, Rate, Spend};

use crate::support::{PLAIN, RELAXED, front_of, redis_now};

/// CASE 55: a month's edge by Redis' clock, a second and five on either side of it: the month is the caller's to name,
/// and both months' counters live through it.
#[tokio::test]
async fn a_redis_whose_clock_is_off_around_a_months_edge_counts_each_month_exactly() {
    let clock = MovedClock::start().await.unwrap();
    let redis = Redis::start_by(&clock, &[]).await.unwrap();
    let edge = redis_now(&redis).await + 100;
    let front = front_of(redis, RELAXED).await;
    let months = [(edge - 2_678_400, edge), (edge, edge + 2_592_000)];
    let mut used = 0;
    for from_edge in [-5, -1, 0, 1, 5, -5] {
        let ahead = edge + from_edge - redis_now(&front.redis).await;
        clock.advance(ahead).unwrap();
        used += 1;
        for (start, end) in months {
            let request = Spend {
                period: Period { start, end },
                limit: Some(6),
                ..PLAIN
            };
            let outcome = front.counters.spend(&request).await.unwrap();
            let seen = (outcome.decision, outcome.used);
            assert_eq!(seen, (Decision::Admitted, used), "{from_edge}");
        }
    }
    for (start, end) in months {
        let request = Spend {
            period: Period { start, end },
            limit: Some(6),
            ..PLAIN
        };
        let outcome = front.counters.spend(&request).await.unwrap();
        assert_eq!(outcome.decision, Decision::QuotaExceeded);
    }
}

/// CASE 55: set back by five seconds, it makes nobody wait longer than the rate limit itself would.
#[tokio::test]
async fn a_clock_set_back_locks_no_key_out_for_longer_than_its_burst() {
    let clock = MovedClock::start().await.unwrap();
    let redis = Redis::start_by(&clock, &[]).await.unwrap();
    let front = front_of(redis, RELAXED).await;
    let rate = Some(Rate {
        requests_per_second: 2,
        burst: 2,
    });
    let request = Spend { rate, ..PLAIN };
    while front.counters.spend(&request).await.unwrap().decision == Decision::Admitted {}
    for seconds in [-5, 5, -3600] {
        clock.advance(seconds).unwrap();
        let outcome = front.counters.spend(&request).await.unwrap();
        let full_after = outcome.rate.unwrap().full_after;
        assert!(full_after <= Duration::from_secs(1), "{outcome:?}");
        if let Decision::RateLimited { retry_after } = outcome.decision {
            assert!(retry_after <= Duration::from_millis(500), "{outcome:?}");
        }
    }
}

/// Months pass in mid-use: what is left of a grant that ends is lost, and the rest is neither lost nor given again.
#[tokio::test]
async fn a_year_without_a_request_forgets_no_credit_spent_and_ends_the_grants_that_end() {
    let clock = MovedClock::start().await.unwrap();
    let redis = Redis::start_by(&clock, &[]).await.unwrap();
    let now = redis_now(&redis).await;
    let front = front_of(redis, RELAXED).await;
    let grant = |id: &str, expires_at| Grant {
        id: id.into(),
        available: 5,
        floor: 0,
        returned: 0,
        expires_at,
    };
    let grants = [grant("ends", Some(now + 1000)), grant("stays", None)];
    let request = Spend {
        limit: Some(0),
        cost: 3,
        grants: &grants,
        ..PLAIN
    };
    let left = async || {
        let outcome = front.counters.spend(&request).await.unwrap();
        outcome.credits.unwrap().left
    };
    assert_eq!((left().await, left().await), (7, 4));
    clock.advance(366 * 86_400).unwrap();
    // Another sidecar, which has seen nothing: what Redis has kept is all there is.
    let (other, _keeper) = crate::support::connect(&front.redis, RELAXED).await;
    let outcome = other.spend(&request).await.unwrap();
    assert_eq!(outcome.credits.unwrap().left, 1);
    assert_eq!(left().await, 1, "three are not left any more");
}
