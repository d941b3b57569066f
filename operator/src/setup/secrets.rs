//! Secrets that are made once: whatever is there already wins, and is never read beyond whether it has its entries.

use std::collections::BTreeMap;

use anyhow::{Context as _, ensure};
use glyph_crds::api_key_format::Peppers;
use glyph_runtime::random::{base62, bytes};
use k8s_openapi::api::core::v1::Secret;
use kube::api::PostParams;
use kube::{Api, Client};

use crate::world::PEPPERS;

/// Who makes them.
const FIELD_MANAGER: &str = "glyph-setup";
/// Characters of a password: 190 bits.
const PASSWORD_LENGTH: usize = 32;

/// Makes Secrets in one namespace.
pub(super) struct Once(Api<Secret>);

impl Once {
    pub(super) fn new(client: Client, namespace: &str) -> Self {
        Self(Api::namespaced(client, namespace))
    }

    /// The pepper that API keys are hashed under.
    pub(super) async fn pepper(&self, name: &str) -> anyhow::Result<()> {
        let pepper = Peppers::first_setting(bytes()?);
        self.make(name, BTreeMap::from([(PEPPERS, pepper)])).await
    }

    /// The password of the Redis at `host`, and the URL with it.
    pub(super) async fn redis(&self, name: &str, host: &str) -> anyhow::Result<()> {
        let password = base62(PASSWORD_LENGTH)?;
        let url = format!("redis://:{password}@{host}:6379/0");
        let entries = [("REDIS_PASSWORD", password), ("REDIS_URL", url)];
        self.make(name, BTreeMap::from(entries)).await
    }

    async fn make(&self, name: &str, entries: BTreeMap<&str, String>) -> anyhow::Result<()> {
        let names: Vec<_> = entries.keys().map(|name| (*name).to_owned()).collect();
        let own = |(name, value): (&str, String)| (name.to_owned(), value);
        let mut secret = Secret {
            string_data: Some(entries.into_iter().map(own).collect()),
            ..Secret::default()
        };
        secret.metadata.name = Some(name.to_owned());
        secret.metadata.labels = Some(BTreeMap::from([(
            "app.kubernetes.io/managed-by".to_owned(),
            "glyph".to_owned(),
        )]));
        let params = PostParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PostParams::default()
        };
        match self.0.create(&params, &secret).await {
            Ok(_) => {
                tracing::info!(name, "made the Secret");
                Ok(())
            }
            Err(kube::Error::Api(error)) if error.code == 409 => self.look_at(name, &names).await,
            Err(error) => Err(error).with_context(|| format!("failed to make the Secret {name}")),
        }
    }

    /// One that is there has to have the entries.
    async fn look_at(&self, name: &str, entries: &[String]) -> anyhow::Result<()> {
        let found = self
            .0
            .get(name)
            .await
            .with_context(|| format!("failed to look at the Secret {name}"))?;
        let data = found.data.unwrap_or_default();
        for entry in entries {
            ensure!(
                data.contains_key(entry),
                "the Secret {name} is there and has no entry {entry}: add it, or name another Secret"
            );
        }
        tracing::info!(name, "the Secret is there, and stays as it is");
        Ok(())
    }
}
