//! The items of a subscription: reading them from parameters, their periods, changing them.
//!
//! <https://docs.stripe.com/api/subscription_items>. Each item has its own current period.

use serde_json::{Value, json};

use super::start::payment_method_of;
use super::{UPDATED, lifecycle};
use crate::doc::Doc;
use crate::error::ApiError;
use crate::objects::billing::{self, Charge};
use crate::objects::cards::{self, Verdict};
use crate::objects::common::merge_metadata;
use crate::objects::invoices::Reason;
use crate::objects::subscription_schedules;
use crate::world::World;

/// New items from `items[]`, without periods yet.
///
/// # Errors
/// 400 for no items, or a price that is missing, inactive or not recurring.
pub(super) fn resolved(
    world: &mut World,
    given: &[Value],
    subscription: &str,
    at: &str,
) -> Result<Vec<Value>, ApiError> {
    if given.is_empty() {
        return Err(ApiError::missing_param(at));
    }
    let mut items: Vec<Value> = Vec::new();
    for (index, wanted) in given.iter().enumerate() {
        let param = format!("{at}[{index}][price]");
        let price = recurring_price(world, wanted.text("price"), &param)?;
        if items.iter().any(|item| item["price"]["id"] == price["id"]) {
            let message = format!(
                "Cannot add multiple subscription items with the same plan: {}",
                price.text("id")
            );
            return Err(ApiError::invalid(message).param(at));
        }
        if items
            .iter()
            .any(|item| item["price"]["currency"] != price["currency"])
        {
            return Err(
                ApiError::invalid("Price currencies must match on one subscription.").param(at),
            );
        }
        items.push(new_item(world, wanted, price, subscription));
    }
    Ok(items)
}

/// A price that a subscription can have.
///
/// # Errors
/// 400 for a price that is missing, inactive or not recurring.
pub(crate) fn recurring_price(world: &World, id: &str, param: &str) -> Result<Value, ApiError> {
    if id.is_empty() {
        return Err(ApiError::missing_param(param));
    }
    let price = world.referred("price", id, param)?.clone();
    if !price.flag("active") && !price.flag("_inline") {
        return Err(ApiError::invalid(
            "The price specified is inactive. This field only accepts active prices.",
        )
        .param(param));
    }
    if price["recurring"].is_null() {
        return Err(ApiError::invalid(format!(
            "The price specified is set to `type=one_time` but this field only accepts prices with `type=recurring`: {id}"
        ))
        .param(param));
    }
    Ok(price)
}

fn new_item(world: &mut World, wanted: &Value, price: Value, subscription: &str) -> Value {
    let mut item = json!({
        "id": world.new_id("si_", 14), "object": "subscription_item", "billing_thresholds": null, "created": world.now,
        "discounts": [], "metadata": {}, "quantity": wanted["quantity"].as_i64().unwrap_or(1), "subscription": subscription,
        "tax_rates": [],
    });
    merge_metadata(&mut item, wanted.get("metadata"));
    set_price(&mut item, price);
    item
}

/// A price stands on its item whole, and once more in the older form of a plan.
fn set_price(item: &mut Value, price: Value) {
    let recurring = &price["recurring"];
    item.set(
        "plan",
        json!({
            "id": price["id"], "object": "plan", "active": price["active"], "amount": price["unit_amount"],
            "amount_decimal": price["unit_amount_decimal"], "billing_scheme": price["billing_scheme"], "created": price["created"],
            "currency": price["currency"], "interval": recurring["interval"], "interval_count": recurring["interval_count"],
            "livemode": price["livemode"], "metadata": price["metadata"], "meter": null, "nickname": price["nickname"],
            "product": price["product"], "tiers_mode": null, "transform_usage": null, "trial_period_days": null,
            "usage_type": recurring["usage_type"],
        }),
    );
    item.set("price", price);
}

/// Sets the current period, in Unix seconds.
pub(super) fn set_period(item: &mut Value, start: i64, end: i64) {
    item.set("current_period_start", start);
    item.set("current_period_end", end);
}

/// The end of the item's period that runs at `after`.
pub(super) fn next_end(item: &Value, anchor: i64, after: i64) -> i64 {
    billing::period_end(anchor, &item["price"]["recurring"], after)
}

/// A subscription's items.
pub(crate) fn items_of(subscription: &Value) -> Vec<Value> {
    subscription.list("items").to_vec()
}

