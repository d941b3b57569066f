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
        let admission = metered(&request(), basis).ok().unwrap();
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
    world.apply(
        Kind::Subscription,
        renewed("2026-10-31T10:00:00Z", "2027-10-31T10:00:00Z"),
    );
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

    // Paid by the month, and just renewed in a short one: the 31st again, and no other month before it.
    world.apply(
        Kind::Subscription,
        renewed("2027-02-28T10:00:00Z", "2027-03-31T10:00:00Z"),
    );
    let edges = [("2027-02-28", "2027-03-31", "2027-04-30")]
        .map(|edge| <[&str; 3]>::from(edge).map(|day| format!("{day}T10:00:00Z")));
    check_edges(&world, &edges, month_at);
}

/// A subscription of ada's in this period, anchored on the 31st of October.
fn renewed(start: &str, end: &str) -> kube::core::DynamicObject {
    let active = json!({
        "state": "active", "tier": "starter", "currentPeriod": {"start": start, "end": end},
        "billingCycleAnchor": "2026-10-31T10:00:00Z",
    });
    subscription("s", "ada", active)
}

/// What Stripe had said of the period's end holds from that instant on, while Stripe and the operator are away.
#[test]
fn quota_tier_and_end_change_over_with_the_period_though_no_news_comes() {
    let mut world = World::usual();
    world.apply(
        Kind::Tier,
        tier("free", json!({"quota": {"requests": 100}})),
    );
    world.apply(
        Kind::Tier,
        tier("starter", json!({"quota": {"requests": 500}})),
    );
    world.apply(
        Kind::Tier,
        tier("larger", json!({"quota": {"requests": 9000}})),
    );
    let period = json!({"start": "2026-10-10T10:00:00Z", "end": "2026-11-10T10:00:00Z"});
    let quota_at = |world: &World, time: &str| {
        let basis = Basis {
            now: at(time),
            ..world.basis()
        };
        let admission = metered(&request(), basis).ok().unwrap();
        let spend = admission.spend();
        let start = Timestamp::from_second(spend.period.start).unwrap();
        (spend.limit, start.strftime("%m-%d").to_string())
    };
    let renews = (Some(9000), "11-10".to_owned());
    for (more, after) in [
        (json!({}), renews),
        (
            json!({"pendingTier": "starter"}),
            (Some(500), "11-10".to_owned()),
        ),
        (
            json!({"endsAt": "2026-11-10T10:00:00Z"}),
            (Some(100), "11-01".to_owned()),
        ),
    ] {
        let mut status = json!({"state": "active", "tier": "larger", "currentPeriod": period,
            "billingCycleAnchor": "2026-08-10T10:00:00Z"});
        status
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        world.apply(Kind::Subscription, subscription("s", "ada", status));
        let before = (Some(9000), "10-10".to_owned());
        assert_eq!(quota_at(&world, "2026-11-10T09:59:59Z"), before, "{more}");
        assert_eq!(quota_at(&world, "2026-11-10T10:00:00Z"), after, "{more}");
    }
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
