//! A namespace for one test: a name nobody else has, a client, kubectl.

use std::path::Path;

use k8s_openapi::api::core::v1 as core;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};

use super::{CommandOutput, ControlPlane};
use crate::error::{Error, Result};

/// A fresh namespace on a control plane.
pub struct Namespace<'a> {
    plane: &'a ControlPlane,
    name: String,
    client: Client,
}

impl<'a> Namespace<'a> {
    pub(super) async fn create(plane: &'a ControlPlane, prefix: &str) -> Result<Self> {
        let cluster = Api::all(plane.client().await?);
        let wanted = core::Namespace {
            metadata: ObjectMeta {
                generate_name: Some(format!("{prefix}-")),
                ..ObjectMeta::default()
            },
            ..core::Namespace::default()
        };
        let made = cluster.create(&PostParams::default(), &wanted).await;
        let made = made.map_err(Error::kube(format!("create a namespace {prefix}-…")))?;
        let name = made.metadata.name.unwrap_or_default();
        let client = plane.client_for(&name).await?;
        Ok(Self {
            plane,
            name,
            client,
        })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A client whose default namespace this is. It belongs to the async runtime that called
    /// [`ControlPlane::namespace`].
    #[must_use]
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// The objects of one kind in this namespace.
    #[must_use]
    pub fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType: Default>,
    {
        Api::namespaced(self.client(), &self.name)
    }

    /// The control plane it is on.
    #[must_use]
    pub fn plane(&self) -> &'a ControlPlane {
        self.plane
    }

    /// The kubeconfig of the control plane's administrator.
    #[must_use]
    pub fn kubeconfig(&self) -> &Path {
        self.plane.kubeconfig()
    }

    /// Runs `kubectl -n <this> …`.
    ///
    /// # Errors
    /// When kubectl cannot be run; how it ended is in the output.
    pub async fn kubectl(&self, args: &[&str]) -> Result<CommandOutput> {
        self.kubectl_with_input(args, "").await
    }

    /// Runs `kubectl -n <this> …` with `input` on its standard input (`apply -f -`).
    ///
    /// # Errors
    /// When kubectl cannot be run; how it ended is in the output.
    pub async fn kubectl_with_input(&self, args: &[&str], input: &str) -> Result<CommandOutput> {
        let all: Vec<_> = ["-n", &self.name].iter().chain(args).copied().collect();
        self.plane.kubectl_with_input(&all, input).await
    }
}

impl Drop for Namespace<'_> {
    /// A cluster of our own goes with its process; somebody else's is left as it was found.
    fn drop(&mut self) {
        if !self.plane.is_ours() {
            self.plane.delete_namespace_in_background(&self.name);
        }
    }
}