/// How an update of items is paid for.
#[derive(Clone, Copy)]
pub(crate) struct Terms<'a> {
    /// One of `PRORATION`.
    pub(crate) proration: &'a str,
    /// `error_if_incomplete`: what cannot be paid at once is not done at all.
    pub(crate) must_be_paid: bool,
    /// `default_incomplete`: what has to be paid awaits its payer.
    pub(crate) awaits_payer: bool,
    /// Nobody is there to confirm a payment.
    pub(crate) off_session: bool,
}

/// Changes items as `items[]` of an update says: by id, else as new ones; and prorates.
///
/// # Errors
/// 400 for an unknown item or price, another currency, or when no item would be left; 402 as `Terms` say.
pub(crate) fn change_items(
    world: &mut World,
    id: &str,
    given: &[Value],
    terms: Terms<'_>,
) -> Result<(), ApiError> {
    let subscription = world.get("subscription", id)?.clone();
    let mut change = Change::read(world, &subscription, given)?;
    change.settle(world, &subscription, terms);
    if terms.must_be_paid {
        check_payable(world, &subscription, &change, terms)?;
    }
    let Change {
        now,
        items,
        charges,
        reset,
        invoiced,
    } = change;
    let changed = world.change("subscription", id, Some(UPDATED), |subscription| {
        subscription["items"].set("data", items);
        if reset {
            subscription.set("billing_cycle_anchor", now);
        }
        let mut pending = subscription.list("_pending_lines").to_vec();
        pending.extend(charges);
        subscription.set("_pending_lines", pending);
    });
    subscription_schedules::follow_items(world, &changed);
    if invoiced {
        match lifecycle::invoice_pending(world, id, Reason::Update) {
            Some(invoice) if terms.awaits_payer => lifecycle::await_payer(world, id, &invoice),
            Some(invoice) => lifecycle::collect_now(world, id, &invoice, terms.off_session),
            None => {}
        }
    }
    Ok(())
}

/// Puts the items of a schedule's phase in the place of a subscription's. At the end of the period nothing is prorated:
/// the next period begins with them.
///
/// # Errors
/// As `change_items`.
pub(crate) fn replace_items(
    world: &mut World,
    id: &str,
    wanted: &[Value],
    proration: &str,
) -> Result<(), ApiError> {
    let subscription = world.get("subscription", id)?.clone();
    let old = items_of(&subscription);
    let mut given: Vec<Value> = Vec::new();
    for item in wanted {
        let same = old.iter().find(|old| old["price"]["id"] == item["price"]);
        given.push(match same {
            Some(old) => json!({ "id": old["id"], "quantity": item["quantity"], "metadata": item["metadata"] }),
            None => item.clone(),
        });
    }
    let gone = old.iter().filter(|old| {
        wanted
            .iter()
            .all(|item| item["price"] != old["price"]["id"])
    });
    given.extend(gone.map(|old| json!({ "id": old["id"], "deleted": true })));
    let terms = Terms {
        proration,
        must_be_paid: false,
        awaits_payer: false,
        off_session: true,
    };
    if old
        .iter()
        .any(|item| item.int("current_period_end") > world.now)
    {
        return change_items(world, id, &given, terms);
    }
    let Change {
        now,
        mut items,
        reset,
        ..
    } = Change::read(world, &subscription, &given)?;
    for item in &mut items {
        let start = item.int("current_period_start").min(now);
        set_period(item, start, now);
    }
    lifecycle::roll(world, id, items, reset);
    Ok(())
}

/// What Stripe says when prices of two currencies meet.
pub(crate) fn other_currency(subscription: &Value, currency: &Value) -> ApiError {
    ApiError::invalid(format!(
        "The price specified only supports `{}`. This doesn't match the expected currency: `{}`.",
        currency.as_str().unwrap_or_default(),
        subscription.text("currency")
    ))
    .param("items")
}

/// Refuses a change whose invoice would not be paid at once.
fn check_payable(
    world: &World,
    subscription: &Value,
    change: &Change,
    terms: Terms<'_>,
) -> Result<(), ApiError> {
    let pending = subscription.list("_pending_lines").iter();
    let lines: i64 = pending
        .chain(&change.charges)
        .map(|line| line.int("amount"))
        .sum();
    let customer = world.store.find("customer", subscription.text("customer"));
    let due = lines + customer.map_or(0, |customer| customer.int("balance"));
    if !change.invoiced || due <= 0 || subscription.text("collection_method") == "send_invoice" {
        return Ok(());
    }
    let method = payment_method_of(world, subscription.text("id"))
        .ok_or_else(crate::objects::invoices::no_payment_method)?;
    let last4 = world.get("payment_method", &method)?["card"]
        .text("last4")
        .to_owned();
    match cards::verdict(&last4, terms.off_session, false) {
        Verdict::Approved => Ok(()),
        Verdict::Declined(error) => Err(error),
        Verdict::NeedsConfirmation => Err(ApiError::card(
            "subscription_payment_intent_requires_action",
            None,
            "Payment for this subscription requires additional user action before it can be completed successfully. Payment can be \
             completed using the PaymentIntent associated with `subscription.latest_invoice`.",
        )),
    }
}

