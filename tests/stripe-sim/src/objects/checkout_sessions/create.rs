//! How a checkout session is made: what is checked, and the lines it sells.
//!
//! <https://docs.stripe.com/api/checkout/sessions/create>

use serde_json::{Value, json};

use super::DAY;
use crate::doc::{Doc, from_template};
use crate::error::ApiError;
use crate::objects::common::merge_metadata;
use crate::objects::{Call, billing, prices, products};
use crate::world::World;

/// `POST /v1/checkout/sessions`.
pub(super) fn create(world: &mut World, call: &Call) -> Result<Value, ApiError> {
    let mode = call
        .text("mode")
        .ok_or_else(|| ApiError::missing_param("mode"))?;
    check(world, call, mode)?;
    let lines = lines(world, call, mode)?;
    let total: i64 = lines.iter().map(|line| line.int("amount_total")).sum();
    let live = if world.livemode() { "live" } else { "test" };
    let id = world.new_id(&format!("cs_{live}_"), 58);
    let customer = call
        .text("customer")
        .and_then(|id| world.store.find("customer", id))
        .cloned()
        .unwrap_or_default();
    let email = customer["email"].as_str().or(call.text("customer_email"));
    let trial = ["/trial_end", "/trial_period_days"]
        .iter()
        .any(|at| !call.below("subscription_data", at).is_null());
    let due = if trial { 0 } else { total };
    let (now, subscription_mode) = (world.account_now(), mode == "subscription");
    let dynamic = json!({
        "id": id, "amount_subtotal": due, "amount_total": due, "created": now,
        "currency": lines.first().map(|line| line["currency"].clone()), "customer": customer["id"],
        "customer_creation": creation(call, subscription_mode), "customer_email": call.text("customer_email"),
        "customer_details": email.map(details), "expires_at": call.int("expires_at").unwrap_or(now + DAY),
        "invoice_creation": if subscription_mode { Value::Null } else { no_invoice() }, "livemode": world.livemode(),
        "metadata": {}, "mode": mode, "payment_method_types": types(call, mode),
        "payment_method_collection": subscription_mode.then(|| call.text("payment_method_collection").unwrap_or("always")),
        "url": format!("{}/c/pay/{id}", world.base_url), "_line_items": lines,
        "_subscription_data": call.get("subscription_data"), "_payment_intent_data": call.get("payment_intent_data"),
    });
    let mut session = from_template(include_str!("../templates/checkout_session.json"), dynamic);
    let echoed = [
        "allow_promotion_codes",
        "billing_address_collection",
        "cancel_url",
        "client_reference_id",
        "locale",
        "success_url",
    ];
    for field in echoed {
        session.set(field, call.get(field).cloned().unwrap_or_default());
    }
    merge_metadata(&mut session, call.get("metadata"));
    Ok(world.create(session, None))
}

/// When a payment page makes a customer of somebody who is none yet.
fn creation(call: &Call, subscription_mode: bool) -> Value {
    match (call.text("customer"), subscription_mode) {
        (Some(_), _) => Value::Null,
        (None, true) => json!("always"),
        (None, false) => json!(call.text("customer_creation").unwrap_or("if_required")),
    }
}

/// What the page takes: as asked for, else what the account has on.
fn types(call: &Call, mode: &str) -> Value {
    match (call.get("payment_method_types"), mode) {
        (Some(types), _) => types.clone(),
        (None, "payment") => json!(["card", "us_bank_account"]),
        (None, _) => json!(["card"]),
    }
}

/// Who paid, as far as a page asks.
pub(super) fn details(email: &str) -> Value {
    json!({
        "address": null, "business_name": null, "email": email, "individual_name": null, "name": null, "phone": null,
        "tax_exempt": "none", "tax_ids": [],
    })
}

fn no_invoice() -> Value {
    let data = json!({
        "account_tax_ids": null, "custom_fields": null, "description": null, "footer": null, "issuer": null, "metadata": {},
        "rendering_options": null,
    });
    json!({ "enabled": false, "invoice_data": data })
}

