//! A dump of what Envoy Gateway would tell Envoy piece by piece, as one configuration: listeners with their routes, clusters with
//! their endpoints. Nothing else is changed.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::error::{Error, Result};

const DOING: &str = "read the configuration that egctl made";
/// What of the bootstrap is there to reach Envoy Gateway, or waits for what it says.
const BOUND: [&str; 4] = [
    "clusterManager",
    "dynamicResources",
    "node",
    "staticResources",
];

/// The configuration out of `dumps`, the one dump in an object by the Gateway's name.
pub(super) fn configuration(dumps: &Value) -> Result<Value> {
    let dumps: Vec<&Value> = dumps
        .as_object()
        .into_iter()
        .flat_map(Map::values)
        .collect();
    let [dump] = dumps.as_slice() else {
        return Err(Error::answer(
            DOING,
            format!("{} Gateways instead of one", dumps.len()),
        ));
    };
    let entries = |kind, list, field| entries(dump, kind, list, field);
    let mut listeners = entries(
        "ListenersConfigDump",
        "dynamicListeners",
        "/activeState/listener",
    );
    let mut clusters = entries("ClustersConfigDump", "dynamicActiveClusters", "/cluster");
    let routes = entries("RoutesConfigDump", "dynamicRouteConfigs", "/routeConfig");
    let endpoints = entries(
        "EndpointsConfigDump",
        "dynamicEndpointConfigs",
        "/endpointConfig",
    );
    let (routes, endpoints) = (by(routes, "name"), by(endpoints, "clusterName"));
    for listener in &mut listeners {
        put_routes(listener, &routes)?;
    }
    for cluster in &mut clusters {
        put_endpoints(cluster, &endpoints)?;
    }
    let mut all = part(dump, "BootstrapConfigDump")["bootstrap"].clone();
    let fields = fields(&mut all)?;
    fields.retain(|name, _| !BOUND.contains(&name.as_str()));
    let found = json!({"listeners": listeners, "clusters": clusters});
    fields.insert("staticResources".to_owned(), found);
    Ok(all)
}

/// The part of a dump that is of type `kind`.
fn part<'a>(dump: &'a Value, kind: &str) -> &'a Value {
    let is_it = |part: &&Value| {
        let name = part["@type"].as_str().unwrap_or_default();
        name.rsplit('.').next() == Some(kind)
    };
    let parts = dump["configs"].as_array().into_iter().flatten();
    parts.into_iter().find(is_it).unwrap_or(&Value::Null)
}

/// What `list` of a part holds, each at `field` of its entry, without the type: it stands where that is known.
fn entries(dump: &Value, kind: &str, list: &str, field: &str) -> Vec<Value> {
    let list = part(dump, kind)[list].as_array().into_iter().flatten();
    let mut found: Vec<Value> = list
        .filter_map(|entry| entry.pointer(field).cloned())
        .collect();
    for entry in found.iter_mut().filter_map(Value::as_object_mut) {
        entry.remove("@type");
    }
    found
}

fn by(entries: Vec<Value>, name: &str) -> BTreeMap<String, Value> {
    let named = |entry: Value| Some((entry[name].as_str()?.to_owned(), entry));
    entries.into_iter().filter_map(named).collect()
}

fn fields(value: &mut Value) -> Result<&mut Map<String, Value>> {
    let nothing = || Error::answer(DOING, "it lacks the bootstrap");
    value.as_object_mut().ok_or_else(nothing)
}

/// What is called `name` in `all`.
fn named(all: &BTreeMap<String, Value>, name: &Value) -> Result<Value> {
    let found = name.as_str().and_then(|name| all.get(name)).cloned();
    found.ok_or_else(|| Error::answer(DOING, format!("it lacks {name}")))
}

/// Puts routes in the place of the names under which they would be asked for.
fn put_routes(value: &mut Value, routes: &BTreeMap<String, Value>) -> Result<()> {
    match value {
        Value::Object(fields) => {
            if let Some(asked) = fields.remove("rds") {
                let found = named(routes, &asked["routeConfigName"])?;
                fields.insert("routeConfig".to_owned(), found);
            }
            fields
                .values_mut()
                .try_for_each(|one| put_routes(one, routes))
        }
        Value::Array(items) => items.iter_mut().try_for_each(|one| put_routes(one, routes)),
        _ => Ok(()),
    }
}

/// Puts endpoints into a cluster that would ask for them.
fn put_endpoints(cluster: &mut Value, endpoints: &BTreeMap<String, Value>) -> Result<()> {
    let fields = fields(cluster)?;
    if let Some(asked) = fields.remove("edsClusterConfig") {
        let found = named(endpoints, &asked["serviceName"])?;
        fields.insert("loadAssignment".to_owned(), found);
        fields.insert("type".to_owned(), "STATIC".into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dump(service: &str) -> Value {
        json!({"default/eg": {"configs": [
            {
                "@type": "type.googleapis.com/envoy.admin.v3.BootstrapConfigDump",
                "bootstrap": {"admin": {"a": 1}, "node": {}, "dynamicResources": {}, "staticResources": {"clusters": [1]}},
            },
            {
                "@type": "type.googleapis.com/envoy.admin.v3.EndpointsConfigDump",
                "dynamicEndpointConfigs": [{"endpointConfig": {"@type": "E", "clusterName": "api", "endpoints": [1]}}],
            },
            {
                "@type": "type.googleapis.com/envoy.admin.v3.ClustersConfigDump",
                "dynamicActiveClusters": [
                    {"cluster": {"@type": "C", "name": "api", "type": "EDS", "edsClusterConfig": {"serviceName": service}}},
                ],
            },
            {
                "@type": "type.googleapis.com/envoy.admin.v3.ListenersConfigDump",
                "dynamicListeners": [{"activeState": {"listener": {
                    "@type": "L", "chains": [{"typedConfig": {"@type": "H", "filters": [1], "rds": {"routeConfigName": "all"}}}],
                }}}],
            },
            {
                "@type": "type.googleapis.com/envoy.admin.v3.RoutesConfigDump",
                "dynamicRouteConfigs": [{"routeConfig": {"@type": "R", "name": "all", "virtualHosts": [2]}}],
            },
        ]}})
    }

    #[test]
    fn routes_and_endpoints_stand_where_they_are_asked_for() {
        let expected = json!({
            "admin": {"a": 1},
            "staticResources": {
                "listeners": [{"chains": [
                    {"typedConfig": {"@type": "H", "filters": [1], "routeConfig": {"name": "all", "virtualHosts": [2]}}},
                ]}],
                "clusters": [{"name": "api", "type": "STATIC", "loadAssignment": {"clusterName": "api", "endpoints": [1]}}],
            },
        });
        assert_eq!(configuration(&dump("api")).unwrap(), expected);
    }

    #[test]
    fn what_is_asked_for_and_missing_is_an_error() {
        let error = configuration(&dump("gone")).unwrap_err().to_string();
        assert!(error.ends_with(r#"it lacks "gone""#), "{error}");
        let error = configuration(&json!({})).unwrap_err().to_string();
        assert!(error.ends_with("0 Gateways instead of one"), "{error}");
    }
}
