//! The reference page tells of every field that a person can write.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;

use glyph_harness::workspace_root;
use serde_json::Value;

/// Names of all properties below `schema`.
fn fields(schema: &Value, found: &mut Vec<String>) {
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        found.push(name.clone());
        fields(property, found);
    }
}

#[test]
fn every_field_of_a_spec_and_of_a_status_is_on_the_page_of_its_kind() {
    let page = fs::read_to_string(workspace_root().join("docs/resources.md")).unwrap();
    let (kinds, conditions) = page.split_once("\n## Conditions\n").unwrap();
    for entry in fs::read_dir(workspace_root().join("crds/yaml")).unwrap() {
        let yaml = fs::read_to_string(entry.unwrap().path()).unwrap();
        let kind: Value = serde_saphyr::from_str(&yaml).unwrap();
        let name = kind["spec"]["names"]["kind"].as_str().unwrap();
        let section = kinds
            .split("\n## ")
            .find(|s| s.lines().next() == Some(name));
        let section = section.unwrap_or_else(|| panic!("no section {name}"));
        let properties = &kind["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"];
        let mut wanted = Vec::new();
        fields(&properties["spec"], &mut wanted);
        // What all statuses share is told of once, under Conditions.
        let mut status = properties["status"].clone();
        for shared in ["conditions", "observedGeneration", "intent", "settledFor"] {
            status["properties"].as_object_mut().unwrap().remove(shared);
        }
        fields(&status, &mut wanted);
        for field in wanted {
            let told = section.contains(&format!("`{field}`"));
            assert!(told, "docs/resources.md does not tell of {name}'s {field}");
        }
    }
    for shared in ["observedGeneration", "intent", "settledFor"] {
        assert!(conditions.contains(&format!("`{shared}`")), "{shared}");
    }
}
