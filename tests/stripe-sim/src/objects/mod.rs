//! The table of everything the simulator can serve: one module an object, one entry here.
//!
//! A new object is a new module and a new line in `RESOURCES`; nothing else changes.

use serde_json::{Map, Value};

use crate::error::ApiError;
use crate::params::Param;
use crate::world::World;

pub(crate) mod billing;
pub(crate) mod cards;
pub(crate) mod charges;
pub(crate) mod checkout_sessions;
pub(crate) mod common;
pub(crate) mod customers;
pub(crate) mod disputes;
mod events;
pub(crate) mod invoices;
pub(crate) mod payment_intents;
pub(crate) mod payment_methods;
pub(crate) mod portal_sessions;
pub(crate) mod prices;
pub(crate) mod products;
pub(crate) mod refunds;
mod subscription_items;
mod subscription_schedules;
pub(crate) mod subscriptions;
pub(crate) mod test_clocks;
pub(crate) mod thin_events;
pub(crate) mod webhook_endpoints;

/// Every object, in the order in which routes are tried.
pub(crate) const RESOURCES: &[Resource] = &[
    customers::RESOURCE,
    products::RESOURCE,
    prices::RESOURCE,
    payment_methods::RESOURCE,
    checkout_sessions::RESOURCE,
    // Before subscriptions: where a phase begins with a period, the phase is entered first.
    subscription_schedules::RESOURCE,
    subscriptions::RESOURCE,
    subscription_items::RESOURCE,
    invoices::RESOURCE,
    payment_intents::RESOURCE,
    charges::RESOURCE,
    refunds::RESOURCE,
    disputes::RESOURCE,
    portal_sessions::RESOURCE,
    events::RESOURCE,
    thin_events::RESOURCE,
    webhook_endpoints::RESOURCE,
    test_clocks::RESOURCE,
];

/// What serves a request once its parameters are read.
pub(crate) type Handler = fn(&mut World, &Call) -> Result<Value, ApiError>;

/// One endpoint.
pub(crate) struct Route {
    pub(crate) method: &'static str,
    /// `/v1/customers/{customer}`; a literal path stands before a template that also fits it.
    pub(crate) path: &'static str,
    /// What it takes besides `expand[]`.
    pub(crate) params: &'static [&'static [Param]],
    pub(crate) run: Handler,
}

/// A field that `expand[]` may name, relative to its object.
pub(crate) struct Expandable {
    pub(crate) field: &'static str,
    /// Makes the value of a field that is not there unless asked for; `None`: the field holds an id.
    pub(crate) include: Option<fn(&World, &Value) -> Value>,
}

impl Expandable {
    /// A field that holds the id of an object.
    pub(crate) const fn id(field: &'static str) -> Self {
        Self {
            field,
            include: None,
        }
    }

    /// A field that is made when asked for.
    pub(crate) const fn included(field: &'static str, make: fn(&World, &Value) -> Value) -> Self {
        Self {
            field,
            include: Some(make),
        }
    }
}

/// What the clock does to objects of a kind.
pub(crate) struct Timer {
    /// When the next thing falls due for an object.
    pub(crate) due: fn(&Value) -> Option<i64>,
    /// Does what is due at `world.now` for the object with this id, so that `due` moves on.
    pub(crate) fire: fn(&mut World, &str),
}

/// One kind of object: its `object` field, endpoints, expandable fields and timer.
pub(crate) struct Resource {
    pub(crate) kind: &'static str,
    pub(crate) routes: &'static [Route],
    pub(crate) expandable: &'static [Expandable],
    pub(crate) timer: Option<Timer>,
}

/// A request that was read: what stood in the path, and the parameters.
#[derive(Debug, Default)]
pub(crate) struct Call {
    pub(crate) args: Vec<String>,
    pub(crate) params: Map<String, Value>,
}

impl Call {
    /// The `at`-th id in the path.
    pub(crate) fn arg(&self, at: usize) -> &str {
        self.args.get(at).map_or("", String::as_str)
    }

    /// A parameter, if it was given; `Some(Null)` when it was given empty.
    pub(crate) fn get(&self, name: &str) -> Option<&Value> {
        self.params.get(name)
    }

    /// A parameter that was given as text.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(Value::as_str)
    }

    /// A parameter that was given as a number.
    pub(crate) fn int(&self, name: &str) -> Option<i64> {
        self.get(name).and_then(Value::as_i64)
    }

    /// A parameter that was given as yes or no.
    pub(crate) fn flag(&self, name: &str) -> Option<bool> {
        self.get(name).and_then(Value::as_bool)
    }

    /// A parameter or a field below one, null if absent: `/recurring/interval`.
    pub(crate) fn below(&self, name: &str, pointer: &str) -> Value {
        self.get(name)
            .and_then(|value| value.pointer(pointer))
            .cloned()
            .unwrap_or_default()
    }

    /// The elements of a list parameter.
    pub(crate) fn items(&self, name: &str) -> &[Value] {
        self.get(name)
            .and_then(Value::as_array)
            .map_or(&[], Vec::as_slice)
    }
}

/// The route for a request, with the ids in its path.
pub(crate) fn find_route(method: &str, path: &str) -> Option<(&'static Route, Vec<String>)> {
    RESOURCES
        .iter()
        .flat_map(|resource| resource.routes)
        .filter(|route| route.method == method)
        .find_map(|route| path_args(route.path, path).map(|args| (route, args)))
}

fn path_args(template: &str, path: &str) -> Option<Vec<String>> {
    let (mut wanted, mut given) = (template.split('/'), path.split('/'));
    let mut args = Vec::new();
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return Some(args),
            (Some(name), Some(value)) if name.starts_with('{') && !value.is_empty() => {
                args.push(value.to_owned())
            }
            (Some(name), Some(value)) if name == value => {}
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literal_paths_win_over_templates() {
        let (route, args) = find_route("GET", "/v1/customers/search").expect("the search route");
        assert_eq!((route.path, args.len()), ("/v1/customers/search", 0));
        let (route, args) = find_route("GET", "/v1/customers/cus_1").expect("the customer route");
        assert_eq!(
            (route.path, args),
            ("/v1/customers/{customer}", vec!["cus_1".to_owned()])
        );
        assert!(find_route("GET", "/v1/customers/cus_1/").is_none());
        assert!(find_route("PUT", "/v1/customers/cus_1").is_none());
    }
}
