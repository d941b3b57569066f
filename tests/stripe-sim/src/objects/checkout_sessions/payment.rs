//! What a person's card does to an open checkout session: <https://docs.stripe.com/payments/checkout/how-checkout-works>.

use serde_json::{Value, json};

use super::create::details;
use crate::doc::Doc;
use crate::error::ApiError;
use crate::objects::cards::{self, TestCard, Verdict};
use crate::objects::customers;
use crate::objects::payment_intents::{self, NOT_CONFIRMED, Purpose};
use crate::objects::payment_methods;
use crate::objects::subscriptions::{self, Start};
use crate::world::World;

/// What came of an attempt to pay.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Paid {
    /// The session is complete; the person goes to this address.
    Done(String),
    /// The person has to confirm on another page first.
    MustConfirm,
}

/// What a person pays with.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Means {
    Card(&'static TestCard),
    /// An account at a bank, which will say no if it `fails`.
    Bank {
        fails: bool,
    },
    /// Nothing is asked for.
    Nothing,
}

/// Completes an open session.
///
/// # Errors
/// A `card_error` when the bank refuses, 400 when the session is not open any more.
pub(crate) fn pay(
    world: &mut World,
    id: &str,
    means: Means,
    email: Option<&str>,
) -> Result<Paid, ApiError> {
    let session = open(world, id)?;
    check_means(&session, means)?;
    if session["customer_details"].is_null() {
        let email = email.ok_or_else(|| ApiError::invalid("Your email is incomplete."))?;
        world.change("checkout.session", id, None, |session| {
            session.set("customer_details", details(email))
        });
    }
    match means {
        Means::Card(card) => attempt(world, id, card, false),
        Means::Bank { .. } | Means::Nothing => complete(world, id, means),
    }
}

/// Whether the page offers what a person wants to pay with.
fn check_means(session: &Value, means: Means) -> Result<(), ApiError> {
    let free = session.int("amount_total") == 0;
    let optional = session.text("payment_method_collection") == "if_required";
    let types = session.list("payment_method_types");
    match means {
        Means::Nothing if !free || !optional => {
            Err(ApiError::invalid("Your card number is incomplete."))
        }
        Means::Bank { .. }
            if session.text("mode") != "payment" || !types.contains(&json!("us_bank_account")) =>
        {
            Err(ApiError::invalid("This page does not take bank debits."))
        }
        _ => Ok(()),
    }
}

/// The person's answer on the confirmation page.
///
/// # Errors
/// As `pay`.
pub(crate) fn answer_confirmation(
    world: &mut World,
    id: &str,
    agreed: bool,
) -> Result<Paid, ApiError> {
    let session = open(world, id)?;
    let card = cards::by_number(session.text("_card"))
        .ok_or_else(|| ApiError::invalid("This payment does not wait for a confirmation."))?;
    if !agreed {
        world.change("checkout.session", id, None, |session| {
            session.set("_card", Value::Null)
        });
        return Err(ApiError::card(
            "payment_intent_authentication_failure",
            None,
            NOT_CONFIRMED,
        ));
    }
    attempt(world, id, card, true)
}

fn open(world: &World, id: &str) -> Result<Value, ApiError> {
    let session = world.get("checkout.session", id)?;
    match session.text("status") {
        "open" => Ok(session.clone()),
        "complete" => Err(ApiError::invalid(
            "You have already completed this payment.",
        )),
        _ => Err(ApiError::invalid("This Checkout Session has expired.")),
    }
}

fn attempt(
    world: &mut World,
    id: &str,
    card: &'static TestCard,
    confirmed: bool,
) -> Result<Paid, ApiError> {
    match cards::verdict(card.last4(), false, confirmed) {
        Verdict::NeedsConfirmation => {
            world.change("checkout.session", id, None, |session| {
                session.set("_card", card.number)
            });
            Ok(Paid::MustConfirm)
        }
        Verdict::Declined(error) => {
            decline(world, id, card);
            Err(error)
        }
        Verdict::Approved => complete(world, id, Means::Card(card)),
    }
}

/// A refused card leaves a failed payment intent behind in payment mode, and nothing in subscription mode.
fn decline(world: &mut World, id: &str, card: &'static TestCard) {
    let Ok(session) = world.get("checkout.session", id).cloned() else {
        return;
    };
    if session.text("mode") == "payment" {
        let intent = intent_of(world, &session);
        let method = payment_methods::create_for_page(world, card);
        payment_intents::charge(world, &intent, &method, false, true);
    }
}

