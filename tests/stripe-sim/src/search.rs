//! Stripe's search: its query language, over an index that lags behind the objects.
//!
//! <https://docs.stripe.com/search>: data is searchable in about a minute, not at once.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::doc::Doc;
use crate::error::ApiError;

const SEARCHABLE: &[&str] = &["customer", "price", "product", "subscription"];

/// The versions of every searchable object, with the time each was written.
#[derive(Debug)]
pub(crate) struct SearchIndex {
    pub(crate) lag_seconds: i64,
    versions: BTreeMap<(String, String), Vec<(i64, Value)>>,
}

impl SearchIndex {
    /// An empty index that lags by so many seconds.
    pub(crate) fn new(lag_seconds: i64) -> Self {
        Self {
            lag_seconds,
            versions: BTreeMap::new(),
        }
    }

    /// Takes note of a new version.
    pub(crate) fn note(&mut self, now: i64, object: &Value) {
        let kind = object.text("object");
        if SEARCHABLE.contains(&kind) {
            self.versions
                .entry((kind.to_owned(), object.id()))
                .or_default()
                .push((now, object.clone()));
        }
    }

    /// What search can see of a kind now, newest first.
    pub(crate) fn seen(&self, kind: &str, now: i64) -> Vec<&Value> {
        let horizon = now - self.lag_seconds;
        let visible = |versions: &'_ Vec<(i64, Value)>| {
            versions
                .iter()
                .rposition(|(written, _)| *written <= horizon)
        };
        let mut seen: Vec<&Value> = self
            .versions
            .iter()
            .filter(|((of, _), _)| of == kind)
            .filter_map(|(_, versions)| visible(versions).map(|at| &versions[at].1))
            .filter(|object| !object.flag("deleted"))
            .collect();
        seen.sort_by_key(|object| std::cmp::Reverse(object.int("created")));
        seen
    }
}

#[derive(Debug, PartialEq)]
enum Wanted {
    Text(String),
    Number(i64),
    Null,
}

#[derive(Debug, PartialEq)]
struct Clause {
    negated: bool,
    field: String,
    metadata_key: Option<String>,
    operator: &'static str,
    wanted: Wanted,
}

/// A parsed query: clauses joined by AND, or by OR.
#[derive(Debug, PartialEq)]
pub(crate) struct Query {
    any: bool,
    clauses: Vec<Clause>,
}

impl Query {
    /// Reads a query such as `metadata['uid']:'x' AND email:'y'`.
    ///
    /// # Errors
    /// 400 with Stripe's hint where the query cannot be read.
    pub(crate) fn parse(text: &str) -> Result<Self, ApiError> {
        let refused = || {
            ApiError::invalid(format!(
                "We were unable to parse your search query: `{text}`. Try using the format `metadata[\"key\"]:\"value\"` to query for \
                 metadata or key:\"value\" to query for other fields."
            ))
            .param("query")
        };
        let mut clauses = Vec::new();
        let mut joint: Option<&str> = None;
        let mut rest = text.trim();
        while !rest.is_empty() {
            let (clause, after) = clause(rest).ok_or_else(refused)?;
            clauses.push(clause);
            rest = after.trim_start();
            if rest.is_empty() {
                break;
            }
            let (word, after) = rest.split_once(' ').ok_or_else(refused)?;
            if !matches!(word, "AND" | "OR")
                || joint.is_some_and(|joint| joint != word)
                || after.trim().is_empty()
            {
                return Err(refused());
            }
            joint = Some(word);
            rest = after.trim_start();
        }
        if clauses.is_empty() {
            Err(refused())
        } else {
            Ok(Self {
                any: joint == Some("OR"),
                clauses,
            })
        }
    }

    /// Whether an object is found.
    pub(crate) fn matches(&self, object: &Value) -> bool {
        if self.any {
            self.clauses.iter().any(|clause| clause.matches(object))
        } else {
            self.clauses.iter().all(|clause| clause.matches(object))
        }
    }
}

