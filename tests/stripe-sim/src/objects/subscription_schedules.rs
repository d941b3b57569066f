//! Subscription schedules: <https://docs.stripe.com/api/subscription_schedules>, behaviour as on
//! <https://docs.stripe.com/billing/subscriptions/subscription-schedules>. Made from a subscription only; `phases` reads
//! what comes when, `passing` moves a schedule with the clock.

use serde_json::{Value, json};

use super::common::{self, equal, in_range, merge_metadata};
use super::subscriptions::{self, PRORATION, items_of};
use super::{Call, Expandable, Resource, Route, Timer, prices, test_clocks};
use crate::doc::{Doc, from_template};
use crate::error::ApiError;
use crate::params::{CREATED, Kind, PAGE, Param, opt};
use crate::world::World;

mod passing;
mod phases;

pub(crate) use passing::{follow_items, subscription_ended};

const KIND: &str = "subscription_schedule";

const URL: &str = "/v1/subscription_schedules";

const ONE: &str = "/v1/subscription_schedules/{schedule}";

const CREATE: &[Param] = &[
    opt("from_subscription", Kind::Str),
    opt("metadata", Kind::Map),
    opt("end_behavior", Kind::Enum(&["cancel", "release"])),
];

const UPDATE: &[Param] = &[
    opt("end_behavior", Kind::Enum(&["cancel", "release"])),
    opt("metadata", Kind::Map),
    opt("proration_behavior", Kind::Enum(PRORATION)),
    opt("phases[].items[].price", Kind::Str),
    opt("phases[].items[].quantity", Kind::Int),
    opt("phases[].items[].metadata", Kind::Map),
    opt("phases[].start_date", Kind::IntOr(&["now"])),
    opt("phases[].end_date", Kind::IntOr(&["now"])),
    crate::params::req("phases[].duration.interval", Kind::Enum(prices::INTERVALS)),
    opt("phases[].duration.interval_count", Kind::Int),
    opt("phases[].metadata", Kind::Map),
    opt("phases[].proration_behavior", Kind::Enum(PRORATION)),
    opt("phases[].trial", Kind::Bool),
    opt("phases[].trial_end", Kind::IntOr(&["now"])),
];

pub(crate) const RESOURCE: Resource = Resource {
    kind: KIND,
    routes: &[
        Route {
            method: "POST",
            path: URL,
            params: &[CREATE],
            run: create,
        },
        Route {
            method: "GET",
            path: URL,
            params: &[
                PAGE,
                CREATED,
                &[opt("customer", Kind::Str), opt("scheduled", Kind::Bool)],
            ],
            run: list,
        },
        Route {
            method: "GET",
            path: ONE,
            params: &[],
            run: |world, call| common::retrieve(world, KIND, call),
        },
        Route {
            method: "POST",
            path: ONE,
            params: &[UPDATE],
            run: update,
        },
        Route {
            method: "POST",
            path: "/v1/subscription_schedules/{schedule}/release",
            params: &[&[opt("preserve_cancel_date", Kind::Bool)]],
            run: release,
        },
        Route {
            method: "POST",
            path: "/v1/subscription_schedules/{schedule}/cancel",
            params: &[&[opt("invoice_now", Kind::Bool), opt("prorate", Kind::Bool)]],
            run: cancel,
        },
    ],
    expandable: &[
        Expandable::id("customer"),
        Expandable::id("subscription"),
        test_clocks::EXPANDABLE,
    ],
    timer: Some(Timer {
        due: passing::due_at,
        fire: passing::fire,
    }),
};

/// As Stripe says of `from_subscription`: nothing else can be set with it.
fn create(world: &mut World, call: &Call) -> Result<Value, ApiError> {
    let id = call.text("from_subscription").ok_or_else(|| {
        ApiError::invalid("The simulator makes schedules with `from_subscription` only.")
            .code("parameter_missing")
            .param("from_subscription")
    })?;
    let with = |param: &&str| call.get(param).is_some();
    if let Some(param) = ["metadata", "end_behavior"]
        .iter()
        .find(|param| with(param))
    {
        let message = format!("You cannot set `{param}` if `from_subscription` is set.");
        return Err(ApiError::invalid(message).param(param));
    }
    let subscription = world
        .referred("subscription", id, "from_subscription")?
        .clone();
    if let Some(other) = subscription["schedule"].as_str() {
        return Err(ApiError::invalid(format!(
            "You cannot migrate a subscription that is already attached to a schedule: {other}"
        )));
    }
    let status = subscription.text("status");
    if matches!(status, "canceled" | "incomplete" | "incomplete_expired") {
        return Err(ApiError::invalid(format!(
            "You cannot migrate a subscription with a status of `{status}` to a schedule."
        )));
    }
    let schedule = bare(world, &subscription);
    world.change(
        "subscription",
        id,
        Some(subscriptions::UPDATED),
        |subscription| {
            subscription.set("schedule", schedule.id());
        },
    );
    Ok(world.create(schedule, Some("subscription_schedule.created")))
}

