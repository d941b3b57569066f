//! Prices: <https://docs.stripe.com/api/prices>, lookup keys as on
//! <https://docs.stripe.com/products-prices/manage-prices#lookup-keys>. A price's amount never changes; another amount is
//! another price.

use serde_json::{Value, json};

use super::common::{self, equal, fill, merge_metadata};
use super::{Call, Expandable, Resource, Route, products};
use crate::doc::{Doc, from_template};
use crate::error::ApiError;
use crate::params::{CREATED, Kind, PAGE, Param, opt, req};
use crate::world::World;

const URL: &str = "/v1/prices";

/// How often a recurring price can be due.
pub(crate) const INTERVALS: &[&str] = &["day", "week", "month", "year"];

/// <https://docs.stripe.com/currencies>
const CURRENCIES: &str = "aed afn all amd ang aoa ars aud awg azn bam bbd bdt bgn bif bmd bnd bob brl bsd bwp byn bzd cad cdf chf \
    clp cny cop crc cve czk djf dkk dop dzd egp etb eur fjd fkp gbp gel gip gmd gnf gtq gyd hkd hnl htg huf idr ils inr isk jmd \
    jpy kes kgs khr kmf krw kyd kzt lak lbp lkr lrd lsl mad mdl mga mkd mmk mnt mop mur mvr mwk mxn myr mzn nad ngn nio nok npr \
    nzd pab pen pgk php pkr pln pyg qar ron rsd rub rwf sar sbd scr sek sgd shp sle sos srd std szl thb tjs top try ttd twd tzs \
    uah ugx usd uyu uzs vnd vuv wst xaf xcd xof xpf yer zar zmw";

const CREATE: &[Param] = &[
    opt("active", Kind::Bool),
    opt("billing_scheme", Kind::Enum(&["per_unit"])),
    req("currency", Kind::Str),
    opt("product", Kind::Str),
    opt("product_data.active", Kind::Bool),
    opt("product_data.id", Kind::Str),
    opt("product_data.metadata", Kind::Map),
    req("product_data.name", Kind::Str),
    req("recurring.interval", Kind::Enum(INTERVALS)),
    opt("recurring.interval_count", Kind::Int),
    opt("recurring.usage_type", Kind::Enum(&["licensed"])),
    opt("unit_amount", Kind::Int),
    opt("unit_amount_decimal", Kind::Decimal),
];

const FIELDS: &[Param] = &[
    opt("lookup_key", Kind::Str),
    opt("metadata", Kind::Map),
    opt("nickname", Kind::Str),
    opt(
        "tax_behavior",
        Kind::Enum(&["exclusive", "inclusive", "unspecified"]),
    ),
    opt("transfer_lookup_key", Kind::Bool),
];

const FILTERS: &[Param] = &[
    opt("active", Kind::Bool),
    opt("currency", Kind::Str),
    opt("lookup_keys[]", Kind::Str),
    opt("product", Kind::Str),
    opt("recurring.interval", Kind::Enum(INTERVALS)),
    opt("type", Kind::Enum(&["one_time", "recurring"])),
];

pub(crate) const RESOURCE: Resource = Resource {
    kind: "price",
    routes: &[
        Route {
            method: "POST",
            path: URL,
            params: &[CREATE, FIELDS],
            run: create,
        },
        Route {
            method: "GET",
            path: URL,
            params: &[PAGE, CREATED, FILTERS],
            run: list,
        },
        Route {
            method: "GET",
            path: "/v1/prices/search",
            params: &[common::SEARCH],
            run: search,
        },
        Route {
            method: "GET",
            path: "/v1/prices/{price}",
            params: &[],
            run: |world, call| common::retrieve(world, "price", call),
        },
        Route {
            method: "POST",
            path: "/v1/prices/{price}",
            params: &[FIELDS, &[opt("active", Kind::Bool)]],
            run: update,
        },
    ],
    expandable: &[Expandable::id("product")],
    timer: None,
};

fn create(world: &mut World, call: &Call) -> Result<Value, ApiError> {
    let product = match (call.text("product"), call.get("product_data")) {
        (Some(_), Some(_)) => {
            return Err(ApiError::invalid(
                "You may only specify one of these parameters: product, product_data.",
            ));
        }
        (Some(product), None) => world.referred("product", product, "product")?.id(),
        (None, Some(_)) => String::new(),
        (None, None) => return Err(ApiError::missing_param("product")),
    };
    let data = Value::Object(call.params.clone());
    let mut price = from_data(world, &data, &product, "")?;
    claim_lookup_key(world, call, "")?;
    if let Some(product_data) = call.get("product_data") {
        price.set(
            "product",
            products::create_inline(world, product_data)?.id(),
        );
    }
    fill(
        &mut price,
        call,
        &["active", "lookup_key", "nickname", "tax_behavior"],
    );
    Ok(world.create(price, Some("price.created")))
}

