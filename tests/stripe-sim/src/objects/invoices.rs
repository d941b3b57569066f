//! Invoices of subscriptions: <https://docs.stripe.com/api/invoices>, states as on
//! <https://docs.stripe.com/invoicing/integration/workflow-transitions>.

use serde_json::{Value, json};

use super::cards::Verdict;
use super::common::{self, equal};
use super::payment_intents::{self, Purpose};
use super::{Call, Expandable, Resource, Route, Timer, payment_methods, subscriptions};
use crate::doc::{Doc, visible, whole_list};
use crate::error::ApiError;
use crate::params::{CREATED, Kind, PAGE, Param, opt};
use crate::world::World;

const URL: &str = "/v1/invoices";

/// An invoice of a renewal stays a draft for about an hour.
const DRAFT_FOR: i64 = 3600;

/// When a failed payment is tried again, counted from the failure before; then the subscription is canceled.
const RETRY_AFTER: [i64; 3] = [3 * 86_400, 5 * 86_400, 7 * 86_400];

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
    ],
    timer: Some(Timer { next, fire }),
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
    let due = total.max(0);
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
    let mut invoice = json!({
        "id": id, "object": "invoice", "amount_due": due, "amount_overpaid": 0, "amount_paid": 0, "amount_paid_off_stripe": 0,
        "amount_remaining": due, "amount_shipping": 0, "application": null, "attempt_count": 0, "attempted": false,
        "auto_advance": true, "automatically_finalizes_at": finalizes_at, "billing_reason": reason.word(),
        "collection_method": subscription["collection_method"], "created": world.now, "currency": subscription["currency"],
        "customer": subscription["customer"], "customer_address": customer["address"], "customer_email": customer["email"],
        "customer_name": customer["name"], "customer_phone": customer["phone"], "customer_tax_exempt": customer["tax_exempt"],
        "default_payment_method": null, "due_date": due_date, "next_payment_attempt": finalizes_at, "number": null,
        "livemode": world.livemode(), "period_start": period.0, "period_end": period.1, "status": "draft", "subtotal": total,
        "subtotal_excluding_tax": total, "total": total, "total_excluding_tax": total,
        "lines": whole_list(&format!("{URL}/{id}/lines"), lines),
        "parent": {
            "type": "subscription_details", "quote_details": null,
            "subscription_details": { "metadata": subscription["metadata"], "subscription": subscription["id"] },
        },
    });
    with_constants(&mut invoice);
    world.create(invoice, Some("invoice.created"));
    id
}

/// Fields that the simulator never gives another value.
fn with_constants(invoice: &mut Value) {
    let constants = json!({
        "account_country": "US", "account_name": "Glyph", "account_tax_ids": null, "automatic_tax": { "disabled_reason": null,
        "enabled": false, "liability": null, "provider": null, "status": null }, "custom_fields": null, "customer_shipping": null,
        "customer_tax_ids": [], "default_source": null, "default_tax_rates": [], "description": null, "discounts": [],
        "effective_at": null, "ending_balance": null, "footer": null, "from_invoice": null, "hosted_invoice_url": null,
        "invoice_pdf": null, "issuer": { "type": "self" }, "last_finalization_error": null, "latest_revision": null,
        "metadata": {}, "on_behalf_of": null, "payment_settings": { "default_mandate": null, "payment_method_options": null,
        "payment_method_types": null }, "post_payment_credit_notes_amount": 0, "pre_payment_credit_notes_amount": 0,
        "receipt_number": null, "rendering": null, "shipping_cost": null, "shipping_details": null, "starting_balance": 0,
        "statement_descriptor": null, "status_transitions": { "finalized_at": null, "marked_uncollectible_at": null,
        "paid_at": null, "voided_at": null }, "test_clock": null, "total_discount_amounts": [],
        "total_pretax_credit_amounts": [], "total_taxes": [], "webhooks_delivered_at": null,
    });
    if let (Some(fields), Value::Object(constants)) = (invoice.as_object_mut(), constants) {
        fields.extend(constants);
    }
}

/// Makes a draft final: it gets its number, its page, and a payment intent when there is something to pay.
pub(crate) fn finalize(world: &mut World, id: &str) {
    let Ok(invoice) = world.get("invoice", id).cloned() else {
        return;
    };
    let customer = invoice.text("customer").to_owned();
    let owner = world
        .store
        .find("customer", &customer)
        .cloned()
        .unwrap_or_default();
    let sequence = owner["next_invoice_sequence"].as_i64().unwrap_or(1);
    let number = format!(
        "{}-{sequence:04}",
        owner["invoice_prefix"].as_str().unwrap_or("GLYPH")
    );
    if !owner.flag("deleted") {
        world.change("customer", &customer, None, |customer| {
            customer.set("next_invoice_sequence", sequence + 1)
        });
    }
    let (now, page) = (world.now, format!("{}/i/{id}", world.base_url));
    let intent = (invoice.int("amount_due") > 0).then(|| {
        payment_intents::create(
            world,
            Purpose {
                amount: invoice.int("amount_due"),
                currency: invoice.text("currency"),
                customer: invoice["customer"].clone(),
                invoice: Some(id),
                description: json!("Subscription update"),
                metadata: json!({}),
            },
        )
    });
    world.change("invoice", id, Some("invoice.finalized"), |invoice| {
        invoice.set("status", "open");
        invoice.set("number", number);
        invoice.set("effective_at", now);
        invoice.set("automatically_finalizes_at", Value::Null);
        invoice.set("next_payment_attempt", Value::Null);
        invoice.set("hosted_invoice_url", page);
        invoice.set("_payment_intent", intent);
        invoice["status_transitions"].set("finalized_at", now);
    });
    if invoice.int("amount_due") == 0 {
        mark_paid(world, id);
    }
}

