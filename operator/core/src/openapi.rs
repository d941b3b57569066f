//! A GlyphApi for an OpenAPI 3 document (<https://spec.openapis.org/oas/v3.1.1>). Pure: a value in, a spec out. What
//! cannot be said by a GlyphApi is told with its place in the document, all of it at once.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use glyph_crds::routing::is_template;
use glyph_crds::{Auth, ChargeOn, Endpoint, GlyphApiSpec, Method, Unmatched};
use serde_json::Value;

/// The operations of a path item, in the order they are written out in.
const OPERATIONS: [(&str, Method); 8] = [
    ("get", Method::Get),
    ("head", Method::Head),
    ("post", Method::Post),
    ("put", Method::Put),
    ("patch", Method::Patch),
    ("delete", Method::Delete),
    ("options", Method::Options),
    ("trace", Method::Trace),
];
/// The most endpoints that a GlyphApi can have.
const MOST_ENDPOINTS: usize = 200;
/// The longest name of an endpoint.
const LONGEST_NAME: usize = 63;

/// Why there is no GlyphApi for a document.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenApiError {
    /// It is something else.
    #[error("this is no OpenAPI 3 document: {0}")]
    NotOpenApi(String),
    /// Parts of it cannot be said by a GlyphApi.
    #[error("failed to say all of it by a GlyphApi:\n{}", .0.join("\n"))]
    Unfit(Vec<String>),
}

/// The spec of a GlyphApi that has every operation of `document`: named by `operationId`, with the scopes that `security`
/// names, public where that is `[]`. Where a document says nothing of security, a key is needed: nothing is made public
/// by leaving something out.
///
/// # Errors
/// [`OpenApiError`].
pub fn spec_of(document: &Value) -> Result<GlyphApiSpec, OpenApiError> {
    let paths = paths_of(document)?;
    let mut problems = Vec::new();
    let servers = servers(document, &mut problems);
    let mut endpoints = Vec::new();
    for (path, item) in paths {
        let place = format!("paths.{path}");
        if item.get("$ref").is_some() {
            problems.push(format!(
                "{place}: is a $ref; put what it refers to in its place"
            ));
        }
        for (name, method) in OPERATIONS {
            let Some(operation) = item.get(name) else {
                continue;
            };
            let place = format!("{place}.{name}");
            if operation.get("servers").or(item.get("servers")).is_some() {
                problems.push(format!(
                    "{place}: has servers of its own; write a GlyphApi for those hosts by hand"
                ));
            }
            let whole = format!("{}{path}", servers.prefix);
            let security = operation.get("security").or(document.get("security"));
            let (auth, scopes) = security_of(&place, security, &mut problems);
            endpoints.push(Endpoint {
                name: name_of(operation, method, path),
                methods: vec![method],
                path: template_of(&place, &whole, &mut problems),
                cost: None,
                scopes,
                auth,
                charge_on: ChargeOn::Always,
            });
        }
    }
    look_over(&endpoints, &mut problems);
    if !problems.is_empty() {
        return Err(OpenApiError::Unfit(problems));
    }
    Ok(GlyphApiSpec {
        hosts: servers.hosts.into_iter().collect(),
        endpoints,
        unmatched: Unmatched::Allow,
    })
}

fn paths_of(document: &Value) -> Result<&serde_json::Map<String, Value>, OpenApiError> {
    let not = |why: &str| OpenApiError::NotOpenApi(why.to_owned());
    if document.get("swagger").is_some() {
        return Err(not("it is Swagger 2; convert it to OpenAPI 3 first"));
    }
    let version = document.get("openapi").and_then(Value::as_str);
    if !version.is_some_and(|version| version.starts_with("3.")) {
        return Err(not("it has no `openapi: 3.…` at its beginning"));
    }
    let paths = document.get("paths").and_then(Value::as_object);
    paths.ok_or_else(|| not("it has no `paths`"))
}

/// What the `servers` of a document come to.
#[derive(Default)]
struct Servers {
    hosts: BTreeSet<String>,
    /// What stands before every path.
    prefix: String,
}

