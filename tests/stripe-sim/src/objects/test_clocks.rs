//! Test clocks: <https://docs.stripe.com/api/test_clocks>, behaviour as on
//! <https://docs.stripe.com/billing/testing/test-clocks> and
//! <https://docs.stripe.com/billing/testing/test-clocks/api-advanced-usage>.
//!
//! What has a `test_clock` field (customers, subscriptions, invoices, schedules) lives by its clock: its timers fire when
//! that is advanced, and requests about it happen at its time. Payments, checkout sessions and events keep the account's time
//! (<https://github.com/stripe/stripe-python/issues/1183>).

use serde_json::{Value, json};

use super::{Call, Expandable, Resource, Route, Timer, billing, common, customers};
use crate::doc::Doc;
use crate::error::ApiError;
use crate::params::{Kind, PAGE, opt, req};
use crate::world::World;

/// What a test clock's `object` field says.
pub(crate) const KIND: &str = "test_helpers.test_clock";

/// The field of the objects that can have one.
pub(crate) const FIELD: &str = "test_clock";

/// The field as it may be expanded.
pub(crate) const EXPANDABLE: Expandable = Expandable::id(FIELD);

const URL: &str = "/v1/test_helpers/test_clocks";

const ONE: &str = "/v1/test_helpers/test_clocks/{test_clock}";

/// A clock is deleted by itself after this long.
const KEPT: i64 = 30 * 86_400;

/// How many customers a clock can have, and how many subscriptions each of them.
const MOST: usize = 3;

const LONGEST_NAME: usize = 300;

pub(crate) const RESOURCE: Resource = Resource {
    kind: KIND,
    routes: &[
        Route {
            method: "POST",
            path: URL,
            params: &[&[req("frozen_time", Kind::Int), opt("name", Kind::Str)]],
            run: create,
        },
        Route {
            method: "GET",
            path: URL,
            params: &[PAGE],
            run: |world, call| common::list(world, KIND, URL, call, |_| true),
        },
        Route {
            method: "GET",
            path: ONE,
            params: &[],
            run: |world, call| common::retrieve(world, KIND, call),
        },
        Route {
            method: "POST",
            path: "/v1/test_helpers/test_clocks/{test_clock}/advance",
            params: &[&[req("frozen_time", Kind::Int)]],
            run: advance,
        },
        Route {
            method: "DELETE",
            path: ONE,
            params: &[],
            run: |world, call| delete(world, call.arg(0)),
        },
    ],
    expandable: &[],
    timer: Some(Timer { due: due_at, fire }),
};

fn create(world: &mut World, call: &Call) -> Result<Value, ApiError> {
    if world.livemode() {
        return Err(ApiError::invalid(
            "Test clocks can only be created in test mode.",
        ));
    }
    if call
        .text("name")
        .is_some_and(|name| name.len() > LONGEST_NAME)
    {
        let message = format!("Invalid string: must be at most {LONGEST_NAME} characters");
        return Err(ApiError::invalid(message).param("name"));
    }
    let clock = json!({
        "id": world.new_id("clock_", 24), "object": KIND, "created": world.now, "deletes_after": world.now + KEPT,
        "frozen_time": call.int("frozen_time"), "livemode": false, "name": call.text("name"), "status": "ready",
        "status_details": {},
    });
    Ok(world.create(clock, Some("test_helpers.test_clock.created")))
}

/// Begins to advance; the answer says `advancing`. Whoever looks next finds the clock `ready`.
fn advance(world: &mut World, call: &Call) -> Result<Value, ApiError> {
    let id = call.arg(0);
    let clock = world.get(KIND, id)?;
    let target = call.int("frozen_time").unwrap_or_default();
    let refused = |message: &str| Err(ApiError::invalid(message).param("frozen_time"));
    if target <= clock.int("frozen_time") {
        return refused(
            "The time to advance to must be after the test clock's current frozen time.",
        );
    }
    if target > farthest(world, clock) {
        return refused(
            "The time to advance to cannot be more than two intervals in the future from the shortest subscription in this test clock, \
             or two years if it has none.",
        );
    }
    let now = world.now;
    let event = Some("test_helpers.test_clock.advancing");
    Ok(world.change(KIND, id, event, |clock| {
        clock.set("status", "advancing");
        clock.set(
            "status_details",
            json!({ "advancing": { "target_frozen_time": target } }),
        );
        clock.set("_advances_at", now);
    }))
}

/// Two intervals of the shortest subscription, or two years.
fn farthest(world: &World, clock: &Value) -> i64 {
    let now = clock.int("frozen_time");
    let two = |recurring: &Value| {
        billing::period_end(now, recurring, billing::period_end(now, recurring, now))
    };
    let subscriptions = world
        .store
        .all("subscription")
        .filter(|one| one[FIELD] == clock["id"]);
    subscriptions
        .flat_map(|subscription| subscription.list("items"))
        .map(|item| two(&item["price"]["recurring"]))
        .min()
        .unwrap_or_else(|| two(&json!({ "interval": "year", "interval_count": 1 })))
}

