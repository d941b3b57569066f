//! Objects that were stored before a schema knew better. They must be told apart by name, not take the whole
//! list with them, and not be taken for what they once were.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::fs;

use glyph_crds::ApiKey;
use glyph_harness::{ControlPlane, Namespace};
use kube::api::{DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::core::DeserializeGuard;
use kube::{Api, CustomResourceExt as _};
use serde_json::{Value, json};

/// The kind as an older version may have served it: `revealTtl` is any text.
fn lenient_kind() -> Value {
    let yaml = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/yaml/apikey.yaml"));
    let mut kind: Value = serde_saphyr::from_str(&yaml.unwrap()).unwrap();
    let schema = &mut kind["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    schema["properties"]["spec"]["properties"]["revealTtl"] = json!({"type": "string"});
    kind
}

async fn store(namespace: &Namespace<'_>, name: &str, spec: Value) {
    let api: Api<DynamicObject> = Api::namespaced_with(
        namespace.client(),
        namespace.name(),
        &ApiKey::api_resource(),
    );
    let object = DynamicObject::new(name, &ApiKey::api_resource()).data(json!({ "spec": spec }));
    api.create(&PostParams::default(), &object).await.unwrap();
}

#[tokio::test]
async fn an_object_older_than_the_schema_is_told_apart_and_spoils_no_other() {
    let plane = ControlPlane::start().await.unwrap();
    let kind = lenient_kind().to_string();
    let applied = plane.kubectl_with_input(&["apply", "--server-side", "-f", "-"], &kind);
    applied.await.unwrap().ok().unwrap();
    let established = [
        "wait",
        "--for=condition=Established",
        "crd",
        "apikeys.glyphapi.ai",
    ];
    plane.kubectl(&established).await.unwrap().ok().unwrap();
    let namespace = plane.namespace("old").await.unwrap();
    store(&namespace, "good", json!({"customerRef": {"name": "ada"}})).await;
    let old = json!({"customerRef": {"name": "ada"}, "revealTtl": "soon"});
    store(&namespace, "old", old).await;
    plane.apply_kinds().await.unwrap();

    let plain = namespace.api::<ApiKey>().list(&ListParams::default()).await;
    assert!(
        plain.is_err(),
        "one bad object hides all others from a plain list"
    );

    let guarded = namespace.api::<DeserializeGuard<ApiKey>>();
    let listed = guarded.list(&ListParams::default()).await.unwrap();
    let told: Vec<_> = listed
        .items
        .iter()
        .map(|item| match &item.0 {
            Ok(key) => (key.metadata.name.clone(), None),
            Err(invalid) => (
                invalid.metadata.name.clone(),
                Some(invalid.error.to_string()),
            ),
        })
        .collect();
    let [(good, None), (old, Some(error))] = told.as_slice() else {
        panic!("{told:#?}");
    };
    assert_eq!(
        (good.as_deref(), old.as_deref()),
        (Some("good"), Some("old"))
    );
    assert!(error.contains("invalid floating-point number"), "{error}");

    // A finalizer or an annotation still gets through: rules judge only what a request changes.
    let params = PatchParams::default();
    let patch = async |change: Value| {
        let change = Patch::Merge(&change);
        guarded.patch("old", &params, &change).await.unwrap().0
    };
    let noted = json!({"metadata": {"annotations": {"seen": "yes"}}});
    assert!(patch(noted).await.is_err(), "still old");
    let mended = json!({"spec": {"revealTtl": "1h"}});
    assert!(patch(mended).await.is_ok(), "parses again");
}
