//! Subscriptions: <https://docs.stripe.com/api/subscriptions>, states as on
//! <https://docs.stripe.com/billing/subscriptions/overview>. Items are kept inside; `lifecycle` moves them with the clock.

use serde_json::{Value, json};

use super::cards::Verdict;
use super::common::{self, equal, merge_metadata};
use super::invoices::{self, Reason};
use super::{Call, Expandable, Resource, Route, Timer, payment_methods};
use crate::doc::{Doc, whole_list};
use crate::error::ApiError;
use crate::params::{CREATED, Kind, PAGE, Param, opt, req};
use crate::world::World;

mod items;
mod lifecycle;

pub(crate) use items::{change_items, items_of};
pub(crate) use lifecycle::{cancel, cancel_all_of, paid, payment_failed};

const URL: &str = "/v1/subscriptions";

/// An unpaid first invoice ends a subscription after this long.
const INCOMPLETE_FOR: i64 = 23 * 3600;

const CREATE: &[Param] = &[
    opt("customer", Kind::Str),
    opt("items[].price", Kind::Str),
    opt("items[].quantity", Kind::Int),
    opt("items[].metadata", Kind::Map),
    opt("trial_period_days", Kind::Int),
    opt("cancel_at", Kind::Int),
];

const FIELDS: &[Param] = &[
    opt("cancel_at_period_end", Kind::Bool),
    opt(
        "collection_method",
        Kind::Enum(&["charge_automatically", "send_invoice"]),
    ),
    opt("days_until_due", Kind::Int),
    opt("default_payment_method", Kind::Str),
    opt("metadata", Kind::Map),
    opt("off_session", Kind::Bool),
    opt(
        "payment_behavior",
        Kind::Enum(&[
            "allow_incomplete",
            "default_incomplete",
            "error_if_incomplete",
        ]),
    ),
    opt(
        "payment_settings.save_default_payment_method",
        Kind::Enum(&["off", "on_subscription"]),
    ),
    opt("proration_behavior", Kind::Enum(PRORATION)),
    opt("trial_end", Kind::IntOr(&["now"])),
    req(
        "trial_settings.end_behavior.missing_payment_method",
        Kind::Enum(&["cancel", "create_invoice"]),
    ),
];

/// What a change does about the rest of the period.
pub(crate) const PRORATION: &[&str] = &["always_invoice", "create_prorations", "none"];

const UPDATE: &[Param] = &[
    opt("items[].id", Kind::Str),
    opt("items[].deleted", Kind::Bool),
    opt("items[].price", Kind::Str),
    opt("items[].quantity", Kind::Int),
    opt("items[].metadata", Kind::Map),
    opt("cancel_at", Kind::Int).clearable(),
    opt("description", Kind::Str).clearable(),
];

const CANCEL: &[Param] = &[opt("invoice_now", Kind::Bool), opt("prorate", Kind::Bool)];

const DETAILS: &[Param] = &[
    opt("cancellation_details.comment", Kind::Str).clearable(),
    opt(
        "cancellation_details.feedback",
        Kind::Enum(&[
            "customer_service",
            "low_quality",
            "missing_features",
            "other",
            "switched_service",
            "too_complex",
            "too_expensive",
            "unused",
        ]),
    )
    .clearable(),
];

const STATUSES: &[&str] = &[
    "active",
    "all",
    "canceled",
    "ended",
    "incomplete",
    "incomplete_expired",
    "past_due",
    "paused",
    "trialing",
    "unpaid",
];

const FILTERS: &[Param] = &[
    opt("customer", Kind::Str),
    opt("price", Kind::Str),
    opt("status", Kind::Enum(STATUSES)),
    opt(
        "collection_method",
        Kind::Enum(&["charge_automatically", "send_invoice"]),
    ),
];

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
        Expandable::id("items.data.price.product"),
    ],
    timer: Some(Timer {
        next: lifecycle::next,
        fire: lifecycle::fire,
    }),
};

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
    /// The person is there and has confirmed the payment.
    pub(crate) confirmed: bool,
}

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
        confirmed: false,
        customer,
    };
    check_collection(&start)?;
    check_payment_method(world, &start.customer, start.payment_method.as_deref())?;
    check_chargeable(world, &start, behavior)?;
    let id = self::start(world, start)?;
    let subscription = world.change("subscription", &id, None, |subscription| {
        apply_fields(subscription, call)
    });
    if call.flag("cancel_at_period_end") == Some(true) || call.get("cancel_at").is_some() {
        plan_end(world, &id, call);
    }
    Ok(world
        .store
        .find("subscription", &id)
        .cloned()
        .unwrap_or(subscription))
}

