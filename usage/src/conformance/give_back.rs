//! The rules of giving back: once, to where it came from, and never undone.

use std::sync::Arc;

use super::{MONTH, PLAIN, Subject, spend, used};
use crate::Decision::{Admitted, QuotaExceeded, RateLimited};
use crate::{Charge, Counters, CountersError, Drawn, GIVE_BACK_WITHIN, GivenBack, Grant};
use crate::{MAX_COUNT, Outcome, Rate, Spend};

fn grant(id: &str, available: u64) -> Grant {
    Grant {
        id: id.into(),
        available,
        floor: 0,
        returned: 0,
        expires_at: None,
    }
}

/// The charge of a request of alice's that was admitted just now.
async fn charge(
    subject: &impl Subject,
    id: &str,
    request: &Spend<'_>,
    outcome: &Outcome,
) -> Charge {
    let taken = outcome.credits.map_or(0, |credits| credits.taken);
    Charge {
        customer: request.customer.into(),
        id: id.to_owned(),
        at: subject.now().await,
        period: request.period,
        calls: request.cost - taken,
        credits: outcome.drawn.clone(),
    }
}

async fn spent(subject: &impl Subject, id: &str, request: Spend<'_>) -> Charge {
    let outcome = spend(subject, request).await;
    assert_eq!(outcome.decision, Admitted, "{request:?}");
    charge(subject, id, &request, &outcome).await
}

async fn give_back(subject: &impl Subject, charge: &Charge) -> GivenBack {
    let counters = subject.counters();
    counters.give_back(charge).await.expect("an answer")
}

/// Exactly once, and the limit is a limit as before.
pub async fn a_charge_given_back_can_be_spent_again_once(subject: &impl Subject) {
    let request = Spend {
        limit: Some(3),
        ..PLAIN
    };
    let first = spent(subject, "one", request).await;
    let second = spent(subject, "two", request).await;
    spent(subject, "three", request).await;
    assert_eq!(give_back(subject, &first).await, GivenBack::Now);
    for _ in 0..3 {
        assert_eq!(give_back(subject, &first).await, GivenBack::Before);
    }
    assert_eq!(used(subject, "alice", MONTH).await, 2);
    let again = spend(subject, request).await;
    let seen = (again.decision, again.used, again.remaining);
    assert_eq!(seen, (Admitted, 3, Some(0)));
    assert_eq!(spend(subject, request).await.decision, QuotaExceeded);
    assert_eq!(give_back(subject, &second).await, GivenBack::Now);
    assert_eq!(spend(subject, request).await.decision, Admitted);
    assert_eq!(spend(subject, request).await.decision, QuotaExceeded);
}

/// Credits are money: each goes back to its grant.
pub async fn what_is_given_back_goes_to_the_quota_and_the_grants_it_came_from(
    subject: &impl Subject,
) {
    let grants = [grant("a", 2), grant("b", 9)];
    let request = Spend {
        limit: Some(4),
        cost: 8,
        grants: &grants,
        ..PLAIN
    };
    let charge = spent(subject, "one", request).await;
    let drawn = |id: &str, credits| Drawn {
        grant: id.into(),
        credits,
    };
    assert_eq!(charge.credits, [drawn("a", 2), drawn("b", 2)]);
    assert_eq!(give_back(subject, &charge).await, GivenBack::Now);
    assert_eq!(give_back(subject, &charge).await, GivenBack::Before);
    let counters = subject.counters();
    let known = counters.used_credits(&["alice"]).await.expect("credits");
    for id in ["a", "b"] {
        let counted = known[0][id];
        assert_eq!((counted.used, counted.returned), (2, 2), "{id}");
    }
    let dearest = Spend {
        cost: 15,
        ..request
    };
    let all = spend(subject, dearest).await;
    let credits = all.credits.expect("credits");
    assert_eq!((all.decision, all.used), (Admitted, 4));
    assert_eq!((credits.taken, credits.left), (11, 0));
}

/// What is known to be used stays known, beside what was given back: a late checkpoint takes nothing away again.
pub async fn a_floor_never_undoes_what_was_given_back(subject: &impl Subject) {
    let from = |floor, returned| {
        [Grant {
            floor,
            returned,
            ..grant("g", 10)
        }]
    };
    let grants = from(0, 0);
    let request = Spend {
        limit: Some(5),
        cost: 9,
        grants: &grants,
        ..PLAIN
    };
    let charge = spent(subject, "one", request).await;
    assert_eq!(give_back(subject, &charge).await, GivenBack::Now);
    // Both checkpoints are of the moment before the charge was given back.
    let grants = from(4, 0);
    let later = Spend {
        floor: 5,
        cost: 0,
        grants: &grants,
        ..request
    };
    let outcome = spend(subject, later).await;
    let left = |outcome: &Outcome| outcome.credits.map(|credits| credits.left);
    assert_eq!((outcome.used, left(&outcome)), (0, Some(10)));
    // One that knows of more given back than is counted here: Redis has lost it.
    let grants = from(9, 6);
    let known = Spend {
        grants: &grants,
        ..later
    };
    assert_eq!(left(&spend(subject, known).await), Some(7));
}