/// The account's clock moves a test clock in two cases: it is to advance, or its 30 days are over.
fn due_at(clock: &Value) -> Option<i64> {
    match clock.text("status") {
        "advancing" => clock["_advances_at"].as_i64(),
        _ => clock["deletes_after"].as_i64(),
    }
}

fn fire(world: &mut World, id: &str) {
    let Ok(clock) = world.get(KIND, id).cloned() else {
        return;
    };
    if clock.text("status") != "advancing" {
        // It is there, so it can be deleted.
        drop(delete(world, id));
        return;
    }
    let target = clock["status_details"]["advancing"].int("target_frozen_time");
    world.change(KIND, id, None, |clock| clock.set("frozen_time", target));
    world.catch_up_with(id, target);
    let event = Some("test_helpers.test_clock.ready");
    world.change(KIND, id, event, |clock| {
        clock.set("status", "ready");
        clock.set("status_details", json!({}));
    });
}

/// Deletes a clock with its customers, whose subscriptions are canceled.
fn delete(world: &mut World, id: &str) -> Result<Value, ApiError> {
    let frozen = world.get(KIND, id)?.int("frozen_time");
    let theirs: Vec<String> = customers_of(world, id).map(Doc::id).collect();
    world.at(frozen, |world| {
        theirs
            .iter()
            .try_for_each(|customer| customers::remove(world, customer).map(drop))
    })?;
    world.clocked.remove(id);
    common::delete(world, KIND, id, Some("test_helpers.test_clock.deleted"))
}

fn customers_of<'a>(world: &'a World, clock: &'a str) -> impl Iterator<Item = &'a Value> {
    let customers = world.store.all("customer");
    customers.filter(move |customer| customer.text(FIELD) == clock)
}

/// Whether a clock can have one more customer.
///
/// # Errors
/// 400 for a clock that is not there or has three.
pub(crate) fn check_customer(world: &World, clock: &str) -> Result<(), ApiError> {
    world.referred(KIND, clock, FIELD)?;
    if customers_of(world, clock).count() < MOST {
        return Ok(());
    }
    let message = format!("A test clock can have at most {MOST} customers.");
    Err(ApiError::invalid(message).param(FIELD))
}

/// Whether a customer can have one more subscription.
///
/// # Errors
/// 400 for a customer on a test clock who has three.
pub(crate) fn check_subscription(world: &World, customer: &str) -> Result<(), ApiError> {
    let theirs = |one: &&Value| one.text("customer") == customer && one[FIELD].is_string();
    if world.store.all("subscription").filter(theirs).count() < MOST {
        return Ok(());
    }
    let message = format!("A customer on a test clock can have at most {MOST} subscriptions.");
    Err(ApiError::invalid(message).param("customer"))
}

/// Whether a list shows an object: those on a test clock only when asked for, by the clock or (`also`) another parameter.
pub(crate) fn listed(call: &Call, object: &Value, also: Option<&str>) -> bool {
    match call.get(FIELD) {
        Some(wanted) => object[FIELD] == *wanted,
        None => object[FIELD].is_null() || also.is_some_and(|param| call.get(param).is_some()),
    }
}

/// Gives a new object its customer's clock, or, where it can have none, the account's time.
pub(crate) fn stamp(world: &World, object: &mut Value) {
    match object.get(FIELD) {
        Some(Value::Null) => {
            let owner = world.store.find("customer", object.text("customer"));
            object.set(FIELD, owner.map(|owner| owner[FIELD].clone()));
        }
        None if object["created"].is_i64() => object.set("created", world.account_now()),
        _ => {}
    }
}

/// Runs a request at the time of the test clock that what it names lives by.
///
/// # Errors
/// As the request.
pub(crate) fn run(world: &mut World, route: &Route, call: &Call) -> Result<Value, ApiError> {
    let named = call.params.values().filter_map(Value::as_str);
    let named: Vec<&str> = call.args.iter().map(String::as_str).chain(named).collect();
    by_clock_of(world, &named, |world| (route.run)(world, call))
}

/// Does something at the time of the test clock that these objects live by; at the account's, if they live by none.
pub(crate) fn by_clock_of<T>(
    world: &mut World,
    ids: &[&str],
    act: impl FnOnce(&mut World) -> T,
) -> T {
    let clock = ids.iter().find_map(|id| clock_of(world, id));
    let clock = clock.and_then(|clock| world.get(KIND, clock).ok());
    match clock.map(|clock| clock.int("frozen_time")) {
        Some(frozen) => world.at(frozen, act),
        None => act(world),
    }
}

fn clock_of<'a>(world: &'a World, id: &str) -> Option<&'a str> {
    let object = if id.starts_with("si_") {
        let has_it = |one: &&Value| one.list("items").iter().any(|item| item.text("id") == id);
        world.store.all("subscription").find(has_it)?
    } else {
        world.store.find_any(id)?
    };
    let owner = world.store.find("customer", object.text("customer"));
    object[FIELD].as_str().or_else(|| owner?[FIELD].as_str())
}
