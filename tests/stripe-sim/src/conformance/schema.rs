//! Stripe's OpenAPI as a measure: which schema an answer must fit, and which parameters an endpoint takes.
//!
//! Covers what Stripe's file uses: `$ref`, `anyOf`, `nullable`, `enum`, `required`, `additionalProperties`. Stricter in
//! one point: a field that the schema does not name is a problem.

use std::path::Path;

use serde_json::{Map, Value};

use super::ConformanceError;
use crate::objects::RESOURCES;
use crate::params::{Kind, Param};

/// A field that the simulator's version has and the OpenAPI's version has not.
#[derive(Debug)]
pub struct Difference {
    /// The OpenAPI's name of the schema.
    pub schema: &'static str,
    /// The field.
    pub field: &'static str,
    /// Where it comes from.
    pub why: &'static str,
}

/// Every tolerated difference between 2026-08-26.dahlia and 2026-09-30.endive.
pub const DIFFERENCES: &[Difference] = &[
    Difference {
        schema: "product",
        field: "type",
        why: REQUIRED_BY_CLIENT,
    },
    Difference {
        schema: "subscription_item",
        field: "plan",
        why: REQUIRED_BY_CLIENT,
    },
    Difference {
        schema: "subscription_schedule_configuration_item",
        field: "plan",
        why: REQUIRED_BY_CLIENT,
    },
];

const REQUIRED_BY_CLIENT: &str =
    "async-stripe 1.0.0-rc.10, generated from 2026-09-30.endive, requires it";

/// Stripe's OpenAPI.
pub struct Spec {
    root: Value,
}

impl Spec {
    /// Reads `spec3.json`.
    ///
    /// # Errors
    /// The file cannot be read or is not JSON.
    pub fn load(path: &Path) -> Result<Self, ConformanceError> {
        let text = std::fs::read(path).map_err(|source| ConformanceError::Spec {
            path: path.display().to_string(),
            source,
        })?;
        Ok(Self {
            root: serde_json::from_slice(&text)?,
        })
    }

    /// Whether a schema has a field.
    pub fn knows(&self, schema: &str, field: &str) -> bool {
        !self.root["components"]["schemas"][schema]["properties"][field].is_null()
    }

    /// What in an answer does not fit its schema; empty when all does.
    pub fn check_answer(
        &self,
        method: &str,
        path: &str,
        status: u16,
        answer: &Value,
    ) -> Vec<String> {
        if status >= 400 {
            return self.check(
                &self.root["components"]["schemas"]["error"],
                "error",
                answer,
                "",
            );
        }
        let Some(operation) = self.operation(method, path) else {
            return vec!["Stripe has no such endpoint".to_owned()];
        };
        let schema = &operation["responses"]["200"]["content"]["application/json"]["schema"];
        let mut problems = self.check(schema, "answer", answer, "");
        problems.extend(self.check_events(answer));
        problems
    }

    /// An event's object must fit the schema of its own kind.
    fn check_events(&self, answer: &Value) -> Vec<String> {
        let listed = answer["data"].as_array().into_iter().flatten();
        let events = listed
            .chain([answer])
            .filter(|value| value["object"] == "event");
        events
            .flat_map(|event| {
                self.check_object(
                    &event["data"]["object"],
                    event["type"].as_str().unwrap_or("event"),
                )
            })
            .collect()
    }

    /// An object on its own, such as a webhook's, held against the schema that its `object` field names.
    pub fn check_object(&self, object: &Value, at: &str) -> Vec<String> {
        let kind = object["object"].as_str().unwrap_or_default();
        match self.root["components"]["schemas"].get(kind) {
            Some(schema) => self.check(schema, kind, object, at),
            None => vec![format!("{at}: Stripe has no object `{kind}`")],
        }
    }

    fn operation(&self, method: &str, path: &str) -> Option<&Value> {
        let fits = |template: &str| {
            let (wanted, given): (Vec<_>, Vec<_>) =
                (template.split('/').collect(), path.split('/').collect());
            wanted.len() == given.len()
                && wanted
                    .iter()
                    .zip(&given)
                    .all(|(wanted, given)| wanted.starts_with('{') || wanted == given)
        };
        let paths = self.root["paths"].as_object()?;
        let candidates = paths.iter().filter(|(template, _)| fits(template));
        let found = candidates.filter_map(|(template, verbs)| {
            verbs
                .get(method.to_lowercase())
                .map(|operation| (template, operation))
        });
        found
            .min_by_key(|(template, _)| template.matches('{').count())
            .map(|(_, operation)| operation)
    }

