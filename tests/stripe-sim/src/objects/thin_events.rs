//! Thin events (v2 event notifications): <https://docs.stripe.com/event-destinations#thin-events>,
//! <https://docs.stripe.com/api/v2/core/events/object>. They name what changed and carry nothing of it. Destinations are made
//! through `Control`; a thin event is made only if one of them listens.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Call, RESOURCES, Resource, Route};
use crate::doc::Doc;
use crate::error::ApiError;
use crate::world::World;

/// The `object` of a thin event.
pub(crate) const EVENT: &str = "v2.core.event";

/// The `object` of where thin events go.
pub(crate) const DESTINATION: &str = "v2.core.event_destination";

pub(crate) const RESOURCE: Resource = Resource {
    kind: EVENT,
    routes: &[Route {
        method: "GET",
        path: "/v2/core/events/{id}",
        params: &[],
        run: retrieve,
    }],
    expandable: &[],
    timer: None,
};

fn retrieve(world: &mut World, call: &Call) -> Result<Value, ApiError> {
    let event = world.get(EVENT, call.arg(0))?.clone();
    let mut whole = event.clone();
    whole.set("changes", Value::Null);
    whole.set("data", Value::Null);
    whole.set("reason", event["_reason"].clone());
    whole.set("snapshot_event", event["_snapshot"].clone());
    Ok(whole)
}

/// Adds a destination for these types (`v1.customer.created`, or `*` for all); its id.
pub(crate) fn add_destination(
    world: &mut World,
    url: &str,
    secret: &str,
    types: &[&str],
) -> String {
    let id = world.new_id("ed_test_", 24);
    world.store.put(json!({
        "id": id, "object": DESTINATION, "enabled_events": types, "status": "enabled", "url": url, "_secret": secret,
    }));
    id
}

/// Makes the thin twin of a snapshot event and queues it for every destination that listens.
pub(crate) fn announce(world: &mut World, snapshot: &Value) {
    let kind = format!("v1.{}", snapshot.text("type"));
    let wants = |destination: &&Value| {
        let types = destination.list("enabled_events");
        types.iter().any(|wanted| wanted == "*" || *wanted == kind)
    };
    let destinations: Vec<String> = world
        .store
        .all(DESTINATION)
        .filter(wants)
        .map(Doc::id)
        .collect();
    if destinations.is_empty() {
        return;
    }
    let created = Timestamp::from_second(world.account_now())
        .map(|at| at.strftime("%Y-%m-%dT%H:%M:%S.000Z").to_string())
        .unwrap_or_default();
    let request = &snapshot["request"];
    let reason = request["id"]
        .is_string()
        .then(|| json!({ "type": "request", "request": request }));
    let event = json!({
        "id": world.new_id("evt_test_", 48), "object": EVENT, "context": null, "created": created,
        "livemode": snapshot["livemode"], "related_object": related(&snapshot["data"]["object"]), "type": kind,
        "_reason": reason, "_snapshot": snapshot["id"],
    });
    for destination in destinations {
        world
            .outbox
            .queue(&event, &destination, world.account_now());
    }
    world.store.put(event);
}

/// Where the object is read; null for one that cannot be.
fn related(object: &Value) -> Value {
    let kind = object.text("object");
    let resource = RESOURCES.iter().find(|resource| resource.kind == kind);
    let mut routes = resource
        .map_or(&[] as &[Route], |resource| resource.routes)
        .iter();
    let one = routes.find(|route| route.method == "GET" && route.path.ends_with('}'));
    let url = one.and_then(|route| route.path.split('{').next());
    match url {
        Some(url) => {
            let id = object.text("id");
            json!({ "id": id, "type": kind, "url": format!("{url}{id}") })
        }
        None => Value::Null,
    }
}
