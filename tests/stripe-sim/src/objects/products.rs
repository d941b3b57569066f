//! Products: <https://docs.stripe.com/api/products>, how they and prices belong together:
//! <https://docs.stripe.com/products-prices/how-products-and-prices-work>.

use serde_json::{Value, json};

use super::common::{self, equal, fill, merge_metadata};
use super::{Call, Expandable, Resource, Route, prices};
use crate::doc::{Doc, from_template};
use crate::error::ApiError;
use crate::params::{CREATED, Kind, PAGE, Param, opt, req};
use crate::world::World;

const URL: &str = "/v1/products";

const FIELDS: &[Param] = &[
    opt("active", Kind::Bool),
    opt("images[]", Kind::Str),
    req("marketing_features[].name", Kind::Str),
    opt("metadata", Kind::Map),
    opt("shippable", Kind::Bool),
    opt("statement_descriptor", Kind::Str),
];

const CREATE: &[Param] = &[
    opt("id", Kind::Str),
    req("name", Kind::Str),
    opt("description", Kind::Str),
    opt("tax_code", Kind::Str),
    opt("unit_label", Kind::Str),
    opt("url", Kind::Str),
    req("default_price_data.currency", Kind::Str),
    opt("default_price_data.unit_amount", Kind::Int),
    opt("default_price_data.unit_amount_decimal", Kind::Decimal),
    opt("default_price_data.metadata", Kind::Map),
    req(
        "default_price_data.recurring.interval",
        Kind::Enum(prices::INTERVALS),
    ),
    opt("default_price_data.recurring.interval_count", Kind::Int),
];

const UPDATE: &[Param] = &[
    opt("default_price", Kind::Str),
    opt("name", Kind::Str),
    opt("description", Kind::Str).clearable(),
    opt("tax_code", Kind::Str).clearable(),
    opt("unit_label", Kind::Str).clearable(),
    opt("url", Kind::Str).clearable(),
];

const FILTERS: &[Param] = &[
    opt("active", Kind::Bool),
    opt("ids[]", Kind::Str),
    opt("shippable", Kind::Bool),
    opt("url", Kind::Str),
];

pub(crate) const RESOURCE: Resource = Resource {
    kind: "product",
    routes: &[
        Route {
            method: "POST",
            path: URL,
            params: &[FIELDS, CREATE],
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
            path: "/v1/products/search",
            params: &[common::SEARCH],
            run: search,
        },
        Route {
            method: "GET",
            path: "/v1/products/{id}",
            params: &[],
            run: |world, call| common::retrieve(world, "product", call),
        },
        Route {
            method: "POST",
            path: "/v1/products/{id}",
            params: &[FIELDS, UPDATE],
            run: update,
        },
        Route {
            method: "DELETE",
            path: "/v1/products/{id}",
            params: &[],
            run: delete,
        },
    ],
    expandable: &[Expandable::id("default_price")],
    timer: None,
};

fn create(world: &mut World, call: &Call) -> Result<Value, ApiError> {
    let id = match call.text("id") {
        Some(id)
            if world
                .store
                .find("product", id)
                .is_some_and(|product| !product.flag("deleted")) =>
        {
            return Err(ApiError::invalid("Product already exists.")
                .code("resource_already_exists")
                .param("id"));
        }
        Some(id) => id.to_owned(),
        None => world.new_id("prod_", 14),
    };
    let dynamic = json!({
        "id": id, "created": world.now, "livemode": world.livemode(), "updated": world.now,
    });
    let mut product = from_template(include_str!("templates/product.json"), dynamic);
    apply(&mut product, call);
    // The price comes first, so that one that is refused leaves no product behind.
    let price = match call.get("default_price_data") {
        Some(data) => {
            let price = prices::from_data(world, data, &id, "default_price_data")?;
            product.set("default_price", price.id());
            Some(price)
        }
        None => None,
    };
    let product = world.create(product, Some("product.created"));
    if let Some(price) = price {
        world.create(price, Some("price.created"));
    }
    Ok(product)
}

/// Makes a product for a price that was given inline.
pub(crate) fn create_inline(world: &mut World, data: &Value) -> Result<Value, ApiError> {
    create(
        world,
        &Call {
            args: Vec::new(),
            params: data.as_object().cloned().unwrap_or_default(),
        },
    )
}

fn apply(product: &mut Value, call: &Call) {
    let fields = [
        "active",
        "default_price",
        "description",
        "images",
        "marketing_features",
        "name",
        "shippable",
        "statement_descriptor",
        "tax_code",
        "unit_label",
        "url",
    ];
    fill(product, call, &fields);
    merge_metadata(product, call.get("metadata"));
}

fn list(world: &mut World, call: &Call) -> Result<Value, ApiError> {
    common::list(world, "product", URL, call, |product| {
        let wanted = call.items("ids");
        (wanted.is_empty() || wanted.contains(&product["id"]))
            && equal(call, product, &["active", "shippable", "url"])
    })
}

fn search(world: &mut World, call: &Call) -> Result<Value, ApiError> {
    common::search(world, "product", "/v1/products/search", call)
}

fn update(world: &mut World, call: &Call) -> Result<Value, ApiError> {
    let id = call.arg(0);
    world.get("product", id)?;
    if let Some(price) = call.text("default_price") {
        world.referred("price", price, "default_price")?;
    }
    let now = world.now;
    Ok(
        world.change("product", id, Some("product.updated"), |product| {
            let before = product.clone();
            apply(product, call);
            if *product != before {
                product.set("updated", now);
            }
        }),
    )
}

fn delete(world: &mut World, call: &Call) -> Result<Value, ApiError> {
    let id = call.arg(0);
    world.get("product", id)?;
    if world
        .store
        .all("price")
        .any(|price| price.text("product") == id)
    {
        return Err(ApiError::invalid(
            "This product cannot be deleted because it has one or more user-created prices.",
        ));
    }
    common::delete(world, "product", id, Some("product.deleted"))
}
