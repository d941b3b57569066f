use glyph_crds::common::{DeletionPolicy, Interval};
use glyph_crds::{GlyphCustomerSpec, Tier};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn at(day: &str) -> Timestamp {
    format!("{day}T12:00:00Z").parse().unwrap()
}

fn tier(name: &str, currency: &str, amount: i64, interval: &str) -> Tier {
    let price = json!({"currency": currency, "amount": amount, "interval": interval});
    from(json!({"apiVersion": "glyphapi.ai/v1alpha1", "kind": "Tier",
        "metadata": {"namespace": "shop", "name": name}, "spec": {"displayName": name, "price": price}}))
}

fn from<T: serde::de::DeserializeOwned>(resource: Value) -> T {
    serde_json::from_value(resource).unwrap()
}

/// A subscription of `customer` to starter that began on March 1st, with more in its status.
fn subscription(customer: &str, more: Value) -> Subscription {
    let mut status = json!({"tier": "starter", "startedAt": "2028-03-01T12:00:00Z",
        "price": {"currency": "usd", "amount": 2900, "interval": "Month"}});
    for (field, value) in more.as_object().unwrap() {
        status[field] = value.clone();
    }
    from(
        json!({"apiVersion": "glyphapi.ai/v1alpha1", "kind": "Subscription",
        "metadata": {"namespace": "shop", "name": customer},
        "spec": {"customerRef": {"name": customer}, "tier": "starter"}, "status": status}),
    )
}

fn tiers() -> Vec<Tier> {
    vec![
        tier("starter", "usd", 2_900, "Month"),
        tier("yearly", "usd", 99_000, "Year"),
    ]
}

fn figures(subscriptions: &[Subscription], now: &str) -> Figures {
    Figures::of([], subscriptions, &tiers(), at(now))
}

fn starter(figures: &Figures) -> (Revenue, Turnover) {
    let place = ("starter".to_owned(), "usd".to_owned());
    (figures.revenue[&place], figures.turnover["starter"])
}

#[test]
fn what_is_served_in_full_and_billed_is_revenue_and_nothing_else_is() {
    let unpaid = |grace: &str| json!({"state": "past_due", "unpaidSince": "2028-04-01T12:00:00Z", "graceUntil": grace});
    for (more, pays) in [
        (json!({"state": "active"}), true),
        (
            json!({"state": "trialing", "trialEndsAt": "2028-05-01T12:00:00Z"}),
            false,
        ),
        (unpaid("2028-04-11T12:00:00Z"), true),
        (unpaid("2028-04-09T12:00:00Z"), false),
        (json!({"state": "unpaid"}), false),
        (json!({"state": "paused"}), false),
        (json!({"state": "incomplete"}), false),
        (
            json!({"state": "canceled", "endedAt": "2028-04-01T12:00:00Z"}),
            false,
        ),
        (
            json!({"state": "active", "endsAt": "2028-04-09T12:00:00Z"}),
            false,
        ),
    ] {
        let (revenue, _) = starter(&figures(&[subscription("ada", more.clone())], "2028-04-10"));
        assert_eq!(
            (revenue.a_year, revenue.customers),
            if pays { (34_800, 1) } else { (0, 0) },
            "{more}"
        );
    }
}

#[test]
fn a_year_counts_a_twelfth_a_month_and_rounding_does_not_add_up() {
    let price = json!({"currency": "usd", "amount": 100, "interval": "Year"});
    let yearly = json!({"state": "active", "tier": "yearly", "price": price});
    let all: Vec<_> = ["a", "b", "c"]
        .map(|name| subscription(name, yearly.clone()))
        .into();
    let revenue = figures(&all, "2028-04-10").revenue[&("yearly".to_owned(), "usd".to_owned())];
    assert_eq!(revenue.monthly(), 25.0);
}

#[test]
fn who_subscribed_at_a_former_price_counts_with_what_is_billed() {
    let former = json!({"currency": "usd", "amount": 1900, "interval": "Month"});
    let ada = subscription("ada", json!({"state": "active", "price": former}));
    assert_eq!(starter(&figures(&[ada], "2028-04-10")).0.monthly(), 1900.0);
}

#[test]
fn a_tier_that_has_taken_over_counts_with_its_price_before_stripes_news() {
    let period = json!({"start": "2028-03-01T12:00:00Z", "end": "2028-04-01T12:00:00Z"});
    let price = json!({"currency": "usd", "amount": 9900, "interval": "Month"});
    let more = json!({"state": "active", "tier": "professional", "price": price,
        "pendingTier": "starter", "currentPeriod": period});
    assert_eq!(
        starter(&figures(&[subscription("ada", more)], "2028-04-10"))
            .0
            .monthly(),
        2900.0
    );
}

#[test]
fn a_price_that_cannot_be_told_is_shown_and_not_guessed() {
    let mut ada = subscription("ada", json!({"state": "active"}));
    ada.status.as_mut().unwrap().price = None;
    let figures = figures(&[ada], "2028-04-10");
    let unknown = figures.revenue[&("starter".to_owned(), UNKNOWN.to_owned())];
    assert_eq!((unknown.a_year, unknown.customers), (0, 1));
}

