//! How an invoice becomes final, is collected, tried again, paid or voided.
//!
//! <https://docs.stripe.com/invoicing/integration/workflow-transitions>,
//! <https://docs.stripe.com/billing/revenue-recovery/smart-retries>

use serde_json::{Value, json};

use super::{Reason, subscription_of};
use crate::doc::Doc;
use crate::error::ApiError;
use crate::objects::cards::Verdict;
use crate::objects::payment_intents::{self, Purpose};
use crate::objects::subscriptions;
use crate::world::World;

/// When a failed payment is tried again, counted from the failure before; then `World::after_retries` says what follows.
const RETRY_AFTER: [i64; 3] = [3 * 86_400, 5 * 86_400, 7 * 86_400];

/// Makes a draft final: it gets its number, its page, and a payment intent when there is something to pay.
pub(crate) fn finalize(world: &mut World, id: &str) {
    let Ok(invoice) = world.get("invoice", id).cloned() else {
        return;
    };
    let Settled {
        number,
        starting,
        ending,
    } = settle_with_customer(world, &invoice);
    let due = (invoice.int("total") + starting).max(0);
    let (now, page) = (world.now, format!("{}/i/{id}", world.base_url));
    let intent = (due > 0).then(|| {
        payment_intents::create(
            world,
            Purpose {
                amount: due,
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
        invoice.set("amount_due", due);
        invoice.set("amount_remaining", due);
        invoice.set("starting_balance", starting);
        invoice.set("ending_balance", ending);
        invoice.set("effective_at", now);
        invoice.set("automatically_finalizes_at", Value::Null);
        invoice.set("next_payment_attempt", Value::Null);
        invoice.set("hosted_invoice_url", page);
        invoice.set("_payment_intent", intent);
        invoice["status_transitions"].set("finalized_at", now);
    });
    if due == 0 {
        mark_paid(world, id);
    }
}

/// What a final invoice has from its customer.
struct Settled {
    number: String,
    /// The customer's balance before and after.
    starting: i64,
    ending: i64,
}

/// Takes the customer's next number and balance: credit pays for the invoice first, what they owe is added to it, and a
/// total below zero is credit for the next one. <https://docs.stripe.com/billing/customer/balance>
fn settle_with_customer(world: &mut World, invoice: &Value) -> Settled {
    let id = invoice.text("customer");
    let owner = world.store.find("customer", id).cloned();
    let owner = owner.unwrap_or_default();
    let sequence = owner["next_invoice_sequence"].as_i64().unwrap_or(1);
    let prefix = owner["invoice_prefix"].as_str().unwrap_or("GLYPH");
    let starting = owner.int("balance");
    let ending = (invoice.int("total") + starting).min(0);
    if !owner.is_null() && !owner.flag("deleted") {
        let event = Some("customer.updated").filter(|_| ending != starting);
        world.change("customer", id, event, |customer| {
            customer.set("next_invoice_sequence", sequence + 1);
            customer.set("balance", ending);
        });
    }
    Settled {
        number: format!("{prefix}-{sequence:04}"),
        starting,
        ending,
    }
}

/// Tries to collect an open invoice: by hand with a payment method, or by itself with the one that its subscription would use.
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
    let counts = count_attempt(world, id, method.is_some());
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
    settle(world, id, &verdict, counts);
    Some(verdict)
}

/// Takes note of an attempt, and tells whether it counts: any one does as the first, later ones only if nobody made them by
/// hand. Those leave the schedule of retries alone. <https://docs.stripe.com/api/invoices/object#invoice_object-attempt_count>
pub(crate) fn count_attempt(world: &mut World, id: &str, by_hand: bool) -> bool {
    let before = world.store.find("invoice", id);
    let before = before.map_or(0, |invoice| invoice.int("attempt_count"));
    let counts = !by_hand || before == 0;
    world.change("invoice", id, None, |invoice| {
        invoice.set("attempted", true);
        if counts {
            invoice.set("attempt_count", before + 1);
            invoice.set("next_payment_attempt", Value::Null);
        }
    });
    counts
}

/// What Stripe says when there is nothing to charge.
pub(crate) fn no_payment_method() -> ApiError {
    ApiError::invalid(
        "This customer has no attached payment source or default payment method. Please consider adding a default payment method. \
         For more information, visit https://stripe.com/docs/billing/subscriptions/payment-methods-setting#payment-method-priority.",
    )
    .code("resource_missing")
}

/// Brings an invoice and its subscription in line with what came of a charge. `counts`: the schedule of retries goes on.
pub(crate) fn settle(world: &mut World, id: &str, verdict: &Verdict, counts: bool) {
    let Ok(invoice) = world.get("invoice", id).cloned() else {
        return;
    };
    match verdict {
        Verdict::Approved => mark_paid(world, id),
        Verdict::NeedsConfirmation => {
            world.emit("invoice.payment_action_required", &invoice, None);
            failed(world, &invoice, counts);
        }
        Verdict::Declined(_) => failed(world, &invoice, counts),
    }
}

/// A payment failed: it is tried again, or the account's settings say what becomes of the subscription.
fn failed(world: &mut World, invoice: &Value, counts: bool) {
    let id = invoice.text("id");
    let subscription = subscription_of(invoice).to_owned();
    let attempts = usize::try_from(invoice.int("attempt_count")).unwrap_or_default();
    let by_itself = invoice.flag("auto_advance");
    let scheduled = counts && by_itself && invoice.text("billing_reason") != Reason::Create.word();
    let again = RETRY_AFTER.get(attempts.saturating_sub(1)).copied();
    let next_attempt = again.map(|after| world.now + after);
    if scheduled {
        world.change("invoice", id, None, |invoice| {
            invoice.set("next_payment_attempt", next_attempt)
        });
    }
    let invoice = world.store.find("invoice", id).cloned().unwrap_or_default();
    world.emit("invoice.payment_failed", &invoice, None);
    subscriptions::payment_failed(world, &subscription);
    if scheduled && next_attempt.is_none() {
        subscriptions::given_up(world, &subscription);
    }
}

/// The money is there, or was paid elsewhere.
pub(super) fn mark_paid(world: &mut World, id: &str) {
    let now = world.now;
    let invoice = world.change("invoice", id, None, |invoice| {
        let due = invoice.int("amount_due");
        invoice.set("status", "paid");
        invoice.set("attempted", true);
        invoice.set("amount_paid", due);
        invoice.set("amount_remaining", 0);
        invoice.set("next_payment_attempt", Value::Null);
        invoice["status_transitions"].set("paid_at", now);
    });
    world.emit("invoice.paid", &invoice, None);
    world.emit("invoice.payment_succeeded", &invoice, None);
    let intent = world
        .store
        .find("payment_intent", invoice.text("_payment_intent"));
    let method = intent
        .map(|intent| intent["payment_method"].clone())
        .unwrap_or_default();
    subscriptions::paid(world, subscription_of(&invoice), &method);
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

/// When a draft becomes final or a payment is tried again.
pub(super) fn due_at(invoice: &Value) -> Option<i64> {
    let next = match invoice.text("status") {
        "draft" => invoice["automatically_finalizes_at"].as_i64(),
        "open" if invoice.text("collection_method") == "send_invoice" => {
            return invoice["due_date"]
                .as_i64()
                .filter(|_| !invoice.flag("_overdue"));
        }
        "open" => invoice["next_payment_attempt"].as_i64(),
        _ => None,
    };
    next.filter(|_| invoice.flag("auto_advance"))
}

/// Makes a draft final and collects it, or tries a payment again.
pub(super) fn fire(world: &mut World, id: &str) {
    let Ok(invoice) = world.get("invoice", id).cloned() else {
        return;
    };
    let draft = invoice.text("status") == "draft";
    if draft {
        finalize(world, id);
    }
    match invoice.text("collection_method") {
        "charge_automatically" if draft && paused(world, &invoice) => skip(world, id),
        "charge_automatically" => drop(collect(world, id, None, true, false)),
        _ if !draft => overdue(world, id),
        _ => world.emit(
            "invoice.sent",
            world
                .store
                .find("invoice", id)
                .cloned()
                .as_ref()
                .unwrap_or(&invoice),
            None,
        ),
    }
}

/// An invoice that was sent is not paid when it is due: <https://docs.stripe.com/api/events/types#event_types-invoice.overdue>.
fn overdue(world: &mut World, id: &str) {
    let invoice = world.change("invoice", id, None, |invoice| invoice.set("_overdue", true));
    world.emit("invoice.overdue", &invoice, None);
    subscriptions::payment_failed(world, subscription_of(&invoice));
}

/// Whether nothing is collected for its subscription: <https://docs.stripe.com/billing/subscriptions/pause-payment>.
fn paused(world: &World, invoice: &Value) -> bool {
    let subscription = world.store.find("subscription", subscription_of(invoice));
    subscription.is_some_and(|subscription| subscription["pause_collection"].is_object())
}

/// Does with an invoice what the pause of its subscription says.
fn skip(world: &mut World, id: &str) {
    let invoice = world.store.find("invoice", id).cloned().unwrap_or_default();
    let subscription = world.store.find("subscription", subscription_of(&invoice));
    let behavior = subscription
        .map(|subscription| subscription["pause_collection"].text("behavior").to_owned());
    if behavior.as_deref() == Some("void") {
        return void(world, id);
    }
    let now = world.now;
    world.change(
        "invoice",
        id,
        Some("invoice.marked_uncollectible"),
        |invoice| {
            if invoice.text("status") == "open" {
                invoice.set("status", "uncollectible");
                invoice["status_transitions"].set("marked_uncollectible_at", now);
            }
        },
    );
}
