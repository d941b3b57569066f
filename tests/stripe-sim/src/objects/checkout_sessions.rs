//! Checkout sessions: <https://docs.stripe.com/api/checkout/sessions>, behaviour as on
//! <https://docs.stripe.com/payments/checkout/how-checkout-works>. Paying happens in `payment`, seen on `pages`.

use serde_json::Value;

use super::common::{self, equal, merge_metadata, page};
use super::{Call, Expandable, Resource, Route, Timer, prices};
use crate::doc::{Doc, visible, whole_list};
use crate::error::ApiError;
use crate::params::{CREATED, Kind, PAGE, Param, opt, req};
use crate::world::World;

mod create;
mod payment;

pub(crate) use payment::{Means, Paid, answer_confirmation, debit_concluded, pay};

const URL: &str = "/v1/checkout/sessions";

const DAY: i64 = 86_400;

const CREATE: &[Param] = &[
    opt("allow_promotion_codes", Kind::Bool),
    opt(
        "billing_address_collection",
        Kind::Enum(&["auto", "required"]),
    ),
    opt("cancel_url", Kind::Str),
    opt("client_reference_id", Kind::Str),
    opt("customer", Kind::Str),
    opt("customer_creation", Kind::Enum(&["always", "if_required"])),
    opt("customer_email", Kind::Str),
    opt("expires_at", Kind::Int),
    opt(
        "locale",
        Kind::Enum(&["auto", "de", "en", "es", "fr", "it", "ja"]),
    ),
    opt("metadata", Kind::Map),
    opt("mode", Kind::Enum(&["payment", "setup", "subscription"])),
    opt("payment_intent_data.description", Kind::Str),
    opt("payment_intent_data.metadata", Kind::Map),
    opt(
        "payment_method_collection",
        Kind::Enum(&["always", "if_required"]),
    ),
    opt(
        "payment_method_types[]",
        Kind::Enum(&["card", "us_bank_account"]),
    ),
    opt("subscription_data.description", Kind::Str),
    opt("subscription_data.metadata", Kind::Map),
    opt("subscription_data.trial_end", Kind::Int),
    opt("subscription_data.trial_period_days", Kind::Int),
    req(
        "subscription_data.trial_settings.end_behavior.missing_payment_method",
        Kind::Enum(&["cancel", "create_invoice", "pause"]),
    ),
    opt("success_url", Kind::Str),
    opt("ui_mode", Kind::Enum(&["hosted_page"])),
];

const LINE_ITEMS: &[Param] = &[
    opt("line_items[].price", Kind::Str),
    opt("line_items[].quantity", Kind::Int),
    opt("line_items[].metadata", Kind::Map),
    req("line_items[].price_data.currency", Kind::Str),
    opt("line_items[].price_data.product", Kind::Str),
    req("line_items[].price_data.product_data.name", Kind::Str),
    opt(
        "line_items[].price_data.product_data.description",
        Kind::Str,
    ),
    opt("line_items[].price_data.product_data.metadata", Kind::Map),
    req(
        "line_items[].price_data.recurring.interval",
        Kind::Enum(prices::INTERVALS),
    ),
    opt(
        "line_items[].price_data.recurring.interval_count",
        Kind::Int,
    ),
    opt("line_items[].price_data.unit_amount", Kind::Int),
    opt("line_items[].price_data.unit_amount_decimal", Kind::Decimal),
];

const FILTERS: &[Param] = &[
    opt("customer", Kind::Str),
    req("customer_details.email", Kind::Str),
    opt("payment_intent", Kind::Str),
    opt("status", Kind::Enum(&["complete", "expired", "open"])),
    opt("subscription", Kind::Str),
];

const UPDATE: &[Param] = &[opt("metadata", Kind::Map)];

pub(crate) const RESOURCE: Resource = Resource {
    kind: "checkout.session",
    routes: &[
        Route {
            method: "POST",
            path: URL,
            params: &[CREATE, LINE_ITEMS],
            run: create::create,
        },
        Route {
            method: "GET",
            path: URL,
            params: &[PAGE, CREATED, FILTERS],
            run: list,
        },
        Route {
            method: "GET",
            path: "/v1/checkout/sessions/{session}",
            params: &[],
            run: retrieve,
        },
        Route {
            method: "POST",
            path: "/v1/checkout/sessions/{session}",
            params: &[UPDATE],
            run: update,
        },
        Route {
            method: "POST",
            path: "/v1/checkout/sessions/{session}/expire",
            params: &[],
            run: expire_route,
        },
        Route {
            method: "GET",
            path: "/v1/checkout/sessions/{session}/line_items",
            params: &[PAGE],
            run: line_items,
        },
    ],
    expandable: &[
        Expandable::id("customer"),
        Expandable::id("invoice"),
        Expandable::id("payment_intent"),
        Expandable::id("subscription"),
        Expandable::included("line_items", included_line_items),
    ],
    timer: Some(Timer {
        due: open_until,
        fire: |world, id| drop(expire(world, id)),
    }),
};

fn list(world: &mut World, call: &Call) -> Result<Value, ApiError> {
    let email = call.below("customer_details", "/email");
    common::list(world, "checkout.session", URL, call, |session| {
        (email.is_null() || session["customer_details"]["email"] == email)
            && equal(
                call,
                session,
                &["customer", "payment_intent", "status", "subscription"],
            )
    })
}

fn retrieve(world: &mut World, call: &Call) -> Result<Value, ApiError> {
    common::retrieve(world, "checkout.session", call)
}

fn update(world: &mut World, call: &Call) -> Result<Value, ApiError> {
    let id = call.arg(0);
    world.get("checkout.session", id)?;
    Ok(world.change("checkout.session", id, None, |session| {
        merge_metadata(session, call.get("metadata"))
    }))
}

fn expire_route(world: &mut World, call: &Call) -> Result<Value, ApiError> {
    let id = call.arg(0);
    let status = world.get("checkout.session", id)?.text("status").to_owned();
    if status != "open" {
        return Err(ApiError::invalid(format!(
            "Only Checkout Sessions with a status in [\"open\"] can be expired. This Checkout Session has a status of `{status}`."
        )));
    }
    Ok(expire(world, id))
}

fn expire(world: &mut World, id: &str) -> Value {
    world.change(
        "checkout.session",
        id,
        Some("checkout.session.expired"),
        |session| {
            session.set("status", "expired");
            session.set("url", Value::Null);
        },
    )
}

fn line_items(world: &mut World, call: &Call) -> Result<Value, ApiError> {
    let session = world.get("checkout.session", call.arg(0))?;
    let url = format!("{URL}/{}/line_items", call.arg(0));
    page(
        session.list("_line_items").iter().collect(),
        "item",
        &url,
        call,
        |_| true,
    )
}

fn included_line_items(_: &World, session: &Value) -> Value {
    let lines = session.list("_line_items").iter().map(visible).collect();
    whole_list(&format!("{URL}/{}/line_items", session.text("id")), lines)
}

fn open_until(session: &Value) -> Option<i64> {
    (session.text("status") == "open").then(|| session.int("expires_at"))
}
