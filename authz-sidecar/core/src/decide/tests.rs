use std::time::Duration;

use glyph_usage::{Decision, RateState};
use serde_json::json;

use super::*;
use crate::fixtures::{
    KEY, World, at, customer, hash_of, key, metered, now, request, subscription, tier,
};
use crate::index::{Change, Kind};

mod credits;
mod endpoints;
mod months;
mod users;

fn denied(world: &World, request: &RequestView<'_>) -> Denial {
    metered(request, world.basis()).err().expect("a denial")
}

fn admitted(world: &World) -> Admission {
    metered(&request(), world.basis()).unwrap_or_else(|denial| panic!("{denial:?}"))
}

fn outcome(decision: Decision, used: u64) -> Counted {
    let rate = RateState {
        remaining: 24,
        full_after: Duration::from_millis(100),
    };
    Counted::Judged(Outcome {
        decision,
        used,
        remaining: None,
        rate: Some(rate),
        credits: None,
        drawn: Vec::new(),
    })
}

fn problem(denial: &Denial) -> serde_json::Value {
    serde_json::from_str(&denial.body()).unwrap()
}

#[test]
fn until_the_index_has_synced_nothing_is_decided() {
    let mut world = World::usual();
    world.index = Index::new(&[None]);
    let denial = denied(&world, &request());
    assert_eq!(
        (denial.code(), denial.cause()),
        (Code::Unavailable, Some("the index has not synced yet"))
    );
    assert_eq!(problem(&denial)["retry_after"], 1);
}

#[test]
fn a_good_key_is_admitted_as_its_customer_and_key() {
    let world = World::usual();
    let admission = admitted(&world);
    let spend = admission.spend();
    assert_eq!(
        (spend.customer, spend.key_id, spend.cost),
        ("uid-ada", "id-laptop", 1)
    );
    assert_eq!((spend.limit, spend.rate, spend.floor), (Some(100), None, 0));
    let permit = admission.settle(outcome(Decision::Admitted, 1)).unwrap();
    assert_eq!(permit.identity().unwrap().customer().as_str(), "shop/ada");
    assert_eq!(
        (
            permit.identity().unwrap().tier().name(),
            permit.identity().unwrap().key_id(),
            permit.identity().unwrap().subject()
        ),
        ("free", Some("id-laptop"), None)
    );
}

#[test]
fn keys_that_are_unknown_revoked_expired_replaced_or_for_other_gateways_are_told_apart() {
    let refused = |more| {
        let mut world = World::usual();
        world.apply(Kind::Key, key("laptop", "ada", KEY, more));
        let denial = denied(&world, &request());
        (denial.code(), denial.code().status())
    };
    let hash = |not_after: &str| json!([{"value": hash_of(KEY), "pepperVersion": 1, "notAfter": not_after}]);
    assert_eq!(
        refused(json!({"spec": {"revoked": true}})),
        (Code::KeyRevoked, 401)
    );
    assert_eq!(
        refused(json!({"status": {"revokedAt": "2026-11-01T00:00:00Z"}})),
        (Code::KeyRevoked, 401)
    );
    assert_eq!(
        refused(json!({"spec": {"expiresAt": "2026-11-23T12:00:00Z"}})),
        (Code::KeyExpired, 401)
    );
    assert_eq!(
        refused(json!({"status": {"hashes": hash("2026-11-23T12:00:00Z")}})),
        (Code::KeyExpired, 401)
    );
    assert_eq!(
        refused(json!({"spec": {"environment": "dev"}})),
        (Code::InvalidCredential, 401)
    );
    let other = json!([{"value": hash_of("another"), "pepperVersion": 1}]);
    assert_eq!(
        refused(json!({"status": {"hashes": other}})),
        (Code::InvalidCredential, 401)
    );
    assert_eq!(
        refused(json!({"status": {"hashes": []}})),
        (Code::InvalidCredential, 401)
    );
}

#[test]
fn a_key_works_until_the_last_moment_before_it_expires_or_is_replaced() {
    let mut world = World::usual();
    let soon = "2026-11-23T12:00:01Z";
    let hash = json!([{"value": hash_of(KEY), "pepperVersion": 1, "notAfter": soon}]);
    let more = json!({"spec": {"expiresAt": soon}, "status": {"hashes": hash}});
    world.apply(Kind::Key, key("laptop", "ada", KEY, more));
    admitted(&world);
}

#[test]
fn a_dev_key_on_a_live_gateway_is_refused_by_its_form_alone() {
    let world = World::usual();
    let dev = KEY.replace("live", "dev");
    let mut request = RequestView::default();
    request.add_header("x-api-key", dev.as_bytes());
    let denial = denied(&world, &request);
    assert_eq!(denial.code(), Code::InvalidCredential);
    assert_eq!(
        denial.detail(),
        "This gateway accepts keys that begin with glyph_sk_live_."
    );
}