    /// `name` is the schema's, `at` the place in the answer.
    fn check(&self, schema: &Value, name: &str, value: &Value, at: &str) -> Vec<String> {
        if let Some(target) = schema["$ref"].as_str() {
            let name = target.rsplit('/').next().unwrap_or(target);
            return self.check(&self.root["components"]["schemas"][name], name, value, at);
        }
        if value.is_null() {
            return if schema["nullable"] == true {
                Vec::new()
            } else {
                vec![format!("{at} is null, which `{name}` does not allow")]
            };
        }
        if let Some(branches) = schema["anyOf"].as_array() {
            let tried = branches
                .iter()
                .map(|branch| self.check(branch, name, value, at));
            return tried.min_by_key(Vec::len).unwrap_or_default();
        }
        if let Some(allowed) = schema["enum"]
            .as_array()
            .filter(|allowed| !allowed.contains(value))
        {
            return vec![format!(
                "{at} is {value}, not one of {}",
                Value::Array(allowed.clone())
            )];
        }
        match (schema["type"].as_str().unwrap_or_default(), value) {
            ("object", Value::Object(fields)) => self.check_fields(schema, name, fields, at),
            ("array", Value::Array(items)) => {
                let each = items.iter().enumerate();
                each.flat_map(|(index, item)| {
                    self.check(&schema["items"], name, item, &format!("{at}[{index}]"))
                })
                .collect()
            }
            ("string", Value::String(text)) => check_text(schema, text, at),
            ("boolean", Value::Bool(_)) | ("number", Value::Number(_)) | ("", _) => Vec::new(),
            ("integer", Value::Number(number)) if number.is_i64() => Vec::new(),
            (wanted, _) => vec![format!("{at} is {value}, not of type {wanted}")],
        }
    }