impl Clause {
    fn matches(&self, object: &Value) -> bool {
        let mut value = &object[self.field.as_str()];
        if let Some(key) = &self.metadata_key {
            value = &value[key.as_str()];
        }
        let holds = match (&self.wanted, self.operator) {
            (Wanted::Null, _) => value.is_null(),
            (Wanted::Text(text), "~") => value
                .as_str()
                .is_some_and(|have| have.to_lowercase().contains(&text.to_lowercase())),
            (Wanted::Text(text), _) => match value {
                Value::Bool(have) => have.to_string() == *text,
                _ => value
                    .as_str()
                    .is_some_and(|have| have.eq_ignore_ascii_case(text)),
            },
            (Wanted::Number(number), operator) => {
                value.as_i64().is_some_and(|have| match operator {
                    ">" => have > *number,
                    ">=" => have >= *number,
                    "<" => have < *number,
                    "<=" => have <= *number,
                    _ => have == *number,
                })
            }
        };
        holds != self.negated
    }
}

fn clause(text: &str) -> Option<(Clause, &str)> {
    let (negated, rest) = text
        .strip_prefix('-')
        .map_or((false, text), |rest| (true, rest));
    let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '.')?;
    let (field, rest) = rest.split_at(end);
    let (metadata_key, rest) = match rest.strip_prefix('[') {
        Some(inner) => {
            let (key, after) = quoted(inner)?;
            (Some(key), after.strip_prefix(']')?)
        }
        None => (None, rest),
    };
    let (operator, rest) = [":", "~", ">=", "<=", ">", "<"]
        .iter()
        .find_map(|op| rest.strip_prefix(op).map(|rest| (*op, rest)))?;
    let (wanted, rest) = wanted(rest)?;
    let known = !field.is_empty() && (metadata_key.is_some() == (field == "metadata"));
    known.then(|| {
        (
            Clause {
                negated,
                field: field.to_owned(),
                metadata_key,
                operator,
                wanted,
            },
            rest,
        )
    })
}

fn wanted(text: &str) -> Option<(Wanted, &str)> {
    if let Some((value, rest)) = quoted(text) {
        return Some((Wanted::Text(value), rest));
    }
    let (word, rest) = text.split_at(text.find(' ').unwrap_or(text.len()));
    match word {
        "null" => Some((Wanted::Null, rest)),
        "true" | "false" => Some((Wanted::Text(word.to_owned()), rest)),
        _ => word
            .parse()
            .ok()
            .map(|number| (Wanted::Number(number), rest)),
    }
}

/// Text in single or double quotes, with backslash escapes; and what follows it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let quote = text.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
    let mut value = String::new();
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => value.push(chars.next()?.1),
            c if c == quote => return Some((value, &text[at + 1..])),
            c => value.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn finds(query: &str, object: &Value) -> bool {
        Query::parse(query).expect(query).matches(object)
    }

    #[test]
    fn queries_find_by_field_and_metadata() {
        let object = json!({ "email": "Ann@x.io", "created": 10, "active": true, "metadata": { "uid": "it's" }, "name": null });
        for query in [
            "email:'ann@x.io'",
            "metadata['uid']:'it\\'s' AND created>9",
            "email:\"nobody\" OR created<=10",
            "email~'@x'",
            "-email:'bob@x.io' AND active:'true'",
            "name:null",
            "-metadata['other']:'x'",
        ] {
            assert!(finds(query, &object), "{query}");
        }
        for query in [
            "email:'bob@x.io'",
            "metadata['uid']:'its'",
            "email:'ann@x.io' AND created>10",
        ] {
            assert!(!finds(query, &object), "{query}");
        }
    }

    #[test]
    fn a_query_that_cannot_be_read_is_refused() {
        for query in [
            "",
            "email",
            "email:'x",
            "email:'x' AND",
            "email:'x' AND a:'b' OR c:'d'",
            "metadata:'x'",
            "email['a']:'b'",
        ] {
            assert!(Query::parse(query).is_err(), "{query}");
        }
    }

    #[test]
    fn a_change_is_seen_only_after_the_lag() {
        let mut index = SearchIndex::new(60);
        index.note(
            100,
            &json!({ "object": "customer", "id": "cus_1", "email": "old" }),
        );
        index.note(
            200,
            &json!({ "object": "customer", "id": "cus_1", "email": "new" }),
        );
        let email_at = |now| {
            index
                .seen("customer", now)
                .first()
                .map(|object| object.text("email").to_owned())
        };
        assert_eq!(email_at(159), None);
        assert_eq!(email_at(259).as_deref(), Some("old"));
        assert_eq!(email_at(260).as_deref(), Some("new"));
    }
}
