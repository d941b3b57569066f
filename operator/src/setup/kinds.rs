//! The CustomResourceDefinitions of this version, applied by server.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use glyph_crds::definitions::definitions;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use tokio::time::{Instant, sleep};

/// Who applies them.
const FIELD_MANAGER: &str = "glyph-setup";
/// How long the API server may take to serve a kind.
const ESTABLISHED: Duration = Duration::from_secs(60);
/// Between two looks.
const AGAIN: Duration = Duration::from_millis(200);

/// Brings every kind to this version, and waits until it is served.
pub(super) async fn apply(client: &Client) -> anyhow::Result<()> {
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    let params = PatchParams::apply(FIELD_MANAGER).force();
    let definitions = definitions().context("failed to write down the kinds")?;
    for definition in definitions {
        let name = definition["metadata"]["name"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        let applied = api.patch(&name, &params, &Patch::Apply(definition)).await;
        let applied = applied.with_context(|| {
            format!(
                "failed to apply the kind {name}; by hand: kubectl apply --server-side -f crds/yaml"
            )
        })?;
        wait(&api, &name, applied).await?;
        tracing::info!(kind = name, "the kind is of this version");
    }
    Ok(())
}

async fn wait(
    api: &Api<CustomResourceDefinition>,
    name: &str,
    mut seen: CustomResourceDefinition,
) -> anyhow::Result<()> {
    let begun = Instant::now();
    while !is_established(&seen) {
        ensure!(
            begun.elapsed() < ESTABLISHED,
            "the API server does not serve {name}: kubectl describe crd {name} says why"
        );
        sleep(AGAIN).await;
        seen = api
            .get(name)
            .await
            .with_context(|| format!("failed to look at the kind {name}"))?;
    }
    Ok(())
}

fn is_established(definition: &CustomResourceDefinition) -> bool {
    let conditions = definition.status.iter().flat_map(|s| &s.conditions);
    conditions
        .flatten()
        .any(|c| c.type_ == "Established" && c.status == "True")
}
