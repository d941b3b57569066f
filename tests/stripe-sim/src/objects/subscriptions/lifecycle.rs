//! What happens to a subscription as time passes and invoices are paid or not.
//!
//! <https://docs.stripe.com/billing/subscriptions/overview#subscription-lifecycle>

use serde_json::{Value, json};

use super::items::{items_of, next_end, set_period};
use super::start::payment_method_of;
use super::{INCOMPLETE_FOR, UPDATED};
use crate::doc::Doc;
use crate::objects::billing::Charge;
use crate::objects::invoices::{self, Reason};
use crate::objects::subscription_schedules;
use crate::world::{AfterRetries, World};

/// How long before its end a trial is announced.
const TRIAL_NOTICE: i64 = 3 * 86_400;

/// A first or later invoice was paid, with this payment method.
pub(crate) fn paid(world: &mut World, id: &str, method: &Value) {
    world.change("subscription", id, None, |subscription| {
        let kept = subscription["payment_settings"].text("save_default_payment_method")
            == "on_subscription";
        if kept && subscription["default_payment_method"].is_null() {
            subscription.set("default_payment_method", method.clone());
        }
    });
    let Some(subscription) = world.store.find("subscription", id).cloned() else {
        return;
    };
    let owed = matches!(
        subscription.text("status"),
        "incomplete" | "past_due" | "unpaid"
    );
    if owed && newest_is_settled(world, id) {
        world.change("subscription", id, Some(UPDATED), |subscription| {
            subscription.set("status", "active")
        });
    }
}

/// Whether the newest invoice that was collected and not voided is paid: what Stripe asks before a subscription is active
/// again. <https://docs.stripe.com/billing/subscriptions/overview#subscription-statuses>
fn newest_is_settled(world: &World, id: &str) -> bool {
    let mut invoices = world.store.all("invoice").rev().filter(|invoice| {
        invoices::subscription_of(invoice) == id
            && !matches!(invoice.text("status"), "draft" | "void")
    });
    invoices
        .next()
        .is_some_and(|invoice| invoice.text("status") != "open")
}

/// The last retry failed: what the account's settings say.
pub(crate) fn given_up(world: &mut World, id: &str) {
    let status = world
        .store
        .find("subscription", id)
        .map(|subscription| subscription.text("status").to_owned());
    match (world.after_retries, status.as_deref()) {
        (AfterRetries::Canceled, Some("past_due" | "active")) => {
            cancel(world, id, "payment_failed")
        }
        (AfterRetries::Unpaid, Some("past_due")) => {
            for invoice in open_invoices(world, id) {
                world.change("invoice", &invoice, Some("invoice.updated"), |invoice| {
                    invoice.set("auto_advance", false)
                });
            }
            world.change("subscription", id, Some(UPDATED), |subscription| {
                subscription.set("status", "unpaid")
            });
        }
        _ => {}
    }
}

/// An invoice was not paid: what was active is past due; what never was stays incomplete.
pub(crate) fn payment_failed(world: &mut World, id: &str) {
    let status = world
        .store
        .find("subscription", id)
        .map(|subscription| subscription.text("status").to_owned());
    if status.as_deref() == Some("active") {
        world.change("subscription", id, Some(UPDATED), |subscription| {
            subscription.set("status", "past_due")
        });
    }
}

/// Ends a subscription now. Its open invoices stay, but nothing is collected any more by itself.
pub(crate) fn cancel(world: &mut World, id: &str, reason: &str) {
    let now = world.now;
    let open = open_invoices(world, id);
    for invoice in open {
        world.change("invoice", &invoice, Some("invoice.updated"), |invoice| {
            invoice.set("auto_advance", false);
            invoice.set("next_payment_attempt", Value::Null);
        });
    }
    let ended = world.change(
        "subscription",
        id,
        Some("customer.subscription.deleted"),
        |subscription| {
            subscription.set("status", "canceled");
            subscription.set("ended_at", now);
            if subscription["canceled_at"].is_null() {
                subscription.set("canceled_at", now);
            }
            subscription["cancellation_details"].set("reason", reason);
        },
    );
    subscription_schedules::subscription_ended(world, &ended, reason == "payment_failed");
}

