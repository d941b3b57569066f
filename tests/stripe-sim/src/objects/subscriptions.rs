//! Subscriptions: <https://docs.stripe.com/api/subscriptions>, states as on
//! <https://docs.stripe.com/billing/subscriptions/overview>. Items are kept inside; `lifecycle` moves them with the clock.

use serde_json::{Value, json};

use super::common::{self, equal, merge_metadata};
use super::{Call, Expandable, Resource, Route, Timer, test_clocks};
use crate::doc::Doc;
use crate::error::ApiError;
use crate::params::{CREATED, Kind, PAGE, opt};
use crate::world::World;

mod items;
mod lifecycle;
mod params;
mod start;

pub(crate) use items::{
    Terms, change_items, items_of, other_currency, recurring_price, replace_items,
};
pub(crate) use lifecycle::{
    cancel, cancel_all_of, end_trial, given_up, paid, payment_failed, settle_before_end,
};
pub(crate) use params::PRORATION;
use params::{CANCEL, CREATE, DETAILS, FIELDS, FILTERS, RESUME, UPDATE};
pub(crate) use start::{Start, payment_method_of, start};
use start::{check_chargeable, check_collection, check_payment_method, trial_end};

const URL: &str = "/v1/subscriptions";

/// The event of every change but the end.
pub(crate) const UPDATED: &str = "customer.subscription.updated";

/// An unpaid first invoice ends a subscription after this long.
const INCOMPLETE_FOR: i64 = 23 * 3600;

pub(crate) const RESOURCE: Resource = Resource {
    kind: "subscription",
    routes: &[
        Route {
            method: "POST",
            path: URL,
            params: &[CREATE, FIELDS, &[opt("description", Kind::Str)]],
            run: create,
        },
        Route {
            method: "GET",
            path: URL,
            params: &[PAGE, CREATED, FILTERS],
            run: list,
        },
        Route {
            method: "GET",
            path: "/v1/subscriptions/search",
            params: &[common::SEARCH],
            run: search,
        },
        Route {
            method: "GET",
            path: "/v1/subscriptions/{subscription}",
            params: &[],
            run: retrieve,
        },
        Route {
            method: "POST",
            path: "/v1/subscriptions/{subscription}",
            params: &[FIELDS, UPDATE, DETAILS],
            run: update,
        },
        Route {
            method: "POST",
            path: "/v1/subscriptions/{subscription}/resume",
            params: &[RESUME],
            run: resume,
        },
        Route {
            method: "DELETE",
            path: "/v1/subscriptions/{subscription}",
            params: &[CANCEL, DETAILS],
            run: cancel_route,
        },
    ],
    expandable: &[
        Expandable::id("customer"),
        Expandable::id("default_payment_method"),
        Expandable::id("latest_invoice"),
        Expandable::id("schedule"),
        Expandable::id("items.data.price.product"),
        test_clocks::EXPANDABLE,
    ],
    timer: Some(Timer {
        due: lifecycle::due_at,
        fire: lifecycle::fire,
    }),
};

fn create(world: &mut World, call: &Call) -> Result<Value, ApiError> {
    let customer = call
        .text("customer")
        .ok_or_else(|| ApiError::missing_param("customer"))?
        .to_owned();
    world.referred("customer", &customer, "customer")?;
    let behavior = call.text("payment_behavior").unwrap_or("allow_incomplete");
    let start = Start {
        items: call.items("items").to_vec(),
        metadata: call.get("metadata").cloned().unwrap_or_else(|| json!({})),
        description: call.get("description").cloned().unwrap_or_default(),
        payment_method: call.text("default_payment_method").map(str::to_owned),
        trial_end: trial_end(world, call)?,
        collection_method: call
            .text("collection_method")
            .unwrap_or("charge_automatically")
            .to_owned(),
        days_until_due: call.int("days_until_due"),
        charge: behavior != "default_incomplete",
        off_session: call.flag("off_session").unwrap_or_default(),
        confirmed: false,
        customer,
    };
    check_collection(&start)?;
    check_payment_method(world, &start.customer, start.payment_method.as_deref())?;
    check_chargeable(world, &start, behavior)?;
    let now = world.now;
    let id = self::start(world, start, |subscription| apply(subscription, call, now))?;
    world.get("subscription", &id).cloned()
}

/// Everything that a caller may set without touching items, trial or payments.
fn apply(subscription: &mut Value, call: &Call, now: i64) {
    apply_fields(subscription, call);
    merge_metadata(subscription, call.get("metadata"));
    apply_details(subscription, call);
    if let Some(pause) = call.get("pause_collection") {
        let pause = pause
            .as_object()
            .map(|_| json!({ "behavior": pause["behavior"], "resumes_at": pause["resumes_at"] }));
        subscription.set("pause_collection", pause);
    }
    if call.get("cancel_at_period_end").is_some() || call.get("cancel_at").is_some() {
        plan_end(subscription, call, now);
    }
}

fn apply_fields(subscription: &mut Value, call: &Call) {
    let fields = [
        "default_payment_method",
        "description",
        "collection_method",
        "days_until_due",
    ];
    common::fill(subscription, call, &fields);
    let nested = [
        (
            "payment_settings",
            "/save_default_payment_method",
            "save_default_payment_method",
        ),
        ("trial_settings", "/end_behavior", "end_behavior"),
    ];
    for (object, pointer, field) in nested {
        let given = call.below(object, pointer);
        if !given.is_null() {
            subscription[object].set(field, given);
        }
    }
}