/// A price from `currency`, `unit_amount` and `recurring`, not yet stored. `at` is the parameter that held them.
///
/// # Errors
/// 400 for a currency, amount or interval that Stripe would refuse.
pub(crate) fn from_data(
    world: &mut World,
    data: &Value,
    product: &str,
    at: &str,
) -> Result<Value, ApiError> {
    let name = |field: &str| {
        if at.is_empty() {
            field.to_owned()
        } else {
            format!("{at}[{field}]")
        }
    };
    let currency = data.text("currency").to_lowercase();
    if !CURRENCIES.split(' ').any(|known| known == currency) {
        return Err(
            ApiError::invalid(format!("Invalid currency: {currency}.")).param(&name("currency"))
        );
    }
    let (amount, decimal) = amounts(data, &name)?;
    let recurring = match data.get("recurring") {
        Some(given) => recurring(given, &name("recurring"))?,
        None => Value::Null,
    };
    let kind = if recurring.is_null() {
        "one_time"
    } else {
        "recurring"
    };
    let dynamic = json!({
        "id": world.new_id("price_", 24), "created": world.now, "currency": currency, "livemode": world.livemode(),
        "product": product, "recurring": recurring, "type": kind, "unit_amount": amount, "unit_amount_decimal": decimal,
    });
    let mut price = from_template(include_str!("templates/price.json"), dynamic);
    merge_metadata(&mut price, data.get("metadata"));
    Ok(price)
}

/// The whole amount (null when it has a fraction) and the decimal one.
fn amounts(data: &Value, name: &impl Fn(&str) -> String) -> Result<(Value, String), ApiError> {
    let negative = || {
        let message = "Invalid non-negative integer";
        ApiError::invalid(message)
            .code("parameter_invalid_integer")
            .param(&name("unit_amount"))
    };
    match (
        data["unit_amount"].as_i64(),
        data["unit_amount_decimal"].as_str(),
    ) {
        (Some(_), Some(_)) => Err(ApiError::invalid(
            "You may only specify one of these parameters: unit_amount, unit_amount_decimal.",
        )),
        (Some(amount), None) if amount < 0 => Err(negative()),
        (Some(amount), None) => Ok((json!(amount), amount.to_string())),
        (None, Some(decimal)) if decimal.starts_with('-') => Err(negative()),
        (None, Some(decimal)) => Ok((
            decimal
                .parse::<i64>()
                .map_or(Value::Null, |whole| json!(whole)),
            decimal.to_owned(),
        )),
        (None, None) => Err(ApiError::missing_param(&name("unit_amount"))),
    }
}

fn recurring(given: &Value, at: &str) -> Result<Value, ApiError> {
    let interval = given.text("interval");
    let count = given["interval_count"].as_i64().unwrap_or(1);
    let most = match interval {
        "day" => 1095,
        "week" => 156,
        "month" => 36,
        _ => 3,
    };
    if !(1..=most).contains(&count) {
        let message =
            format!("The maximum number of {interval}s allowed is {most}; the minimum is 1.");
        return Err(ApiError::invalid(message).param(&format!("{at}[interval_count]")));
    }
    Ok(
        json!({ "interval": interval, "interval_count": count, "meter": null, "usage_type": "licensed" }),
    )
}

/// Makes sure that a lookup key is free, or takes it from the price that has it when asked to.
fn claim_lookup_key(world: &mut World, call: &Call, own_id: &str) -> Result<(), ApiError> {
    let Some(key) = call.text("lookup_key") else {
        return Ok(());
    };
    let holder = world
        .store
        .all("price")
        .find(|price| price.text("lookup_key") == key && price.text("id") != own_id);
    let Some(holder) = holder.map(Doc::id) else {
        return Ok(());
    };
    if call.flag("transfer_lookup_key") != Some(true) {
        return Err(ApiError::invalid(format!(
            "A price (`{holder}`) already uses that lookup key."
        ))
        .param("lookup_key"));
    }
    world.change("price", &holder, Some("price.updated"), |price| {
        price.set("lookup_key", Value::Null)
    });
    Ok(())
}

fn list(world: &mut World, call: &Call) -> Result<Value, ApiError> {
    let keys = call.items("lookup_keys");
    if keys.len() > 10 {
        return Err(
            ApiError::invalid("You can only pass up to 10 lookup keys.").param("lookup_keys")
        );
    }
    let interval = call.below("recurring", "/interval");
    common::list(world, "price", URL, call, |price| {
        (keys.is_empty() || keys.contains(&price["lookup_key"]))
            && (interval.is_null() || price["recurring"]["interval"] == interval)
            && equal(call, price, &["active", "currency", "product", "type"])
    })
}

fn search(world: &mut World, call: &Call) -> Result<Value, ApiError> {
    common::search(world, "price", "/v1/prices/search", call)
}

fn update(world: &mut World, call: &Call) -> Result<Value, ApiError> {
    let id = call.arg(0);
    world.get("price", id)?;
    claim_lookup_key(world, call, id)?;
    Ok(world.change("price", id, Some("price.updated"), |price| {
        fill(
            price,
            call,
            &["active", "lookup_key", "nickname", "tax_behavior"],
        );
        merge_metadata(price, call.get("metadata"));
    }))
}
