//! Events, kept for 30 days: <https://docs.stripe.com/api/events>. Their types: <https://docs.stripe.com/api/events/types>.

use serde_json::Value;

use super::common;
use super::{Call, Resource, Route};
use crate::doc::Doc;
use crate::error::ApiError;
use crate::params::{CREATED, Kind, PAGE, Param, opt};
use crate::world::World;

const KEPT: i64 = 30 * 86_400;

const FILTERS: &[Param] = &[
    opt("delivery_success", Kind::Bool),
    opt("type", Kind::Str),
    opt("types[]", Kind::Str),
];

pub(crate) const RESOURCE: Resource = Resource {
    kind: "event",
    routes: &[
        Route {
            method: "GET",
            path: "/v1/events",
            params: &[PAGE, CREATED, FILTERS],
            run: list,
        },
        Route {
            method: "GET",
            path: "/v1/events/{id}",
            params: &[],
            run: retrieve,
        },
    ],
    expandable: &[],
    timer: None,
};

fn list(world: &mut World, call: &Call) -> Result<Value, ApiError> {
    let types = call.items("types");
    if types.len() > 20 {
        return Err(ApiError::invalid("You may only specify up to 20 types.").param("types"));
    }
    if !types.is_empty() && call.get("type").is_some() {
        return Err(ApiError::invalid(
            "You may only specify one of these parameters: type, types.",
        ));
    }
    let horizon = world.now - KEPT;
    let of_type = |event: &Value, wanted: &str| match wanted.strip_suffix('*') {
        Some(prefix) => event.text("type").starts_with(prefix),
        None => event.text("type") == wanted,
    };
    common::list(world, "event", "/v1/events", call, |event| {
        event.int("created") > horizon
            && (types.is_empty()
                || types
                    .iter()
                    .filter_map(Value::as_str)
                    .any(|wanted| of_type(event, wanted)))
            && call
                .text("type")
                .is_none_or(|wanted| of_type(event, wanted))
            && call
                .flag("delivery_success")
                .is_none_or(|done| done == (event.int("pending_webhooks") == 0))
    })
}

fn retrieve(world: &mut World, call: &Call) -> Result<Value, ApiError> {
    let event = common::retrieve(world, "event", call)?;
    if event.int("created") > world.now - KEPT {
        Ok(event)
    } else {
        Err(ApiError::no_such("event", call.arg(0)))
    }
}
