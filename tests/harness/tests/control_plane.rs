//! The control plane as tests and the demo use it: real API, real controllers, its own namespaces.

use std::time::Duration;

use glyph_harness::{ControlPlane, Result, poll_until};
use k8s_openapi::api::core::v1::{ConfigMap, ServiceAccount};
use kube::api::PostParams;

const SOON: Duration = Duration::from_secs(15);

#[tokio::test]
async fn two_namespaces_of_one_prefix_differ_and_hold_their_own_objects() -> Result<()> {
    let plane = ControlPlane::shared().await?;
    let (one, other) = (
        plane.namespace("mine").await?,
        plane.namespace("mine").await?,
    );
    assert_ne!(one.name(), other.name());
    let made = one
        .kubectl(&["create", "configmap", "notes", "--from-literal=a=b"])
        .await?;
    assert_eq!(made.code, 0, "{}", made.stderr);
    assert!(
        one.api::<ConfigMap>()
            .get_opt("notes")
            .await
            .unwrap()
            .is_some()
    );
    assert!(
        other
            .api::<ConfigMap>()
            .get_opt("notes")
            .await
            .unwrap()
            .is_none()
    );
    Ok(())
}

#[tokio::test]
async fn the_controllers_run_too() -> Result<()> {
    let plane = ControlPlane::shared().await?;
    let namespace = plane.namespace("controllers").await?;
    let accounts = namespace.api::<ServiceAccount>();
    let default = async || accounts.get_opt("default").await.ok().flatten();
    poll_until("the namespace's default service account", SOON, default).await?;
    let token = namespace
        .kubectl(&["create", "token", "default"])
        .await?
        .ok()?;
    assert_eq!(token.trim().split('.').count(), 3, "a signed token");
    Ok(())
}

#[tokio::test]
async fn a_stopped_api_server_refuses_and_comes_back_with_its_data() -> Result<()> {
    let plane = ControlPlane::start().await?;
    let namespace = plane.namespace("outage").await?;
    let notes = namespace.api::<ConfigMap>();
    let wanted: ConfigMap =
        serde_json::from_value(serde_json::json!({"metadata": {"name": "notes"}})).unwrap();
    notes.create(&PostParams::default(), &wanted).await.unwrap();
    plane.stop_api_server()?;
    assert!(notes.get("notes").await.is_err());
    plane.start_api_server().await?;
    assert!(notes.get("notes").await.is_ok());
    Ok(())
}

#[tokio::test]
async fn the_shared_one_knows_glyphs_kinds_and_every_tool_speaks_to_it() -> Result<()> {
    let plane = ControlPlane::shared().await?;
    let kinds = plane
        .kubectl(&["api-resources", "--api-group=glyphapi.ai", "-o", "name"])
        .await?
        .ok()?;
    assert!(kinds.contains("tiers.glyphapi.ai"), "{kinds}");
    let said = plane.kubectl(&["version", "-o", "json"]).await?.ok()?;
    assert!(said.contains("\"gitVersion\": \"v1.37.2\""), "{said}");
    assert!(
        plane
            .helm(&["list", "-A"])
            .await?
            .ok()?
            .contains("NAMESPACE")
    );
    Ok(())
}
