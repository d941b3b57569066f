//! What a GlyphApi's status says.

use glyph_crds::GlyphApi;
use serde_json::{Value, json};

use crate::stage::Stage;

fn spec(stage: &Stage, paths: &[&str]) -> Value {
    let endpoint = |path: &&str| json!({"name": path.trim_matches('/'), "path": path});
    let endpoints: Vec<_> = paths.iter().map(endpoint).collect();
    json!({"hosts": [format!("{}.example.com", stage.namespace.name())], "endpoints": endpoints})
}

#[tokio::test]
async fn of_two_apis_for_one_host_and_path_the_younger_says_conflict_until_the_older_lets_go() {
    let stage = Stage::new("apis").await;
    let _operator = stage.operator().await;
    stage
        .create::<GlyphApi>("first", spec(&stage, &["/x", "/y"]))
        .await;
    let message = stage
        .condition::<GlyphApi>("first", "Ready", "True", "Enforced")
        .await;
    assert!(message.starts_with("2 endpoints are in force"), "{message}");
    stage.customer("clock").await;
    stage.next_second("clock").await;
    stage
        .create::<GlyphApi>("second", spec(&stage, &["/x", "/z"]))
        .await;
    let message = stage
        .condition::<GlyphApi>("second", "Stalled", "True", "Conflict")
        .await;
    let winner = format!("GlyphApi {}/first", stage.namespace.name());
    assert!(message.contains(&winner), "{message}");
    let note = stage.told("second", "Conflict").await;
    assert!(note.contains(&winner), "{note}");
    let status = stage.get::<GlyphApi>("second").await.status.unwrap();
    assert_eq!((status.endpoints, status.conflicts.len()), (1, 1));
    let first = stage.get::<GlyphApi>("first").await.status.unwrap();
    assert_eq!(first.endpoints, 2);

    stage
        .patch::<GlyphApi>("first", spec(&stage, &["/y"]))
        .await;
    stage
        .condition::<GlyphApi>("second", "Ready", "True", "Enforced")
        .await;
    stage
        .patch::<GlyphApi>("second", spec(&stage, &["/y"]))
        .await;
    stage
        .condition::<GlyphApi>("second", "Ready", "False", "Conflict")
        .await;
    stage.delete::<GlyphApi>("first").await;
    stage
        .condition::<GlyphApi>("second", "Ready", "True", "Enforced")
        .await;
    stage.delete::<GlyphApi>("second").await;
    stage.gone::<GlyphApi>("second").await;
}

#[tokio::test]
async fn what_is_printed_for_an_openapi_document_applies() {
    let stage = Stage::new("openapi").await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pets.yaml");
    let document = "
openapi: 3.0.3
info: { title: Pets }
security: [{ key: ['pets:read'] }]
paths:
  /pets/{petId}:
    get: { operationId: showPet }
    delete: { operationId: removePet, security: [{ key: ['pets:write'] }] }
  /health:
    get: { operationId: health, security: [] }
";
    std::fs::write(&file, document).unwrap();
    // Without any of the operator's settings.
    let run = std::process::Command::new(env!("CARGO_BIN_EXE_glyph-operator"))
        .arg("api-from-openapi")
        .arg(&file)
        .env_clear()
        .output()
        .unwrap();
    assert!(
        run.status.success(),
        "{}",
        String::from_utf8_lossy(&run.stderr)
    );
    let printed = String::from_utf8(run.stdout).unwrap();
    let apply = ["apply", "-f", "-"];
    let applied = stage.namespace.kubectl_with_input(&apply, &printed).await;
    assert_eq!(
        applied.unwrap().ok().unwrap().trim(),
        "glyphapi.glyphapi.ai/pets created"
    );
    let api = stage.get::<GlyphApi>("pets").await;
    let scopes: Vec<_> = api
        .spec
        .endpoints
        .iter()
        .map(|e| e.scopes.join(" "))
        .collect();
    assert_eq!(scopes, ["", "pets:read", "pets:write"]);
}