/// A call that failed was made all the same.
pub async fn what_is_given_back_gives_no_rate_back(subject: &impl Subject) {
    let rate = Some(Rate {
        requests_per_second: 1,
        burst: 2,
    });
    let request = Spend { rate, ..PLAIN };
    let mut limited = false;
    for id in ["one", "two", "three", "four"] {
        let outcome = spend(subject, request).await;
        limited |= matches!(outcome.decision, RateLimited { .. });
        if outcome.decision == Admitted {
            let charge = charge(subject, id, &request, &outcome).await;
            assert_eq!(give_back(subject, &charge).await, GivenBack::Now);
        }
    }
    assert!(limited);
    assert_eq!(used(subject, "alice", MONTH).await, 0);
}

/// Ids are remembered for longer than that, so that none can come again.
pub async fn a_charge_is_given_back_for_an_hour_and_not_before_it_was_made(subject: &impl Subject) {
    let charge = spent(subject, "one", PLAIN).await;
    // A minute of slack: time passes meanwhile.
    let late = [GIVE_BACK_WITHIN + 60, -GIVE_BACK_WITHIN - 60];
    for (id, seconds) in ["late", "early"].into_iter().zip(late) {
        let other = Charge {
            id: id.to_owned(),
            at: charge.at - seconds,
            ..charge.clone()
        };
        assert_eq!(give_back(subject, &other).await, GivenBack::TooLate);
    }
    let nearly = Charge {
        at: charge.at - GIVE_BACK_WITHIN + 60,
        ..charge
    };
    assert_eq!(give_back(subject, &nearly).await, GivenBack::Now);
}

/// More given back than used, after a loss of Redis: never less than nothing is used.
pub async fn what_was_never_charged_gives_nobody_more_than_the_limit(subject: &impl Subject) {
    let now = subject.now().await;
    let credits = vec![Drawn {
        grant: "g".into(),
        credits: 5,
    }];
    let charge = Charge {
        customer: "alice".into(),
        id: "unknown".to_owned(),
        at: now,
        period: MONTH,
        calls: 2,
        credits,
    };
    assert_eq!(give_back(subject, &charge).await, GivenBack::Now);
    assert_eq!(used(subject, "alice", MONTH).await, 0);
    let grants = [grant("g", 3)];
    let request = Spend {
        limit: Some(1),
        cost: 4,
        grants: &grants,
        ..PLAIN
    };
    let dearer = Spend { cost: 5, ..request };
    assert_eq!(spend(subject, dearer).await.decision, QuotaExceeded);
    assert_eq!(spend(subject, request).await.decision, Admitted);
}

/// Nothing that would be given back wrongly is given back at all.
pub async fn charges_that_cannot_be_given_back_exactly_are_refused(subject: &impl Subject) {
    let good = spent(subject, "one", PLAIN).await;
    let drawn = |id: &str, credits| {
        vec![Drawn {
            grant: id.into(),
            credits,
        }]
    };
    let wrong = |change: &dyn Fn(&mut Charge)| {
        let mut charge = good.clone();
        change(&mut charge);
        charge
    };
    for charge in [
        wrong(&|charge| charge.id = String::new()),
        wrong(&|charge| charge.id = "#".to_owned()),
        wrong(&|charge| charge.customer = "".into()),
        wrong(&|charge| charge.customer = "a{b".into()),
        wrong(&|charge| charge.at = -1),
        wrong(&|charge| charge.period.end = charge.period.start),
        wrong(&|charge| charge.calls = MAX_COUNT + 1),
        wrong(&|charge| charge.credits = drawn("g", MAX_COUNT + 1)),
        wrong(&|charge| charge.credits = drawn("returned:g", 1)),
    ] {
        let answer = subject.counters().give_back(&charge).await;
        let refused = matches!(answer, Err(CountersError::Invalid(_)));
        assert!(refused, "{charge:?}: {answer:?}");
    }
}

/// Two sidecars, and a log that is sent twice: once.
pub async fn many_parallel_givers_give_each_charge_back_once(subject: &impl Subject) {
    let mut charges = Vec::new();
    for n in 0..20 {
        charges.push(spent(subject, &format!("charge{n}"), PLAIN).await);
    }
    let charges = Arc::new(charges);
    let givers: Vec<_> = (0..4)
        .map(|_| {
            let (counters, charges) = (subject.counters(), Arc::clone(&charges));
            tokio::spawn(async move {
                let mut given = 0;
                for charge in charges.iter() {
                    let answer = counters.give_back(charge).await.expect("an answer");
                    given += u64::from(answer == GivenBack::Now);
                }
                given
            })
        })
        .collect();
    let mut given = 0;
    for giver in givers {
        given += giver.await.expect("a giver that ends");
    }
    assert_eq!(given, 20);
    assert_eq!(used(subject, "alice", MONTH).await, 0);
}
