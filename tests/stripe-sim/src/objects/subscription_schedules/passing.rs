//! How a schedule passes from phase to phase, ends, is let go, and follows its subscription.
//!
//! <https://docs.stripe.com/billing/subscriptions/subscription-schedules>

use serde_json::{Value, json};

use super::{KIND, phase_items};
use crate::doc::Doc;
use crate::error::ApiError;
use crate::objects::common::merge_metadata;
use crate::objects::subscriptions;
use crate::world::World;

const UPDATED: &str = "subscription_schedule.updated";

/// When the current phase is over.
pub(super) fn due_at(schedule: &Value) -> Option<i64> {
    (schedule.text("status") == "active").then(|| schedule["current_phase"]["end_date"].as_i64())?
}

/// Enters the next phase, or ends as `end_behavior` says.
pub(super) fn fire(world: &mut World, id: &str) {
    let Some(schedule) = world.store.find(KIND, id).cloned() else {
        return;
    };
    let over = schedule["current_phase"].int("end_date");
    let next = schedule
        .list("phases")
        .iter()
        .find(|phase| phase.int("start_date") == over)
        .cloned();
    match next {
        Some(phase) => enter(world, &schedule, &phase),
        None if schedule.text("end_behavior") == "cancel" => complete(world, &schedule),
        None => drop(release(world, &schedule)),
    }
}

fn enter(world: &mut World, schedule: &Value, phase: &Value) {
    world.change(KIND, schedule.text("id"), Some(UPDATED), |schedule| {
        schedule.set("current_phase", dates(phase));
    });
    let proration = phase.text("proration_behavior");
    let subscription = schedule.text("subscription");
    take_metadata(world, subscription, phase);
    let items = phase.list("items");
    // The phase was checked when it was written; what cannot be entered any more (an archived price) leaves things as they are.
    if let Err(error) = subscriptions::replace_items(world, subscription, items, proration) {
        tracing::warn!(?error, subscription, "a phase could not be entered");
    }
}

fn dates(phase: &Value) -> Value {
    json!({ "start_date": phase["start_date"], "end_date": phase["end_date"] })
}

fn take_metadata(world: &mut World, subscription: &str, phase: &Value) {
    if phase["metadata"]
        .as_object()
        .is_some_and(|map| !map.is_empty())
    {
        world.change("subscription", subscription, None, |subscription| {
            merge_metadata(subscription, Some(&phase["metadata"]));
        });
    }
}

/// Takes over rewritten phases; what they change about the current one happens at once.
///
/// # Errors
/// 400 for items that the subscription cannot have.
pub(super) fn adopt(
    world: &mut World,
    schedule: &Value,
    phases: Vec<Value>,
    proration: &str,
) -> Result<(), ApiError> {
    let begun = &schedule["current_phase"]["start_date"];
    let Some(current) = phases
        .iter()
        .find(|phase| phase["start_date"] == *begun)
        .cloned()
    else {
        return Err(ApiError::missing_param("phases"));
    };
    let id = schedule.text("subscription");
    let subscription = world.get("subscription", id)?.clone();
    if subscription["currency"] != current["currency"] {
        return Err(subscriptions::other_currency(
            &subscription,
            &current["currency"],
        ));
    }
    if wanted(&current) != wanted(&json!({ "items": phase_items(&subscription) })) {
        subscriptions::replace_items(world, id, current.list("items"), proration)?;
    }
    // A phase is written whole: one that does not repeat the trial ends it.
    if subscription.text("status") == "trialing" && current["trial_end"].is_null() {
        subscriptions::end_trial(world, id);
    }
    take_metadata(world, id, &current);
    let noted = world.change(KIND, schedule.text("id"), None, |schedule| {
        schedule.set("phases", phases);
        schedule.set("current_phase", dates(&current));
    });
    if noted["phases"] != schedule["phases"] {
        world.emit(UPDATED, &noted, None);
    }
    Ok(())
}

/// Prices and quantities of a phase.
fn wanted(phase: &Value) -> Vec<(Value, Value)> {
    let of = |item: &Value| (item["price"].clone(), item["quantity"].clone());
    phase.list("items").iter().map(of).collect()
}

/// Lets the subscription go on without a schedule.
pub(super) fn release(world: &mut World, schedule: &Value) -> Value {
    let now = world.now;
    let id = schedule.text("subscription").to_owned();
    let event = Some("subscription_schedule.released");
    let released = world.change(KIND, schedule.text("id"), event, |schedule| {
        schedule.set("status", "released");
        schedule.set("released_at", now);
        schedule.set("released_subscription", id.as_str());
        schedule.set("subscription", Value::Null);
        schedule.set("current_phase", Value::Null);
    });
    detach(world, &id);
    released
}

fn detach(world: &mut World, subscription: &str) {
    let event = Some(subscriptions::UPDATED);
    world.change("subscription", subscription, event, |subscription| {
        subscription.set("schedule", Value::Null);
    });
}

fn complete(world: &mut World, schedule: &Value) {
    end(
        world,
        schedule.text("id"),
        "completed",
        "completed_at",
        "completed",
    );
    subscriptions::cancel(
        world,
        schedule.text("subscription"),
        "cancellation_requested",
    );
}

fn end(world: &mut World, id: &str, status: &str, at: &str, event: &str) {
    let now = world.now;
    let event = format!("subscription_schedule.{event}");
    world.change(KIND, id, Some(&event), |schedule| {
        schedule.set("status", status);
        schedule.set(at, now);
        schedule.set("current_phase", Value::Null);
    });
}

/// A subscription that ended takes its schedule with it; `delinquent`: it ended because nobody paid.
pub(crate) fn subscription_ended(world: &mut World, subscription: &Value, delinquent: bool) {
    let id = subscription.text("schedule").to_owned();
    let active = world
        .store
        .find(KIND, &id)
        .is_some_and(|schedule| schedule.text("status") == "active");
    if active {
        let event = if delinquent { "aborted" } else { "canceled" };
        end(world, &id, "canceled", "canceled_at", event);
    }
}

/// Items that were changed on the subscription itself become those of the current phase.
pub(crate) fn follow_items(world: &mut World, subscription: &Value) {
    let Some(schedule) = world
        .store
        .find(KIND, subscription.text("schedule"))
        .cloned()
    else {
        return;
    };
    let begun = &schedule["current_phase"]["start_date"];
    let items = phase_items(subscription);
    let mut phases = schedule.list("phases").to_vec();
    for phase in phases
        .iter_mut()
        .filter(|phase| phase["start_date"] == *begun)
    {
        phase.set("items", items.clone());
    }
    world.change(KIND, schedule.text("id"), Some(UPDATED), |schedule| {
        schedule.set("phases", phases);
    });
}
