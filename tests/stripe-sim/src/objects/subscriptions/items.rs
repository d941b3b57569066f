//! The items of a subscription: reading them from parameters, their periods, changing them.
//!
//! <https://docs.stripe.com/api/subscription_items>. Each item has its own current period.

use serde_json::{Value, json};

use super::lifecycle;
use crate::doc::{Doc, whole_list};
use crate::error::ApiError;
use crate::objects::billing::{self, Charge};
use crate::objects::common::merge_metadata;
use crate::objects::invoices::Reason;
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

fn recurring_price(world: &World, id: &str, param: &str) -> Result<Value, ApiError> {
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

/// Changes items as `items[]` of an update says: by id, else as new ones; and prorates.
///
/// # Errors
/// 400 for an unknown item or price, or when no item would be left.
pub(crate) fn change_items(
    world: &mut World,
    id: &str,
    given: &[Value],
    proration: &str,
) -> Result<(), ApiError> {
    let subscription = world.get("subscription", id)?.clone();
    let mut change = Change {
        now: world.now,
        items: items_of(&subscription),
        charges: Vec::new(),
        reset: false,
    };
    for (index, wanted) in given.iter().enumerate() {
        change.apply(world, &subscription, wanted, index)?;
    }
    if change.items.is_empty() {
        return Err(
            ApiError::invalid("A subscription must have at least one active plan.").param("items"),
        );
    }
    let Change {
        now,
        mut items,
        mut charges,
        reset,
    } = change;
    let trialing = subscription.text("status") == "trialing";
    if reset && !trialing {
        for item in &mut items {
            let end = next_end(item, now, now);
            set_period(item, now, end);
        }
        let livemode = world.livemode();
        charges.retain(|line| line.int("amount") < 0);
        charges.extend(
            items
                .iter()
                .map(|item| Charge::whole_period(item).line(livemode)),
        );
    }
    let url = format!("/v1/subscription_items?subscription={id}");
    world.change(
        "subscription",
        id,
        Some("customer.subscription.updated"),
        |subscription| {
            subscription.set("items", whole_list(&url, items));
            if reset && !trialing {
                subscription.set("billing_cycle_anchor", now);
            }
            if proration != "none" || reset {
                let mut pending = subscription.list("_pending_lines").to_vec();
                pending.extend(charges.into_iter().filter(|_| !trialing));
                subscription.set("_pending_lines", pending);
            }
        },
    );
    if (proration == "always_invoice" || reset) && !trialing {
        lifecycle::invoice_pending(world, id, Reason::Update);
    }
    Ok(())
}

struct Change {
    now: i64,
    items: Vec<Value>,
    /// Invoice lines for what is given back and what is charged.
    charges: Vec<Value>,
    /// Another interval: the billing period starts anew.
    reset: bool,
}

impl Change {
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
            let rhythm = |price: &Value| {
                (
                    price["recurring"]["interval"].clone(),
                    price["recurring"]["interval_count"].clone(),
                )
            };
            self.reset |= rhythm(&old["price"]) != rhythm(&price);
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