fn intent_of(world: &mut World, session: &Value) -> String {
    if let Some(intent) = session["payment_intent"].as_str() {
        return intent.to_owned();
    }
    let data = &session["_payment_intent_data"];
    let purpose = Purpose {
        amount: session.int("amount_total"),
        currency: session.text("currency"),
        customer: session["customer"].clone(),
        invoice: None,
        description: data["description"].clone(),
        metadata: data["metadata"].clone(),
    };
    let intent = payment_intents::create(world, purpose);
    world.change("checkout.session", session.text("id"), None, |session| {
        session.set("payment_intent", intent.as_str())
    });
    intent
}

fn complete(world: &mut World, id: &str, means: Means) -> Result<Paid, ApiError> {
    let mut session = world.get("checkout.session", id)?.clone();
    if session["customer"].is_null() && session["customer_creation"] == json!("always") {
        let email = session["customer_details"].text("email").to_owned();
        let customer = customers::create_for_page(world, &email)?;
        session = world.change("checkout.session", id, None, |session| {
            session.set("customer", customer.id())
        });
    }
    let method = match means {
        Means::Card(card) => Some(payment_methods::create_for_page(world, card)),
        Means::Bank { .. } => Some(payment_methods::create_bank_account(world)),
        Means::Nothing => None,
    };
    let method = match (method, session["customer"].as_str()) {
        (Some(method), Some(customer)) => Some(payment_methods::attach(world, &method, customer)?),
        (method, _) => method,
    };
    match (session.text("mode"), means, &method) {
        ("payment", Means::Bank { fails }, Some(method)) => {
            let intent = intent_of(world, &session);
            payment_intents::begin_debit(world, &intent, method, id, fails);
        }
        ("payment", _, Some(method)) => {
            let intent = intent_of(world, &session);
            payment_intents::charge(world, &intent, method, false, true);
        }
        _ => subscribe(world, &session, method)?,
    }
    let status = match means {
        _ if session.int("amount_total") == 0 => "no_payment_required",
        Means::Bank { .. } => "unpaid",
        Means::Card(_) | Means::Nothing => "paid",
    };
    let event = Some("checkout.session.completed");
    world.change("checkout.session", id, event, |session| {
        session.set("status", "complete");
        session.set("payment_status", status);
        session.set("url", Value::Null);
        session.set("_card", Value::Null);
    });
    let url = session.text("success_url");
    Ok(Paid::Done(url.replace("{CHECKOUT_SESSION_ID}", id)))
}

/// A bank debit of a session came to its end: <https://docs.stripe.com/checkout/fulfillment#delayed-notification>.
pub(crate) fn debit_concluded(world: &mut World, id: &str, paid: bool) {
    let session = world.change("checkout.session", id, None, |session| {
        session.set("payment_status", if paid { "paid" } else { "unpaid" })
    });
    let word = if paid { "succeeded" } else { "failed" };
    world.emit(
        &format!("checkout.session.async_payment_{word}"),
        &session,
        None,
    );
}

fn subscribe(world: &mut World, session: &Value, method: Option<String>) -> Result<(), ApiError> {
    let data = &session["_subscription_data"];
    let days = data["trial_period_days"]
        .as_i64()
        .map(|days| world.now + days * 86_400);
    let recurring = session
        .list("_line_items")
        .iter()
        .filter(|line| !line["price"]["recurring"].is_null());
    let items = recurring
        .map(|line| json!({ "price": line["price"]["id"], "quantity": line["quantity"] }))
        .collect();
    let start = Start {
        customer: session.text("customer").to_owned(),
        items,
        metadata: data["metadata"].clone(),
        description: data["description"].clone(),
        payment_method: method,
        trial_end: data["trial_end"].as_i64().or(days),
        collection_method: "charge_automatically".to_owned(),
        days_until_due: None,
        charge: true,
        off_session: false,
        confirmed: true,
    };
    let end = data["trial_settings"]["end_behavior"].clone();
    let subscription = subscriptions::start(world, start, |subscription| {
        if end.is_object() {
            subscription["trial_settings"].set("end_behavior", end);
        }
    })?;
    let invoice = world.get("subscription", &subscription)?["latest_invoice"].clone();
    world.change("checkout.session", session.text("id"), None, |session| {
        session.set("subscription", subscription);
        session.set("invoice", invoice);
    });
    Ok(())
}
