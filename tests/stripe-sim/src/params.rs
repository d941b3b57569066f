//! What a route accepts, and the strict reading of a request against it.
//!
//! A route lists its parameters as flat paths (`line_items[].price`). Anything else is refused as Stripe refuses it:
//! `parameter_unknown`, `parameter_missing`, a wrong type with `param`. A test holds the lists against Stripe's OpenAPI.

use serde_json::{Map, Value, json};

use crate::error::ApiError;
use crate::form::Node;

/// The type of a parameter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// Any text up to 5,000 characters.
    Str,
    /// A whole number; times are Unix seconds.
    Int,
    /// A decimal number as text, kept as text.
    Decimal,
    /// `true` or `false`.
    Bool,
    /// One of these words.
    Enum(&'static [&'static str]),
    /// One of these words, or a whole number.
    IntOr(&'static [&'static str]),
    /// Nothing but an empty value, which unsets the whole object (its fields are listed below it).
    Unset,
    /// Free keys with text values: metadata. An empty value removes its key.
    Map,
}

/// One accepted parameter.
#[derive(Clone, Copy, Debug)]
pub struct Param {
    /// Where it stands: `email`, `recurring.interval`, `items[].price`, `expand[]`.
    pub path: &'static str,
    /// Its type.
    pub kind: Kind,
    /// Whether it must be given (within its object, when that is given).
    pub required: bool,
    /// Whether an empty value unsets it.
    pub clearable: bool,
}

impl Param {
    /// The same parameter, which an empty value unsets (it is then read as null).
    pub(crate) const fn clearable(mut self) -> Self {
        self.clearable = true;
        self
    }
}

/// A parameter that may be given.
pub(crate) const fn opt(path: &'static str, kind: Kind) -> Param {
    Param {
        path,
        kind,
        required: false,
        clearable: false,
    }
}

/// A parameter that must be given.
pub(crate) const fn req(path: &'static str, kind: Kind) -> Param {
    Param {
        path,
        kind,
        required: true,
        clearable: false,
    }
}

/// `expand[]`, which every route takes.
pub(crate) const EXPAND: &[Param] = &[opt("expand[]", Kind::Str)];

/// Cursor pagination, of every list.
pub(crate) const PAGE: &[Param] = &[
    opt("limit", Kind::Int),
    opt("starting_after", Kind::Str),
    opt("ending_before", Kind::Str),
];

/// The `created` filter of most lists.
pub(crate) const CREATED: &[Param] = &[
    opt("created", Kind::Int),
    opt("created.gt", Kind::Int),
    opt("created.gte", Kind::Int),
    opt("created.lt", Kind::Int),
    opt("created.lte", Kind::Int),
];

/// Reads a parsed request strictly against what the route accepts.
///
/// # Errors
/// As Stripe: unknown, missing or ill-typed parameters.
pub(crate) fn read(groups: &[&[Param]], root: &Node) -> Result<Map<String, Value>, ApiError> {
    let spec = Spec { groups };
    match spec.object("", "", root)? {
        Value::Object(fields) => Ok(fields),
        _ => Ok(Map::new()),
    }
}

struct Spec<'a> {
    groups: &'a [&'a [Param]],
}

