//! Payment methods: <https://docs.stripe.com/api/payment_methods>. The API makes cards only; a page also bank accounts.

use serde_json::{Value, json};

use super::cards::{self, TestCard};
use super::common::{self, ADDRESS_FIELDS, equal, filled_object, merge_metadata};
use super::{Call, Expandable, Resource, Route};
use crate::doc::{Doc, from_template};
use crate::error::ApiError;
use crate::params::{Kind, PAGE, Param, opt};
use crate::world::World;

const URL: &str = "/v1/payment_methods";

const TYPE: Kind = Kind::Enum(&["card"]);

const BILLING: &[Param] = &[
    opt("billing_details.address.city", Kind::Str),
    opt("billing_details.address.country", Kind::Str),
    opt("billing_details.address.line1", Kind::Str),
    opt("billing_details.address.line2", Kind::Str),
    opt("billing_details.address.postal_code", Kind::Str),
    opt("billing_details.address.state", Kind::Str),
    opt("billing_details.email", Kind::Str).clearable(),
    opt("billing_details.name", Kind::Str).clearable(),
    opt("billing_details.phone", Kind::Str).clearable(),
    opt("metadata", Kind::Map),
];

const CREATE: &[Param] = &[
    opt("type", TYPE),
    opt("card.token", Kind::Str),
    opt("card.number", Kind::Str),
    opt("card.exp_month", Kind::Int),
    opt("card.exp_year", Kind::Int),
    opt("card.cvc", Kind::Str),
];

pub(crate) const RESOURCE: Resource = Resource {
    kind: "payment_method",
    routes: &[
        Route {
            method: "POST",
            path: URL,
            params: &[BILLING, CREATE],
            run: create,
        },
        Route {
            method: "GET",
            path: URL,
            params: &[PAGE, &[opt("customer", Kind::Str), opt("type", TYPE)]],
            run: list,
        },
        Route {
            method: "GET",
            path: "/v1/payment_methods/{payment_method}",
            params: &[],
            run: retrieve,
        },
        Route {
            method: "POST",
            path: "/v1/payment_methods/{payment_method}/attach",
            params: &[&[opt("customer", Kind::Str)]],
            run: attach_route,
        },
        Route {
            method: "POST",
            path: "/v1/payment_methods/{payment_method}/detach",
            params: &[],
            run: detach,
        },
    ],
    expandable: &[Expandable::id("customer")],
    timer: None,
};

fn create(world: &mut World, call: &Call) -> Result<Value, ApiError> {
    if call.text("type").is_none() {
        return Err(ApiError::missing_param("type"));
    }
    let given = |field: &str| call.below("card", &format!("/{field}"));
    let card = match (given("token"), given("number")) {
        (Value::String(token), _) => cards::by_name(&token)
            .ok_or_else(|| ApiError::no_such_reference("token", &token, "card[token]"))?,
        (_, Value::String(number)) => cards::by_number(&number).ok_or_else(|| {
            ApiError::card("incorrect_number", None, "Your card number is incorrect.")
                .param("number")
        })?,
        _ => return Err(ApiError::missing_param("card")),
    };
    let expiry = (
        given("exp_month").as_i64().unwrap_or(12),
        given("exp_year").as_i64().unwrap_or(2040),
    );
    let mut method = new_card(world, card, expiry);
    if let Some(details) = call.get("billing_details") {
        let old = method["billing_details"].clone();
        let mut billing = filled_object(
            &old,
            details,
            &["address", "email", "name", "phone", "tax_id"],
        );
        let address = filled_object(&old["address"], &details["address"], ADDRESS_FIELDS);
        billing.set("address", address);
        method.set("billing_details", billing);
    }
    merge_metadata(&mut method, call.get("metadata"));
    Ok(world.create(method, None))
}

fn new_card(world: &mut World, card: &TestCard, (exp_month, exp_year): (i64, i64)) -> Value {
    let dynamic = json!({
        "id": world.new_id("pm_", 24), "created": world.now, "livemode": world.livemode(),
        "card": {
            "brand": card.brand, "country": "US", "display_brand": card.brand, "exp_month": exp_month, "exp_year": exp_year,
            "fingerprint": format!("fingerprint{}", card.last4()), "funding": "credit", "generated_from": null,
            "last4": card.last4(), "networks": { "available": [card.brand], "preferred": null },
            "regulated_status": "unregulated", "three_d_secure_usage": { "supported": true }, "wallet": null,
            "checks": { "address_line1_check": null, "address_postal_code_check": null, "cvc_check": "pass" },
        },
    });
    from_template(include_str!("templates/payment_method.json"), dynamic)
}