fn servers(document: &Value, problems: &mut Vec<String>) -> Servers {
    let all = document.get("servers").and_then(Value::as_array);
    let mut prefixes = BTreeSet::new();
    let mut hosts = BTreeSet::new();
    for (at, server) in all.into_iter().flatten().enumerate() {
        let url = with_defaults(server);
        let (host, prefix) = match url.split_once("://") {
            Some((_, rest)) => match rest.split_once('/') {
                Some((host, path)) => (host, format!("/{path}")),
                None => (rest, String::new()),
            },
            None => ("", url.clone()),
        };
        let host = host.rsplit_once(':').map_or(host, |(name, _)| name);
        if url.contains(['{', '?', '#', '@']) {
            problems.push(format!(
                "servers.{at}: the URL {url} must be plain, or have defaults for its variables"
            ));
        }
        if !host.is_empty() {
            hosts.insert(host.to_owned());
        }
        prefixes.insert(prefix.trim_end_matches('/').to_owned());
    }
    if prefixes.len() > 1 {
        problems.push(format!(
            "servers: their paths differ ({}); write a GlyphApi for each",
            list(&prefixes)
        ));
    }
    let prefix = prefixes.pop_first().unwrap_or_default();
    Servers { hosts, prefix }
}

/// The URL of a server, with its variables' defaults in their places.
fn with_defaults(server: &Value) -> String {
    let url = server
        .get("url")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let variables = server.get("variables").and_then(Value::as_object);
    let mut url = url.to_owned();
    for (name, variable) in variables.into_iter().flatten() {
        if let Some(default) = variable.get("default").and_then(Value::as_str) {
            url = url.replace(&format!("{{{name}}}"), default);
        }
    }
    url
}

/// Who may call an operation. Of several alternatives, what any of them asks for; an empty one among them (`{}`) makes
/// a key optional.
fn security_of(
    place: &str,
    security: Option<&Value>,
    problems: &mut Vec<String>,
) -> (Auth, Vec<String>) {
    let Some(alternatives) = security.and_then(Value::as_array) else {
        return (Auth::Required, Vec::new());
    };
    if alternatives.is_empty() {
        return (Auth::None, Vec::new());
    }
    let requirements: Vec<_> = alternatives.iter().filter_map(Value::as_object).collect();
    if requirements
        .iter()
        .any(|requirement| requirement.is_empty())
    {
        return (Auth::Optional, Vec::new());
    }
    let words = requirements
        .into_iter()
        .flat_map(|requirement| requirement.values());
    let words = words.filter_map(Value::as_array).flatten();
    let scopes: BTreeSet<_> = words.filter_map(Value::as_str).map(str::to_owned).collect();
    for scope in &scopes {
        let plain = |c: char| c.is_ascii_alphanumeric() || "_.:/-".contains(c);
        if scope.is_empty() || !scope.chars().all(plain) {
            problems.push(format!(
                "{place}: the scope {scope:?} must be letters, digits and _ . : / -"
            ));
        }
    }
    (Auth::Required, scopes.into_iter().collect())
}

/// `operationId`, else method and path, with `-` for what a name cannot hold.
fn name_of(operation: &Value, method: Method, path: &str) -> String {
    let given = operation.get("operationId").and_then(Value::as_str);
    let given = given.map_or_else(
        || format!("{}-{path}", method.as_str().to_ascii_lowercase()),
        str::to_owned,
    );
    let mut name = String::new();
    for letter in given.chars() {
        match letter {
            plain if plain.is_ascii_alphanumeric() || matches!(plain, '_' | '.') => {
                name.push(plain)
            }
            _ if name.ends_with('-') => {}
            _ => name.push('-'),
        }
    }
    name.truncate(LONGEST_NAME);
    let name = name.trim_matches(['-', '_', '.']);
    match name {
        "" => "operation".to_owned(),
        "unmatched" | "other" => format!("{name}-operation"),
        name => name.to_owned(),
    }
}

fn template_of(place: &str, path: &str, problems: &mut Vec<String>) -> String {
    // Names of parameters may hold anything in OpenAPI, and do not matter here.
    let mut template = String::new();
    let mut inside = false;
    for letter in path.chars() {
        inside = (inside || letter == '{') && letter != '}';
        let plain = letter.is_ascii_alphanumeric() || matches!(letter, '{' | '}' | '_' | '-');
        template.push(if inside && !plain { '_' } else { letter });
    }
    if !is_template(&template) {
        problems.push(format!(
            "{place}: the path {path} must begin with / and hold plain segments, or parameters such as {{id}} that are \
             whole segments; write an endpoint with {{*rest}} by hand"
        ));
    }
    template
}

/// What holds of all endpoints together.
fn look_over(endpoints: &[Endpoint], problems: &mut Vec<String>) {
    let mut named: BTreeMap<&str, usize> = BTreeMap::new();
    for endpoint in endpoints {
        *named.entry(&endpoint.name).or_default() += 1;
    }
    for (name, times) in named.into_iter().filter(|(_, times)| *times > 1) {
        problems.push(format!(
            "{times} operations are named {name}; give each an operationId of its own"
        ));
    }
    if endpoints.is_empty() {
        problems.push("paths: there is no operation".to_owned());
    }
    if endpoints.len() > MOST_ENDPOINTS {
        problems.push(format!(
            "there are {} operations; a GlyphApi has at most {MOST_ENDPOINTS}: divide the document",
            endpoints.len()
        ));
    }
}

