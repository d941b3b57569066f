//! Invoices of subscriptions: <https://docs.stripe.com/api/invoices>, states as on
//! <https://docs.stripe.com/invoicing/integration/workflow-transitions>.

use serde_json::{Value, json};

use super::cards::Verdict;
use super::common::{self, equal};
use super::{
    Call, Expandable, Resource, Route, Timer, payment_methods, subscriptions, test_clocks,
};
use crate::doc::{Doc, from_template, visible, whole_list};
use crate::error::ApiError;
use crate::params::{CREATED, Kind, PAGE, Param, opt};
use crate::world::World;

const URL: &str = "/v1/invoices";

mod collection;

pub(crate) use collection::{collect, count_attempt, finalize, no_payment_method, settle, void};

/// An invoice of a renewal stays a draft for about an hour.
const DRAFT_FOR: i64 = 3600;

const FILTERS: &[Param] = &[
    opt("customer", Kind::Str),
    opt("subscription", Kind::Str),
    opt(
        "status",
        Kind::Enum(&["draft", "open", "paid", "uncollectible", "void"]),
    ),
    opt(
        "collection_method",
        Kind::Enum(&["charge_automatically", "send_invoice"]),
    ),
];

const PAY: &[Param] = &[
    opt("payment_method", Kind::Str),
    opt("off_session", Kind::Bool),
    opt("paid_out_of_band", Kind::Bool),
];

pub(crate) const RESOURCE: Resource = Resource {
    kind: "invoice",
    routes: &[
        Route {
            method: "GET",
            path: URL,
            params: &[PAGE, CREATED, FILTERS],
            run: list,
        },
        Route {
            method: "GET",
            path: "/v1/invoices/{invoice}",
            params: &[],
            run: retrieve,
        },
        Route {
            method: "POST",
            path: "/v1/invoices/{invoice}/pay",
            params: &[PAY],
            run: pay,
        },
    ],
    expandable: &[
        Expandable::id("customer"),
        Expandable::id("default_payment_method"),
        Expandable::id("parent.subscription_details.subscription"),
        Expandable::included("confirmation_secret", included_secret),
        Expandable::included("payments", included_payments),
        test_clocks::EXPANDABLE,
    ],
    timer: Some(Timer {
        due: collection::due_at,
        fire: collection::fire,
    }),
};

/// Why an invoice is made, and when it stops being a draft.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    /// The first one; final at once.
    Create,
    /// A change of the subscription; final at once.
    Update,
    /// A renewal; a draft for an hour.
    Cycle,
}

impl Reason {
    fn word(self) -> &'static str {
        match self {
            Self::Create => "subscription_create",
            Self::Update => "subscription_update",
            Self::Cycle => "subscription_cycle",
        }
    }
}

/// Makes a draft invoice for a subscription from lines that have no ids yet.
pub(crate) fn draft(
    world: &mut World,
    subscription: &Value,
    reason: Reason,
    mut lines: Vec<Value>,
) -> String {
    let id = world.new_id("in_", 24);
    for line in &mut lines {
        line.set("id", world.new_id("il_", 24));
        line.set("invoice", id.as_str());
    }
    let total: i64 = lines.iter().map(|line| line.int("amount")).sum();
    let customer = world
        .store
        .find("customer", subscription.text("customer"))
        .cloned()
        .unwrap_or_default();
    let balance = customer.int("balance");
    let due = (total + balance).max(0);
    let periods = lines
        .iter()
        .map(|line| (line["period"].int("start"), line["period"].int("end")));
    let period = periods
        .reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
        .unwrap_or((world.now, world.now));
    let due_date = match subscription["days_until_due"].as_i64() {
        Some(days) => json!(world.now + days * 86_400),
        None => Value::Null,
    };
    let finalizes_at = (reason == Reason::Cycle).then_some(world.now + DRAFT_FOR);
    let dynamic = json!({
        "id": id, "amount_due": due, "amount_remaining": due, "automatically_finalizes_at": finalizes_at,
        "billing_reason": reason.word(), "collection_method": subscription["collection_method"], "created": world.now,
        "currency": subscription["currency"], "customer": subscription["customer"], "customer_address": customer["address"],
        "customer_email": customer["email"], "customer_name": customer["name"], "customer_phone": customer["phone"],
        "customer_tax_exempt": customer["tax_exempt"], "due_date": due_date, "next_payment_attempt": finalizes_at,
        "livemode": world.livemode(), "period_start": period.0, "period_end": period.1, "starting_balance": balance, "subtotal": total,
        "subtotal_excluding_tax": total, "total": total, "total_excluding_tax": total,
        "lines": whole_list(&format!("{URL}/{id}/lines"), lines),
        "parent": {
            "type": "subscription_details", "quote_details": null,
            "subscription_details": { "metadata": subscription["metadata"], "subscription": subscription["id"] },
        },
    });
    let invoice = from_template(include_str!("templates/invoice.json"), dynamic);
    world.create(invoice, Some("invoice.created"));
    id
}

