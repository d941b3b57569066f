//! How a table of cases is held against the API server. Everything is a dry run, which passes the same
//! checks and leaves nothing behind, except what has to be there to be changed.

use std::fmt::Debug;

use glyph_harness::{ControlPlane, Namespace};
use kube::api::{DynamicObject, PostParams};
use kube::core::Status;
use kube::{Api, CustomResourceExt, Resource};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// Where a refusal stands, and its sentence.
pub type Refusal = (&'static str, &'static str);
/// A spec as YAML, and how making it is refused, if it is.
pub type Made = (&'static str, Option<Refusal>);
/// A spec, the spec it is changed to, and how the change is refused, if it is.
pub type Changed = (&'static str, &'static str, Option<Refusal>);

/// Shorthand for the tables.
pub const ACCEPTED: Option<Refusal> = None;

/// Shorthand for the tables.
pub const fn refused(field: &'static str, sentence: &'static str) -> Option<Refusal> {
    Some((field, sentence))
}

/// What every kind that labels name says to a name that is too long.
pub const LONG_NAME: &str =
    "metadata.name must have at most 63 characters, because labels carry it";

/// Holds a table of new objects of kind `K` against the API server. What it accepts must parse.
pub async fn check_made<K>(table: &[Made])
where
    K: Resource<DynamicType = ()> + CustomResourceExt + DeserializeOwned,
{
    let namespace = namespace().await;
    let api = api::<K>(&namespace);
    for (spec, refusal) in table {
        let answer = api.create(&dry_run(), &object::<K>("x", spec)).await;
        judge::<K>(spec, answer, *refusal);
    }
}

/// Holds a table of changes to objects of kind `K` against the API server.
pub async fn check_changed<K>(table: &[Changed])
where
    K: Resource<DynamicType = ()> + CustomResourceExt + DeserializeOwned,
{
    let namespace = namespace().await;
    let api = api::<K>(&namespace);
    for (number, (before, after, refusal)) in table.iter().enumerate() {
        let name = format!("x{number}");
        let made = object::<K>(&name, before);
        let mut made = api
            .create(&PostParams::default(), &made)
            .await
            .expect(before);
        made.data = json!({ "spec": yaml(after) });
        let answer = api.replace(&name, &dry_run(), &made).await;
        judge::<K>(&format!("{before} -> {after}"), answer, *refusal);
    }
}

/// Holds names of 63 and of 64 characters for `spec` against the API server.
pub async fn check_name_length<K>(spec: &'static str)
where
    K: Resource<DynamicType = ()> + CustomResourceExt + DeserializeOwned,
{
    let namespace = namespace().await;
    let api = api::<K>(&namespace);
    for (length, refusal) in [(63, ACCEPTED), (64, refused("", LONG_NAME))] {
        let named = object::<K>(&"n".repeat(length), spec);
        let answer = api.create(&dry_run(), &named).await;
        judge::<K>(&format!("a name of {length} characters"), answer, refusal);
    }
}

pub async fn namespace() -> Namespace<'static> {
    let plane = ControlPlane::shared().await.expect("a control plane");
    plane.namespace("rules").await.expect("a namespace")
}

pub fn api<K: CustomResourceExt>(namespace: &Namespace<'_>) -> Api<DynamicObject> {
    Api::namespaced_with(namespace.client(), namespace.name(), &K::api_resource())
}

pub fn dry_run() -> PostParams {
    PostParams {
        dry_run: true,
        ..PostParams::default()
    }
}

pub fn object<K: CustomResourceExt>(name: &str, spec: &str) -> DynamicObject {
    DynamicObject::new(name, &K::api_resource()).data(json!({ "spec": yaml(spec) }))
}

fn yaml(text: &str) -> Value {
    serde_saphyr::from_str(text).expect(text)
}

fn judge<K>(case: &str, answer: kube::Result<DynamicObject>, refusal: Option<Refusal>)
where
    K: DeserializeOwned,
{
    match (answer, refusal) {
        (Ok(object), None) => parses::<K>(case, &object),
        (Err(kube::Error::Api(status)), Some(refusal)) => {
            let said = told(&status);
            let [(field, message)] = said.as_slice() else {
                panic!("{case}: not one refusal but {said:#?}");
            };
            assert_eq!((field.as_str(), message.as_str()), refusal, "{case}");
        }
        (answer, refusal) => panic!("{case}: expected {refusal:?}, got {:?}", told_all(answer)),
    }
}

pub fn parses<K: DeserializeOwned>(case: &str, object: &DynamicObject) {
    let stored = serde_json::to_value(object).expect("an object is JSON");
    if let Err(error) = serde_json::from_value::<K>(stored) {
        panic!("{case}: accepted, but does not parse: {error}");
    }
}

/// The fields and sentences of a refusal, without the API server's own words before them. It marks a
/// refusal of the whole object with a null field.
fn told(status: &Status) -> Vec<(String, String)> {
    let details = status.details.iter();
    let causes = details.flat_map(|details| details.causes.iter());
    let one = |field: &str, message: &str| {
        let field = field.trim_start_matches("<nil>");
        let words = message.strip_prefix("Invalid value: ").unwrap_or(message);
        // A value that is a string or a number stands before the sentence.
        let sentence = match words
            .strip_prefix('"')
            .and_then(|rest| rest.split_once("\": "))
        {
            Some((_, sentence)) => sentence,
            None => words
                .split_once(": ")
                .filter(|(value, _)| value.parse::<f64>().is_ok() || *value == "false")
                .map_or(words, |(_, sentence)| sentence),
        };
        (field.to_owned(), sentence.to_owned())
    };
    causes
        .map(|cause| one(&cause.field, &cause.message))
        .collect()
}

fn told_all(answer: kube::Result<impl Debug>) -> String {
    match answer {
        Ok(object) => format!("{object:?}"),
        Err(error) => error.to_string(),
    }
}
