//! Credits past the quota: which are offered to the counters, and what the caller is told of them.

use glyph_usage::Credits;

use super::*;
use crate::fixtures::grant;

/// The usual world, where customers on the default tier have 100 calls and then credits.
fn with_credits() -> World {
    let mut world = World::usual();
    let spec = json!({"quota": {"requests": 100}, "overQuota": "Credits"});
    world.apply(Kind::Tier, tier("free", spec));
    world
}

/// The grants that a request of ada's can draw on, by their ids.
fn drawn_on(world: &World) -> Vec<String> {
    let admission = admitted(world);
    let ids = admission.spend().grants.iter();
    ids.map(|grant| grant.id.to_string()).collect()
}

#[test]
fn grants_are_offered_as_they_expire_then_as_they_were_given_then_by_uid() {
    let mut world = with_credits();
    let ends = |end: &str| json!({"spec": {"expiresAt": end}});
    let made = |at: &str| json!({"metadata": {"creationTimestamp": at}});
    for (name, more) in [
        ("never-b", json!({})),
        ("never-a", json!({})),
        ("never-old", made("2025-01-01T00:00:00Z")),
        ("late", ends("2027-01-01T00:00:00Z")),
        ("soon", ends("2026-12-01T00:00:00Z")),
        // By a clock that may be wrong; the counters' own will say.
        ("ended-just-now", ends("2026-11-23T11:59:55Z")),
        ("ended", ends("2026-11-23T11:58:00Z")),
    ] {
        world.apply(Kind::Grant, grant(name, "ada", 5, more));
    }
    world.apply(Kind::Grant, grant("not-hers", "eve", 5, json!({})));
    let expected = [
        "uid-ended-just-now",
        "uid-soon",
        "uid-late",
        "uid-never-old",
        "uid-never-a",
        "uid-never-b",
    ];
    assert_eq!(drawn_on(&world), expected);
}

#[test]
fn a_grant_is_what_was_given_without_what_was_taken_back_from_its_checkpoint_on() {
    let mut world = with_credits();
    let seen = |world: &World| {
        let admission = admitted(world);
        let grants = admission.spend().grants.iter();
        let numbers = grants.map(|grant| (grant.available, grant.floor));
        numbers.collect::<Vec<_>>()
    };
    let status = |used, taken_back| json!({"status": {"used": used, "takenBack": taken_back}});
    for (more, expected) in [
        (json!({}), vec![(10, 0)]),
        (status(4, 0), vec![(10, 4)]),
        (status(4, 3), vec![(7, 4)]),
        // Nothing can be left: used, taken back, taken back below what is used, more than there is.
        (status(10, 0), vec![]),
        (status(0, 10), vec![]),
        (status(4, 8), vec![]),
        (status(0, i64::MAX), vec![]),
        (status(4, 0), vec![(10, 4)]),
        (
            json!({"metadata": {"deletionTimestamp": "2026-11-23T12:00:00Z"}}),
            vec![],
        ),
    ] {
        world.apply(Kind::Grant, grant("g", "ada", 10, more.clone()));
        assert_eq!(seen(&world), expected, "{more}");
    }
}

#[test]
fn only_a_tier_with_a_quota_and_over_quota_credits_offers_grants() {
    let mut world = with_credits();
    world.apply(Kind::Grant, grant("g", "ada", 10, json!({})));
    for (spec, offered) in [
        (
            json!({"quota": {"requests": 5}, "overQuota": "Credits"}),
            true,
        ),
        (
            json!({"quota": {"requests": 0}, "overQuota": "Credits"}),
            true,
        ),
        (json!({"overQuota": "Credits"}), false),
        (
            json!({"quota": {"requests": 5}, "overQuota": "Deny"}),
            false,
        ),
        (
            json!({"quota": {"requests": 5}, "overQuota": "Meter"}),
            false,
        ),
        (json!({"quota": {"requests": 5}}), false),
    ] {
        world.apply(Kind::Tier, tier("free", spec.clone()));
        assert_eq!(!drawn_on(&world).is_empty(), offered, "{spec}");
    }
}

#[test]
fn a_suspended_customer_spends_no_credits() {
    let mut world = with_credits();
    world.apply(Kind::Grant, grant("g", "ada", 10, json!({})));
    let suspended = json!({"spec": {"suspended": true}});
    world.apply(Kind::Customer, customer("ada", suspended));
    assert_eq!(denied(&world, &request()).code(), Code::Suspended);
}

#[test]
fn credits_taken_and_left_are_told_and_a_refusal_says_what_is_left_and_what_to_do() {
    let mut world = with_credits();
    world.policy.billing_url = Some("https://billing.example".into());
    let counted = |decision, used, taken, left| {
        let Counted::Judged(judged) = outcome(decision, used) else {
            unreachable!()
        };
        let credits = Some(Credits { taken, left });
        Counted::Judged(Outcome { credits, ..judged })
    };
    let passed = counted(Decision::Admitted, 100, 2, 7);
    let permit = admitted(&world).settle(passed).unwrap();
    let limits = permit.limits();
    assert_eq!((permit.credits_taken(), limits.credits), (2, Some(7)));

    let refused = |used, left, cost: &'static [u8]| {
        let request = RequestView {
            cost: Some(cost),
            ..request()
        };
        let admission = metered(&request, world.basis()).ok().unwrap();
        let counted = counted(Decision::QuotaExceeded, used, 0, left);
        let denial = admission.settle(counted).unwrap_err();
        assert_eq!(denial.code(), Code::QuotaExceeded);
        denial.detail().to_owned()
    };
    let more = "more come at 2026-12-01T00:00:00Z, or at once by buying credits or upgrading at \
                https://billing.example.";
    assert_eq!(
        refused(100, 0, b"1"),
        format!("All 100 calls of this month and all credits are used; {more}")
    );
    assert_eq!(
        refused(98, 2, b"5"),
        format!("This request takes 5 calls; 2 of this month and 2 credits are left; {more}")
    );
    assert_eq!(
        refused(100, 4, b"5"),
        format!("This request takes 5 calls; 0 of this month and 4 credits are left; {more}")
    );
}
