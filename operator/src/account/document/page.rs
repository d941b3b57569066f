//! The OpenAPI document as a page to read: plain HTML, without scripts, without anything from elsewhere. Pure.

use std::fmt::Write as _;

use serde_json::{Map, Value};

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1a1a1a}\
    h2{border-bottom:1px solid #ccc;margin-top:3rem}h3 code{font-size:1.1rem}table{border-collapse:collapse;width:100%}\
    td,th{border-top:1px solid #ddd;padding:.3rem .6rem .3rem 0;text-align:left;vertical-align:top}\
    code{background:#f3f3f3;padding:.1rem .3rem;border-radius:.2rem}.method{text-transform:uppercase;font-weight:700}\
    @media(prefers-color-scheme:dark){body{background:#161616;color:#ddd}code{background:#2a2a2a}h2,td,th{border-color:#444}}";
/// The methods of a path, in this order.
const METHODS: [&str; 4] = ["get", "post", "patch", "delete"];

/// The page.
pub(super) fn render(document: &Value) -> String {
    let mut page = String::from("<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">");
    let title = text(&document["info"]["title"]);
    let _ = write!(
        page,
        "<meta name=\"viewport\" content=\"width=device-width\"><title>{title}</title><style>{STYLE}</style></head><body>\
         <h1>{title}</h1><p>{}</p><p>For programs: <a href=\"/openapi.json\">/openapi.json</a> (OpenAPI 3.1).</p>",
        text(&document["info"]["description"])
    );
    for tag in tags(document) {
        let _ = write!(page, "<h2>{}</h2>", escape(&tag));
        for (path, method, operation) in operations(document) {
            if operation["tags"][0] == tag.as_str() {
                write_operation(&mut page, document, path, method, operation);
            }
        }
    }
    page.push_str("</body></html>");
    page
}

fn operations(document: &Value) -> impl Iterator<Item = (&str, &'static str, &Value)> {
    let paths = document["paths"]
        .as_object()
        .into_iter()
        .flat_map(Map::iter);
    paths.flat_map(|(path, item)| {
        let of = move |method| {
            item.get(method)
                .map(|operation| (path.as_str(), method, operation))
        };
        METHODS.into_iter().filter_map(of)
    })
}

fn tags(document: &Value) -> Vec<String> {
    let mut tags = Vec::new();
    for (_, _, operation) in operations(document) {
        let tag = operation["tags"][0].as_str().unwrap_or_default().to_owned();
        if !tags.contains(&tag) {
            tags.push(tag);
        }
    }
    tags
}

fn write_operation(
    page: &mut String,
    document: &Value,
    path: &str,
    method: &str,
    operation: &Value,
) {
    let _ = write!(
        page,
        "<h3><code><span class=\"method\">{method}</span> {}</code> {}</h3><p>{}</p>",
        escape(path),
        text(&operation["summary"]),
        text(&operation["description"])
    );
    if operation.get("security").is_some() {
        page.push_str("<p>Needs <code>Authorization: Bearer &lt;access_token&gt;</code>.</p>");
    }
    let parameters = operation["parameters"].as_array();
    if let Some(parameters) = parameters.filter(|all| !all.is_empty()) {
        page.push_str("<table><tr><th>parameter</th><th>in</th><th></th></tr>");
        for parameter in parameters {
            let _ = write!(
                page,
                "<tr><td><code>{}</code></td><td>{}</td><td>{}</td></tr>",
                text(&parameter["name"]),
                text(&parameter["in"]),
                text(&parameter["description"])
            );
        }
        page.push_str("</table>");
    }
    let body = &operation["requestBody"]["content"]["application/json"]["schema"];
    write_fields(page, document, "field sent", body);
    let responses = operation["responses"]
        .as_object()
        .into_iter()
        .flat_map(Map::iter);
    let responses: Vec<_> = responses.collect();
    if let Some((_, response)) = responses.iter().find(|(status, _)| status.starts_with('2')) {
        let answer = &response["content"]["application/json"]["schema"];
        write_fields(page, document, "field answered", answer);
    }
    page.push_str("<table><tr><th>status</th><th></th></tr>");
    for (status, response) in responses {
        let description = text(&response["description"]);
        let _ = write!(
            page,
            "<tr><td>{}</td><td>{description}</td></tr>",
            escape(status)
        );
    }
    page.push_str("</table>");
}

fn write_fields(page: &mut String, document: &Value, head: &str, schema: &Value) {
    let schema = resolve(document, schema);
    let Some(fields) = schema["properties"].as_object() else {
        return;
    };
    let required = schema["required"].as_array();
    let _ = write!(
        page,
        "<table><tr><th>{head}</th><th>type</th><th></th></tr>"
    );
    for (name, field) in fields {
        let needed = required.is_some_and(|all| all.iter().any(|one| one == name.as_str()));
        let kind = kind(document, field);
        let _ = write!(
            page,
            "<tr><td><code>{}</code></td><td>{}{}</td><td>{}</td></tr>",
            escape(name),
            escape(&kind),
            if needed { "" } else { ", optional" },
            text(&field["description"])
        );
    }
    page.push_str("</table>");
}

fn resolve<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    let reference = schema["$ref"].as_str();
    let name = reference.and_then(|reference| reference.rsplit('/').next());
    name.map_or(schema, |name| &document["components"]["schemas"][name])
}

/// What a field is, in a word or two.
fn kind(document: &Value, field: &Value) -> String {
    if let Some(of) = field["oneOf"].as_array() {
        let kinds: Vec<_> = of.iter().map(|one| kind(document, one)).collect();
        return kinds.join(" or ");
    }
    if let Some(reference) = field["$ref"].as_str() {
        let schema = resolve(document, field);
        let words = schema["enum"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str);
        let words: Vec<_> = words.collect();
        let name = reference.rsplit('/').next().unwrap_or_default();
        return if words.is_empty() {
            name.to_owned()
        } else {
            words.join(", ")
        };
    }
    let word = match &field["type"] {
        Value::String(word) => word.clone(),
        Value::Array(words) => words
            .iter()
            .filter_map(Value::as_str)
            .collect::<Vec<_>>()
            .join(" or "),
        _ => String::new(),
    };
    match field["format"].as_str() {
        Some(format) => format!("{word} ({format})"),
        None => word,
    }
}

fn text(value: &Value) -> String {
    escape(value.as_str().unwrap_or_default())
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_page_shows_operations_by_tag_with_their_fields_and_no_markup_of_others() {
        let document = json!({
            "info": {"title": "T<script>", "description": "d"},
            "components": {"schemas": {"In": {"properties": {"email": {"type": "string", "description": "Whose & why"}},
                "required": ["email"]}}},
            "paths": {"/a": {"post": {"tags": ["One"], "summary": "Do it.",
                "requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/In"}}}},
                "responses": {"202": {"description": "done"}}}}},
        });
        let page = render(&document);
        for wanted in [
            "<h2>One</h2>",
            "post</span> /a",
            "<code>email</code></td><td>string</td>",
            "Whose &amp; why",
            "done",
        ] {
            assert!(page.contains(wanted), "{wanted}\n{page}");
        }
        assert!(!page.contains("<script"));
    }
}