impl Spec<'_> {
    fn all(&self) -> impl Iterator<Item = &Param> {
        self.groups.iter().copied().flatten()
    }

    fn exact(&self, path: &str) -> Option<&Param> {
        self.all().find(|param| param.path == path)
    }

    fn has_below(&self, path: &str, mark: &str) -> bool {
        self.all().any(|param| {
            param
                .path
                .strip_prefix(path)
                .is_some_and(|rest| rest.starts_with(mark))
        })
    }

    /// `path` is where the specification stands, `shown` how the caller wrote it.
    fn node(&self, path: &str, shown: &str, node: &Node) -> Result<Value, ApiError> {
        if let (Some(param), Node::Leaf(text)) = (self.exact(path), node) {
            return leaf(param, shown, text);
        }
        if let (
            Some(Param {
                kind: Kind::Map, ..
            }),
            Node::Branch(children),
        ) = (self.exact(path), node)
        {
            return map(shown, children);
        }
        if self.has_below(path, "[]") {
            return self.array(path, shown, node);
        }
        if self.has_below(path, ".") {
            return self.object(path, shown, node);
        }
        match self.exact(path) {
            Some(_) => Err(ApiError::invalid(format!("Invalid string: {shown}")).param(shown)),
            None => Err(unknown(shown)),
        }
    }

    fn object(&self, path: &str, shown: &str, node: &Node) -> Result<Value, ApiError> {
        let Node::Branch(children) = node else {
            return Err(ApiError::invalid("Invalid object").param(shown));
        };
        let mut fields = Map::new();
        for (name, child) in children {
            let (below, shown_below) = match path {
                "" => (name.clone(), name.clone()),
                _ => (format!("{path}.{name}"), format!("{shown}[{name}]")),
            };
            fields.insert(name.clone(), self.node(&below, &shown_below, child)?);
        }
        for param in self.all().filter(|param| param.required) {
            let (parent, name) = param.path.rsplit_once('.').unwrap_or(("", param.path));
            let name = name.trim_end_matches("[]");
            if parent == path && !fields.contains_key(name) {
                let full = if path.is_empty() {
                    name.to_owned()
                } else {
                    format!("{shown}[{name}]")
                };
                return Err(ApiError::missing_param(&full));
            }
        }
        Ok(Value::Object(fields))
    }

    fn array(&self, path: &str, shown: &str, node: &Node) -> Result<Value, ApiError> {
        let children = match node {
            Node::Branch(children) => children,
            // An empty value empties the list.
            Node::Leaf(text) if text.is_empty() => return Ok(json!([])),
            Node::Leaf(_) => return Err(ApiError::invalid("Invalid array").param(shown)),
        };
        let mut numbered = Vec::new();
        for (index, child) in children {
            let at: usize = index
                .parse()
                .map_err(|_| ApiError::invalid("Invalid array").param(shown))?;
            numbered.push((
                at,
                self.node(&format!("{path}[]"), &format!("{shown}[{index}]"), child)?,
            ));
        }
        numbered.sort_by_key(|(at, _)| *at);
        Ok(numbered.into_iter().map(|(_, value)| value).collect())
    }
}

fn unknown(shown: &str) -> ApiError {
    ApiError::invalid(format!("Received unknown parameter: {shown}"))
        .code("parameter_unknown")
        .param(shown)
}

fn leaf(param: &Param, shown: &str, text: &str) -> Result<Value, ApiError> {
    if text.is_empty() {
        return if param.clearable || matches!(param.kind, Kind::Map | Kind::Unset) {
            Ok(Value::Null)
        } else {
            Err(empty(shown))
        };
    }
    let wrong = |what: &str| ApiError::invalid(format!("Invalid {what}: {text}")).param(shown);
    match param.kind {
        Kind::Str if text.chars().count() > 5000 => {
            Err(ApiError::invalid("Invalid string: must be at most 5000 characters").param(shown))
        }
        Kind::Str => Ok(json!(text)),
        Kind::Int => {
            integer(text).ok_or_else(|| wrong("integer").code("parameter_invalid_integer"))
        }
        Kind::Decimal => match text.parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(json!(text)),
            _ => Err(wrong("decimal")),
        },
        Kind::Bool => text.parse().map(Value::Bool).map_err(|_| wrong("boolean")),
        Kind::Enum(words) if words.contains(&text) => Ok(json!(text)),
        Kind::Enum(words) => Err(not_one_of(shown, words)),
        Kind::IntOr(words) if words.contains(&text) => Ok(json!(text)),
        Kind::IntOr(_) => {
            integer(text).ok_or_else(|| wrong("integer").code("parameter_invalid_integer"))
        }
        Kind::Map | Kind::Unset => Err(ApiError::invalid("Invalid object").param(shown)),
    }
}

fn integer(text: &str) -> Option<Value> {
    text.parse::<i64>().ok().map(|number| json!(number))
}

fn empty(shown: &str) -> ApiError {
    let name = shown
        .rsplit('[')
        .next()
        .unwrap_or(shown)
        .trim_end_matches(']');
    ApiError::invalid(format!(
        "You passed an empty string for '{shown}'. We assume empty values are an attempt to unset a parameter; however \
         '{name}' cannot be unset. You should remove '{shown}' from your request or supply a non-empty value."
    ))
    .code("parameter_invalid_empty")
    .param(shown)
}

fn not_one_of(shown: &str, words: &[&str]) -> ApiError {
    let list = match words.split_last() {
        Some((last, [])) => (*last).to_owned(),
        Some((last, [first])) => format!("{first} or {last}"),
        Some((last, rest)) => format!("{}, or {last}", rest.join(", ")),
        None => String::new(),
    };
    ApiError::invalid(format!("Invalid {shown}: must be one of {list}")).param(shown)
}

