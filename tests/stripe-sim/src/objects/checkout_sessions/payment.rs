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

/// Pays an open session with a card.
///
/// # Errors
/// A `card_error` when the bank refuses, 400 when the session is not open any more.
pub(crate) fn pay(
    world: &mut World,
    id: &str,
    card: &'static TestCard,
    email: Option<&str>,
) -> Result<Paid, ApiError> {
    let session = open(world, id)?;
    if session["customer_details"].is_null() {
        let email = email.ok_or_else(|| ApiError::invalid("Your email is incomplete."))?;
        world.change("checkout.session", id, None, |session| {
            session.set("customer_details", details(email))
        });
    }
    attempt(world, id, card, false)
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
        Verdict::Approved => complete(world, id, card),
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

fn complete(world: &mut World, id: &str, card: &'static TestCard) -> Result<Paid, ApiError> {
    let mut session = world.get("checkout.session", id)?.clone();
    if session["customer"].is_null() && session["customer_creation"] == json!("always") {
        let email = session["customer_details"].text("email").to_owned();
        let customer = customers::create_for_page(world, &email)?;
        session = world.change("checkout.session", id, None, |session| {
            session.set("customer", customer.id())
        });
    }
    let method = payment_methods::create_for_page(world, card);
    let method = match session["customer"].as_str() {
        Some(customer) => payment_methods::attach(world, &method, customer)?,
        None => method,
    };
    if session.text("mode") == "payment" {
        let intent = intent_of(world, &session);
        payment_intents::charge(world, &intent, &method, false, true);
    } else {
        subscribe(world, &session, method)?;
    }
    let paid = if session.int("amount_total") == 0 {
        "no_payment_required"
    } else {
        "paid"
    };
    world.change(
        "checkout.session",
        id,
        Some("checkout.session.completed"),
        |session| {
            session.set("status", "complete");
            session.set("payment_status", paid);
            session.set("url", Value::Null);
            session.set("_card", Value::Null);
        },
    );
    Ok(Paid::Done(
        session
            .text("success_url")
            .replace("{CHECKOUT_SESSION_ID}", id),
    ))
}

fn subscribe(world: &mut World, session: &Value, method: String) -> Result<(), ApiError> {
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
        payment_method: Some(method),
        trial_end: data["trial_end"].as_i64().or(days),
        collection_method: "charge_automatically".to_owned(),
        days_until_due: None,
        charge: true,
        off_session: false,
        confirmed: true,
    };
    let subscription = subscriptions::start(world, start, |_| {})?;
    let invoice = world.get("subscription", &subscription)?["latest_invoice"].clone();
    world.change("checkout.session", session.text("id"), None, |session| {
        session.set("subscription", subscription);
        session.set("invoice", invoice);
    });
    Ok(())
}
