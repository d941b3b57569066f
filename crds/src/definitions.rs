//! The CustomResourceDefinitions of all kinds, as `crds/yaml`, the chart and `glyph-operator setup` have them.

use kube::CustomResourceExt as _;
use serde_json::Value;

use crate::{
    ApiKey, CreditGrant, CreditPack, CreditPurchase, GlyphApi, GlyphCustomer, Subscription, Tier,
};

/// The CustomResourceDefinition of every kind.
///
/// # Errors
/// When a schema cannot be said in JSON, which the tests rule out.
pub fn definitions() -> serde_json::Result<Vec<Value>> {
    let kinds = [
        Tier::crd(),
        GlyphCustomer::crd(),
        Subscription::crd(),
        ApiKey::crd(),
        CreditPack::crd(),
        CreditPurchase::crd(),
        CreditGrant::crd(),
        GlyphApi::crd(),
    ];
    let definition = |kind| {
        let mut kind = serde_json::to_value(kind)?;
        simplify(&mut kind);
        // Another crate of the same build may have serde_json keep insertion order; the files may not tell.
        kind.sort_all_objects();
        Ok(kind)
    };
    kinds.into_iter().map(definition).collect()
}

/// Takes out of a schema what Rust's types put in and Kubernetes has no use for.
///
/// - `nullable`: without it the API server takes `null` as absent, which is what an `Option` means; with it,
///   `null` would be stored, and a rule's `has(self.x)` would hold for nothing.
/// - `format: uint…`, which makes `kubectl apply` warn, and the `minimum: 0` that comes with it: rules say the
///   range in a sentence.
fn simplify(value: &mut Value) {
    match value {
        Value::Object(map) => {
            if map.get("nullable").is_some_and(Value::is_boolean) {
                map.remove("nullable");
            }
            let format = map.get("format").and_then(Value::as_str);
            if format.is_some_and(|format| format.starts_with("uint")) {
                map.remove("format");
                map.remove("minimum");
            }
            map.values_mut().for_each(simplify);
        }
        Value::Array(values) => values.iter_mut().for_each(simplify),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_schema_holds_what_kubernetes_warns_of_or_stores_as_null() {
        for definition in definitions().unwrap() {
            let text = definition.to_string();
            let name = &definition["metadata"]["name"];
            assert!(
                !text.contains(r#""format":"uint"#) && !text.contains(r#""nullable":"#),
                "{name}"
            );
        }
    }
}