/// Ends every subscription of a customer who is deleted.
pub(crate) fn cancel_all_of(world: &mut World, customer: &str) {
    let theirs =
        |subscription: &&Value| subscription.text("customer") == customer && !is_over(subscription);
    let ids: Vec<String> = world
        .store
        .all("subscription")
        .filter(theirs)
        .map(Doc::id)
        .collect();
    for id in ids {
        cancel(world, &id, "cancellation_requested");
    }
}

fn is_over(subscription: &Value) -> bool {
    matches!(
        subscription.text("status"),
        "canceled" | "incomplete_expired"
    )
}

fn open_invoices(world: &World, id: &str) -> Vec<String> {
    let of_it = |invoice: &&Value| {
        invoices::subscription_of(invoice) == id
            && matches!(invoice.text("status"), "draft" | "open")
    };
    world
        .store
        .all("invoice")
        .filter(of_it)
        .map(Doc::id)
        .collect()
}

/// Moves the end of a trial; without a time, ends it now.
pub(super) fn move_trial_end(world: &mut World, id: &str, at: Option<i64>) {
    let end = at.unwrap_or(world.now);
    world.change("subscription", id, Some(UPDATED), |subscription| {
        subscription.set("trial_end", end);
        subscription.set("status", "trialing");
        let mut items = items_of(subscription);
        for item in &mut items {
            let start = item.int("current_period_start");
            set_period(item, start, end);
        }
        subscription["items"].set("data", items);
    });
    if at.is_none() {
        end_trial(world, id);
    }
}

/// Ends a trial now: the first paid period begins and is invoiced at once.
pub(crate) fn end_trial(world: &mut World, id: &str) {
    let now = world.now;
    world.change("subscription", id, None, |subscription| {
        subscription.set("trial_end", now);
        let mut items = items_of(subscription);
        for item in &mut items {
            let start = item.int("current_period_start");
            set_period(item, start, now);
        }
        subscription["items"].set("data", items);
    });
    renew(world, id);
    let invoice = world
        .store
        .find("subscription", id)
        .map(|subscription| subscription.text("latest_invoice").to_owned())
        .unwrap_or_default();
    let draft = world
        .store
        .find("invoice", &invoice)
        .is_some_and(|invoice| invoice.text("status") == "draft");
    if draft {
        invoices::finalize(world, &invoice);
        invoices::collect(world, &invoice, None, true, false);
    }
}

/// What a cancellation asks for before it happens: credit for the rest, an invoice of what is pending.
pub(crate) fn settle_before_end(world: &mut World, id: &str, prorate: bool, invoice_now: bool) {
    if prorate {
        credit_the_rest(world, id);
    }
    let invoice = invoice_now.then(|| invoice_pending(world, id, Reason::Update));
    if let Some(invoice) = invoice.flatten() {
        collect_now(world, id, &invoice, true);
    }
}

/// Gives back, as pending lines, what is left of the current periods.
fn credit_the_rest(world: &mut World, id: &str) {
    let (now, livemode) = (world.now, world.livemode());
    world.change("subscription", id, None, |subscription| {
        let mut pending = subscription.list("_pending_lines").to_vec();
        pending.extend(
            items_of(subscription)
                .iter()
                .map(|item| Charge::rest_of_period(item, now, -1).line(livemode)),
        );
        subscription.set("_pending_lines", pending);
    });
}