/// Tries to collect an open invoice with a payment method, or the one that its subscription would use.
pub(crate) fn collect(
    world: &mut World,
    id: &str,
    method: Option<&str>,
    off_session: bool,
    confirmed: bool,
) -> Option<Verdict> {
    let invoice = world.get("invoice", id).ok()?.clone();
    if invoice.text("status") != "open" {
        return None;
    }
    world.change("invoice", id, None, |invoice| {
        invoice.set("attempted", true);
        invoice.set("attempt_count", invoice.int("attempt_count") + 1);
        invoice.set("next_payment_attempt", Value::Null);
    });
    let method = method
        .map(str::to_owned)
        .or_else(|| subscriptions::payment_method_of(world, subscription_of(&invoice)));
    let verdict = match method {
        Some(method) => payment_intents::charge(
            world,
            invoice.text("_payment_intent"),
            &method,
            off_session,
            confirmed,
        ),
        None => Verdict::Declined(no_payment_method()),
    };
    settle(world, id, &verdict);
    Some(verdict)
}

/// What Stripe says when there is nothing to charge.
pub(crate) fn no_payment_method() -> ApiError {
    ApiError::invalid(
        "This customer has no attached payment source or default payment method. Please consider adding a default payment method. \
         For more information, visit https://stripe.com/docs/billing/subscriptions/payment-methods-setting#payment-method-priority.",
    )
    .code("resource_missing")
}

/// Brings an invoice and its subscription in line with what came of a charge.
pub(crate) fn settle(world: &mut World, id: &str, verdict: &Verdict) {
    let Ok(invoice) = world.get("invoice", id).cloned() else {
        return;
    };
    let subscription = subscription_of(&invoice).to_owned();
    match verdict {
        Verdict::Approved => mark_paid(world, id),
        Verdict::NeedsConfirmation => {
            world.emit("invoice.payment_action_required", &invoice, None);
            subscriptions::payment_failed(world, &subscription);
        }
        Verdict::Declined(_) => {
            let attempts = usize::try_from(invoice.int("attempt_count")).unwrap_or_default();
            let again = RETRY_AFTER.get(attempts.saturating_sub(1)).copied();
            let retried = invoice.text("billing_reason") != Reason::Create.word();
            let next_attempt = again.filter(|_| retried).map(|after| world.now + after);
            let invoice = world.change("invoice", id, None, |invoice| {
                invoice.set("next_payment_attempt", next_attempt)
            });
            world.emit("invoice.payment_failed", &invoice, None);
            subscriptions::payment_failed(world, &subscription);
            if retried && next_attempt.is_none() {
                subscriptions::cancel(world, &subscription, "payment_failed");
            }
        }
    }
}

/// The subscription an invoice is for.
pub(crate) fn subscription_of(invoice: &Value) -> &str {
    invoice["parent"]["subscription_details"].text("subscription")
}

fn mark_paid(world: &mut World, id: &str) {
    let now = world.now;
    let invoice = world.change("invoice", id, None, |invoice| {
        let due = invoice.int("amount_due");
        invoice.set("status", "paid");
        invoice.set("attempted", true);
        invoice.set("amount_paid", due);
        invoice.set("amount_remaining", 0);
        invoice.set("next_payment_attempt", Value::Null);
        invoice.set("ending_balance", 0);
        invoice["status_transitions"].set("paid_at", now);
    });
    world.emit("invoice.paid", &invoice, None);
    world.emit("invoice.payment_succeeded", &invoice, None);
    subscriptions::paid(world, subscription_of(&invoice));
}

/// Voids an invoice that nobody will pay any more.
pub(crate) fn void(world: &mut World, id: &str) {
    let now = world.now;
    let Ok(invoice) = world.get("invoice", id).cloned() else {
        return;
    };
    if invoice.text("status") != "open" {
        return;
    }
    world.change("invoice", id, Some("invoice.voided"), |invoice| {
        invoice.set("status", "void");
        invoice.set("auto_advance", false);
        invoice.set("next_payment_attempt", Value::Null);
        invoice["status_transitions"].set("voided_at", now);
    });
    if let Some(intent) = invoice["_payment_intent"].as_str() {
        payment_intents::cancel(world, intent, "void_invoice");
    }
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
        mark_paid(world, id);
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

fn next(world: &World) -> Option<i64> {
    let pending = world
        .store
        .all("invoice")
        .filter(|invoice| matches!(invoice.text("status"), "draft" | "open"));
    let due = |invoice: &Value| match invoice.text("status") {
        "draft" => invoice["automatically_finalizes_at"].as_i64(),
        _ => invoice["next_payment_attempt"].as_i64(),
    };
    pending
        .filter(|invoice| invoice.flag("auto_advance"))
        .filter_map(due)
        .min()
}

fn fire(world: &mut World) {
    let now = world.now;
    let due = |invoice: &&Value, field: &str| {
        invoice.flag("auto_advance") && invoice[field].as_i64().is_some_and(|at| at <= now)
    };
    let of = |world: &World, status: &str, field: &str| -> Vec<Value> {
        let all = world
            .store
            .all("invoice")
            .filter(|invoice| invoice.text("status") == status);
        all.filter(|invoice| due(invoice, field)).cloned().collect()
    };
    for invoice in of(world, "open", "next_payment_attempt") {
        collect(world, invoice.text("id"), None, true, false);
    }
    for invoice in of(world, "draft", "automatically_finalizes_at") {
        finalize(world, invoice.text("id"));
        if invoice.text("collection_method") == "charge_automatically" {
            collect(world, invoice.text("id"), None, true, false);
        }
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
