//! How a subscription begins: what is checked, what is made, and what is collected at once.
//!
//! <https://docs.stripe.com/api/subscriptions/create>, <https://docs.stripe.com/billing/subscriptions/overview>

use serde_json::{Value, json};

use super::items;
use crate::doc::{Doc, from_template, whole_list};
use crate::error::ApiError;
use crate::objects::billing::Charge;
use crate::objects::cards::{self, Verdict};
use crate::objects::common::merge_metadata;
use crate::objects::invoices::{self, Reason};
use crate::objects::{Call, payment_methods, test_clocks};
use crate::world::World;

/// What a subscription starts from, whoever asks for it.
pub(crate) struct Start {
    pub(crate) customer: String,
    /// Prices with quantities and metadata, as `items[]` has them.
    pub(crate) items: Vec<Value>,
    pub(crate) metadata: Value,
    pub(crate) description: Value,
    pub(crate) payment_method: Option<String>,
    pub(crate) trial_end: Option<i64>,
    pub(crate) collection_method: String,
    pub(crate) days_until_due: Option<i64>,
    /// `default_incomplete`: do not charge yet.
    pub(crate) charge: bool,
    /// Nobody is there to confirm a payment.
    pub(crate) off_session: bool,
    /// The person is there and has confirmed the payment.
    pub(crate) confirmed: bool,
}

/// The end of the trial that a request asks for.
///
/// # Errors
/// 400 for a time in the past, or two ways to say it.
pub(super) fn trial_end(world: &World, call: &Call) -> Result<Option<i64>, ApiError> {
    let at = match (call.int("trial_period_days"), call.get("trial_end")) {
        (Some(_), Some(_)) => {
            return Err(ApiError::invalid(
                "You may only specify one of these parameters: trial_end, trial_period_days.",
            ));
        }
        (Some(days), None) if days < 1 => {
            return Err(
                ApiError::invalid("Invalid trial_period_days: must be at least 1.")
                    .param("trial_period_days"),
            );
        }
        (Some(days), None) => Some(world.now + days * 86_400),
        (None, Some(Value::Number(at))) => at.as_i64(),
        (None, _) => None,
    };
    match at {
        Some(at) if at <= world.now => Err(ApiError::invalid(
            "Invalid timestamp: must be an integer Unix timestamp in the future.",
        )
        .param("trial_end")),
        at => Ok(at),
    }
}

/// `days_until_due` goes with `send_invoice`, and only with it.
pub(super) fn check_collection(start: &Start) -> Result<(), ApiError> {
    match (start.collection_method.as_str(), start.days_until_due) {
        ("send_invoice", None) => Err(ApiError::missing_param("days_until_due")),
        ("charge_automatically", Some(_)) => Err(ApiError::invalid(
            "You can only set `days_until_due` if collection method is `send_invoice`.",
        )
        .param("days_until_due")),
        _ => Ok(()),
    }
}

/// The payment method must be the customer's.
pub(super) fn check_payment_method(
    world: &World,
    customer: &str,
    method: Option<&str>,
) -> Result<(), ApiError> {
    let Some(method) = method else { return Ok(()) };
    payment_methods::chargeable(world, method, "default_payment_method")
        .map(|_| ())
        .or_else(|error| match error.status {
            402 => Ok(()),
            _ => Err(error),
        })?;
    if world.get("payment_method", method)?.text("customer") == customer {
        return Ok(());
    }
    Err(ApiError::invalid(format!(
        "The customer does not have a payment method with the ID {method}. The payment method must be attached to the customer."
    ))
    .param("default_payment_method"))
}