fn list(all: &BTreeSet<impl fmt::Debug>) -> String {
    let all: Vec<_> = all.iter().map(|one| format!("{one:?}")).collect();
    all.join(", ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn unfit(document: &Value) -> Vec<String> {
        match spec_of(document) {
            Err(OpenApiError::Unfit(problems)) => problems,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn each_operation_is_an_endpoint_with_the_security_that_holds_for_it() {
        let document = json!({
            "openapi": "3.1.0",
            "servers": [{"url": "https://api.example.com:8443/{version}/", "variables": {"version": {"default": "v1"}}}, {"url": "https://eu.example.com/v1"}],
            "security": [{"key": []}],
            "paths": {
                "/items": {
                    "parameters": [],
                    "get": {"operationId": "listItems", "security": [{}, {"key": []}]},
                    "post": {"operationId": "items make", "security": [{"oauth": ["items:write"]}, {"key": ["admin"]}]},
                },
                "/items/{item.id}": {"get": {}},
                "/health": {"get": {"operationId": "other", "security": []}},
            },
        });
        let spec = spec_of(&document).unwrap();
        assert_eq!(spec.hosts, ["api.example.com", "eu.example.com"]);
        let all: Vec<_> = spec
            .endpoints
            .iter()
            .map(|e| {
                (
                    e.name.as_str(),
                    e.methods[0],
                    e.path.as_str(),
                    e.auth,
                    e.scopes.join(" "),
                )
            })
            .collect();
        let none = String::new;
        assert_eq!(
            all,
            [
                (
                    "other-operation",
                    Method::Get,
                    "/v1/health",
                    Auth::None,
                    none()
                ),
                (
                    "listItems",
                    Method::Get,
                    "/v1/items",
                    Auth::Optional,
                    none()
                ),
                (
                    "items-make",
                    Method::Post,
                    "/v1/items",
                    Auth::Required,
                    "admin items:write".to_owned()
                ),
                (
                    "get-items-item.id",
                    Method::Get,
                    "/v1/items/{item_id}",
                    Auth::Required,
                    none()
                ),
            ]
        );
    }

    #[test]
    fn nothing_is_public_by_leaving_security_out() {
        let spec = spec_of(&json!({"openapi": "3.0.3", "paths": {"/": {"get": {}}}})).unwrap();
        assert_eq!(
            (spec.endpoints[0].auth, spec.endpoints[0].name.as_str()),
            (Auth::Required, "get")
        );
        assert_eq!(spec.hosts, [""; 0]);
    }

    #[test]
    fn what_is_no_openapi_3_is_told_by_what_it_lacks() {
        for (document, said) in [
            (
                json!({"swagger": "2.0", "paths": {}}),
                "it is Swagger 2; convert it to OpenAPI 3 first",
            ),
            (
                json!({"paths": {}}),
                "it has no `openapi: 3.…` at its beginning",
            ),
            (json!([]), "it has no `openapi: 3.…` at its beginning"),
            (json!({"openapi": "3.1.0"}), "it has no `paths`"),
        ] {
            let error = spec_of(&document).unwrap_err().to_string();
            assert_eq!(error, format!("this is no OpenAPI 3 document: {said}"));
        }
    }

    #[test]
    fn all_that_cannot_be_said_is_told_at_once_with_its_place() {
        let document = json!({
            "openapi": "3.1.0",
            "servers": [{"url": "https://{who}.example.com/v1"}, {"url": "/v2"}],
            "paths": {
                "/a/{id}.json": {"get": {"operationId": "a"}},
                "/b": {"get": {"operationId": "a", "security": [{"oauth": ["a b"]}]}, "servers": []},
                "/c": {"$ref": "c.yaml"},
            },
        });
        let problems = unfit(&document);
        for beginning in [
            "servers.0: the URL https://{who}.example.com/v1 must be plain",
            "servers: their paths differ (\"/v1\", \"/v2\")",
            "paths./a/{id}.json.get: the path /v1/a/{id}.json must begin with /",
            "paths./b.get: has servers of its own",
            "paths./b.get: the scope \"a b\" must be",
            "paths./c: is a $ref",
            "2 operations are named a;",
        ] {
            let told = problems
                .iter()
                .any(|problem| problem.starts_with(beginning));
            assert!(told, "{beginning} in {problems:#?}");
        }
        assert_eq!(problems.len(), 7, "{problems:#?}");
        let empty = json!({"openapi": "3.1.0", "paths": {}});
        assert_eq!(unfit(&empty), ["paths: there is no operation"]);
    }
}
