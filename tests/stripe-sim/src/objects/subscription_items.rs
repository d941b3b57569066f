//! Subscription items, which live inside their subscription: <https://docs.stripe.com/api/subscription_items>.

use serde_json::{Value, json};

use super::common::page;
use super::subscriptions::{PRORATION, change_items, items_of, terms};
use super::{Call, Expandable, Resource, Route};
use crate::doc::Doc;
use crate::error::ApiError;
use crate::params::{Kind, PAGE, Param, opt, req};
use crate::world::World;

const URL: &str = "/v1/subscription_items";

const ITEM: &str = "/v1/subscription_items/{item}";

const FIELDS: &[Param] = &[
    opt("metadata", Kind::Map),
    opt("price", Kind::Str),
    opt("proration_behavior", Kind::Enum(PRORATION)),
    opt("quantity", Kind::Int),
];

pub(crate) const RESOURCE: Resource = Resource {
    kind: "subscription_item",
    routes: &[
        Route {
            method: "POST",
            path: URL,
            params: &[FIELDS, &[req("subscription", Kind::Str)]],
            run: create,
        },
        Route {
            method: "GET",
            path: URL,
            params: &[PAGE, &[req("subscription", Kind::Str)]],
            run: list,
        },
        Route {
            method: "GET",
            path: ITEM,
            params: &[],
            run: retrieve,
        },
        Route {
            method: "POST",
            path: ITEM,
            params: &[FIELDS],
            run: update,
        },
        Route {
            method: "DELETE",
            path: ITEM,
            params: &[&[opt("proration_behavior", Kind::Enum(PRORATION))]],
            run: delete,
        },
    ],
    expandable: &[Expandable::id("price.product")],
    timer: None,
};

/// The item, and the id of its subscription.
fn find(world: &World, id: &str) -> Result<Value, ApiError> {
    let mut items = world
        .store
        .all("subscription")
        .flat_map(|subscription| subscription.list("items"));
    items
        .find(|item| item.text("id") == id)
        .cloned()
        .ok_or_else(|| ApiError::no_such("subscription_item", id))
}

fn changed(
    world: &mut World,
    subscription: &str,
    call: &Call,
    change: Value,
) -> Result<Vec<Value>, ApiError> {
    change_items(world, subscription, &[change], terms(call))?;
    Ok(items_of(world.get("subscription", subscription)?))
}

fn create(world: &mut World, call: &Call) -> Result<Value, ApiError> {
    let subscription = call.text("subscription").unwrap_or_default();
    world.referred("subscription", subscription, "subscription")?;
    if call.text("price").is_none() {
        return Err(ApiError::missing_param("price"));
    }
    let items = changed(
        world,
        subscription,
        call,
        Value::Object(call.params.clone()),
    )?;
    Ok(items.last().cloned().unwrap_or_default())
}

fn list(world: &mut World, call: &Call) -> Result<Value, ApiError> {
    let id = call.text("subscription").unwrap_or_default();
    let subscription = world.referred("subscription", id, "subscription")?;
    page(
        subscription.list("items").iter().collect(),
        "subscription_item",
        URL,
        call,
        |_| true,
    )
}

fn retrieve(world: &mut World, call: &Call) -> Result<Value, ApiError> {
    find(world, call.arg(0))
}

fn update(world: &mut World, call: &Call) -> Result<Value, ApiError> {
    let item = find(world, call.arg(0))?;
    let mut change = Value::Object(call.params.clone());
    change.set("id", call.arg(0));
    changed(world, item.text("subscription"), call, change)?;
    find(world, call.arg(0))
}

fn delete(world: &mut World, call: &Call) -> Result<Value, ApiError> {
    let item = find(world, call.arg(0))?;
    changed(
        world,
        item.text("subscription"),
        call,
        json!({ "id": call.arg(0), "deleted": true }),
    )?;
    Ok(json!({ "id": call.arg(0), "object": "subscription_item", "deleted": true }))
}
