//! What stands of a grant: the arithmetic of use, refunds, disputes and ends.

use serde_json::{Value, json};

use super::*;

const NOW: &str = "2026-01-01T00:00:00Z";

fn observed(credits: i64, changes: impl FnOnce(&mut Observed)) -> Observed {
    let spec = json!({"customerRef": {"name": "ada"}, "credits": credits,
        "source": {"type": "CheckoutSession", "id": "cs_1"}});
    let mut observed = Observed {
        now: NOW.parse().unwrap(),
        generation: Some(1),
        spec: serde_json::from_value(spec).unwrap(),
        status: CreditGrantStatus::default(),
        customer_exists: true,
        payment: None,
        counted: None,
    };
    changes(&mut observed);
    observed
}

fn settled(observed: &Observed) -> CreditGrantStatus {
    status(observed, &plan(observed)).status
}

fn counted(used: i64, returned: i64) -> Option<Counted> {
    Some(Counted { used, returned })
}

fn payment(value: Value) -> Option<CreditPurchaseStatus> {
    Some(serde_json::from_value(value).unwrap())
}

#[test]
fn a_grant_is_recorded_once_its_customer_exists() {
    let waiting = settled(&observed(5, |o| o.customer_exists = false));
    assert_eq!(waiting.state, None);
    assert_eq!(waiting.conditions[0].reason, reason::CUSTOMER_NOT_FOUND);
    let recorded = settled(&observed(5, |o| o.status = waiting));
    assert_eq!(recorded.state, Some(GrantState::Granted));
    assert_eq!(recorded.conditions[0].reason, reason::RECORDED);
}

#[test]
fn what_was_used_grows_and_is_never_lowered() {
    let used = settled(&observed(100, |o| o.counted = counted(40, 0)));
    assert_eq!((used.used, used.as_of.is_some()), (40, true));
    let lost = settled(&observed(100, |o| {
        o.counted = counted(0, 0);
        o.status = used.clone();
    }));
    assert_eq!(lost, used, "a counter that was lost changes nothing");
    let all = settled(&observed(100, |o| o.counted = counted(100, 0)));
    assert_eq!(all.state, Some(GrantState::Exhausted));
}

#[test]
fn what_was_given_back_can_be_used_again_and_is_never_owed() {
    let all = settled(&observed(100, |o| o.counted = counted(100, 0)));
    let back = settled(&observed(100, |o| {
        o.counted = counted(100, 30);
        o.status = all.clone();
    }));
    assert_eq!((back.used, back.returned), (100, 30));
    assert_eq!(back.state, Some(GrantState::Granted));
    let spec = observed(100, |_| ()).spec;
    assert_eq!(left(&spec, &back, NOW.parse().unwrap()), 30);
    let lost = settled(&observed(100, |o| {
        o.counted = counted(7, 3);
        o.status = back.clone();
    }));
    assert_eq!(lost, back, "a counter that was lost changes nothing");
    let refunded = settled(&observed(100, |o| {
        o.status = back;
        o.payment = payment(json!({"amountPaid": 1900, "amountRefunded": 1900}));
    }));
    assert_eq!((refunded.taken_back, refunded.owed), (100, 70));
}

#[test]
fn a_part_refunded_takes_its_part_back_rounded_up_and_a_whole_one_all() {
    let of = |refunded: i64| {
        let paid = json!({"amountPaid": 1900, "amountRefunded": refunded});
        taken_back(5000, &payment(paid).unwrap())
    };
    assert_eq!(
        [of(0), of(1), of(950), of(1899), of(1900), of(9999)],
        [0, 3, 2500, 4998, 5000, 5000]
    );
    let huge = payment(json!({"amountPaid": i64::MAX, "amountRefunded": i64::MAX})).unwrap();
    assert_eq!(taken_back(1_000_000_000_000, &huge), 1_000_000_000_000);
    let free = payment(json!({"amountPaid": 0, "amountRefunded": 7})).unwrap();
    assert_eq!(taken_back(5, &free), 0);
}

/// (CASE 34)
#[test]
fn a_refund_after_the_credits_are_spent_is_owed_and_nothing_underflows() {
    for used in [0, 1, 50, 99, 100] {
        for refunded in [0, 1, 50, 99, 100] {
            let now = settled(&observed(100, |o| {
                o.counted = counted(used, 0);
                o.payment = payment(json!({"amountPaid": 100, "amountRefunded": refunded}));
            }));
            let expected = (refunded, (used + refunded - 100).max(0));
            assert_eq!(
                (now.taken_back, now.owed),
                expected,
                "{used} used, {refunded} refunded"
            );
            let spec = observed(100, |_| ()).spec;
            let rest = left(&spec, &now, NOW.parse().unwrap());
            assert_eq!(rest, (100 - used - refunded).max(0));
        }
    }
}

#[test]
fn an_open_or_lost_dispute_takes_all_back_and_a_won_one_gives_it_back() {
    let mut grant = observed(100, |o| o.counted = counted(30, 0));
    for (disputed, taken, owed, state) in [
        ("None", 0, 0, GrantState::Granted),
        ("Open", 100, 30, GrantState::TakenBack),
        ("Won", 0, 0, GrantState::Granted),
        ("Lost", 100, 30, GrantState::TakenBack),
    ] {
        grant.payment = payment(json!({"amountPaid": 100, "disputed": disputed}));
        let now = settled(&grant);
        assert_eq!(
            (now.taken_back, now.owed, now.state),
            (taken, owed, Some(state)),
            "{disputed}"
        );
        grant.status = now;
    }
    grant.payment = None;
    assert_eq!(
        settled(&grant).taken_back,
        100,
        "a purchase that is gone changes nothing"
    );
}

#[test]
fn what_is_left_expires_at_its_end_and_not_before() {
    let mut grant = observed(100, |o| {
        o.spec.expires_at = Some(Time("2026-01-01T01:00:00Z".parse().unwrap()))
    });
    let before = status(&grant, &plan(&grant));
    assert_eq!(before.look_again, Some(Duration::from_secs(3600)));
    assert_eq!(before.status.state, Some(GrantState::Granted));
    grant.now = "2026-01-01T01:00:00Z".parse().unwrap();
    grant.status = before.status;
    let after = status(&grant, &plan(&grant));
    assert_eq!(
        (after.status.state, after.look_again),
        (Some(GrantState::Expired), None)
    );
    assert_eq!(left(&grant.spec, &after.status, grant.now), 0);
}

#[test]
fn a_balance_is_of_the_grants_that_stand() {
    let grant = |spec: Value, status: Value| -> CreditGrant {
        let mut whole =
            json!({"customerRef": {"name": "ada"}, "source": {"type": "Admin", "reason": "x"}});
        whole
            .as_object_mut()
            .unwrap()
            .extend(spec.as_object().unwrap().clone());
        let mut grant = CreditGrant::new("g", serde_json::from_value(whole).unwrap());
        grant.status = Some(serde_json::from_value(status).unwrap());
        grant
    };
    let mut deleted = grant(json!({"credits": 7}), json!({}));
    deleted.metadata.deletion_timestamp = Some(Time(NOW.parse().unwrap()));
    let all = [
        grant(json!({"credits": 100}), json!({"used": 30})),
        grant(
            json!({"credits": 100}),
            json!({"used": 80, "takenBack": 50, "owed": 30}),
        ),
        grant(
            json!({"credits": 100, "expiresAt": NOW}),
            json!({"used": 10}),
        ),
        deleted,
    ];
    assert_eq!(balance(&all, NOW.parse().unwrap()), (150, 110, 70));
}
