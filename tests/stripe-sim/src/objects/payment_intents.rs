//! Payment intents: <https://docs.stripe.com/api/payment_intents>, states as on
//! <https://docs.stripe.com/payments/paymentintents/lifecycle>.

use serde_json::{Value, json};

use super::cards::{self, Verdict};
use super::charges::{self, Outcome};
use super::common::{self, equal};
use super::{Call, Expandable, Resource, Route, Timer, invoices, payment_methods};
use crate::doc::{Doc, from_template};
use crate::error::ApiError;
use crate::params::{CREATED, Kind, PAGE, opt};
use crate::world::World;

mod debits;

pub(crate) use debits::{begin_debit, conclude_debit};

const URL: &str = "/v1/payment_intents";

pub(crate) const RESOURCE: Resource = Resource {
    kind: "payment_intent",
    routes: &[
        Route {
            method: "GET",
            path: URL,
            params: &[PAGE, CREATED, &[opt("customer", Kind::Str)]],
            run: list,
        },
        Route {
            method: "GET",
            path: "/v1/payment_intents/{intent}",
            params: &[],
            run: retrieve,
        },
        Route {
            method: "POST",
            path: "/v1/payment_intents/{intent}/confirm",
            params: &[&[
                opt("payment_method", Kind::Str),
                opt("return_url", Kind::Str),
                opt("off_session", Kind::Bool),
            ]],
            run: confirm,
        },
    ],
    expandable: &[
        Expandable::id("customer"),
        Expandable::id("latest_charge"),
        Expandable::id("payment_method"),
    ],
    timer: Some(Timer {
        due: debits::due_at,
        fire: debits::fire,
    }),
};

/// What a new payment intent is for.
pub(crate) struct Purpose<'a> {
    pub(crate) amount: i64,
    pub(crate) currency: &'a str,
    /// Null for a guest.
    pub(crate) customer: Value,
    /// The invoice it pays, if any.
    pub(crate) invoice: Option<&'a str>,
    pub(crate) description: Value,
    pub(crate) metadata: Value,
}

/// Makes a payment intent that waits for a payment method.
pub(crate) fn create(world: &mut World, purpose: Purpose<'_>) -> String {
    let id = world.new_id("pi_", 24);
    let client_secret = world.new_id(&format!("{id}_secret_"), 25);
    let mut dynamic = json!({
        "id": id, "amount": purpose.amount, "client_secret": client_secret, "created": world.now, "currency": purpose.currency,
        "customer": purpose.customer, "description": purpose.description, "livemode": world.livemode(),
        "_invoice": purpose.invoice,
    });
    if purpose.metadata.is_object() {
        dynamic.set("metadata", purpose.metadata);
    }
    let intent = from_template(include_str!("templates/payment_intent.json"), dynamic);
    world.create(intent, Some("payment_intent.created"));
    id
}

/// Charges a payment intent. `confirmed`: the person has just confirmed; `off_session`: nobody is there to ask.
pub(crate) fn charge(
    world: &mut World,
    id: &str,
    payment_method: &str,
    off_session: bool,
    confirmed: bool,
) -> Verdict {
    let last4 = world
        .store
        .find("payment_method", payment_method)
        .map(|method| method["card"].text("last4").to_owned());
    let verdict = verdict(
        world,
        id,
        &last4.unwrap_or_default(),
        off_session,
        confirmed,
    );
    let url = format!("{}/3ds/{id}", world.base_url);
    let event = match verdict {
        Verdict::Approved => "payment_intent.succeeded",
        Verdict::Declined(_) => "payment_intent.payment_failed",
        Verdict::NeedsConfirmation => "payment_intent.requires_action",
    };
    let method = world
        .store
        .find("payment_method", payment_method)
        .cloned()
        .unwrap_or_default();
    let before = world
        .store
        .find("payment_intent", id)
        .cloned()
        .unwrap_or_default();
    let charge = match &verdict {
        Verdict::Approved => charges::create(world, &before, &method, &Outcome::Succeeded).into(),
        Verdict::Declined(error) => {
            charges::create(world, &before, &method, &Outcome::Failed(error)).into()
        }
        Verdict::NeedsConfirmation => before["latest_charge"].clone(),
    };
    let intent = world.change("payment_intent", id, None, |intent| {
        intent.set("latest_charge", charge);
        intent.set("last_payment_error", Value::Null);
        intent.set("next_action", Value::Null);
        match &verdict {
            Verdict::Approved => {
                let amount = intent.int("amount");
                intent.set("status", "succeeded");
                intent.set("amount_received", amount);
                intent.set("payment_method", payment_method);
            }
            Verdict::Declined(error) => {
                let mut error = Value::Object(error.fields().clone());
                error.set("payment_method", method);
                intent.set("status", "requires_payment_method");
                intent.set("payment_method", Value::Null);
                intent.set("last_payment_error", error);
            }
            Verdict::NeedsConfirmation => {
                intent.set("status", "requires_action");
                intent.set("payment_method", payment_method);
                let redirect = json!({ "return_url": intent["_return_url"], "url": url });
                intent.set(
                    "next_action",
                    json!({ "type": "redirect_to_url", "redirect_to_url": redirect }),
                );
            }
        }
    });
    world.emit(event, &intent, None);
    verdict
}

