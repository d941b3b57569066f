//! Glyph as a platform engineer has it: on a real node, from images, by its chart. Stripe is the simulator and the API that
//! is sold the sample, both on the node's own address, where pods reach them.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use glyph_harness::images::{Part, Programs, of_part};
use glyph_harness::{
    CommandOutput, Node, Program, Upstream, poll_until, run_folder, workspace_root,
};
use glyph_stripe_sim::{Options, StripeSim};
use serde_json::{Value, json};

use crate::checkout;
use crate::world::Secrets;

/// What the chart calls its images.
const REGISTRY: &str = "ghcr.io/devpro-llc";
/// The version that stands in Chart.yaml, and one that comes after it.
pub const VERSIONS: [&str; 2] = [env!("CARGO_PKG_VERSION"), "0.1.1"];
const REDIS_IMAGE: &str = "docker.io/library/redis:7.4-alpine";
const ENVOY_IMAGE: &str = "docker.io/envoyproxy/envoy:distroless-v1.40-latest";
const STRIPE_PORT: u16 = 12111;
const API_PORT: u16 = 8080;
/// How long anything may take that is not a rollout.
pub const SOON: Duration = Duration::from_secs(60);

/// The node and what stands beside Glyph on it.
pub struct Cluster {
    /// The node.
    pub node: Node,
    /// Stripe, as pods see it.
    pub stripe: StripeSim,
    /// The API that is sold.
    pub upstream: Upstream,
    /// A folder to work in, with the workspace's `charts` and `examples` in it.
    pub folder: PathBuf,
    secrets: Secrets,
}

impl Cluster {
    /// Builds the images and starts a node that has them.
    ///
    /// # Errors
    /// When a part cannot be had or does not start.
    pub async fn start() -> Result<Self> {
        let programs = Programs::build().await?;
        let node = Node::start().await?;
        let folder = run_folder("cluster")?;
        for name in ["charts", "examples", "crds"] {
            std::os::unix::fs::symlink(workspace_root().join(name), folder.join(name))
                .with_context(|| format!("failed to link {name}"))?;
        }
        let images = folder.join("data");
        for tag in VERSIONS {
            for program in [Program::Operator, Program::Authz] {
                let built = programs.image(program, REGISTRY, tag, &images)?;
                node.import_image(&built.archive).await?;
            }
        }
        for (part, name) in [(Part::Redis, REDIS_IMAGE), (Part::Envoy, ENVOY_IMAGE)] {
            let archive = images.join("part.tar");
            of_part(part, name, &archive).await?;
            node.import_image(&archive).await?;
        }
        let secrets = Secrets::of("cluster");
        let options = Options {
            address: Node::ADDRESS.into(),
            port: STRIPE_PORT,
            api_key: secrets.stripe_key.clone(),
            ..Options::default()
        };
        let network = node.network();
        let stripe = network.run(StripeSim::start(options)).await?;
        let api = SocketAddr::from((Node::ADDRESS, API_PORT));
        let upstream = network.run(Upstream::start_at(api)).await??;
        Ok(Self {
            stripe: stripe.context("failed to start the Stripe simulator")?,
            upstream,
            node,
            folder,
            secrets,
        })
    }

    /// Stripe's secret key.
    #[must_use]
    pub fn stripe_key(&self) -> &str {
        &self.secrets.stripe_key
    }