struct Change {
    now: i64,
    items: Vec<Value>,
    /// Invoice lines for what is given back and what is charged.
    charges: Vec<Value>,
    /// Another interval, or paid after free: the billing period starts anew.
    reset: bool,
    /// An invoice is made at once.
    invoiced: bool,
}

impl Change {
    fn read(world: &mut World, subscription: &Value, given: &[Value]) -> Result<Self, ApiError> {
        let old = items_of(subscription);
        let mut change = Self {
            now: world.now,
            items: old.clone(),
            charges: Vec::new(),
            reset: false,
            invoiced: false,
        };
        for (index, wanted) in given.iter().enumerate() {
            change.apply(world, subscription, wanted, index)?;
        }
        let Some(first) = change.items.first() else {
            let message = "A subscription must have at least one active plan.";
            return Err(ApiError::invalid(message).param("items"));
        };
        let rhythm = |item: &Value| {
            let recurring = &item["price"]["recurring"];
            (
                recurring["interval"].clone(),
                recurring["interval_count"].clone(),
            )
        };
        let free = |items: &[Value]| {
            items
                .iter()
                .all(|item| billing::amount(&item["price"], item.int("quantity")) == 0)
        };
        change.reset = old.first().is_some_and(|old| rhythm(old) != rhythm(first))
            || free(&old) && !free(&change.items);
        Ok(change)
    }

    /// Decides what is charged and when; a trial goes on as it is.
    fn settle(&mut self, world: &World, subscription: &Value, terms: Terms<'_>) {
        if subscription.text("status") == "trialing" {
            self.reset = false;
            self.charges.clear();
            return;
        }
        if terms.proration == "none" {
            self.charges.clear();
        }
        if self.reset {
            self.charges.retain(|line| line.int("amount") < 0);
            for item in &mut self.items {
                let end = next_end(item, self.now, self.now);
                set_period(item, self.now, end);
                self.charges
                    .push(Charge::whole_period(item).line(world.livemode()));
            }
        }
        self.invoiced = terms.proration == "always_invoice" || self.reset;
    }

    fn apply(
        &mut self,
        world: &mut World,
        subscription: &Value,
        wanted: &Value,
        index: usize,
    ) -> Result<(), ApiError> {
        let livemode = world.livemode();
        let at = format!("items[{index}]");
        let Some(id) = wanted["id"].as_str() else {
            let price = recurring_price(world, wanted.text("price"), &format!("{at}[price]"))?;
            if price["currency"] != subscription["currency"] {
                return Err(other_currency(subscription, &price["currency"]));
            }
            let mut item = new_item(world, wanted, price, subscription.text("id"));
            let end = next_end(&item, subscription.int("billing_cycle_anchor"), self.now);
            set_period(
                &mut item,
                self.now,
                subscription["trial_end"]
                    .as_i64()
                    .filter(|at| *at > self.now)
                    .unwrap_or(end),
            );
            self.charges
                .push(Charge::rest_of_period(&item, self.now, 1).line(livemode));
            self.items.push(item);
            return Ok(());
        };
        let position = self.items.iter().position(|item| item.text("id") == id);
        let position = position.ok_or_else(|| {
            ApiError::no_such_reference("subscription_item", id, &format!("{at}[id]"))
        })?;
        let old = self.items[position].clone();
        if wanted.flag("deleted") {
            self.charges
                .push(Charge::rest_of_period(&old, self.now, -1).line(livemode));
            self.items.remove(position);
            return Ok(());
        }
        let item = &mut self.items[position];
        if let Some(price) = wanted["price"].as_str() {
            let price = recurring_price(world, price, &format!("{at}[price]"))?;
            if price["currency"] != subscription["currency"] {
                return Err(other_currency(subscription, &price["currency"]));
            }
            set_price(item, price);
        }
        if let Some(quantity) = wanted["quantity"].as_i64() {
            item.set("quantity", quantity);
        }
        merge_metadata(item, wanted.get("metadata"));
        if (&old["price"], &old["quantity"]) != (&item["price"], &item["quantity"]) {
            self.charges
                .push(Charge::rest_of_period(&old, self.now, -1).line(livemode));
            self.charges
                .push(Charge::rest_of_period(item, self.now, 1).line(livemode));
        }
        Ok(())
    }
}