/// A payment method for a card typed into a page of the simulator.
pub(crate) fn create_for_page(world: &mut World, card: &TestCard) -> String {
    let method = new_card(world, card, (12, 2040));
    world.create(method, None).id()
}

/// A bank account typed into a page of the simulator: <https://docs.stripe.com/payments/ach-direct-debit>.
pub(crate) fn create_bank_account(world: &mut World) -> String {
    let dynamic = json!({
        "id": world.new_id("pm_", 24), "created": world.now, "livemode": world.livemode(), "type": "us_bank_account",
        "us_bank_account": {
            "account_holder_type": "individual", "account_type": "checking", "bank_name": "STRIPE TEST BANK",
            "financial_connections_account": null, "fingerprint": "fingerprint6789", "last4": "6789",
            "networks": { "preferred": "ach", "supported": ["ach"] }, "routing_number": "110000000", "status_details": {},
        },
    });
    let method = from_template(include_str!("templates/payment_method.json"), dynamic);
    world.create(method, None).id()
}

/// The last four digits of a payment method that could be charged: one of the account, or a test id such as
/// `pm_card_visa`.
///
/// # Errors
/// 400 that blames `param` when there is none, 402 when its bank refuses it at once.
pub(crate) fn chargeable(world: &World, id: &str, param: &str) -> Result<String, ApiError> {
    let last4 = match cards::by_name(id) {
        Some(card) => card.last4().to_owned(),
        None => world.referred("payment_method", id, param)?["card"]
            .text("last4")
            .to_owned(),
    };
    cards::refused_on_attach(&last4).map_or(Ok(last4), Err)
}

/// Attaches a payment method to a customer and returns its id; a test id becomes a new payment method.
///
/// # Errors
/// As `chargeable`; 400 when it belongs to another customer.
pub(crate) fn attach(world: &mut World, id: &str, customer: &str) -> Result<String, ApiError> {
    chargeable(world, id, "payment_method")?;
    let id = match cards::by_name(id) {
        Some(card) => create_for_page(world, card),
        None => id.to_owned(),
    };
    let holder = world
        .get("payment_method", &id)?
        .text("customer")
        .to_owned();
    if holder == customer {
        return Ok(id);
    }
    if !holder.is_empty() {
        return Err(ApiError::invalid(
            "The payment method you provided has already been attached to a customer.",
        )
        .code("payment_method_unexpected_state"));
    }
    world.change(
        "payment_method",
        &id,
        Some("payment_method.attached"),
        |method| method.set("customer", customer),
    );
    Ok(id)
}

fn attach_route(world: &mut World, call: &Call) -> Result<Value, ApiError> {
    let customer = call
        .text("customer")
        .ok_or_else(|| ApiError::missing_param("customer"))?;
    world.referred("customer", customer, "customer")?;
    if cards::by_name(call.arg(0)).is_none() {
        world.get("payment_method", call.arg(0))?;
    }
    let id = attach(world, call.arg(0), customer)?;
    world.get("payment_method", &id).cloned()
}

fn detach(world: &mut World, call: &Call) -> Result<Value, ApiError> {
    let id = call.arg(0);
    let method = world.get("payment_method", id)?;
    let customer = method.text("customer").to_owned();
    if customer.is_empty() {
        return Err(ApiError::invalid(
            "The payment method you provided is not attached to a customer so detachment is impossible.",
        ));
    }
    world.change(
        "customer",
        &customer,
        Some("customer.updated"),
        |customer| {
            if let Some(settings) = customer
                .get_mut("invoice_settings")
                .filter(|settings| settings.text("default_payment_method") == id)
            {
                settings.set("default_payment_method", Value::Null);
            }
        },
    );
    Ok(world.change(
        "payment_method",
        id,
        Some("payment_method.detached"),
        |method| method.set("customer", Value::Null),
    ))
}

fn list(world: &mut World, call: &Call) -> Result<Value, ApiError> {
    let Some(customer) = call.text("customer") else {
        // Without a customer Stripe lists only what an account itself holds, which is nothing here.
        return common::page(Vec::new(), "payment_method", URL, call, |_| true);
    };
    world.referred("customer", customer, "customer")?;
    common::list(world, "payment_method", URL, call, |method| {
        equal(call, method, &["customer", "type"])
    })
}

fn retrieve(world: &mut World, call: &Call) -> Result<Value, ApiError> {
    common::retrieve(world, "payment_method", call)
}
