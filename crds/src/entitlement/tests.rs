use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::json;

use super::*;
use crate::SubscriptionStatus;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn status(state: &str, grace_until: Option<&str>) -> SubscriptionStatus {
    serde_json::from_value(json!({
        "state": state,
        "tier": "starter",
        "currentPeriod": {"start": "2026-01-01T00:00:00Z", "end": "2026-02-01T00:00:00Z"},
        "graceUntil": grace_until,
    }))
    .unwrap()
}

fn subscription(name: &str, made: &str, status: Option<SubscriptionStatus>) -> Subscription {
    let spec = serde_json::from_value(json!({"customerRef": {"name": "ada"}, "tier": "starter"}));
    let mut subscription = Subscription::new(name, spec.unwrap());
    subscription.metadata.uid = Some(name.to_owned());
    subscription.metadata.creation_timestamp = Some(Time(at(made)));
    subscription.status = status;
    subscription
}

fn january() -> Cycle {
    let (start, end) = (at("2026-01-01T00:00:00Z"), at("2026-02-01T00:00:00Z"));
    Cycle {
        period: Period { start, end },
        anchor: start,
    }
}

fn tier(name: &str, keys_before_payment: bool) -> Tier {
    let spec = json!({"displayName": name, "keysBeforePayment": keys_before_payment});
    Tier::new(name, serde_json::from_value(spec).unwrap())
}

#[test]
fn every_state_of_stripe_comes_to_what_the_table_says() {
    let now = at("2026-01-20T00:00:00Z");
    let subscribed = Standing::Subscribed {
        tier: "starter".into(),
        cycle: Some(january()),
    };
    let lapsed = Standing::Lapsed {
        tier: "starter".into(),
    };
    let (within, past) = (Some("2026-01-20T00:00:01Z"), Some("2026-01-20T00:00:00Z"));
    let none = Standing::Default;
    // Columns: within its grace, past it, without one; being deleted it is always the default.
    for (state, expected) in [
        ("incomplete", [&none; 3]),
        ("incomplete_expired", [&none; 3]),
        ("trialing", [&subscribed; 3]),
        ("active", [&subscribed; 3]),
        ("past_due", [&subscribed, &lapsed, &lapsed]),
        ("unpaid", [&lapsed; 3]),
        ("paused", [&lapsed; 3]),
        ("canceled", [&none; 3]),
    ] {
        for (grace, expected) in [within, past, None].into_iter().zip(expected) {
            let mut one = subscription("a", "2026-01-01T00:00:00Z", Some(status(state, grace)));
            assert_eq!(
                &Standing::of(Some(&one), now),
                expected,
                "{state} {grace:?}"
            );
            one.metadata.deletion_timestamp = Some(Time(now));
            assert_eq!(
                Standing::of(Some(&one), now),
                none,
                "{state}, being deleted"
            );
        }
    }
    assert_eq!(Standing::of(None, now), none);
}

#[test]
fn the_oldest_subscription_that_has_not_ended_is_in_charge() {
    let ended = subscription("a", "2026-01-01T00:00:00Z", Some(status("canceled", None)));
    let first = subscription("b", "2026-01-02T00:00:00Z", None);
    let second = subscription("c", "2026-01-03T00:00:00Z", Some(status("active", None)));
    let chosen = in_charge([&second, &ended, &first]).unwrap();
    assert_eq!(chosen.metadata.name.as_deref(), Some("b"));
    assert_eq!(
        in_charge([&ended]).unwrap().metadata.name.as_deref(),
        Some("a")
    );
}

#[test]
fn of_two_made_in_one_second_the_one_that_stripe_knows_or_is_told_of_stays_in_charge() {
    let made = "2026-01-02T00:00:00Z";
    let untried = subscription("a", made, None);
    let intent = json!({"operation": "CreateSubscription", "idempotencyKey": "key", "parameters": "{}", "startedAt": made});
    for (known, value) in [
        ("stripeSubscriptionId", json!("an id")),
        ("checkoutSessionId", json!("an id")),
        ("intent", intent),
    ] {
        let status = serde_json::from_value(json!({known: value})).unwrap();
        let begun = subscription("b", made, Some(status));
        let chosen = in_charge([&untried, &begun]).unwrap();
        assert_eq!(chosen.metadata.name.as_deref(), Some("b"), "{known}");
    }
}

#[test]
fn a_key_waits_for_the_first_payment_unless_the_tier_gives_it_unpaid() {
    let (free, starter) = (tier("free", true), tier("starter", false));
    let find = |name: &str| match name {
        "free" => Some(&free),
        "starter" => Some(&starter),
        _ => None,
    };
    let now = at("2026-01-20T00:00:00Z");
    let entitled = |s: Option<&Subscription>| key_entitlement(s, "free", find, now);

    assert_eq!(entitled(None), KeyEntitlement::Granted);
    let mut unpaid = subscription(
        "s",
        "2026-01-01T00:00:00Z",
        Some(SubscriptionStatus::default()),
    );
    unpaid.status.as_mut().unwrap().checkout_url = Some("https://pay".into());
    let waits = KeyEntitlement::AfterPayment {
        tier: "starter".into(),
        pay_at: Some("https://pay".into()),
    };
    assert_eq!(entitled(Some(&unpaid)), waits);
    let paid = subscription("s", "2026-01-01T00:00:00Z", Some(status("active", None)));
    assert_eq!(entitled(Some(&paid)), KeyEntitlement::Granted);
    let ended = subscription("s", "2026-01-01T00:00:00Z", Some(status("canceled", None)));
    assert_eq!(entitled(Some(&ended)), KeyEntitlement::Granted);
    let missing = key_entitlement(None, "gone", find, now);
    assert_eq!(
        missing,
        KeyEntitlement::UnknownTier {
            tier: "gone".into()
        }
    );
}

/// Stripe and the operator may be away at that instant: what they had said counts.
#[test]
fn an_end_and_another_tier_come_with_the_period_also_before_their_news() {
    let end = at("2026-02-01T00:00:00Z");
    let before = at("2026-01-31T23:59:59Z");
    let subscribed = |tier: &str| Standing::Subscribed {
        tier: tier.to_owned(),
        cycle: Some(january()),
    };
    let ends = SubscriptionStatus {
        ends_at: Some(Time(end)),
        ..status("active", None)
    };
    let changes = SubscriptionStatus {
        pending_tier: Some("free-plus".into()),
        ..status("active", None)
    };
    for (status, after) in [
        (ends, Standing::Default),
        (changes, subscribed("free-plus")),
    ] {
        assert_eq!(turning_points(&status).collect::<Vec<_>>(), [end]);
        let one = subscription("a", "2026-01-01T00:00:00Z", Some(status));
        assert_eq!(Standing::of(Some(&one), before), subscribed("starter"));
        assert_eq!(Standing::of(Some(&one), end), after);
    }
}