fn check(world: &World, call: &Call, mode: &str) -> Result<(), ApiError> {
    if mode == "setup" {
        return Err(ApiError::invalid("The simulator does not serve `setup` mode.").param("mode"));
    }
    if call.text("success_url").is_none() {
        return Err(ApiError::missing_param("success_url"));
    }
    for param in ["success_url", "cancel_url"] {
        if call
            .text(param)
            .is_some_and(|url| !url.starts_with("http://") && !url.starts_with("https://"))
        {
            return Err(ApiError::invalid("Not a valid URL")
                .code("url_invalid")
                .param(param));
        }
    }
    if let Some(customer) = call.text("customer") {
        world.referred("customer", customer, "customer")?;
        if call.text("customer_email").is_some() {
            return Err(ApiError::invalid(
                "You may only specify one of these parameters: customer, customer_email.",
            ));
        }
    }
    let wrong_mode = [
        ("payment", "subscription_data"),
        ("subscription", "payment_intent_data"),
        ("subscription", "customer_creation"),
        ("payment", "payment_method_collection"),
    ];
    if let Some((_, param)) = wrong_mode
        .iter()
        .find(|(other, param)| *other == mode && call.get(param).is_some())
    {
        return Err(
            ApiError::invalid(format!("You can not pass `{param}` in `{mode}` mode.")).param(param),
        );
    }
    let now = world.account_now();
    match call.int("expires_at") {
        Some(at) if at < now + 1800 || at > now + DAY => {
            let message = "The `expires_at` timestamp must be between 30 minutes and 24 hours from Checkout Session creation.";
            Err(ApiError::invalid(message).param("expires_at"))
        }
        _ => Ok(()),
    }
}

fn lines(world: &mut World, call: &Call, mode: &str) -> Result<Vec<Value>, ApiError> {
    let given = call.items("line_items");
    if given.is_empty() {
        return Err(ApiError::missing_param("line_items"));
    }
    let mut lines = Vec::new();
    for (index, wanted) in given.iter().enumerate() {
        let price = line_price(world, wanted, &format!("line_items[{index}]"))?;
        let quantity = wanted["quantity"].as_i64().unwrap_or_default();
        if quantity < 1 {
            return Err(ApiError::invalid(
                "Quantity is required. Add `quantity` to this line item.",
            )
            .param(&format!("line_items[{index}]")));
        }
        lines.push(line(world, &price, quantity, wanted));
    }
    let recurring = lines
        .iter()
        .filter(|line| !line["price"]["recurring"].is_null())
        .count();
    match (mode, recurring) {
        ("subscription", 0) => {
            let message = "You must provide at least one recurring price in `subscription` mode when using prices.";
            Err(ApiError::invalid(message).param("mode"))
        }
        ("subscription", recurring) if recurring < lines.len() => Err(ApiError::invalid(
            "The simulator does not serve one-time prices in `subscription` mode.",
        )
        .param("line_items")),
        ("payment", 1..) => {
            let message = "You specified `payment` mode but passed a recurring price. Either switch to `subscription` mode or use only one-time prices.";
            Err(ApiError::invalid(message).param("mode"))
        }
        _ if lines
            .iter()
            .any(|line| line["currency"] != lines[0]["currency"]) =>
        {
            Err(
                ApiError::invalid("All prices on a Checkout Session must have the same currency.")
                    .param("line_items"),
            )
        }
        _ => Ok(lines),
    }
}

fn line_price(world: &mut World, wanted: &Value, at: &str) -> Result<Value, ApiError> {
    if let Some(id) = wanted["price"].as_str() {
        let price = world
            .referred("price", id, &format!("{at}[price]"))?
            .clone();
        return if price.flag("active") {
            Ok(price)
        } else {
            Err(ApiError::invalid(format!(
                "The price specified is inactive. This field only accepts active prices. ({id})"
            ))
            .param(at))
        };
    }
    let data = wanted
        .get("price_data")
        .ok_or_else(|| ApiError::missing_param(&format!("{at}[price]")))?;
    let data_at = format!("{at}[price_data]");
    let mut price = prices::from_data(world, data, data.text("product"), &data_at)?;
    match data.get("product_data") {
        Some(product) => price.set("product", products::create_inline(world, product)?.id()),
        None => drop(world.referred(
            "product",
            data.text("product"),
            &format!("{data_at}[product]"),
        )?),
    }
    // A price made for one session cannot be used again.
    price.set("active", false);
    price.set("_inline", true);
    Ok(world.create(price, None))
}

/// <https://docs.stripe.com/api/checkout/sessions/line_items>
fn line(world: &mut World, price: &Value, quantity: i64, wanted: &Value) -> Value {
    let amount = billing::amount(price, quantity);
    let name = world
        .store
        .find("product", price.text("product"))
        .map(|product| product["name"].clone());
    let mut line = json!({
        "id": world.new_id("li_", 24), "object": "item", "adjustable_quantity": null, "amount_discount": 0,
        "amount_subtotal": amount, "amount_tax": 0, "amount_total": amount, "currency": price["currency"], "description": name,
        "price": price, "quantity": quantity,
    });
    merge_metadata(&mut line, wanted.get("metadata"));
    line
}