    fn check_fields(
        &self,
        schema: &Value,
        name: &str,
        fields: &Map<String, Value>,
        at: &str,
    ) -> Vec<String> {
        let mut problems = Vec::new();
        for field in schema["required"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
        {
            if !fields.contains_key(field) {
                problems.push(format!("{at}.{field} is missing from `{name}`"));
            }
        }
        for (field, value) in fields {
            let below = format!("{at}.{field}");
            match (
                schema["properties"].get(field),
                schema.get("additionalProperties"),
            ) {
                (Some(property), _) => problems.extend(self.check(property, name, value, &below)),
                (None, Some(each)) if each.is_object() => {
                    problems.extend(self.check(each, name, value, &below))
                }
                // An object without properties is open.
                (None, _) if schema["properties"].as_object().is_none_or(Map::is_empty) => {}
                (None, _)
                    if DIFFERENCES
                        .iter()
                        .any(|known| known.schema == name && known.field == field) => {}
                (None, _) => problems.push(format!("{below} is not a field of `{name}`")),
            }
        }
        problems
    }

    /// What in the simulator's parameter lists Stripe would not take: unknown names, other types, other demands.
    pub fn check_parameters(&self) -> Vec<String> {
        let routes = RESOURCES.iter().flat_map(|resource| resource.routes);
        let routes = routes.filter(|route| route.path.starts_with("/v1/"));
        let mut problems = Vec::new();
        for route in routes {
            let what = format!("{} {}", route.method, route.path);
            let Some(operation) = self.operation(route.method, route.path) else {
                problems.push(format!("{what}: Stripe has no such endpoint"));
                continue;
            };
            let root = request_schema(operation, route.method);
            let params: Vec<&Param> = route.params.iter().copied().flatten().collect();
            for param in &params {
                if let Err(problem) = check_param(&root, param) {
                    problems.push(format!("{what}: {}: {problem}", param.path));
                }
            }
            let missing = names(&root["required"]).filter(|name| {
                !params
                    .iter()
                    .any(|param| param.required && param.path.trim_end_matches("[]") == *name)
            });
            problems.extend(missing.map(|name| format!("{what}: Stripe demands {name}")));
        }
        problems
    }
}

/// Stripe's patterns are all of the form `^/v1/…`: a beginning.
fn check_text(schema: &Value, text: &str, at: &str) -> Vec<String> {
    let longest = schema["maxLength"]
        .as_u64()
        .and_then(|longest| usize::try_from(longest).ok());
    if longest.is_some_and(|longest| text.chars().count() > longest) {
        return vec![format!(
            "{at} is longer than {} characters",
            longest.unwrap_or_default()
        )];
    }
    match schema["pattern"]
        .as_str()
        .and_then(|pattern| pattern.strip_prefix('^'))
    {
        Some(beginning) if !text.starts_with(beginning) => vec![format!(
            "{at} is {text}, which does not begin with {beginning}"
        )],
        _ => Vec::new(),
    }
}

/// The parameters of an operation as one object schema, wherever they stand.
fn request_schema(operation: &Value, method: &str) -> Value {
    if method != "GET" {
        return operation["requestBody"]["content"]["application/x-www-form-urlencoded"]["schema"]
            .clone();
    }
    let query = operation["parameters"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|parameter| parameter["in"] == "query");
    let (mut properties, mut required) = (Map::new(), Vec::new());
    for parameter in query {
        let name = parameter["name"].as_str().unwrap_or_default();
        properties.insert(name.to_owned(), parameter["schema"].clone());
        if parameter["required"] == true {
            required.push(Value::String(name.to_owned()));
        }
    }
    serde_json::json!({ "type": "object", "properties": properties, "required": required })
}

/// A schema and its alternatives.
fn alternatives(schema: &Value) -> Vec<&Value> {
    match schema["anyOf"].as_array() {
        Some(branches) => branches.iter().flat_map(alternatives).collect(),
        None => vec![schema],
    }
}

/// The words of a list such as `required`.
fn names(list: &Value) -> impl Iterator<Item = &str> {
    list.as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
}

fn check_param(root: &Value, param: &Param) -> Result<(), String> {
    let mut at = vec![root];
    let segments: Vec<&str> = param.path.split('.').collect();
    for (index, segment) in segments.iter().enumerate() {
        let name = segment.trim_end_matches("[]");
        let objects: Vec<&Value> = at
            .iter()
            .filter(|schema| schema["properties"].get(name).is_some())
            .copied()
            .collect();
        if objects.is_empty() {
            return Err(format!("Stripe does not know `{name}`"));
        }
        // Where there are alternatives, a parameter is demanded only if each of them demands it.
        let mut forms = at.iter().filter(|schema| schema["properties"].is_object());
        let demanded = forms.all(|form| names(&form["required"]).any(|demanded| demanded == name));
        if index + 1 == segments.len() && demanded != param.required {
            return Err(format!("Stripe demands it: {demanded}"));
        }
        at = objects
            .iter()
            .flat_map(|object| alternatives(&object["properties"][name]))
            .collect();
        if segment.ends_with("[]") {
            at = at
                .into_iter()
                .filter(|schema| schema["type"] == "array")
                .flat_map(|schema| alternatives(&schema["items"]))
                .collect();
        }
    }
    check_kind(&at, param)
}

fn check_kind(schemas: &[&Value], param: &Param) -> Result<(), String> {
    let of_type = |wanted: &str| schemas.iter().any(|schema| schema["type"] == wanted);
    let words: Vec<&str> = schemas
        .iter()
        .filter_map(|schema| schema["enum"].as_array())
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let has_words = |wanted: &[&str]| wanted.iter().all(|word| words.contains(word));
    let fits = match param.kind {
        Kind::Str | Kind::Decimal => of_type("string"),
        Kind::Int => of_type("integer"),
        Kind::Bool => of_type("boolean"),
        Kind::Enum(wanted) => has_words(wanted),
        Kind::IntOr(wanted) => has_words(wanted) && of_type("integer"),
        Kind::Map => schemas
            .iter()
            .any(|schema| schema["additionalProperties"].is_object()),
        Kind::Unset => words.contains(&""),
    };
    match (fits, param.clearable && !words.contains(&"")) {
        (false, _) => Err(format!("Stripe takes another type than {:?}", param.kind)),
        (true, true) => Err("Stripe does not let it be unset".to_owned()),
        (true, false) => Ok(()),
    }
}