#[test]
fn a_key_whose_customer_is_gone_is_nobodys_and_a_suspended_one_is_forbidden() {
    let mut world = World::usual();
    world.apply(
        Kind::Customer,
        customer("ada", json!({"spec": {"suspended": true}})),
    );
    assert_eq!(denied(&world, &request()).code(), Code::Suspended);
    let gone = customer("ada", json!({}));
    world
        .index
        .update(Kind::Customer, &None, Change::Deleted(gone));
    assert_eq!(denied(&world, &request()).code(), Code::InvalidCredential);
}

#[test]
fn a_key_bound_to_addresses_works_from_these_alone() {
    let mut world = World::usual();
    let cidrs = json!({"spec": {"allowedCidrs": ["203.0.113.0/24", "2001:db8::/32"]}});
    world.apply(Kind::Key, key("laptop", "ada", KEY, cidrs));
    for (client, allowed) in [
        (Some("203.0.113.7"), true),
        (Some("2001:db8::1"), true),
        (Some("203.0.114.7"), false),
        (None, false),
    ] {
        let client = client.map(|client| client.parse().unwrap());
        let request = RequestView {
            client,
            ..request()
        };
        let code = metered(&request, world.basis())
            .err()
            .map(|denial| denial.code());
        assert_eq!(
            code,
            (!allowed).then_some(Code::AddressDenied),
            "{client:?}"
        );
    }
}

#[test]
fn the_tier_in_force_follows_the_subscription_and_its_month_stripes_period() {
    let mut world = World::usual();
    let month = |world: &World| {
        let admission = admitted(world);
        let spend = admission.spend();
        let of = |second| Timestamp::from_second(second).unwrap().to_string();
        (spend.limit, of(spend.period.start), of(spend.period.end))
    };
    let calendar = (
        "2026-11-01T00:00:00Z".to_owned(),
        "2026-12-01T00:00:00Z".to_owned(),
    );
    assert_eq!(
        month(&world),
        (Some(100), calendar.0.clone(), calendar.1.clone())
    );
    let period = json!({"start": "2026-10-15T10:00:00Z", "end": "2027-10-15T10:00:00Z"});
    let active = json!({"state": "active", "tier": "starter", "currentPeriod": period});
    world.apply(Kind::Subscription, subscription("s", "ada", active));
    assert_eq!(
        month(&world),
        (
            Some(10_000),
            "2026-11-15T10:00:00Z".into(),
            "2026-12-15T10:00:00Z".into()
        )
    );
    let incomplete = json!({"state": "incomplete", "tier": "starter"});
    world.apply(Kind::Subscription, subscription("s", "ada", incomplete));
    assert_eq!(month(&world), (Some(100), calendar.0, calendar.1));
}

#[test]
fn unpaid_past_grace_is_payment_required_with_where_to_pay_or_the_degraded_tier() {
    let mut world = World::usual();
    let past_due =
        |grace: &str| json!({"state": "past_due", "tier": "starter", "graceUntil": grace});
    world.apply(
        Kind::Subscription,
        subscription("s", "ada", past_due("2026-11-23T12:00:01Z")),
    );
    assert_eq!(admitted(&world).spend().limit, Some(10_000), "within grace");

    world.apply(
        Kind::Subscription,
        subscription("s", "ada", past_due("2026-11-23T12:00:00Z")),
    );
    let denial = denied(&world, &request());
    assert_eq!(
        (denial.code(), denial.code().status()),
        (Code::PaymentRequired, 402)
    );
    assert_eq!(problem(&denial).get("pay_at"), None);
    world.policy.billing_url = Some("https://billing.example".into());
    assert_eq!(
        problem(&denied(&world, &request()))["pay_at"],
        "https://billing.example"
    );
    let mut status = past_due("2026-11-23T12:00:00Z");
    status["checkoutUrl"] = "https://checkout.example".into();
    world.apply(Kind::Subscription, subscription("s", "ada", status));
    assert_eq!(
        problem(&denied(&world, &request()))["pay_at"],
        "https://checkout.example"
    );

    let grace = json!({"grace": {"days": 0, "degradeTo": {"name": "free"}}});
    world.apply(Kind::Tier, tier("starter", grace));
    assert_eq!(admitted(&world).spend().limit, Some(100));
}

#[test]
fn a_tier_that_does_not_exist_is_unavailable_and_said_to_the_operator_only() {
    let mut world = World::usual();
    let gone = json!({"state": "active", "tier": "gone"});
    world.apply(Kind::Subscription, subscription("s", "ada", gone));
    let denial = denied(&world, &request());
    assert_eq!(denial.code().status(), 503);
    assert_eq!(
        denial.cause(),
        Some("the tier shop/gone of the customer shop/ada does not exist")
    );
    assert!(!denial.body().contains("gone"));
}