    /// A namespace that lets in restricted pods only, with the sample API as its Service `api` and a Service `webhooks` that
    /// leads to the operator; gives the address of the latter.
    ///
    /// # Errors
    /// When the API server refuses one of them.
    pub async fn namespace(&self, name: &str) -> Result<String> {
        let labels = json!({
            "pod-security.kubernetes.io/enforce": "restricted",
            "pod-security.kubernetes.io/warn": "restricted",
        });
        let place = |name: &str, in_it: &str| json!({"name": name, "namespace": in_it});
        let items = json!([
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}},
            {"apiVersion": "v1", "kind": "Service", "metadata": place("api", name),
             "spec": {"ports": [{"name": "http", "port": API_PORT}]}},
            {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
             "metadata": {"name": "api", "namespace": name, "labels": {"kubernetes.io/service-name": "api"}},
             "addressType": "IPv4", "ports": [{"name": "http", "port": API_PORT}],
             "endpoints": [{"addresses": [Node::ADDRESS.to_string()]}]},
            {"apiVersion": "v1", "kind": "Service", "metadata": place("webhooks", name),
             "spec": {"ports": [{"port": 80, "targetPort": "http"}],
                      "selector": {"app.kubernetes.io/component": "operator"}}},
        ]);
        let list = json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string();
        self.node
            .kubectl_with_input(&["apply", "-f", "-"], &list)
            .await?
            .ok()?;
        let address = self
            .get(name, "service/webhooks", "{.spec.clusterIP}")
            .await?;
        Ok(format!("http://{address}/webhooks/stripe"))
    }

    /// What has to be set here beside what a person sets: where Stripe is, and that there are no volumes.
    #[must_use]
    pub fn values_here(&self, webhook_url: &str) -> String {
        format!(
            "stripe.apiBase=http://{}:{STRIPE_PORT}/,redis.bundled.persistence.enabled=false,webhook.url={webhook_url}",
            Node::ADDRESS
        )
    }

    /// A field of a resource, as a JSONPath finds it.
    ///
    /// # Errors
    /// When there is no such resource.
    pub async fn get(&self, namespace: &str, what: &str, path: &str) -> Result<String> {
        let path = format!("jsonpath={path}");
        let args = ["-n", namespace, "get", what, "-o", &path];
        Ok(self.node.kubectl(&args).await?.ok()?)
    }

    /// Applies resources.
    ///
    /// # Errors
    /// When the API server refuses one.
    pub async fn apply(&self, namespace: &str, resources: &[Value]) -> Result<()> {
        let list = json!({"apiVersion": "v1", "kind": "List", "items": resources}).to_string();
        let args = ["-n", namespace, "apply", "-f", "-"];
        self.node.kubectl_with_input(&args, &list).await?.ok()?;
        Ok(())
    }

    /// The key in a Secret of ours, once it is there.
    ///
    /// # Errors
    /// When it does not come.
    pub async fn key(&self, namespace: &str, name: &str) -> Result<String> {
        let secret = format!("secret/{name}");
        let template = "go-template={{.data.GLYPH_API_KEY | base64decode}}";
        let args = ["-n", namespace, "get", &secret, "-o", template];
        let delivered = async || self.node.kubectl(&args).await.ok()?.ok().ok();
        Ok(poll_until(&format!("the key {name}"), SOON, delivered).await?)
    }

    /// Pays at the subscription's link as a person does.
    ///
    /// # Errors
    /// When there is no link, or it cannot be paid at.
    pub async fn pay(&self, namespace: &str, subscription: &str) -> Result<()> {
        let what = format!("subscription/{subscription}");
        let link = self.get(namespace, &what, "{.status.checkoutUrl}").await?;
        ensure!(!link.is_empty(), "{subscription} has no link to pay at");
        let paying = async move { checkout::pay(&link, checkout::CARD_THAT_PAYS).await };
        self.node.network().run(paying).await?.map(drop)
    }

    /// Runs Helm in the folder's place; fails with what it said.
    ///
    /// # Errors
    /// When it fails.
    pub async fn helm(&self, args: &[&str]) -> Result<CommandOutput> {
        let output = self.node.helm(args).await?;
        output.clone().ok()?;
        Ok(output)
    }

    /// The chart as version `version`, packed.
    ///
    /// # Errors
    /// When Helm refuses it.
    pub async fn package(&self, version: &str) -> Result<PathBuf> {
        let chart = workspace_root().join("charts/glyph");
        let folder = self.folder.display().to_string();
        let args = [
            "package",
            &chart.display().to_string(),
            "--version",
            version,
            "--app-version",
            version,
            "--destination",
            &folder,
        ];
        self.helm(&args).await?;
        Ok(Path::new(&folder).join(format!("glyph-{version}.tgz")))
    }
}