/// Plans the end of a subscription, or takes the plan back.
fn plan_end(subscription: &mut Value, call: &Call, now: i64) {
    let period_end = subscription
        .list("items")
        .iter()
        .map(|item| item.int("current_period_end"))
        .max();
    let at_period_end = call.flag("cancel_at_period_end").unwrap_or_default();
    let at = match (at_period_end, call.get("cancel_at")) {
        (true, _) => json!(period_end),
        (false, Some(at)) => at.clone(),
        (false, None) => Value::Null,
    };
    let planned = !at.is_null();
    subscription.set("cancel_at_period_end", at_period_end);
    subscription.set("cancel_at", at);
    subscription.set("canceled_at", planned.then_some(now));
    subscription["cancellation_details"].set("reason", planned.then_some("cancellation_requested"));
}

fn list(world: &mut World, call: &Call) -> Result<Value, ApiError> {
    let wanted = call.text("status");
    common::list(world, "subscription", URL, call, |subscription| {
        let status = subscription.text("status");
        let ended = matches!(status, "canceled" | "incomplete_expired");
        let status_fits = match wanted {
            None => !ended,
            Some("all") => true,
            Some("ended") => ended,
            Some(wanted) => status == wanted,
        };
        let has_price = |price: &str| {
            subscription
                .list("items")
                .iter()
                .any(|item| item["price"].text("id") == price)
        };
        status_fits
            && call.text("price").is_none_or(has_price)
            && test_clocks::listed(call, subscription, Some("customer"))
            && equal(call, subscription, &["customer", "collection_method"])
    })
}

fn search(world: &mut World, call: &Call) -> Result<Value, ApiError> {
    common::search(world, "subscription", "/v1/subscriptions/search", call)
}

fn retrieve(world: &mut World, call: &Call) -> Result<Value, ApiError> {
    common::retrieve(world, "subscription", call)
}

fn update(world: &mut World, call: &Call) -> Result<Value, ApiError> {
    let id = call.arg(0);
    let subscription = world.get("subscription", id)?.clone();
    if matches!(
        subscription.text("status"),
        "canceled" | "incomplete_expired"
    ) {
        return Err(ApiError::invalid(
            "A canceled subscription can only update its cancellation_details and metadata.",
        ));
    }
    check_schedule(&subscription, call)?;
    check_payment_method(
        world,
        subscription.text("customer"),
        call.text("default_payment_method"),
    )?;
    let moved_trial = call
        .get("trial_end")
        .map(|_| trial_end(world, call))
        .transpose()?;
    if !call.items("items").is_empty() {
        change_items(world, id, call.items("items"), terms(call))?;
    }
    if let Some(at) =
        moved_trial.filter(|at| at.is_some() || subscription.text("status") == "trialing")
    {
        lifecycle::move_trial_end(world, id, at);
    }
    let now = world.now;
    Ok(
        world.change("subscription", id, Some(UPDATED), |subscription| {
            apply(subscription, call, now)
        }),
    )
}

/// A paused subscription goes on with a new period: <https://docs.stripe.com/billing/subscriptions/pause#resume-subscriptions>.
fn resume(world: &mut World, call: &Call) -> Result<Value, ApiError> {
    let id = call.arg(0);
    if world.get("subscription", id)?.text("status") != "paused" {
        return Err(ApiError::invalid(
            "You can only resume a subscription that is `paused`.",
        ));
    }
    lifecycle::resume(world, id);
    world.get("subscription", id).cloned()
}

/// How a change of items is to be paid, as a request says.
pub(crate) fn terms(call: &Call) -> Terms<'_> {
    Terms {
        proration: call
            .text("proration_behavior")
            .unwrap_or("create_prorations"),
        must_be_paid: call.text("payment_behavior") == Some("error_if_incomplete"),
        awaits_payer: call.text("payment_behavior") == Some("default_incomplete"),
        off_session: call.flag("off_session").unwrap_or_default(),
    }
}

/// A schedule alone decides when its subscription ends.
fn check_schedule(subscription: &Value, call: &Call) -> Result<(), ApiError> {
    let ends = ["cancel_at_period_end", "cancel_at"]
        .iter()
        .any(|param| call.get(param).is_some());
    match subscription["schedule"].as_str() {
        Some(schedule) if ends => Err(ApiError::invalid(format!(
            "The subscription is managed by the subscription schedule `{schedule}`, and updating any cancelation behavior directly is \
             not allowed. Please update the schedule instead."
        ))),
        _ => Ok(()),
    }
}

fn apply_details(subscription: &mut Value, call: &Call) {
    if let Some(Value::Object(details)) = call.get("cancellation_details") {
        for (field, value) in details {
            subscription["cancellation_details"].set(field, value.clone());
        }
    }
}

fn cancel_route(world: &mut World, call: &Call) -> Result<Value, ApiError> {
    let id = call.arg(0);
    let status = world.get("subscription", id)?.text("status").to_owned();
    if matches!(status.as_str(), "canceled" | "incomplete_expired") {
        return Err(ApiError::no_such("subscription", id));
    }
    world.change("subscription", id, None, |subscription| {
        apply_details(subscription, call)
    });
    let asked = |name: &str| call.flag(name) == Some(true);
    settle_before_end(world, id, asked("prorate"), asked("invoice_now"));
    cancel(world, id, "cancellation_requested");
    world.get("subscription", id).cloned()
}
