//! Short access to the fields of an object kept as JSON.
//!
//! Fields whose name starts with `_` are the simulator's own notes: they are never sent to anybody.

use serde_json::{Map, Value, json};

/// Field access that treats a missing field as null.
pub(crate) trait Doc {
    /// A text field, empty if there is none.
    fn text(&self, field: &str) -> &str;
    /// A whole number, 0 if there is none.
    fn int(&self, field: &str) -> i64;
    /// A yes or no, no if there is none.
    fn flag(&self, field: &str) -> bool;
    /// Puts a value in a field of an object.
    fn set(&mut self, field: &str, value: impl Into<Value>);
    /// The `id` field.
    fn id(&self) -> String;
    /// The elements of a list object's `data`, or of a plain array.
    fn list(&self, field: &str) -> &[Value];
}

impl Doc for Value {
    fn text(&self, field: &str) -> &str {
        self[field].as_str().unwrap_or_default()
    }

    fn int(&self, field: &str) -> i64 {
        self[field].as_i64().unwrap_or_default()
    }

    fn flag(&self, field: &str) -> bool {
        self[field].as_bool().unwrap_or_default()
    }

    fn set(&mut self, field: &str, value: impl Into<Value>) {
        if let Some(fields) = self.as_object_mut() {
            fields.insert(field.to_owned(), value.into());
        }
    }

    fn id(&self) -> String {
        self.text("id").to_owned()
    }

    fn list(&self, field: &str) -> &[Value] {
        let value = &self[field];
        value
            .as_array()
            .or_else(|| value["data"].as_array())
            .map_or(&[], Vec::as_slice)
    }
}

/// What the caller gets to see of an object: everything but the simulator's own notes.
pub(crate) fn visible(value: &Value) -> Value {
    match value {
        Value::Object(fields) => fields
            .iter()
            .filter(|(name, _)| !name.starts_with('_'))
            .map(|(name, value)| (name.clone(), visible(value)))
            .collect::<Map<_, _>>()
            .into(),
        Value::Array(items) => items.iter().map(visible).collect(),
        other => other.clone(),
    }
}

/// The old values of the top-level fields that differ: an event's `previous_attributes`.
pub(crate) fn previous_attributes(old: &Value, new: &Value) -> Map<String, Value> {
    let (Value::Object(old), Value::Object(new)) = (visible(old), visible(new)) else {
        return Map::new();
    };
    let changed = old
        .iter()
        .filter(|(name, value)| new.get(*name) != Some(*value));
    let added = new
        .keys()
        .filter(|name| !old.contains_key(*name))
        .map(|name| (name.clone(), Value::Null));
    changed
        .map(|(name, value)| (name.clone(), value.clone()))
        .chain(added)
        .collect()
}

/// A new object: the fields that every new one of its kind has, and these.
pub(crate) fn from_template(template: &str, fields: Value) -> Value {
    let mut object: Map<String, Value> = serde_json::from_str(template).unwrap_or_default();
    if let Value::Object(fields) = fields {
        object.extend(fields);
    }
    object.into()
}

/// A list object that holds everything there is.
pub(crate) fn whole_list(url: &str, data: Vec<Value>) -> Value {
    json!({ "object": "list", "url": url, "has_more": false, "data": data })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_of_the_simulator_are_not_shown() {
        let object =
            json!({ "id": "cs_1", "_card": "4242", "items": { "data": [{ "_x": 1, "y": 2 }] } });
        assert_eq!(
            visible(&object),
            json!({ "id": "cs_1", "items": { "data": [{ "y": 2 }] } })
        );
    }

    #[test]
    fn previous_attributes_hold_only_what_changed() {
        let old = json!({ "a": 1, "b": 2 });
        let new = json!({ "a": 1, "b": 3, "c": 4 });
        assert_eq!(
            Value::Object(previous_attributes(&old, &new)),
            json!({ "b": 2, "c": null })
        );
    }
}