#[test]
fn who_paid_thirty_days_ago_and_does_not_now_has_left() {
    let ended = |day: &str| json!({"state": "canceled", "endedAt": format!("{day}T12:00:00Z")});
    let lapsed = json!({"state": "unpaid", "unpaidSince": "2028-04-20T12:00:00Z"});
    let late = json!({"state": "active", "startedAt": "2028-04-20T12:00:00Z"});
    for (more, expected) in [
        (json!({"state": "active"}), (1, 0)),
        (ended("2028-04-20"), (1, 1)),
        (ended("2028-04-10"), (0, 0)),
        (lapsed, (1, 1)),
        (late, (0, 0)),
    ] {
        let (_, turnover) = starter(&figures(&[subscription("ada", more.clone())], "2028-05-11"));
        assert_eq!((turnover.paid_before, turnover.churned), expected, "{more}");
    }
}

#[test]
fn who_came_back_has_not_left() {
    let ended = json!({"state": "canceled", "endedAt": "2028-04-20T12:00:00Z"});
    let mut again = subscription(
        "ada",
        json!({"state": "active", "startedAt": "2028-05-01T12:00:00Z"}),
    );
    again.metadata.name = Some("ada-again".to_owned());
    let (_, turnover) = starter(&figures(&[subscription("ada", ended), again], "2028-05-11"));
    assert_eq!((turnover.paid_before, turnover.churned), (1, 0));
}

#[test]
fn a_trial_is_converted_when_it_was_paid_for() {
    let trial = |state: &str, more: &[(&str, &str)]| {
        let mut status = json!({"state": state, "trialEndsAt": "2028-03-15T12:00:00Z"});
        for (field, day) in more {
            status[field] = format!("{day}T12:00:00Z").into();
        }
        let (_, turnover) = starter(&figures(&[subscription("ada", status)], "2028-03-20"));
        (
            turnover.trials_started,
            turnover.trials_ended,
            turnover.trials_converted,
        )
    };
    assert_eq!(trial("active", &[]), (1, 1, 1));
    assert_eq!(trial("canceled", &[("endedAt", "2028-03-15")]), (1, 1, 0));
    assert_eq!(trial("canceled", &[("endedAt", "2028-03-05")]), (1, 1, 0));
    assert_eq!(trial("canceled", &[("endedAt", "2028-03-18")]), (1, 1, 1));
    assert_eq!(
        trial("past_due", &[("unpaidSince", "2028-03-15")]),
        (1, 1, 0)
    );
    assert_eq!(trial("paused", &[("unpaidSince", "2028-03-15")]), (1, 1, 0));
    assert_eq!(
        trial("trialing", &[("trialEndsAt", "2028-03-25")]),
        (1, 0, 0)
    );
}

#[test]
fn signups_are_the_customers_of_thirty_days() {
    let customer = |day: &str| {
        let spec = GlyphCustomerSpec {
            email: "ada@example.com".to_owned(),
            display_name: None,
            cognito: None,
            suspended: false,
            deletion_policy: DeletionPolicy::Retain,
        };
        let mut customer = GlyphCustomer::new("ada", spec);
        customer.metadata.creation_timestamp = Some(Time(at(day)));
        customer
    };
    let customers = [customer("2028-03-01"), customer("2028-04-20")];
    let figures = Figures::of(&customers, [], [], at("2028-05-11"));
    assert_eq!((figures.customers, figures.signups), (2, 1));
}

#[test]
fn a_tier_that_nobody_pays_for_is_a_zero_and_no_gap() {
    let (revenue, turnover) = starter(&figures(&[], "2028-04-10"));
    assert_eq!(
        (revenue, turnover),
        (Revenue::default(), Turnover::default())
    );
    assert_eq!(Interval::Year.a_year(99_000), 99_000);
}

proptest! {
    #[test]
    fn the_order_of_resources_does_not_matter_and_nobody_leaves_who_was_not_there(
        all in prop::collection::vec((0..6_usize, 0..5_u8, 0..60_i64), 0..12)
    ) {
        let names = ["a", "b", "c", "d", "e"];
        let states = ["active", "past_due", "canceled", "unpaid", "trialing", "incomplete"];
        let begin = at("2028-03-01");
        let subscriptions: Vec<_> = all.iter().enumerate().map(|(number, (state, who, day))| {
            let day = begin + SignedDuration::from_hours(24 * day);
            let more = json!({"state": states[*state], "unpaidSince": day.to_string(), "endedAt": (*state == 2).then(|| day.to_string())});
            let mut one = subscription(names[usize::from(*who)], more);
            one.metadata.name = Some(format!("s{number}"));
            one
        }).collect();
        let there = figures(&subscriptions, "2028-04-20");
        let mut turned = subscriptions.clone();
        turned.reverse();
        prop_assert_eq!(&there, &figures(&turned, "2028-04-20"));
        for turnover in there.turnover.values() {
            prop_assert!(turnover.churned <= turnover.paid_before);
            prop_assert!(turnover.trials_converted <= turnover.trials_ended);
        }
    }
}