/// Refuses what would have to be charged at once and cannot be.
pub(super) fn check_chargeable(
    world: &mut World,
    start: &Start,
    behavior: &str,
) -> Result<(), ApiError> {
    let automatic = start.collection_method == "charge_automatically";
    if !automatic || !start.charge || start.trial_end.is_some() {
        return Ok(());
    }
    let items = items::resolved(world, &start.items, "", "items")?;
    if items
        .iter()
        .all(|item| item["price"].int("unit_amount") == 0)
    {
        return Ok(());
    }
    let default = world
        .store
        .find("customer", &start.customer)
        .map(default_of)
        .unwrap_or_default();
    let Some(method) = start.payment_method.clone().or(default) else {
        return Err(invoices::no_payment_method());
    };
    if behavior == "error_if_incomplete" {
        let last4 = payment_methods::chargeable(world, &method, "default_payment_method")?;
        if let Verdict::Declined(error) = cards::verdict(&last4, true, false) {
            return Err(error);
        }
    }
    Ok(())
}

fn default_of(customer: &Value) -> Option<String> {
    customer["invoice_settings"]["default_payment_method"]
        .as_str()
        .map(str::to_owned)
}

/// Starts a subscription: makes it, its first invoice, and collects that as far as asked. `settings` has the last word on
/// its fields before anybody hears of it.
///
/// # Errors
/// 400 for items that cannot be subscribed to.
pub(crate) fn start(
    world: &mut World,
    start: Start,
    settings: impl FnOnce(&mut Value),
) -> Result<String, ApiError> {
    test_clocks::check_subscription(world, &start.customer)?;
    let id = world.new_id("sub_", 24);
    let mut items = items::resolved(world, &start.items, &id, "items")?;
    let (now, trial_end) = (world.now, start.trial_end);
    for item in &mut items {
        items::set_period(
            item,
            now,
            trial_end.unwrap_or_else(|| items::next_end(item, now, now)),
        );
    }
    let automatic = start.collection_method == "charge_automatically";
    let status = match (trial_end, automatic) {
        (Some(_), _) => "trialing",
        (None, true) => "incomplete",
        (None, false) => "active",
    };
    let mut subscription = bare(world, &id, status, &start);
    subscription.set(
        "currency",
        items
            .first()
            .map_or(Value::Null, |item| item["price"]["currency"].clone()),
    );
    subscription.set(
        "items",
        whole_list(
            &format!("/v1/subscription_items?subscription={id}"),
            items.clone(),
        ),
    );
    merge_metadata(&mut subscription, Some(&start.metadata));
    settings(&mut subscription);
    world.create(subscription.clone(), None);
    let charge = if trial_end.is_some() {
        Charge::trial
    } else {
        Charge::whole_period
    };
    let lines = items
        .iter()
        .map(|item| charge(item).line(world.livemode()))
        .collect();
    let invoice = invoices::draft(world, &subscription, Reason::Create, lines);
    let subscription = world.change("subscription", &id, None, |subscription| {
        subscription.set("latest_invoice", invoice.as_str())
    });
    world.emit("customer.subscription.created", &subscription, None);
    invoices::finalize(world, &invoice);
    if automatic && start.charge {
        invoices::collect(world, &invoice, None, start.off_session, start.confirmed);
    }
    Ok(id)
}

fn bare(world: &World, id: &str, status: &str, start: &Start) -> Value {
    let dynamic = json!({
        "id": id, "billing_cycle_anchor": start.trial_end.unwrap_or(world.now), "collection_method": start.collection_method,
        "created": world.now, "customer": start.customer, "days_until_due": start.days_until_due,
        "default_payment_method": start.payment_method, "description": start.description, "livemode": world.livemode(),
        "start_date": world.now, "status": status, "trial_end": start.trial_end,
        "trial_start": start.trial_end.map(|_| world.now),
    });
    from_template(include_str!("../templates/subscription.json"), dynamic)
}

/// What would be charged: the subscription's own payment method, else the customer's default.
pub(crate) fn payment_method_of(world: &World, id: &str) -> Option<String> {
    let subscription = world.store.find("subscription", id)?;
    let own = subscription["default_payment_method"]
        .as_str()
        .map(str::to_owned);
    own.or_else(|| {
        world
            .store
            .find("customer", subscription.text("customer"))
            .and_then(default_of)
    })
}
