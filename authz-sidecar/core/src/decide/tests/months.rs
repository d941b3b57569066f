//! The edges of a month, and a quota that changes within one.

use super::*;

/// CASE 55.
#[test]
fn a_second_and_a_clock_five_seconds_off_around_a_months_edge_choose_the_month_and_nothing_else() {
    let mut world = World::usual();
    let month_at = |world: &World, time: &str| {
        let basis = Basis {
            now: at(time),
            ..world.basis()
        };
        let admission = authorize(&request(), basis).ok().unwrap();
        let period = admission.spend().period;
        assert!((period.start..period.end).contains(&at(time).as_second()));
        let day = |second| Timestamp::from_second(second).unwrap().to_string();
        (day(period.start), day(period.end))
    };
    // Each edge: when, and the months it lies between.
    let calendar = [
        ("2026-11-01", "2026-12-01", "2027-01-01"),
        ("2026-12-01", "2027-01-01", "2027-02-01"),
        ("2028-02-01", "2028-03-01", "2028-04-01"),
    ];
    let edges = calendar.map(|edge| <[&str; 3]>::from(edge).map(|day| format!("{day}T00:00:00Z")));
    check_edges(&world, &edges, month_at);

    // Anchored on a 31st, in a yearly period: the last day of shorter months, and the 31st again.
    let period = json!({"start": "2026-10-31T10:00:00Z", "end": "2027-10-31T10:00:00Z"});
    let active = json!({"state": "active", "tier": "starter", "currentPeriod": period});
    world.apply(Kind::Subscription, subscription("s", "ada", active));
    let anchored = [
        ("2026-10-31", "2026-11-30", "2026-12-31"),
        ("2026-11-30", "2026-12-31", "2027-01-31"),
        ("2027-01-31", "2027-02-28", "2027-03-31"),
        ("2027-02-28", "2027-03-31", "2027-04-30"),
        // Stripe's own edge, of whose news nothing has come yet.
        ("2027-09-30", "2027-10-31", "2027-11-30"),
    ];
    let edges = anchored.map(|edge| <[&str; 3]>::from(edge).map(|day| format!("{day}T10:00:00Z")));
    check_edges(&world, &edges, month_at);
}

/// Of `[before, edge, after]`: up to a moment before the edge it is the month before, from the edge on the one after.
fn check_edges(
    world: &World,
    edges: &[[String; 3]],
    month_at: impl Fn(&World, &str) -> (String, String),
) {
    for [before, edge, after] in edges {
        for millis in [-5000, -1000, -1, 0, 1, 1000, 5000] {
            let moment = at(edge) + jiff::SignedDuration::from_millis(millis);
            let expected = if millis < 0 {
                (before.clone(), edge.clone())
            } else {
                (edge.clone(), after.clone())
            };
            let month = month_at(world, &moment.to_string());
            assert_eq!(month, expected, "{millis} ms from {edge}");
        }
    }
}

/// CASE 55: compared, never stored: the limit in force is the tier's of this moment.
#[test]
fn a_quota_raised_or_lowered_while_live_is_asked_for_with_the_next_request_and_never_underflows() {
    let mut world = World::usual();
    for quota in [100, 200, 50, 0] {
        let spec = json!({"quota": {"requests": quota}});
        world.apply(Kind::Tier, tier("free", spec));
        let admission = admitted(&world);
        assert_eq!(admission.spend().limit, Some(quota));
        let over = quota < 120;
        let decision = if over {
            Decision::QuotaExceeded
        } else {
            Decision::Admitted
        };
        let limits = match admission.settle(outcome(decision, 120)) {
            Ok(permit) => permit.limits,
            Err(denial) => {
                let said = format!("All {quota} calls of this month are used");
                assert!(denial.detail().starts_with(&said), "{}", denial.detail());
                continue;
            }
        };
        assert_eq!(limits.month.map(|month| month.remaining), Some(80));
    }
}