/// Makes an invoice of the pending lines, if there are any; its id.
pub(super) fn invoice_pending(world: &mut World, id: &str, reason: Reason) -> Option<String> {
    let lines = take_pending(world, id);
    let subscription = world.store.find("subscription", id).cloned()?;
    if lines.is_empty() {
        return None;
    }
    let invoice = invoices::draft(world, &subscription, reason, lines);
    world.change("subscription", id, Some(UPDATED), |subscription| {
        subscription.set("latest_invoice", invoice.as_str())
    });
    invoices::finalize(world, &invoice);
    Some(invoice)
}

/// Collects an invoice at once, unless it is one to be sent.
pub(super) fn collect_now(world: &mut World, id: &str, invoice: &str, off_session: bool) {
    if is_automatic(world, id) {
        invoices::collect(world, invoice, None, off_session, false);
    }
}

/// Leaves an invoice to its payer; what is open meanwhile is past due.
pub(super) fn await_payer(world: &mut World, id: &str, invoice: &str) {
    let invoice = world.store.find("invoice", invoice);
    let open = invoice.is_some_and(|invoice| invoice.text("status") == "open");
    if open && is_automatic(world, id) {
        payment_failed(world, id);
    }
}

fn is_automatic(world: &World, id: &str) -> bool {
    let subscription = world.store.find("subscription", id);
    subscription.is_some_and(|one| one.text("collection_method") == "charge_automatically")
}

fn take_pending(world: &mut World, id: &str) -> Vec<Value> {
    let pending = world
        .store
        .find("subscription", id)
        .map(|subscription| subscription.list("_pending_lines").to_vec());
    world.change("subscription", id, None, |subscription| {
        subscription.set("_pending_lines", json!([]))
    });
    pending.unwrap_or_default()
}

/// When the next thing happens to a subscription.
pub(super) fn due_at(subscription: &Value) -> Option<i64> {
    let status = subscription.text("status");
    if is_over(subscription) || status == "paused" {
        return subscription["cancel_at"]
            .as_i64()
            .filter(|_| status == "paused");
    }
    if status == "incomplete" {
        return Some(subscription.int("created") + INCOMPLETE_FOR);
    }
    let periods = subscription
        .list("items")
        .iter()
        .map(|item| item.int("current_period_end"));
    periods
        .chain(subscription["cancel_at"].as_i64())
        .chain(subscription["pause_collection"]["resumes_at"].as_i64())
        .chain(notice_at(subscription))
        .min()
}

fn notice_at(subscription: &Value) -> Option<i64> {
    let announced =
        subscription.flag("_trial_announced") || subscription.text("status") != "trialing";
    let at = subscription["trial_end"].as_i64()? - TRIAL_NOTICE;
    (!announced).then_some(at.max(subscription.int("created")))
}

/// Does what is due at `world.now`.
pub(super) fn fire(world: &mut World, id: &str) {
    let now = world.now;
    let Some(subscription) = world.store.find("subscription", id).cloned() else {
        return;
    };
    let reached = |field: &str| subscription[field].as_i64().is_some_and(|at| at <= now);
    if notice_at(&subscription).is_some_and(|at| at <= now) {
        let announced = world.change("subscription", id, None, |subscription| {
            subscription.set("_trial_announced", true)
        });
        world.emit("customer.subscription.trial_will_end", &announced, None);
    } else if subscription.text("status") == "incomplete" {
        expire(world, id);
    } else if subscription["pause_collection"]["resumes_at"]
        .as_i64()
        .is_some_and(|at| at <= now)
    {
        world.change("subscription", id, Some(UPDATED), |subscription| {
            subscription.set("pause_collection", Value::Null)
        });
    } else if reached("cancel_at") {
        cancel(world, id, "cancellation_requested");
    } else {
        renew(world, id);
    }
}

/// The first invoice was not paid in time.
fn expire(world: &mut World, id: &str) {
    for invoice in open_invoices(world, id) {
        invoices::void(world, &invoice);
    }
    let now = world.now;
    world.change("subscription", id, Some(UPDATED), |subscription| {
        subscription.set("status", "incomplete_expired");
        subscription.set("ended_at", now);
    });
}

