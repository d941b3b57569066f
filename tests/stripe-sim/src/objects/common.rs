//! What all objects share: retrieve, list with cursors, search with pages, filling in fields, metadata.
//!
//! <https://docs.stripe.com/api/pagination>, <https://docs.stripe.com/api/pagination/search>.

use serde_json::{Value, json};

use super::Call;
use crate::doc::{Doc, visible};
use crate::error::ApiError;
use crate::params::{Kind, Param, opt, req};
use crate::search::Query;
use crate::world::World;

/// The parameters of every search.
pub(crate) const SEARCH: &[Param] = &[
    req("query", Kind::Str),
    opt("limit", Kind::Int),
    opt("page", Kind::Str),
];

/// The parts of a postal address, below `address`.
pub(crate) const ADDRESS_FIELDS: &[&str] =
    &["city", "country", "line1", "line2", "postal_code", "state"];

/// The object under the id in the path.
///
/// # Errors
/// 404 when there is none.
pub(crate) fn retrieve(world: &World, kind: &str, call: &Call) -> Result<Value, ApiError> {
    world.get(kind, call.arg(0)).cloned()
}

fn limit(call: &Call) -> Result<usize, ApiError> {
    let refused = |word: &str, bound: i64, have: i64| {
        let message = format!(
            "This value must be {word} than or equal to {bound} (it currently is '{have}')."
        );
        ApiError::invalid(message)
            .code("parameter_invalid_integer")
            .param("limit")
    };
    match call.int("limit").unwrap_or(10) {
        have if have > 100 => Err(refused("less", 100, have)),
        have if have < 1 => Err(refused("greater", 1, have)),
        have => Ok(usize::try_from(have).unwrap_or(10)),
    }
}

/// A page of the objects of a kind that are kept by the filter, newest first.
///
/// # Errors
/// 400 for a cursor that points nowhere, two cursors, or a limit out of range.
pub(crate) fn list(
    world: &World,
    kind: &str,
    url: &str,
    call: &Call,
    keep: impl Fn(&Value) -> bool,
) -> Result<Value, ApiError> {
    let newest_first: Vec<&Value> = world.store.all(kind).rev().collect();
    page(newest_first, kind, url, call, |object| {
        keep(object) && in_range(call, "created", object.int("created"))
    })
}

/// A page of the given objects.
pub(crate) fn page(
    all: Vec<&Value>,
    kind: &str,
    url: &str,
    call: &Call,
    keep: impl Fn(&Value) -> bool,
) -> Result<Value, ApiError> {
    let limit = limit(call)?;
    let cursor = |name: &str| match call.text(name) {
        None => Ok(None),
        Some(id) => match all.iter().position(|object| object.text("id") == id) {
            Some(at) => Ok(Some(at)),
            None => Err(ApiError::no_such_reference(kind, id, name)),
        },
    };
    let (after, before) = (cursor("starting_after")?, cursor("ending_before")?);
    let span = match (after, before) {
        (Some(_), Some(_)) => {
            return Err(ApiError::invalid(
                "You can only specify one of these parameters: starting_after, ending_before.",
            ));
        }
        (Some(at), None) => &all[at + 1..],
        (None, Some(at)) => &all[..at],
        (None, None) => &all[..],
    };
    let kept: Vec<&Value> = span.iter().copied().filter(|object| keep(object)).collect();
    let from = if before.is_some() {
        kept.len().saturating_sub(limit)
    } else {
        0
    };
    let data: Vec<Value> = kept
        .iter()
        .skip(from)
        .take(limit)
        .map(|object| visible(object))
        .collect();
    Ok(json!({ "object": "list", "url": url, "has_more": kept.len() > limit, "data": data }))
}

/// Whether a time fits a range filter: `created[gte]=…` and the like, or an exact value.
pub(crate) fn in_range(call: &Call, param: &str, value: i64) -> bool {
    match call.get(param) {
        Some(Value::Object(bounds)) => bounds.iter().all(|(word, bound)| {
            let bound = bound.as_i64().unwrap_or_default();
            match word.as_str() {
                "gt" => value > bound,
                "gte" => value >= bound,
                "lt" => value < bound,
                _ => value <= bound,
            }
        }),
        Some(exact) => exact.as_i64() == Some(value),
        None => true,
    }
}

/// Whether each of these parameters, if given, equals the object's field of that name.
pub(crate) fn equal(call: &Call, object: &Value, fields: &[&str]) -> bool {
    fields.iter().all(|field| {
        call.get(field)
            .is_none_or(|wanted| object[*field] == *wanted)
    })
}

/// A page of what search can see.
///
/// # Errors
/// 400 for a query that cannot be read, a page that was not given out, or a limit out of range.
pub(crate) fn search(world: &World, kind: &str, url: &str, call: &Call) -> Result<Value, ApiError> {
    let query = Query::parse(call.text("query").unwrap_or_default())?;
    let limit = limit(call)?;
    let from: usize = match call.text("page") {
        None => 0,
        Some(page) => {
            let offset = page
                .strip_prefix("page_")
                .and_then(|offset| offset.parse().ok());
            offset.ok_or_else(|| ApiError::invalid("Invalid page token.").param("page"))?
        }
    };
    let found: Vec<&Value> = world
        .search
        .seen(kind, world.now)
        .into_iter()
        .filter(|object| query.matches(object))
        .collect();
    let data: Vec<Value> = found
        .iter()
        .skip(from)
        .take(limit)
        .map(|object| visible(object))
        .collect();
    let has_more = found.len() > from + limit;
    let next_page = has_more.then(|| format!("page_{}", from + limit));
    Ok(
        json!({ "object": "search_result", "url": url, "has_more": has_more, "next_page": next_page, "data": data }),
    )
}

/// Copies the given parameters into fields of the same name (null when cleared).
pub(crate) fn fill(object: &mut Value, call: &Call, fields: &[&str]) {
    for field in fields {
        if let Some(value) = call.get(field) {
            object.set(field, value.clone());
        }
    }
}

/// Merges given metadata: an empty value removes its key, an empty parameter removes all.
pub(crate) fn merge_metadata(object: &mut Value, given: Option<&Value>) {
    let mut merged = object["metadata"].as_object().cloned().unwrap_or_default();
    match given {
        None => {}
        Some(Value::Object(fields)) => {
            merged.extend(
                fields
                    .iter()
                    .map(|(key, value)| (key.clone(), value.clone())),
            );
            merged.retain(|_, value| value.as_str() != Some(""));
        }
        Some(_) => merged.clear(),
    }
    object.set("metadata", merged);
}

/// A nested object with every one of these fields: as given, else as it was, else null.
pub(crate) fn filled_object(old: &Value, given: &Value, fields: &[&str]) -> Value {
    let pick = |field: &&str| {
        (
            (*field).to_owned(),
            given.get(*field).unwrap_or(&old[*field]).clone(),
        )
    };
    Value::Object(fields.iter().map(pick).collect())
}

/// Marks an object deleted and answers as Stripe does.
pub(crate) fn delete(
    world: &mut World,
    kind: &str,
    id: &str,
    event: Option<&str>,
) -> Result<Value, ApiError> {
    let old = world.get(kind, id)?.clone();
    let stub = json!({ "id": id, "object": kind, "deleted": true });
    world.change(kind, id, None, |object| *object = stub.clone());
    if let Some(event) = event {
        world.emit(event, &old, None);
    }
    Ok(stub)
}
