//! Charges: <https://docs.stripe.com/api/charges>. One for each attempt of a payment intent that reached the bank.

use serde_json::{Value, json};

use super::common::{self, equal};
use super::{Call, Expandable, Resource, Route};
use crate::doc::{Doc, from_template, visible, whole_list};
use crate::error::ApiError;
use crate::params::{CREATED, Kind, PAGE, opt};
use crate::world::World;

const URL: &str = "/v1/charges";

pub(crate) const RESOURCE: Resource = Resource {
    kind: "charge",
    routes: &[
        Route {
            method: "GET",
            path: URL,
            params: &[
                PAGE,
                CREATED,
                &[opt("customer", Kind::Str), opt("payment_intent", Kind::Str)],
            ],
            run: list,
        },
        Route {
            method: "GET",
            path: "/v1/charges/{charge}",
            params: &[],
            run: |world, call| common::retrieve(world, "charge", call),
        },
    ],
    expandable: &[
        Expandable::id("customer"),
        Expandable::id("payment_intent"),
        Expandable::included("refunds", included_refunds),
    ],
    timer: None,
};

/// What became of a charge.
pub(crate) enum Outcome<'a> {
    /// The money is there.
    Succeeded,
    /// The bank has said no.
    Failed(&'a ApiError),
    /// A bank debit under way.
    Pending,
}

/// Makes the charge of a payment intent by a payment method; its id.
pub(crate) fn create(
    world: &mut World,
    intent: &Value,
    method: &Value,
    outcome: &Outcome<'_>,
) -> String {
    let id = world.new_id("ch_", 24);
    let amount = intent.int("amount");
    let captured = if matches!(outcome, Outcome::Succeeded) {
        amount
    } else {
        0
    };
    let kind = method["type"].as_str().unwrap_or("card");
    let dynamic = json!({
        "id": id, "amount": amount, "amount_captured": captured, "billing_details": method["billing_details"],
        "created": world.now, "currency": intent["currency"], "customer": intent["customer"],
        "description": intent["description"], "livemode": world.livemode(), "metadata": intent["metadata"],
        "payment_intent": intent["id"], "payment_method": method["id"],
        "payment_method_details": { "type": kind, kind: details(method, kind) },
    });
    let mut charge = from_template(include_str!("templates/charge.json"), dynamic);
    set_outcome(&mut charge, outcome);
    world.create(charge, Some(event(outcome)));
    id
}

/// What a bank debit came to in the end.
pub(crate) fn conclude(world: &mut World, id: &str, outcome: &Outcome<'_>) {
    world.change("charge", id, Some(event(outcome)), |charge| {
        set_outcome(charge, outcome);
        let captured = if charge.flag("paid") {
            charge.int("amount")
        } else {
            0
        };
        charge.set("amount_captured", captured);
    });
}

fn event(outcome: &Outcome<'_>) -> &'static str {
    match outcome {
        Outcome::Succeeded => "charge.succeeded",
        Outcome::Failed(_) => "charge.failed",
        Outcome::Pending => "charge.pending",
    }
}

fn set_outcome(charge: &mut Value, outcome: &Outcome<'_>) {
    let (status, kind, message) = match outcome {
        Outcome::Succeeded => ("succeeded", "authorized", "Payment complete."),
        Outcome::Pending => ("pending", "authorized", "Payment pending."),
        Outcome::Failed(_) => (
            "failed",
            "issuer_declined",
            "The bank did not return any further details with this decline.",
        ),
    };
    charge.set("status", status);
    charge.set("paid", status == "succeeded");
    if let Outcome::Failed(error) = outcome {
        charge.set("failure_code", error.fields().get("code").cloned());
        charge.set("failure_message", error.message());
    }
    charge.set("outcome", json!({
        "advice_code": null, "network_advice_code": null, "network_decline_code": null,
        "network_status": if status == "failed" { "declined_by_network" } else { "approved_by_network" },
        "reason": null, "risk_level": "normal", "risk_score": 10, "seller_message": message, "type": kind,
    }));
}

/// The payment method as it was when it was charged.
fn details(method: &Value, kind: &str) -> Value {
    let own = &method[kind];
    if kind != "card" {
        return json!({
            "account_holder_type": own["account_holder_type"], "account_type": own["account_type"], "bank_name": own["bank_name"],
            "fingerprint": own["fingerprint"], "last4": own["last4"], "routing_number": own["routing_number"],
        });
    }
    json!({
        "authorization_code": null, "brand": own["brand"], "checks": own["checks"], "country": own["country"],
        "exp_month": own["exp_month"], "exp_year": own["exp_year"], "fingerprint": own["fingerprint"], "funding": own["funding"],
        "installments": null, "last4": own["last4"], "mandate": null, "network": own["brand"], "network_token": null,
        "network_transaction_id": null, "regulated_status": "unregulated", "three_d_secure": null, "wallet": null,
    })
}

/// The charge that a charge's or payment intent's id means.
pub(crate) fn of(world: &World, id: &str) -> Option<Value> {
    let charge = match world.store.find("payment_intent", id) {
        Some(intent) => intent.text("latest_charge"),
        None => id,
    };
    world.store.find("charge", charge).cloned()
}

fn list(world: &mut World, call: &Call) -> Result<Value, ApiError> {
    common::list(world, "charge", URL, call, |charge| {
        equal(call, charge, &["customer", "payment_intent"])
    })
}

fn included_refunds(world: &World, charge: &Value) -> Value {
    let own = world.store.all("refund").rev();
    let own = own
        .filter(|refund| refund["charge"] == charge["id"])
        .map(visible);
    whole_list(
        &format!("{URL}/{}/refunds", charge.text("id")),
        own.collect(),
    )
}
