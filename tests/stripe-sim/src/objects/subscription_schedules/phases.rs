//! The phases of a schedule: how they are read from a request and what Stripe demands of them.
//!
//! <https://docs.stripe.com/api/subscription_schedules/update>

use serde_json::{Value, json};

use super::phase_items;
use crate::doc::{Doc, from_template};
use crate::error::ApiError;
use crate::objects::subscriptions::recurring_price;
use crate::objects::{Call, billing};
use crate::world::World;

/// At most ten: <https://docs.stripe.com/billing/subscriptions/subscription-schedules#phases>.
const MOST: usize = 10;

/// A subscription's current period as a phase.
pub(super) fn current(subscription: &Value) -> Value {
    let items = subscription.list("items");
    let start = items
        .iter()
        .map(|item| item.int("current_period_start"))
        .min();
    let end = items
        .iter()
        .map(|item| item.int("current_period_end"))
        .max();
    let trial_end =
        Some(&subscription["trial_end"]).filter(|_| subscription.text("status") == "trialing");
    let dynamic = json!({
        "currency": subscription["currency"], "items": phase_items(subscription), "start_date": start, "end_date": end,
        "trial_end": trial_end,
    });
    from_template(include_str!("../templates/schedule_phase.json"), dynamic)
}

/// The phases that a request asks for, the current one first; past ones are kept in front of them.
///
/// # Errors
/// 400 for a first phase that is not the current one, and for phases without end, in disorder, or too many.
pub(super) fn read(world: &World, schedule: &Value, call: &Call) -> Result<Vec<Value>, ApiError> {
    let given = call.items("phases");
    if given.is_empty() {
        return Err(ApiError::missing_param("phases"));
    }
    if given.len() > MOST {
        return Err(ApiError::invalid(format!(
            "A subscription schedule can have at most {MOST} current and future phases."
        ))
        .param("phases"));
    }
    let begun = schedule["current_phase"].int("start_date");
    let mut phases: Vec<Value> = schedule
        .list("phases")
        .iter()
        .filter(|phase| phase.int("end_date") <= begun)
        .cloned()
        .collect();
    let mut start = begun;
    for (index, wanted) in given.iter().enumerate() {
        check_start(world, wanted, index, start)?;
        let phase = phase(world, wanted, index, start, given.get(index + 1))?;
        start = phase.int("end_date");
        phases.push(phase);
    }
    Ok(phases)
}

fn check_start(world: &World, wanted: &Value, index: usize, start: i64) -> Result<(), ApiError> {
    let at = format!("phases[{index}][start_date]");
    let given = match &wanted["start_date"] {
        Value::String(_) => Some(world.now),
        other => other.as_i64(),
    };
    match (given, index) {
        (None, 0) => Err(ApiError::missing_param(&at)),
        (Some(given), 0) if given != start => Err(ApiError::invalid(
            "You can not modify the start date of the current phase.",
        )
        .param(&at)),
        (Some(given), _) if given != start => Err(ApiError::invalid(
            "The subscription schedule phases must be contiguous: the start date of a phase is the end date of the one before.",
        )
        .param(&at)),
        _ => Ok(()),
    }
}

fn phase(
    world: &World,
    wanted: &Value,
    index: usize,
    start: i64,
    following: Option<&Value>,
) -> Result<Value, ApiError> {
    let at = format!("phases[{index}]");
    let items = wanted.list("items");
    if items.is_empty() {
        return Err(ApiError::missing_param(&format!("{at}[items]")));
    }
    let mut read = Vec::new();
    let mut currency = Value::Null;
    for (position, item) in items.iter().enumerate() {
        let param = format!("{at}[items][{position}][price]");
        let price = recurring_price(world, item.text("price"), &param)?;
        currency = price["currency"].clone();
        let metadata = Some(&item["metadata"]).filter(|metadata| metadata.is_object());
        read.push(json!({
            "billing_thresholds": null, "discounts": [], "metadata": metadata.cloned().unwrap_or_else(|| json!({})),
            "plan": price["id"], "price": price["id"], "quantity": item["quantity"].as_i64().unwrap_or(1), "tax_rates": [],
        }));
    }
    let end = end(world, wanted, &at, start, following)?;
    let trial_end = match (wanted.flag("trial"), &wanted["trial_end"]) {
        (true, _) => json!(end),
        (false, Value::String(_)) => Value::Null,
        (false, at) => at.clone(),
    };
    let mut phase = from_template(
        include_str!("../templates/schedule_phase.json"),
        json!({ "currency": currency, "items": read, "start_date": start, "end_date": end, "trial_end": trial_end }),
    );
    for field in ["proration_behavior", "metadata"] {
        if !wanted[field].is_null() {
            phase.set(field, wanted[field].clone());
        }
    }
    Ok(phase)
}

fn end(
    world: &World,
    wanted: &Value,
    at: &str,
    start: i64,
    following: Option<&Value>,
) -> Result<i64, ApiError> {
    let end = match (&wanted["end_date"], wanted.get("duration")) {
        (Value::Null, Some(duration)) => Some(billing::period_end(start, duration, start)),
        (Value::Null, None) => following.and_then(|next| next["start_date"].as_i64()),
        (_, Some(_)) => {
            return Err(ApiError::invalid(
                "You may only specify one of these parameters: end_date, duration.",
            )
            .param(&format!("{at}[end_date]")));
        }
        (Value::String(_), None) => Some(world.now),
        (end, None) => end.as_i64(),
    };
    match end {
        None => Err(ApiError::missing_param(&format!("{at}[end_date]"))),
        Some(end) if end <= start => Err(ApiError::invalid(
            "The end date of a phase must be after its start date.",
        )
        .param(&format!("{at}[end_date]"))),
        Some(end) => Ok(end),
    }
}