/// The subscription an invoice is for.
pub(crate) fn subscription_of(invoice: &Value) -> &str {
    invoice["parent"]["subscription_details"].text("subscription")
}

fn pay(world: &mut World, call: &Call) -> Result<Value, ApiError> {
    let id = call.arg(0);
    if world.get("invoice", id)?.text("status") == "draft" {
        finalize(world, id);
    }
    let invoice = world.get("invoice", id)?.clone();
    match invoice.text("status") {
        "paid" => {
            return Err(ApiError::invalid("Invoice is already paid").code("invoice_already_paid"));
        }
        "open" => {}
        other => {
            return Err(ApiError::invalid(format!(
                "You can only pay an open invoice; this one is {other}."
            ))
            .code("invoice_not_editable"));
        }
    }
    if call.flag("paid_out_of_band") == Some(true) {
        collection::mark_paid(world, id);
        return world.get("invoice", id).cloned();
    }
    let method = match call.text("payment_method") {
        Some(given) => Some(payment_methods::attach(
            world,
            given,
            invoice.text("customer"),
        )?),
        None => subscriptions::payment_method_of(world, subscription_of(&invoice)),
    };
    let method = method.ok_or_else(no_payment_method)?;
    let verdict = collect(
        world,
        id,
        Some(&method),
        call.flag("off_session").unwrap_or(true),
        false,
    );
    match verdict {
        Some(Verdict::Declined(error)) => Err(error),
        Some(Verdict::NeedsConfirmation) => {
            let message =
                "This invoice needs a confirmation by its payer; confirm its payment intent.";
            Err(ApiError::card(
                "invoice_payment_intent_requires_action",
                None,
                message,
            ))
        }
        _ => world.get("invoice", id).cloned(),
    }
}

fn list(world: &mut World, call: &Call) -> Result<Value, ApiError> {
    common::list(world, "invoice", URL, call, |invoice| {
        call.text("subscription")
            .is_none_or(|wanted| subscription_of(invoice) == wanted)
            && equal(call, invoice, &["customer", "status", "collection_method"])
    })
}

fn retrieve(world: &mut World, call: &Call) -> Result<Value, ApiError> {
    common::retrieve(world, "invoice", call)
}

fn included_secret(world: &World, invoice: &Value) -> Value {
    match world
        .store
        .find("payment_intent", invoice.text("_payment_intent"))
    {
        Some(intent) => {
            json!({ "client_secret": intent["client_secret"], "type": "payment_intent" })
        }
        None => Value::Null,
    }
}

/// <https://docs.stripe.com/api/invoice-payment/object>
fn included_payments(world: &World, invoice: &Value) -> Value {
    let intent = world
        .store
        .find("payment_intent", invoice.text("_payment_intent"))
        .map(visible);
    let payment = intent.map(|intent| {
        let paid = invoice.text("status") == "paid";
        json!({
            "id": invoice.text("id").replacen("in_", "inpay_", 1), "object": "invoice_payment", "created": intent["created"],
            "amount_paid": if paid { intent["amount_received"].clone() } else { Value::Null },
            "amount_requested": intent["amount"], "currency": intent["currency"], "invoice": invoice["id"], "is_default": true,
            "livemode": invoice["livemode"], "status": if paid { "paid" } else { "open" },
            "payment": { "type": "payment_intent", "payment_intent": intent["id"] },
            "status_transitions": { "canceled_at": null, "paid_at": invoice["status_transitions"]["paid_at"] },
        })
    });
    whole_list("/v1/invoice_payments", payment.into_iter().collect())
}