/// Ends a trial or a period, and begins the next.
fn renew(world: &mut World, id: &str) {
    if let Some(subscription) = world.store.find("subscription", id).cloned() {
        roll(world, id, items_of(&subscription), false);
    }
}

/// Rolls every item whose period is over into the next one, and makes the invoice for it. `reset`: the rhythm is a new
/// one, counted from now.
pub(super) fn roll(world: &mut World, id: &str, mut items: Vec<Value>, reset: bool) {
    let Some(subscription) = world.store.find("subscription", id).cloned() else {
        return;
    };
    let (now, livemode) = (world.now, world.livemode());
    let trial_over = subscription.text("status") == "trialing"
        && subscription["trial_end"]
            .as_i64()
            .is_some_and(|at| at <= now);
    if trial_over && trial_ends_it(world, &subscription) {
        return;
    }
    let anchor = if trial_over || reset {
        now
    } else {
        subscription.int("billing_cycle_anchor")
    };
    let mut lines = take_pending(world, id);
    for item in items
        .iter_mut()
        .filter(|item| item.int("current_period_end") <= now)
    {
        let start = item.int("current_period_end");
        let end = next_end(item, anchor, start);
        set_period(item, start, end);
        lines.push(Charge::whole_period(item).line(livemode));
    }
    let invoice = invoices::draft(world, &subscription, Reason::Cycle, lines);
    let held = subscription["pause_collection"].text("behavior");
    if held == "keep_as_draft" || subscription.text("status") == "unpaid" {
        world.change("invoice", &invoice, None, |invoice| {
            invoice.set("auto_advance", false)
        });
    }
    world.change("subscription", id, Some(UPDATED), |subscription| {
        subscription["items"].set("data", items);
        subscription.set("latest_invoice", invoice);
        subscription.set("billing_cycle_anchor", anchor);
        if trial_over {
            subscription.set("status", "active");
        }
    });
}

/// Begins a new period of a paused subscription now; it is active once its invoice is paid.
pub(super) fn resume(world: &mut World, id: &str) {
    let (now, livemode) = (world.now, world.livemode());
    let Some(subscription) = world.store.find("subscription", id).cloned() else {
        return;
    };
    let mut items = items_of(&subscription);
    for item in &mut items {
        let end = next_end(item, now, now);
        set_period(item, now, end);
    }
    let lines = items
        .iter()
        .map(|item| Charge::whole_period(item).line(livemode))
        .collect();
    world.change("subscription", id, None, |subscription| {
        subscription["items"].set("data", items);
        subscription.set("billing_cycle_anchor", now);
    });
    let invoice = invoices::draft(world, &subscription, Reason::Update, lines);
    invoices::finalize(world, &invoice);
    invoices::collect(world, &invoice, None, false, false);
    let paid = world
        .store
        .find("invoice", &invoice)
        .is_some_and(|invoice| invoice.text("status") == "paid");
    let resumed = world.change("subscription", id, Some(UPDATED), |subscription| {
        subscription.set("latest_invoice", invoice);
        if paid {
            subscription.set("status", "active");
        }
    });
    if paid {
        world.emit("customer.subscription.resumed", &resumed, None);
    }
}

/// What becomes of a trial that ends without a payment method, as its settings say; false: it goes on.
///
/// <https://docs.stripe.com/billing/subscriptions/trials/free-trials#create-free-trials-without-payment>
fn trial_ends_it(world: &mut World, subscription: &Value) -> bool {
    let id = subscription.text("id");
    if payment_method_of(world, id).is_some() {
        return false;
    }
    match subscription["trial_settings"]["end_behavior"].text("missing_payment_method") {
        "cancel" => cancel(world, id, "cancellation_requested"),
        "pause" => {
            let paused = world.change("subscription", id, Some(UPDATED), |subscription| {
                subscription.set("status", "paused")
            });
            world.emit("customer.subscription.paused", &paused, None);
        }
        _ => return false,
    }
    true
}