/// One phase: the current period, as the subscription is.
fn bare(world: &mut World, subscription: &Value) -> Value {
    let phase = phases::current(subscription);
    let ends = !subscription["cancel_at"].is_null();
    let dynamic = json!({
        "id": world.new_id("sub_sched_", 24), "created": world.now, "customer": subscription["customer"],
        "current_phase": { "start_date": phase["start_date"], "end_date": phase["end_date"] },
        "end_behavior": if ends { "cancel" } else { "release" }, "livemode": world.livemode(), "phases": [phase],
        "subscription": subscription["id"],
    });
    let mut schedule = from_template(
        include_str!("templates/subscription_schedule.json"),
        dynamic,
    );
    let settings = &mut schedule["default_settings"];
    settings.set(
        "collection_method",
        subscription["collection_method"].clone(),
    );
    settings.set(
        "default_payment_method",
        subscription["default_payment_method"].clone(),
    );
    settings["invoice_settings"].set("days_until_due", subscription["days_until_due"].clone());
    schedule
}

fn update(world: &mut World, call: &Call) -> Result<Value, ApiError> {
    let schedule = unfinished(world, call, "update")?;
    let id = schedule.id();
    if call.get("phases").is_some() {
        let phases = phases::read(world, &schedule, call)?;
        let proration = call
            .text("proration_behavior")
            .unwrap_or("create_prorations");
        passing::adopt(world, &schedule, phases, proration)?;
    }
    Ok(world.change(
        KIND,
        &id,
        Some("subscription_schedule.updated"),
        |schedule| {
            common::fill(schedule, call, &["end_behavior"]);
            merge_metadata(schedule, call.get("metadata"));
        },
    ))
}

fn unfinished(world: &World, call: &Call, verb: &str) -> Result<Value, ApiError> {
    let schedule = world.get(KIND, call.arg(0))?;
    let status = schedule.text("status");
    if matches!(status, "active" | "not_started") {
        return Ok(schedule.clone());
    }
    Err(ApiError::invalid(format!(
        "You cannot {verb} a subscription schedule that is currently in the `{status}` status. It can only be done for schedules \
         in the `not_started` or `active` status."
    )))
}

fn release(world: &mut World, call: &Call) -> Result<Value, ApiError> {
    let schedule = unfinished(world, call, "release")?;
    Ok(passing::release(world, &schedule))
}

fn cancel(world: &mut World, call: &Call) -> Result<Value, ApiError> {
    let schedule = unfinished(world, call, "cancel")?;
    let subscription = schedule.text("subscription").to_owned();
    subscriptions::settle_before_end(
        world,
        &subscription,
        call.flag("prorate").unwrap_or(true),
        call.flag("invoice_now").unwrap_or(true),
    );
    subscriptions::cancel(world, &subscription, "cancellation_requested");
    world.get(KIND, call.arg(0)).cloned()
}

fn list(world: &mut World, call: &Call) -> Result<Value, ApiError> {
    common::list(world, KIND, URL, call, |schedule| {
        equal(call, schedule, &["customer"])
            && in_range(call, "created", schedule.int("created"))
            && call
                .flag("scheduled")
                .is_none_or(|wanted| wanted == (schedule.text("status") == "not_started"))
    })
}

/// The items of a subscription as a phase has them.
fn phase_items(subscription: &Value) -> Vec<Value> {
    let item = |item: &Value| {
        json!({
            "billing_thresholds": null, "discounts": [], "metadata": item["metadata"], "plan": item["price"]["id"], "price": item["price"]["id"],
            "quantity": item["quantity"], "tax_rates": [],
        })
    };
    items_of(subscription).iter().map(item).collect()
}