#[test]
fn the_rate_limit_of_the_key_goes_before_the_tiers() {
    let mut world = World::usual();
    let active = json!({"state": "active", "tier": "starter"});
    world.apply(Kind::Subscription, subscription("s", "ada", active));
    assert_eq!(
        admitted(&world).spend().rate,
        Some(Rate {
            requests_per_second: 10,
            burst: 25
        })
    );
    let own = json!({"spec": {"rateLimit": {"requestsPerSecond": 3}}});
    world.apply(Kind::Key, key("laptop", "ada", KEY, own));
    assert_eq!(
        admitted(&world).spend().rate,
        Some(Rate {
            requests_per_second: 3,
            burst: 3
        })
    );
}

#[test]
fn past_the_quota_deny_and_credits_refuse_and_meter_counts_on() {
    for (over_quota, limit) in [("Deny", Some(5)), ("Credits", Some(5)), ("Meter", None)] {
        let mut world = World::usual();
        let spec = json!({"quota": {"requests": 5}, "overQuota": over_quota});
        world.apply(Kind::Tier, tier("free", spec));
        let admission = admitted(&world);
        assert_eq!(admission.spend().limit, limit, "{over_quota}");
        let permit = admission.settle(outcome(Decision::Admitted, 6)).unwrap();
        assert_eq!(permit.limits().month.unwrap().remaining, 0, "{over_quota}");
    }
}

#[test]
fn a_used_up_quota_says_when_more_comes_and_where_to_upgrade() {
    let mut world = World::usual();
    world.policy.billing_url = Some("https://billing.example".into());
    let denial = admitted(&world)
        .settle(outcome(Decision::QuotaExceeded, 100))
        .unwrap_err();
    assert_eq!(
        (denial.code(), denial.code().status()),
        (Code::QuotaExceeded, 429)
    );
    let problem = problem(&denial);
    assert_eq!(
        problem["detail"],
        "All 100 calls of this month are used; more come at 2026-12-01T00:00:00Z, or at once by upgrading at \
         https://billing.example."
    );
    assert_eq!(problem["upgrade_at"], "https://billing.example");
    let seconds = at("2026-12-01T00:00:00Z").as_second() - now().as_second();
    assert_eq!(problem["retry_after"], seconds);
    assert_eq!(denial.tier().unwrap().name(), "free");
}

#[test]
fn a_request_too_fast_is_told_how_long_to_wait_in_whole_seconds_rounded_up() {
    let world = World::usual();
    for (millis, seconds) in [(1, 1), (1000, 1), (1001, 2)] {
        let retry_after = Duration::from_millis(millis);
        let denial = admitted(&world)
            .settle(outcome(Decision::RateLimited { retry_after }, 1))
            .unwrap_err();
        assert_eq!(
            (denial.code(), &problem(&denial)["retry_after"]),
            (Code::RateLimited, &json!(seconds))
        );
    }
}

#[test]
fn a_route_sets_what_a_request_costs_and_nonsense_is_not_taken_for_one() {
    let world = World::usual();
    let cost = |text: &'static [u8]| {
        let request = RequestView {
            cost: Some(text),
            ..request()
        };
        metered(&request, world.basis())
            .map(|admission| admission.spend().cost)
            .map_err(|denial| denial.code())
    };
    assert_eq!(cost(b"5"), Ok(5));
    assert_eq!(cost(b"0"), Ok(0));
    for bad in ["", "-1", "1.5", "9007199254740992", "free"] {
        assert_eq!(cost(bad.as_bytes()), Err(Code::Unavailable), "{bad}");
    }
    let request = RequestView {
        cost: Some(b"5"),
        ..request()
    };
    let admission = metered(&request, world.basis()).unwrap_or_else(|denial| panic!("{denial:?}"));
    let denial = admission
        .settle(outcome(Decision::QuotaExceeded, 97))
        .unwrap_err();
    assert!(
        denial
            .detail()
            .starts_with("This request takes 5 calls and 3 are left of this month")
    );
}

#[test]
fn while_the_counters_are_away_policy_decides_and_no_limit_is_claimed() {
    let world = World::usual();
    let permit = admitted(&world).settle(Counted::AwayAdmitted).unwrap();
    assert_eq!(permit.limits(), &Limits::default());
    let denial = admitted(&world).settle(Counted::AwayRefused).unwrap_err();
    assert_eq!(
        (denial.code().status(), denial.cause()),
        (503, Some("the counters are away"))
    );
}
