//! Webhook endpoints: <https://docs.stripe.com/api/webhook_endpoints>, <https://docs.stripe.com/webhooks>. Their secret is
//! shown once, when they are made.

use serde_json::{Value, json};

use super::common::{self, fill, merge_metadata};
use super::{Call, Resource, Route};
use crate::doc::Doc;
use crate::error::ApiError;
use crate::options::InitialWebhook;
use crate::params::{Kind, PAGE, Param, opt, req};
use crate::world::{API_VERSION, World};

const URL: &str = "/v1/webhook_endpoints";

const ONE: &str = "/v1/webhook_endpoints/{webhook_endpoint}";

const FIELDS: &[Param] = &[
    opt("description", Kind::Str).clearable(),
    opt("metadata", Kind::Map),
];

const CREATE: &[Param] = &[
    opt("api_version", Kind::Str),
    req("enabled_events[]", Kind::Str),
    req("url", Kind::Str),
];

const UPDATE: &[Param] = &[
    opt("disabled", Kind::Bool),
    opt("enabled_events[]", Kind::Str),
    opt("url", Kind::Str),
];

pub(crate) const RESOURCE: Resource = Resource {
    kind: "webhook_endpoint",
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
            params: &[PAGE],
            run: list,
        },
        Route {
            method: "GET",
            path: ONE,
            params: &[],
            run: |world, call| common::retrieve(world, "webhook_endpoint", call),
        },
        Route {
            method: "POST",
            path: ONE,
            params: &[FIELDS, UPDATE],
            run: update,
        },
        Route {
            method: "DELETE",
            path: ONE,
            params: &[],
            run: delete,
        },
    ],
    expandable: &[],
    timer: None,
};

fn create(world: &mut World, call: &Call) -> Result<Value, ApiError> {
    check(call)?;
    let secret = world.new_id("whsec_", 32);
    let mut endpoint = bare(world, &secret);
    apply(&mut endpoint, call);
    let mut answer = world.create(endpoint, None);
    answer.set("secret", secret);
    Ok(answer)
}

fn bare(world: &mut World, secret: &str) -> Value {
    json!({
        "id": world.new_id("we_", 24), "object": "webhook_endpoint", "api_version": null, "application": null, "created": world.now,
        "description": null, "enabled_events": ["*"], "livemode": world.livemode(), "metadata": {}, "status": "enabled", "url": null,
        "_secret": secret,
    })
}

/// An endpoint for every event, with a secret that the caller has chosen.
pub(crate) fn register(world: &mut World, hook: &InitialWebhook) {
    let mut endpoint = bare(world, &hook.secret);
    endpoint.set("url", hook.url.as_str());
    world.create(endpoint, None);
}

fn check(call: &Call) -> Result<(), ApiError> {
    if call
        .text("url")
        .is_some_and(|url| !url.starts_with("http://") && !url.starts_with("https://"))
    {
        return Err(ApiError::invalid(
            "Invalid URL: An explicit scheme (such as https) must be provided.",
        )
        .code("url_invalid")
        .param("url"));
    }
    if call
        .text("api_version")
        .is_some_and(|version| version != API_VERSION)
    {
        let message = format!("The simulator speaks {API_VERSION} only.");
        return Err(ApiError::invalid(message).param("api_version"));
    }
    let events = call.items("enabled_events");
    if call.get("enabled_events").is_some() && events.is_empty() {
        return Err(
            ApiError::invalid("Invalid array: enabled_events must not be empty")
                .param("enabled_events"),
        );
    }
    for event in events.iter().filter_map(Value::as_str) {
        let words = event.split('.').all(|word| {
            !word.is_empty()
                && word
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte == b'_')
        });
        if event != "*" && (!words || !event.contains('.')) {
            return Err(ApiError::invalid(format!(
                "Invalid enabled_events: {event} is not an event type"
            ))
            .param("enabled_events"));
        }
    }
    Ok(())
}

fn apply(endpoint: &mut Value, call: &Call) {
    fill(
        endpoint,
        call,
        &["api_version", "description", "enabled_events", "url"],
    );
    if let Some(disabled) = call.flag("disabled") {
        endpoint.set("status", if disabled { "disabled" } else { "enabled" });
    }
    merge_metadata(endpoint, call.get("metadata"));
}

fn list(world: &mut World, call: &Call) -> Result<Value, ApiError> {
    common::list(world, "webhook_endpoint", URL, call, |_| true)
}

fn update(world: &mut World, call: &Call) -> Result<Value, ApiError> {
    let id = call.arg(0);
    world.get("webhook_endpoint", id)?;
    check(call)?;
    Ok(world.change("webhook_endpoint", id, None, |endpoint| {
        apply(endpoint, call)
    }))
}

fn delete(world: &mut World, call: &Call) -> Result<Value, ApiError> {
    common::delete(world, "webhook_endpoint", call.arg(0), None)
}

/// The endpoints that want to hear of events of a type.
pub(crate) fn listening_to(world: &World, kind: &str) -> Vec<String> {
    let wants = |endpoint: &&Value| {
        let events = endpoint.list("enabled_events");
        endpoint.text("status") == "enabled"
            && events.iter().any(|event| event == "*" || event == kind)
    };
    world
        .store
        .all("webhook_endpoint")
        .filter(wants)
        .map(Doc::id)
        .collect()
}