fn trial_end(world: &World, call: &Call) -> Result<Option<i64>, ApiError> {
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

fn check_collection(start: &Start) -> Result<(), ApiError> {
    match (start.collection_method.as_str(), start.days_until_due) {
        ("send_invoice", None) => Err(ApiError::missing_param("days_until_due")),
        ("charge_automatically", Some(_)) => Err(ApiError::invalid(
            "You can only set `days_until_due` if collection method is `send_invoice`.",
        )
        .param("days_until_due")),
        _ => Ok(()),
    }
}

fn check_payment_method(
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
fn check_chargeable(world: &mut World, start: &Start, behavior: &str) -> Result<(), ApiError> {
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
        if let Verdict::Declined(error) = super::cards::verdict(&last4, true, false) {
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

/// Starts a subscription: makes it, its first invoice, and collects that as far as asked.
///
/// # Errors
/// 400 for items that cannot be subscribed to.
pub(crate) fn start(world: &mut World, start: Start) -> Result<String, ApiError> {
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
    world.create(subscription.clone(), None);
    let charge = if trial_end.is_some() {
        super::billing::Charge::trial
    } else {
        super::billing::Charge::whole_period
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
        invoices::collect(world, &invoice, None, !start.confirmed, start.confirmed);
    }
    Ok(id)
}

fn bare(world: &World, id: &str, status: &str, start: &Start) -> Value {
    json!({
        "id": id, "object": "subscription", "application": null, "application_fee_percent": null,
        "automatic_tax": { "disabled_reason": null, "enabled": false, "liability": null },
        "billing_cycle_anchor": start.trial_end.unwrap_or(world.now), "billing_cycle_anchor_config": null,
        "billing_mode": { "flexible": { "proration_discounts": "included" }, "type": "flexible" }, "billing_schedules": [],
        "billing_thresholds": null, "cancel_at": null, "cancel_at_period_end": false, "canceled_at": null,
        "cancellation_details": { "comment": null, "feedback": null, "reason": null }, "collection_method": start.collection_method,
        "created": world.now, "customer": start.customer, "days_until_due": start.days_until_due,
        "default_payment_method": start.payment_method, "default_source": null, "default_tax_rates": [],
        "description": start.description, "discounts": [], "ended_at": null, "latest_invoice": null,
        "invoice_settings": { "account_tax_ids": null, "issuer": { "type": "self" } }, "livemode": world.livemode(),
        "next_pending_invoice_item_invoice": null, "on_behalf_of": null, "pause_collection": null,
        "payment_settings": { "payment_method_options": null, "payment_method_types": null, "save_default_payment_method": "off" },
        "pending_invoice_item_interval": null, "pending_setup_intent": null, "pending_update": null, "schedule": null,
        "start_date": world.now, "status": status, "test_clock": null, "transfer_data": null, "trial_end": start.trial_end,
        "trial_settings": { "end_behavior": { "missing_payment_method": "create_invoice" } },
        "trial_start": start.trial_end.map(|_| world.now), "_pending_lines": [],
    })
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

/// Lets a subscription end with its current period.
pub(crate) fn cancel_at_period_end(world: &mut World, id: &str) {
    let mut call = Call::default();
    call.params
        .insert("cancel_at_period_end".to_owned(), json!(true));
    plan_end(world, id, &call);
}

/// Plans the end of a subscription, or takes the plan back.
fn plan_end(world: &mut World, id: &str, call: &Call) {
    let now = world.now;
    world.change(
        "subscription",
        id,
        Some("customer.subscription.updated"),
        |subscription| {
            let period_end = subscription
                .list("items")
                .iter()
                .map(|item| item.int("current_period_end"))
                .max();
            let at = match (call.flag("cancel_at_period_end"), call.get("cancel_at")) {
                (Some(true), _) => json!(period_end),
                (_, Some(at)) => at.clone(),
                (_, None) => Value::Null,
            };
            let planned = !at.is_null();
            subscription.set(
                "cancel_at_period_end",
                call.flag("cancel_at_period_end").unwrap_or_default(),
            );
            subscription.set("cancel_at", at);
            subscription.set(
                "canceled_at",
                if planned { json!(now) } else { Value::Null },
            );
            let reason = if planned {
                json!("cancellation_requested")
            } else {
                Value::Null
            };
            subscription["cancellation_details"].set("reason", reason);
        },
    );
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
    check_payment_method(
        world,
        subscription.text("customer"),
        call.text("default_payment_method"),
    )?;
    if !call.items("items").is_empty() {
        change_items(
            world,
            id,
            call.items("items"),
            call.text("proration_behavior")
                .unwrap_or("create_prorations"),
        )?;
    }
    if call.get("cancel_at_period_end").is_some() || call.get("cancel_at").is_some() {
        plan_end(world, id, call);
    }
    if call.get("trial_end").is_some() {
        let at = trial_end(world, call)?;
        lifecycle::move_trial_end(world, id, at);
    }
    Ok(world.change(
        "subscription",
        id,
        Some("customer.subscription.updated"),
        |subscription| {
            apply_fields(subscription, call);
            merge_metadata(subscription, call.get("metadata"));
            apply_details(subscription, call);
        },
    ))
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
    if call.flag("prorate") == Some(true) {
        lifecycle::credit_the_rest(world, id);
    }
    if call.flag("invoice_now") == Some(true) {
        lifecycle::invoice_pending(world, id, Reason::Update);
    }
    cancel(world, id, "cancellation_requested");
    world.get("subscription", id).cloned()
}
