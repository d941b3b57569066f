//! Billing arithmetic: period ends, amounts, prorations. Pure: values in, values out.
//!
//! <https://docs.stripe.com/billing/subscriptions/billing-cycle>, <https://docs.stripe.com/billing/subscriptions/prorations>.

use jiff::{Span, Timestamp, tz::TimeZone};
use serde_json::{Value, json};

use crate::doc::Doc;

/// The first end of a billing period after `after`, counted from the anchor, so that the 31st stays the last day of
/// shorter months and comes back in longer ones.
pub(crate) fn period_end(anchor: i64, recurring: &Value, after: i64) -> i64 {
    let count = recurring.int("interval_count").max(1);
    let step = |number: i64| match recurring.text("interval") {
        "day" => shifted(anchor, Span::new().days(number * count)),
        "week" => shifted(anchor, Span::new().weeks(number * count)),
        "year" => shifted(anchor, Span::new().years(number * count)),
        _ => shifted(anchor, Span::new().months(number * count)),
    };
    let longest = match recurring.text("interval") {
        "day" => 86_400,
        "week" => 7 * 86_400,
        "year" => 366 * 86_400,
        _ => 31 * 86_400,
    };
    let mut number = ((after - anchor) / (longest * count)).max(0);
    loop {
        number += 1;
        match step(number) {
            Some(end) if end <= after => {}
            Some(end) => return end,
            None => return i64::MAX,
        }
    }
}

fn shifted(from: i64, span: Span) -> Option<i64> {
    let moment = Timestamp::from_second(from).ok()?.to_zoned(TimeZone::UTC);
    moment
        .checked_add(span)
        .ok()
        .map(|moment| moment.timestamp().as_second())
}

/// What so many of a price cost, in minor units.
pub(crate) fn amount(price: &Value, quantity: i64) -> i64 {
    match price["unit_amount"].as_i64() {
        Some(unit) => unit * quantity,
        None => {
            let unit: f64 = price
                .text("unit_amount_decimal")
                .parse()
                .unwrap_or_default();
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_precision_loss,
                reason = "a rounded amount of money"
            )]
            let total = (unit * quantity as f64).round() as i64;
            total
        }
    }
}

/// The part of an amount that falls on what is left of a period, rounded half up.
pub(crate) fn prorated(amount: i64, now: i64, start: i64, end: i64) -> i64 {
    let whole = i128::from((end - start).max(1));
    let left = i128::from((end - now).clamp(0, end - start));
    let doubled = i128::from(amount) * left * 2;
    i64::try_from((doubled + whole).div_euclid(2 * whole)).unwrap_or(i64::MAX)
}

/// What an invoice line says about one subscription item.
pub(crate) struct Charge<'a> {
    pub(crate) item: &'a Value,
    pub(crate) amount: i64,
    pub(crate) period: (i64, i64),
    pub(crate) proration: bool,
    pub(crate) description: String,
}

impl<'a> Charge<'a> {
    /// A whole period of an item.
    pub(crate) fn whole_period(item: &'a Value) -> Self {
        let (price, quantity) = (&item["price"], item.int("quantity"));
        let per = price["recurring"].text("interval");
        Self {
            amount: amount(price, quantity),
            period: (
                item.int("current_period_start"),
                item.int("current_period_end"),
            ),
            proration: false,
            description: format!(
                "{quantity} × {} (at {} / {per})",
                price.text("product"),
                money(price)
            ),
            item,
        }
    }

    /// A trial of an item, which costs nothing.
    pub(crate) fn trial(item: &'a Value) -> Self {
        let whole = Self::whole_period(item);
        let description = format!("Trial period for {}", item["price"].text("product"));
        Self {
            amount: 0,
            description,
            ..whole
        }
    }

    /// The rest of the current period of an item, to be charged (`sign` 1) or given back (`sign` -1).
    pub(crate) fn rest_of_period(item: &'a Value, now: i64, sign: i64) -> Self {
        let (start, end) = (
            item.int("current_period_start"),
            item.int("current_period_end"),
        );
        let what = if sign < 0 {
            "Unused time on"
        } else {
            "Remaining time on"
        };
        Self {
            amount: sign
                * prorated(
                    amount(&item["price"], item.int("quantity")),
                    now,
                    start,
                    end,
                ),
            period: (now, end),
            proration: true,
            description: format!(
                "{what} {} × {}",
                item.int("quantity"),
                item["price"].text("product")
            ),
            item,
        }
    }

    /// The line as it stands on an invoice, without its own and the invoice's id.
    pub(crate) fn line(&self, livemode: bool) -> Value {
        let price = &self.item["price"];
        json!({
            "object": "line_item", "amount": self.amount, "currency": price["currency"], "description": self.description,
            "discount_amounts": [], "discountable": !self.proration, "discounts": [], "livemode": livemode, "metadata": {},
            "parent": {
                "type": "subscription_item_details", "invoice_item_details": null,
                "subscription_item_details": {
                    "invoice_item": null, "proration": self.proration, "proration_details": { "credited_items": null },
                    "subscription": self.item["subscription"], "subscription_item": self.item["id"],
                },
            },
            "period": { "start": self.period.0, "end": self.period.1 }, "pretax_credit_amounts": [],
            "pricing": {
                "type": "price_details", "price_details": { "price": price["id"], "product": price["product"] },
                "unit_amount_decimal": price["unit_amount_decimal"],
            },
            "quantity": self.item["quantity"], "subscription": self.item["subscription"], "subtotal": self.amount, "taxes": [],
        })
    }
}

fn money(price: &Value) -> String {
    format!(
        "{} {}",
        price.text("unit_amount_decimal"),
        price.text("currency")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(text: &str) -> i64 {
        text.parse::<Timestamp>().expect(text).as_second()
    }

    fn monthly() -> Value {
        json!({ "interval": "month", "interval_count": 1 })
    }

    #[test]
    fn a_month_that_begins_on_the_31st_ends_on_the_last_day_and_comes_back() {
        let anchor = seconds("2027-01-31T10:00:00Z");
        let february = period_end(anchor, &monthly(), anchor);
        assert_eq!(february, seconds("2027-02-28T10:00:00Z"));
        assert_eq!(
            period_end(anchor, &monthly(), february),
            seconds("2027-03-31T10:00:00Z")
        );
    }

    #[test]
    fn periods_far_from_the_anchor_are_found() {
        let anchor = seconds("2020-02-29T00:00:00Z");
        let yearly = json!({ "interval": "year", "interval_count": 1 });
        assert_eq!(
            period_end(anchor, &yearly, seconds("2027-03-01T00:00:00Z")),
            seconds("2028-02-29T00:00:00Z")
        );
        let fortnightly = json!({ "interval": "week", "interval_count": 2 });
        assert_eq!(
            period_end(anchor, &fortnightly, anchor + 14 * 86_400),
            anchor + 28 * 86_400
        );
    }

    #[test]
    fn half_a_period_costs_half() {
        assert_eq!(prorated(2900, 50, 0, 100), 1450);
        assert_eq!(prorated(2901, 50, 0, 100), 1451);
        assert_eq!(prorated(2900, 200, 0, 100), 0);
        assert_eq!(prorated(2900, 0, 0, 100), 2900);
    }

    #[test]
    fn decimal_prices_are_rounded_once_for_the_whole_quantity() {
        let price = json!({ "unit_amount": null, "unit_amount_decimal": "0.5" });
        assert_eq!(amount(&price, 3), 2);
    }
}
