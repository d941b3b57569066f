//! Customers: <https://docs.stripe.com/api/customers>, and their cards:
//! <https://docs.stripe.com/api/payment_methods/customer_list>.

use serde_json::{Value, json};

use super::common::{self, ADDRESS_FIELDS, equal, fill, filled_object, merge_metadata};
use super::{Call, Expandable, Resource, Route, payment_methods, subscriptions, test_clocks};
use crate::doc::{Doc, from_template, visible, whole_list};
use crate::error::ApiError;
use crate::params::{CREATED, Kind, PAGE, Param, opt};
use crate::world::World;

const FIELDS: &[Param] = &[
    opt("address", Kind::Unset),
    opt("address.city", Kind::Str),
    opt("address.country", Kind::Str),
    opt("address.line1", Kind::Str),
    opt("address.line2", Kind::Str),
    opt("address.postal_code", Kind::Str),
    opt("address.state", Kind::Str),
    opt("description", Kind::Str),
    opt("email", Kind::Str),
    opt("invoice_settings.default_payment_method", Kind::Str),
    opt("invoice_settings.footer", Kind::Str),
    opt("metadata", Kind::Map),
    opt("name", Kind::Str),
    opt("phone", Kind::Str),
    opt("preferred_locales[]", Kind::Str),
    opt("tax_exempt", Kind::Enum(&["exempt", "none", "reverse"])),
];

const ON_CLOCK: &[Param] = &[opt("test_clock", Kind::Str)];

const URL: &str = "/v1/customers";

pub(crate) const RESOURCE: Resource = Resource {
    kind: "customer",
    routes: &[
        Route {
            method: "POST",
            path: URL,
            params: &[FIELDS, ON_CLOCK, &[opt("payment_method", Kind::Str)]],
            run: create,
        },
        Route {
            method: "GET",
            path: URL,
            params: &[PAGE, CREATED, ON_CLOCK, &[opt("email", Kind::Str)]],
            run: list,
        },
        Route {
            method: "GET",
            path: "/v1/customers/search",
            params: &[common::SEARCH],
            run: search,
        },
        Route {
            method: "GET",
            path: "/v1/customers/{customer}",
            params: &[],
            run: retrieve,
        },
        Route {
            method: "POST",
            path: "/v1/customers/{customer}",
            params: &[FIELDS],
            run: update,
        },
        Route {
            method: "DELETE",
            path: "/v1/customers/{customer}",
            params: &[],
            run: delete,
        },
        Route {
            method: "GET",
            path: "/v1/customers/{customer}/payment_methods",
            params: &[PAGE, &[opt("type", Kind::Enum(&["card"]))]],
            run: list_payment_methods,
        },
    ],
    expandable: &[
        Expandable::id("invoice_settings.default_payment_method"),
        Expandable::included("subscriptions", included_subscriptions),
        test_clocks::EXPANDABLE,
    ],
    timer: None,
};

fn create(world: &mut World, call: &Call) -> Result<Value, ApiError> {
    checked_email(call)?;
    if let Some(clock) = call.text("test_clock") {
        test_clocks::check_customer(world, clock)?;
    }
    let id = world.new_id("cus_", 14);
    let prefix = world.new_id("", 8).to_uppercase();
    let dynamic = json!({
        "id": id, "created": world.now, "invoice_prefix": prefix, "livemode": world.livemode(),
        "test_clock": call.text("test_clock"),
    });
    let mut customer = from_template(include_str!("templates/customer.json"), dynamic);
    let default = call.below("invoice_settings", "/default_payment_method");
    apply(&mut customer, call);
    customer["invoice_settings"].set("default_payment_method", Value::Null);
    let payment_method = call.text("payment_method").or(default.as_str());
    if let Some(given) = payment_method {
        payment_methods::chargeable(world, given, "payment_method")?;
    }
    world.create(customer.clone(), Some("customer.created"));
    if let Some(given) = payment_method {
        let attached = payment_methods::attach(world, given, &id)?;
        if default.is_string() {
            return Ok(world.change("customer", &id, None, |customer| {
                set_default(customer, &attached)
            }));
        }
    }
    Ok(customer)
}

