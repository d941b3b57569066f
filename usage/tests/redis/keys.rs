//! What is kept in Redis: keys that end, and values that only we write.

use glyph_usage::{Counters, CountersError, Decision, Period, Rate, Spend};

use crate::support::{PLAIN, RELAXED, connect, front, int};

const RATE: Rate = Rate {
    requests_per_second: 1,
    burst: 100,
};
const QUOTA_KEY: &str = "glyph:{alice}:quota:4000000000";
const RATE_KEY: &str = "glyph:{alice}:rate:key";

/// CASE 52.
#[tokio::test]
async fn every_counter_has_an_end_and_an_immortal_one_is_given_one_also_by_a_refusal() {
    let front = front(RELAXED).await;
    let request = Spend {
        limit: Some(2),
        rate: Some(RATE),
        ..PLAIN
    };
    let ttl = async |key| {
        int(&front
            .redis
            .command_line(&format!("TTL {key}"))
            .await
            .unwrap())
    };
    let ends = async |when: &str| {
        let (quota, rate) = (ttl(QUOTA_KEY).await, ttl(RATE_KEY).await);
        // Seven days after the period, which ends in a distant year, and once the burst is whole again.
        assert!(
            quota > 7 * 86_400 && (0..=100).contains(&rate),
            "{when}: {quota} {rate}"
        );
    };
    // Half the burst, so that the rate's key does not end by itself meanwhile.
    for _ in 0..50 {
        let free = Spend { cost: 0, ..request };
        front.counters.spend(&free).await.unwrap();
    }
    front.counters.spend(&request).await.unwrap();
    ends("after the first request").await;

    for used in [2, 2] {
        for key in [QUOTA_KEY, RATE_KEY] {
            assert_eq!(
                front
                    .redis
                    .command_line(&format!("PERSIST {key}"))
                    .await
                    .unwrap(),
                ":1"
            );
        }
        let outcome = front.counters.spend(&request).await.unwrap();
        assert_eq!(outcome.used, used);
        ends(&format!("after {:?}", outcome.decision)).await;
    }
}

#[tokio::test]
async fn a_counter_of_a_period_that_has_ended_lives_on_while_it_is_used() {
    let front = front(RELAXED).await;
    let period = Period {
        start: 1_000_000_000,
        end: 1_002_592_000,
    };
    let request = Spend {
        limit: Some(1),
        period,
        ..PLAIN
    };
    assert_eq!(
        front.counters.spend(&request).await.unwrap().decision,
        Decision::Admitted
    );
    assert_eq!(
        connect(&front.redis, RELAXED)
            .await
            .0
            .spend(&request)
            .await
            .unwrap()
            .decision,
        Decision::QuotaExceeded
    );
}

#[tokio::test]
async fn a_counter_overwritten_by_hand_fails_for_its_customer_and_for_no_other() {
    let front = front(RELAXED).await;
    assert_eq!(
        front
            .redis
            .command_line(&format!("SET {QUOTA_KEY} lots"))
            .await
            .unwrap(),
        "+OK"
    );
    for _ in 0..10 {
        let answer = front.counters.spend(&PLAIN).await;
        assert!(
            matches!(answer, Err(CountersError::Failed(_))),
            "{answer:?}"
        );
    }
    front
        .counters
        .spend(&Spend {
            customer: "bob",
            ..PLAIN
        })
        .await
        .unwrap();
}