/// Metadata, with its limits: <https://docs.stripe.com/api/metadata>.
fn map(shown: &str, children: &[(String, Node)]) -> Result<Value, ApiError> {
    let mut fields = Map::new();
    for (key, child) in children {
        let at = format!("{shown}[{key}]");
        let Node::Leaf(text) = child else {
            return Err(ApiError::invalid("Invalid string").param(&at));
        };
        let (key_length, length) = (key.chars().count(), text.chars().count());
        if key_length > 40 {
            return Err(ApiError::invalid(format!(
                "Metadata keys can have up to 40 characters, but you passed in a key that is {key_length} characters. Invalid key: {key}"
            ))
            .param(shown));
        }
        if length > 500 {
            return Err(ApiError::invalid(format!(
                "Metadata values can have up to 500 characters, but you passed in a value that is {length} characters. Invalid value: {text}"
            ))
            .param(&at));
        }
        fields.insert(key.clone(), json!(text));
    }
    if fields.len() > 50 {
        return Err(ApiError::invalid("You can only set up to 50 metadata keys").param(shown));
    }
    Ok(Value::Object(fields))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::form::{pairs, tree};

    const SPEC: &[Param] = &[
        req("mode", Kind::Enum(&["payment", "setup", "subscription"])),
        opt("email", Kind::Str).clearable(),
        opt("name", Kind::Str),
        opt("active", Kind::Bool),
        opt("limit", Kind::Int),
        opt("metadata", Kind::Map),
        opt("expand[]", Kind::Str),
        req("items[].price", Kind::Str),
        opt("items[].quantity", Kind::Int),
        opt("trial_end", Kind::IntOr(&["now"])),
    ];

    fn decoded(text: &str) -> Result<Value, ApiError> {
        read(&[SPEC], &tree(&pairs(text))?).map(Value::Object)
    }

    #[test]
    fn values_are_read_as_their_types() {
        let text = "mode=payment&email=&active=true&limit=3&metadata[a]=b&expand[]=x&items[1][price]=p2&items[0][price]=p1&items[0][quantity]=2&trial_end=now";
        let expected = json!({
            "mode": "payment", "email": null, "active": true, "limit": 3, "metadata": { "a": "b" }, "expand": ["x"],
            "items": [{ "price": "p1", "quantity": 2 }, { "price": "p2" }], "trial_end": "now",
        });
        assert_eq!(decoded(text), Ok(expected));
    }

    #[test]
    fn each_refusal_names_its_parameter_and_code() {
        let cases = [
            (
                "mode=payment&colour=red",
                "Received unknown parameter: colour",
                json!("colour"),
                json!("parameter_unknown"),
            ),
            (
                "mode=payment&items[0][price]=p&items[0][x]=1",
                "Received unknown parameter: items[0][x]",
                json!("items[0][x]"),
                json!("parameter_unknown"),
            ),
            (
                "limit=1",
                "Missing required param: mode.",
                json!("mode"),
                json!("parameter_missing"),
            ),
            (
                "mode=payment&items[0][quantity]=1",
                "Missing required param: items[0][price].",
                json!("items[0][price]"),
                json!("parameter_missing"),
            ),
            (
                "mode=payment&limit=many",
                "Invalid integer: many",
                json!("limit"),
                json!("parameter_invalid_integer"),
            ),
            (
                "mode=payment&active=yes",
                "Invalid boolean: yes",
                json!("active"),
                Value::Null,
            ),
            (
                "mode=gift",
                "Invalid mode: must be one of payment, setup, or subscription",
                json!("mode"),
                Value::Null,
            ),
            (
                "mode=payment&items=p",
                "Invalid array",
                json!("items"),
                Value::Null,
            ),
            (
                "mode=payment&metadata=x",
                "Invalid object",
                json!("metadata"),
                Value::Null,
            ),
            (
                "mode=payment&name[x]=1",
                "Invalid string: name",
                json!("name"),
                Value::Null,
            ),
        ];
        for (text, message, param, code) in cases {
            let error = decoded(text).expect_err(text);
            assert_eq!(error.message(), message);
            assert_eq!(error.fields().get("param"), Some(&param), "{text}");
            assert_eq!(
                error.fields().get("code").cloned().unwrap_or_default(),
                code,
                "{text}"
            );
        }
        let error = decoded("mode=payment&name=").expect_err("an empty name");
        assert_eq!(error.fields()["code"], json!("parameter_invalid_empty"));
    }

    #[test]
    fn metadata_keeps_stripes_limits() {
        assert!(decoded(&format!("mode=payment&metadata[{}]=x", "k".repeat(40))).is_ok());
        assert!(decoded(&format!("mode=payment&metadata[{}]=x", "k".repeat(41))).is_err());
        assert!(decoded(&format!("mode=payment&metadata[k]={}", "v".repeat(501))).is_err());
    }
}
