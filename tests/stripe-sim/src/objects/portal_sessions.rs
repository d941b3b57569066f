//! Customer portal sessions: <https://docs.stripe.com/api/customer_portal/sessions>,
//! <https://docs.stripe.com/customer-management>. The page itself is in `pages`.

use serde_json::{Value, json};

use super::{Call, Resource, Route};
use crate::doc::Doc;
use crate::error::ApiError;
use crate::params::{Kind, Param, opt};
use crate::world::World;

const FIELDS: &[Param] = &[
    opt("configuration", Kind::Str),
    opt("customer", Kind::Str),
    opt(
        "locale",
        Kind::Enum(&["auto", "de", "en", "es", "fr", "it", "ja"]),
    ),
    opt("return_url", Kind::Str),
];

/// The portal configuration that the simulated account has from the start.
const CONFIGURATION: &str = "bpc_glyphsimulator";

pub(crate) const RESOURCE: Resource = Resource {
    kind: "billing_portal.session",
    routes: &[Route {
        method: "POST",
        path: "/v1/billing_portal/sessions",
        params: &[FIELDS],
        run: create,
    }],
    expandable: &[],
    timer: None,
};

fn create(world: &mut World, call: &Call) -> Result<Value, ApiError> {
    let customer = call
        .text("customer")
        .ok_or_else(|| ApiError::missing_param("customer"))?;
    world.referred("customer", customer, "customer")?;
    if let Some(configuration) = call
        .text("configuration")
        .filter(|given| *given != CONFIGURATION)
    {
        return Err(ApiError::no_such_reference(
            "configuration",
            configuration,
            "configuration",
        ));
    }
    let id = world.new_id("bps_", 24);
    let session = json!({
        "id": id, "object": "billing_portal.session", "configuration": CONFIGURATION, "created": world.now, "customer": customer,
        "flow": null, "livemode": world.livemode(), "locale": call.text("locale"), "on_behalf_of": null,
        "return_url": call.text("return_url"), "url": format!("{}/p/session/{id}", world.base_url),
    });
    Ok(world.create(session, Some("billing_portal.session.created")))
}

/// The subscriptions that a portal page shows.
pub(crate) fn subscriptions_shown(world: &World, session: &Value) -> Vec<Value> {
    let theirs = |subscription: &&Value| {
        subscription["customer"] == session["customer"] && subscription.text("status") != "canceled"
    };
    world
        .store
        .all("subscription")
        .filter(theirs)
        .cloned()
        .collect()
}
