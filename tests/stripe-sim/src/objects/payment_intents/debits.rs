//! Bank debits: paid when the bank says so, days later: <https://docs.stripe.com/payments/ach-direct-debit>.

use serde_json::Value;

use crate::doc::Doc;
use crate::error::ApiError;
use crate::objects::charges::{self, Outcome};
use crate::objects::checkout_sessions;
use crate::world::World;

/// How long a bank takes.
const SETTLES_AFTER: i64 = 4 * 86_400;

/// Starts a bank debit for a checkout session; `fails`: the bank will say no.
pub(crate) fn begin_debit(world: &mut World, id: &str, method: &str, session: &str, fails: bool) {
    let intent = world
        .store
        .find("payment_intent", id)
        .cloned()
        .unwrap_or_default();
    let account = world
        .store
        .find("payment_method", method)
        .cloned()
        .unwrap_or_default();
    let charge = charges::create(world, &intent, &account, &Outcome::Pending);
    let settles = world.account_now() + SETTLES_AFTER;
    world.change(
        "payment_intent",
        id,
        Some("payment_intent.processing"),
        |intent| {
            intent.set("status", "processing");
            intent.set("latest_charge", charge);
            intent.set("payment_method", method);
            intent.set("_session", session);
            intent.set("_fails", fails);
            intent.set("_settles_at", settles);
        },
    );
}

/// When the bank speaks.
pub(super) fn due_at(intent: &Value) -> Option<i64> {
    (intent.text("status") == "processing").then(|| intent["_settles_at"].as_i64())?
}

/// Lets the bank speak.
pub(super) fn fire(world: &mut World, id: &str) {
    let fails = world
        .store
        .find("payment_intent", id)
        .is_some_and(|intent| intent.flag("_fails"));
    conclude_debit(world, id, !fails);
}

/// The bank's word on a debit; false when none is under way.
pub(crate) fn conclude_debit(world: &mut World, id: &str, paid: bool) -> bool {
    let Some(intent) = world.store.find("payment_intent", id).cloned() else {
        return false;
    };
    if intent.text("status") != "processing" {
        return false;
    }
    let charge = intent.text("latest_charge");
    if paid {
        charges::conclude(world, charge, &Outcome::Succeeded);
        world.change(
            "payment_intent",
            id,
            Some("payment_intent.succeeded"),
            |intent| {
                intent.set("status", "succeeded");
                intent.set("amount_received", intent.int("amount"));
            },
        );
    } else {
        let error = ApiError::card(
            "payment_method_provider_decline",
            Some("insufficient_funds"),
            "The customer's account has insufficient funds to cover this payment.",
        );
        charges::conclude(world, charge, &Outcome::Failed(&error));
        let fields = Value::Object(error.fields().clone());
        world.change(
            "payment_intent",
            id,
            Some("payment_intent.payment_failed"),
            |intent| {
                intent.set("status", "requires_payment_method");
                intent.set("payment_method", Value::Null);
                intent.set("last_payment_error", fields);
            },
        );
    }
    checkout_sessions::debit_concluded(world, intent.text("_session"), paid);
    true
}