/// Makes a customer for somebody who came to a payment page without one.
pub(crate) fn create_for_page(world: &mut World, email: &str) -> Result<Value, ApiError> {
    let mut call = Call::default();
    call.params.insert("email".to_owned(), json!(email));
    create(world, &call)
}

fn set_default(customer: &mut Value, payment_method: &str) {
    if let Some(settings) = customer.get_mut("invoice_settings") {
        settings.set("default_payment_method", payment_method);
    }
}

fn apply(customer: &mut Value, call: &Call) {
    fill(
        customer,
        call,
        &[
            "description",
            "email",
            "name",
            "phone",
            "preferred_locales",
            "tax_exempt",
        ],
    );
    if let Some(given) = call.get("address") {
        let address = if given.is_null() {
            Value::Null
        } else {
            filled_object(&customer["address"], given, ADDRESS_FIELDS)
        };
        customer.set("address", address);
    }
    if let Some(given) = call.get("invoice_settings") {
        let fields = [
            "custom_fields",
            "default_payment_method",
            "footer",
            "rendering_options",
        ];
        let settings = filled_object(&customer["invoice_settings"], given, &fields);
        customer.set("invoice_settings", settings);
    }
    merge_metadata(customer, call.get("metadata"));
}

fn checked_email(call: &Call) -> Result<(), ApiError> {
    let Some(email) = call.text("email") else {
        return Ok(());
    };
    let sound = email
        .split_once('@')
        .is_some_and(|(name, host)| !name.is_empty() && host.contains('.') && !host.contains('@'));
    if sound && !email.contains(char::is_whitespace) && email.len() <= 512 {
        return Ok(());
    }
    Err(ApiError::invalid(format!("Invalid email address: {email}"))
        .code("email_invalid")
        .param("email"))
}

fn list(world: &mut World, call: &Call) -> Result<Value, ApiError> {
    common::list(world, "customer", URL, call, |customer| {
        equal(call, customer, &["email"]) && test_clocks::listed(call, customer, None)
    })
}

fn search(world: &mut World, call: &Call) -> Result<Value, ApiError> {
    common::search(world, "customer", "/v1/customers/search", call)
}

/// A deleted customer is still found, as no more than a mark.
fn retrieve(world: &mut World, call: &Call) -> Result<Value, ApiError> {
    let id = call.arg(0);
    world
        .store
        .find("customer", id)
        .cloned()
        .ok_or_else(|| ApiError::no_such("customer", id))
}

fn update(world: &mut World, call: &Call) -> Result<Value, ApiError> {
    let id = call.arg(0);
    world.get("customer", id)?;
    checked_email(call)?;
    if let Value::String(method) = call.below("invoice_settings", "/default_payment_method") {
        let attached = world.referred(
            "payment_method",
            &method,
            "invoice_settings[default_payment_method]",
        )?;
        if attached.text("customer") != id {
            return Err(ApiError::invalid(format!(
                "The customer does not have a payment method with the ID {method}. The payment method must be attached to the customer."
            ))
            .param("invoice_settings[default_payment_method]"));
        }
    }
    Ok(
        world.change("customer", id, Some("customer.updated"), |customer| {
            apply(customer, call)
        }),
    )
}

fn delete(world: &mut World, call: &Call) -> Result<Value, ApiError> {
    remove(world, call.arg(0))
}

/// Deletes a customer, whose subscriptions are canceled at once.
///
/// # Errors
/// 404 when there is none.
pub(crate) fn remove(world: &mut World, id: &str) -> Result<Value, ApiError> {
    world.get("customer", id)?;
    subscriptions::cancel_all_of(world, id);
    common::delete(world, "customer", id, Some("customer.deleted"))
}

fn list_payment_methods(world: &mut World, call: &Call) -> Result<Value, ApiError> {
    let id = call.arg(0);
    world.get("customer", id)?;
    let url = format!("/v1/customers/{id}/payment_methods");
    common::list(world, "payment_method", &url, call, |method| {
        method.text("customer") == id && equal(call, method, &["type"])
    })
}

fn included_subscriptions(world: &World, customer: &Value) -> Value {
    let id = customer.text("id");
    let live = world
        .store
        .all("subscription")
        .rev()
        .filter(|sub| sub.text("customer") == id && sub.text("status") != "canceled");
    whole_list(
        &format!("/v1/customers/{id}/subscriptions"),
        live.map(visible).collect(),
    )
}
