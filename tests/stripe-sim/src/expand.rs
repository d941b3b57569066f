//! `expand[]`: ids replaced by the objects they name, and fields that are only there when asked for.
//!
//! <https://docs.stripe.com/api/expanding_objects>: dotted paths, `data.` before a list's fields, four levels at most.

use serde_json::Value;

use crate::doc::visible;
use crate::error::ApiError;
use crate::objects::{Expandable, RESOURCES};
use crate::world::World;

const MAX_LEVELS: usize = 4;

/// Expands an answer in place.
///
/// # Errors
/// 400 for a path that is too deep or names something that cannot be expanded.
pub(crate) fn expand(world: &World, answer: &mut Value, paths: &[Value]) -> Result<(), ApiError> {
    for path in paths.iter().filter_map(Value::as_str) {
        let segments: Vec<&str> = path.split('.').collect();
        if segments.len() > MAX_LEVELS {
            return Err(ApiError::invalid(format!(
                "You cannot expand more than {MAX_LEVELS} levels of a property (see here: {path})."
            )));
        }
        walk(
            world,
            answer,
            &Place {
                kind: "",
                field: String::new(),
            },
            &segments,
        )
        .map_err(|NotExpandable| {
            ApiError::invalid(format!("This property cannot be expanded ({path})."))
        })?;
    }
    Ok(())
}

struct NotExpandable;

/// The object that a value stands in, and where in it.
struct Place<'a> {
    kind: &'a str,
    field: String,
}

impl Place<'_> {
    fn expandable(&self) -> Option<&'static Expandable> {
        let resource = RESOURCES
            .iter()
            .find(|resource| resource.kind == self.kind)?;
        resource
            .expandable
            .iter()
            .find(|expandable| expandable.field == self.field)
    }
}

fn walk(
    world: &World,
    value: &mut Value,
    place: &Place<'_>,
    segments: &[&str],
) -> Result<(), NotExpandable> {
    let Some((segment, rest)) = segments.split_first() else {
        return Ok(());
    };
    let kind = value["object"].as_str().map(str::to_owned);
    match kind.as_deref() {
        Some("list" | "search_result") if *segment != "data" => return Err(NotExpandable),
        Some("list" | "search_result") => {
            let below = Place {
                kind: place.kind,
                field: join(&place.field, segment),
            };
            let Some(items) = value["data"].as_array_mut() else {
                return Err(NotExpandable);
            };
            return items
                .iter_mut()
                .try_for_each(|item| walk(world, item, &below, rest));
        }
        _ => {}
    }
    // An object of its own starts a new place; a plain nested object goes on with the one it stands in.
    let own = kind
        .as_deref()
        .filter(|kind| RESOURCES.iter().any(|resource| resource.kind == *kind));
    let here = match own {
        Some(kind) => Place {
            kind,
            field: (*segment).to_owned(),
        },
        None => Place {
            kind: place.kind,
            field: join(&place.field, segment),
        },
    };
    if value["deleted"] == true {
        return Ok(());
    }
    match here.expandable() {
        Some(Expandable {
            include: Some(make),
            ..
        }) => {
            if value[*segment].is_null() {
                value[*segment] =
                    stored(world, value).map_or(Value::Null, |object| make(world, &object));
            }
        }
        Some(_) => {
            if let Some(object) = value[*segment]
                .as_str()
                .and_then(|id| world.store.find_any(id))
            {
                value[*segment] = visible(object);
            }
        }
        None if value[*segment].is_object() && !rest.is_empty() => {}
        None => return Err(NotExpandable),
    }
    if value[*segment].is_null() {
        Ok(())
    } else {
        walk(world, &mut value[*segment], &here, rest)
    }
}

/// The object as it is stored, with the simulator's own notes.
fn stored(world: &World, value: &Value) -> Option<Value> {
    world.store.find_any(value["id"].as_str()?).cloned()
}

fn join(field: &str, segment: &str) -> String {
    if field.is_empty() {
        segment.to_owned()
    } else {
        format!("{field}.{segment}")
    }
}
