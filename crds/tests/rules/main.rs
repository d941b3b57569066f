//! Every rule of every kind, both ways, on the real API server: what is refused, with the exact sentence and
//! the field it stands at, and what is accepted beside it. A refusal is one sentence: cases that break two
//! rules are no cases of these tables.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod accepted;
mod api_key;
mod credits;
mod customer;
mod glyph_api;
mod subscription;
mod table;
mod tier;

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;

/// Every sentence of the generated schemas.
fn sentences_of_the_schemas() -> BTreeSet<String> {
    fn collect(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(map) => {
                let rules = map
                    .get("x-kubernetes-validations")
                    .and_then(Value::as_array);
                for rule in rules.into_iter().flatten() {
                    let sentence = rule["message"].as_str();
                    found.insert(sentence.expect("a rule has a sentence").to_owned());
                }
                map.values().for_each(|value| collect(value, found));
            }
            Value::Array(values) => values.iter().for_each(|value| collect(value, found)),
            _ => {}
        }
    }
    let mut found = BTreeSet::new();
    for file in fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/yaml")).unwrap() {
        let yaml = fs::read_to_string(file.unwrap().path()).unwrap();
        collect(&serde_saphyr::from_str(&yaml).unwrap(), &mut found);
    }
    found
}

#[test]
fn each_sentence_of_the_schemas_is_the_answer_to_some_case() {
    let tables = [
        tier::MADE,
        customer::MADE,
        subscription::MADE,
        api_key::MADE,
        credits::PACKS_MADE,
        credits::PURCHASES_MADE,
        credits::GRANTS_MADE,
        glyph_api::MADE,
    ];
    let made = tables.iter().flat_map(|table| table.iter());
    let tables = [
        customer::CHANGED,
        subscription::CHANGED,
        api_key::CHANGED,
        credits::PURCHASES_CHANGED,
        credits::GRANTS_CHANGED,
    ];
    let changed = tables.iter().flat_map(|table| table.iter());
    let refusals = made
        .filter_map(|(_, refusal)| *refusal)
        .chain(changed.filter_map(|(_, _, refusal)| *refusal));
    let shown: BTreeSet<String> = refusals
        .map(|(_, sentence)| sentence.to_owned())
        .chain([table::LONG_NAME.to_owned()])
        .collect();
    let all = sentences_of_the_schemas();
    assert!(all.len() > 40, "the schemas were read: {all:?}");
    let untested: Vec<_> = all.difference(&shown).collect();
    assert!(untested.is_empty(), "no case for {untested:#?}");
}
