//! What happens to a subscription as time passes and invoices are paid or not.
//!
//! <https://docs.stripe.com/billing/subscriptions/overview#subscription-lifecycle>

use serde_json::{Value, json};

use super::items::{items_of, next_end, set_period};
use super::start::payment_method_of;
use super::{INCOMPLETE_FOR, UPDATED};
use crate::doc::{Doc, whole_list};
use crate::objects::billing::Charge;
use crate::objects::invoices::{self, Reason};
use crate::world::World;

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
    let status = world
        .store
        .find("subscription", id)
        .map(|subscription| subscription.text("status").to_owned());
    if matches!(
        status.as_deref(),
        Some("incomplete" | "past_due" | "unpaid")
    ) {
        world.change("subscription", id, Some(UPDATED), |subscription| {
            subscription.set("status", "active")
        });
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
    world.change(
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
        renew(world, id);
        let invoice = world
            .store
            .find("subscription", id)
            .map(|subscription| subscription.text("latest_invoice").to_owned());
        invoices::finalize(world, &invoice.clone().unwrap_or_default());
        invoices::collect(world, &invoice.unwrap_or_default(), None, true, false);
    }
}

/// Gives back, as pending lines, what is left of the current periods.
pub(super) fn credit_the_rest(world: &mut World, id: &str) {
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

/// Makes an invoice of the pending lines and collects it at once.
pub(super) fn invoice_pending(world: &mut World, id: &str, reason: Reason) {
    let lines = take_pending(world, id);
    let Some(subscription) = world
        .store
        .find("subscription", id)
        .cloned()
        .filter(|_| !lines.is_empty())
    else {
        return;
    };
    let invoice = invoices::draft(world, &subscription, reason, lines);
    world.change("subscription", id, Some(UPDATED), |subscription| {
        subscription.set("latest_invoice", invoice.as_str())
    });
    invoices::finalize(world, &invoice);
    if subscription.text("collection_method") == "charge_automatically" {
        invoices::collect(world, &invoice, None, true, false);
    }
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

/// When the next thing happens to any subscription.
pub(super) fn next(world: &World) -> Option<i64> {
    world.store.all("subscription").filter_map(due_at).min()
}

fn due_at(subscription: &Value) -> Option<i64> {
    let status = subscription.text("status");
    if is_over(subscription) {
        return None;
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
pub(super) fn fire(world: &mut World) {
    let now = world.now;
    let due = |subscription: &&Value| due_at(subscription).is_some_and(|at| at <= now);
    let ids: Vec<String> = world
        .store
        .all("subscription")
        .filter(due)
        .map(Doc::id)
        .collect();
    for id in ids {
        let Some(subscription) = world.store.find("subscription", &id).cloned() else {
            continue;
        };
        if notice_at(&subscription).is_some_and(|at| at <= now) {
            let announced = world.change("subscription", &id, None, |subscription| {
                subscription.set("_trial_announced", true)
            });
            world.emit("customer.subscription.trial_will_end", &announced, None);
        } else if subscription.text("status") == "incomplete" {
            expire(world, &id);
        } else if subscription["cancel_at"]
            .as_i64()
            .is_some_and(|at| at <= now)
        {
            cancel(world, &id, "cancellation_requested");
        } else {
            renew(world, &id);
        }
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

/// Rolls every item whose period is over into the next one, and makes the invoice for it.
fn renew(world: &mut World, id: &str) {
    let Some(subscription) = world.store.find("subscription", id).cloned() else {
        return;
    };
    let (now, livemode) = (world.now, world.livemode());
    let trial_over = subscription.text("status") == "trialing"
        && subscription["trial_end"]
            .as_i64()
            .is_some_and(|at| at <= now);
    let ends_unpaid =
        subscription["trial_settings"]["end_behavior"].text("missing_payment_method") == "cancel";
    if trial_over && ends_unpaid && payment_method_of(world, id).is_none() {
        return cancel(world, id, "cancellation_requested");
    }
    let anchor = if trial_over {
        now
    } else {
        subscription.int("billing_cycle_anchor")
    };
    let mut lines = take_pending(world, id);
    let mut items = items_of(&subscription);
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
    world.change("subscription", id, Some(UPDATED), |subscription| {
        subscription.set(
            "items",
            whole_list(&format!("/v1/subscription_items?subscription={id}"), items),
        );
        subscription.set("latest_invoice", invoice);
        if trial_over {
            subscription.set("status", "active");
            subscription.set("billing_cycle_anchor", anchor);
        }
    });
}