/// What the bank says. An invoice's payer who has to confirm while nobody is there is asked on the invoice's page:
/// <https://docs.stripe.com/billing/subscriptions/overview#requires-action>.
fn verdict(world: &World, id: &str, last4: &str, off_session: bool, confirmed: bool) -> Verdict {
    let of_invoice = world
        .store
        .find("payment_intent", id)
        .is_some_and(|intent| intent["_invoice"].is_string());
    match cards::verdict(last4, off_session, confirmed) {
        Verdict::Declined(error)
            if of_invoice && error.fields()["code"] == "authentication_required" =>
        {
            Verdict::NeedsConfirmation
        }
        verdict => verdict,
    }
}

/// Calls a payment intent off because what it was for is gone.
pub(crate) fn cancel(world: &mut World, id: &str, reason: &str) {
    let now = world.account_now();
    world.change(
        "payment_intent",
        id,
        Some("payment_intent.canceled"),
        |intent| {
            intent.set("status", "canceled");
            intent.set("canceled_at", now);
            intent.set("cancellation_reason", reason);
            intent.set("next_action", Value::Null);
        },
    );
}

fn confirm(world: &mut World, call: &Call) -> Result<Value, ApiError> {
    let id = call.arg(0);
    let intent = world.get("payment_intent", id)?.clone();
    let status = intent.text("status");
    if !matches!(
        status,
        "requires_payment_method" | "requires_confirmation" | "requires_action"
    ) {
        return Err(ApiError::invalid(format!(
            "You cannot confirm this PaymentIntent because it has a status of {status}. Only a PaymentIntent with one of the following \
             statuses may be confirmed: requires_confirmation, requires_action, requires_payment_method."
        ))
        .code("payment_intent_unexpected_state"));
    }
    let given = call
        .text("payment_method")
        .or(intent["payment_method"].as_str())
        .unwrap_or_default()
        .to_owned();
    if given.is_empty() {
        return Err(ApiError::invalid(
            "You cannot confirm this PaymentIntent because it's missing a payment method.",
        )
        .code("payment_intent_unexpected_state"));
    }
    let method = match intent["customer"].as_str() {
        Some(customer) => payment_methods::attach(world, &given, customer)?,
        None => {
            payment_methods::chargeable(world, &given, "payment_method")?;
            given
        }
    };
    if let Some(url) = call.get("return_url").cloned() {
        world.change("payment_intent", id, None, |intent| {
            intent.set("_return_url", url)
        });
    }
    let verdict = charge(
        world,
        id,
        &method,
        call.flag("off_session").unwrap_or_default(),
        false,
    );
    settle(world, id, &verdict);
    let intent = world.get("payment_intent", id)?.clone();
    match verdict {
        Verdict::Declined(error) => Err(error.with("payment_intent", crate::doc::visible(&intent))),
        Verdict::Approved | Verdict::NeedsConfirmation => Ok(intent),
    }
}

/// Passes what came of a charge on to the invoice that it pays.
fn settle(world: &mut World, id: &str, verdict: &Verdict) {
    let invoice = world
        .store
        .find("payment_intent", id)
        .map(|intent| intent.text("_invoice").to_owned());
    if let Some(invoice) = invoice.filter(|invoice| !invoice.is_empty()) {
        let counts = invoices::count_attempt(world, &invoice, true);
        invoices::settle(world, &invoice, verdict, counts);
    }
}

/// The person's answer on the confirmation page: goes on with the charge, or fails it.
pub(crate) fn answer_confirmation(
    world: &mut World,
    id: &str,
    agreed: bool,
) -> Result<Verdict, ApiError> {
    let intent = world.get("payment_intent", id)?;
    if intent.text("status") != "requires_action" {
        return Err(ApiError::invalid(
            "This payment does not wait for a confirmation.",
        ));
    }
    let method = intent.text("payment_method").to_owned();
    let verdict = if agreed {
        charge(world, id, &method, false, true)
    } else {
        let error = ApiError::card("payment_intent_authentication_failure", None, NOT_CONFIRMED);
        let fields = Value::Object(error.fields().clone());
        world.change(
            "payment_intent",
            id,
            Some("payment_intent.payment_failed"),
            |intent| {
                intent.set("status", "requires_payment_method");
                intent.set("payment_method", Value::Null);
                intent.set("next_action", Value::Null);
                intent.set("last_payment_error", fields);
            },
        );
        Verdict::Declined(error)
    };
    settle(world, id, &verdict);
    Ok(verdict)
}

/// What Stripe says when a person fails or refuses 3-D Secure.
pub(crate) const NOT_CONFIRMED: &str = "We are unable to authenticate your payment method. Please choose a different payment method and try again.";

fn list(world: &mut World, call: &Call) -> Result<Value, ApiError> {
    common::list(world, "payment_intent", URL, call, |intent| {
        equal(call, intent, &["customer"])
    })
}

fn retrieve(world: &mut World, call: &Call) -> Result<Value, ApiError> {
    common::retrieve(world, "payment_intent", call)
}
