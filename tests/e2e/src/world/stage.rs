//! What the operator acts on: a namespace, Stripe, Cognito. The operator itself is not started here.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use glyph_crds::ApiKey;
use glyph_harness::net::{free_port, loopback};
use glyph_harness::proxy::{Calls, Proxy};
use glyph_harness::{Cognito, ControlPlane, MovedClock, Namespace, Settings, poll_until};
use glyph_stripe_sim::{InitialWebhook, Options, StripeSim};
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use tokio::sync::OnceCell;

use super::Secrets;
use crate::resources;

/// How long anything may take, far above what it takes; after an outage, watches come back within half of it.
pub const SOON: Duration = Duration::from_secs(60);
/// The field of a key's Secret.
pub const KEY_FIELD: &str = "GLYPH_API_KEY";

/// What a resource must be for these functions.
pub trait Kind:
    kube::Resource<Scope = NamespaceResourceScope, DynamicType: Default>
    + Clone
    + std::fmt::Debug
    + Serialize
    + DeserializeOwned
{
}

impl<K> Kind for K where
    K: kube::Resource<Scope = NamespaceResourceScope, DynamicType: Default>
        + Clone
        + std::fmt::Debug
        + Serialize
        + DeserializeOwned
{
}

/// A namespace, a Stripe and a Cognito, and the address at which Stripe expects the operator.
pub struct Stage<'a> {
    /// The namespace of everything.
    pub namespace: Namespace<'a>,
    /// Cognito; all stages of a process share it.
    pub cognito: &'static Cognito,
    /// Stripe.
    pub stripe: StripeSim,
    /// What the programs are told to authenticate with.
    pub secrets: Secrets,
    operator: SocketAddr,
    moved: Option<Moved>,
}

/// What a stage has on which time can pass.
struct Moved {
    clock: MovedClock,
    /// The API server's clock stays: what is valid for a year to it must not end with the story's. So the
    /// programs speak to it through a proxy, without certificates.
    kubeconfig: PathBuf,
    _proxy: Proxy,
}

impl<'a> Stage<'a> {
    /// A fresh one in a namespace `prefix-…`.
    ///
    /// # Errors
    /// When a part cannot be had or does not start.
    pub async fn start(plane: &'a ControlPlane, prefix: &str) -> Result<Self> {
        Self::start_with(plane, prefix, None).await
    }

    /// A fresh one on which time can be made to pass, for Stripe and for Glyph's programs alike.
    ///
    /// # Errors
    /// When a part cannot be had or does not start.
    pub async fn start_movable(plane: &'a ControlPlane, prefix: &str) -> Result<Self> {
        let (proxy, kubeconfig) = Proxy::kubernetes(&Calls::new(), plane).await?;
        let moved = Moved {
            clock: MovedClock::start().await?,
            kubeconfig,
            _proxy: proxy,
        };
        Self::start_with(plane, prefix, Some(moved)).await
    }

    async fn start_with(
        plane: &'a ControlPlane,
        prefix: &str,
        moved: Option<Moved>,
    ) -> Result<Self> {
        let (namespace, cognito) = tokio::try_join!(plane.namespace(prefix), cognito())?;
        let secrets = Secrets::of(namespace.name());
        let operator = loopback(free_port()?);
        let webhook = InitialWebhook {
            url: format!("http://{operator}/webhooks/stripe"),
            secret: secrets.webhook_secret.clone(),
        };
        let options = Options {
            api_key: secrets.stripe_key.clone(),
            webhooks: vec![webhook],
            signs_at_simulated_time: moved.is_some(),
            ..Options::default()
        };
        let stripe = StripeSim::start(options)
            .await
            .context("failed to start the Stripe simulator")?;
        Ok(Self {
            namespace,
            cognito,
            stripe,
            secrets,
            operator,
            moved,
        })
    }

    /// Lets so many seconds pass: for the programs first, so that no webhook of Stripe's comes from their future.
    ///
    /// # Errors
    /// When time cannot be made to pass on this stage.
    pub fn pass_time(&self, seconds: i64) -> Result<()> {
        let moved = self
            .moved
            .as_ref()
            .context("on this stage no time can be made to pass")?;
        moved.clock.advance(seconds)?;
        self.stripe.control().advance(seconds);
        Ok(())
    }

    /// The clock of this stage, if it can be moved.
    pub(super) fn clock(&self) -> Option<&MovedClock> {
        self.moved.as_ref().map(|moved| &moved.clock)
    }

    /// What both programs need here.
    pub(super) fn program_settings(&self) -> Settings {
        let settings = Settings::in_namespace(&self.namespace);
        match &self.moved {
            Some(moved) => settings
                .clock(&moved.clock)
                .set("KUBECONFIG", moved.kubeconfig.to_string_lossy()),
            None => settings,
        }
    }

    /// The operator's settings here.
    #[must_use]
    pub fn operator_settings(&self) -> Settings {
        let settings = self.secrets.operator(self.program_settings(), self.cognito);
        settings
            .set("STRIPE_API_BASE", self.stripe.base_url())
            .set("GLYPH_DEFAULT_TIER", resources::DEFAULT_TIER)
            .set("GLYPH_LISTEN", self.operator.to_string())
            .set("GLYPH_LOG", "info")
            .set("GLYPH_LEASE_DURATION", "5")
    }

    /// Where the operator takes webhooks, and serves the account API.
    #[must_use]
    pub fn operator_url(&self) -> String {
        format!("http://{}", self.operator)
    }

    /// An e-mail address nobody else has.
    #[must_use]
    pub fn email(&self, name: &str) -> String {
        format!("{name}@{}.example.com", self.namespace.name())
    }

    /// Creates a resource.
    ///
    /// # Errors
    /// When the API server refuses it.
    pub async fn create<K: Kind>(&self, resource: &K) -> Result<K> {
        let made = self
            .namespace
            .api::<K>()
            .create(&PostParams::default(), resource)
            .await;
        made.with_context(|| format!("failed to create {}", name_of(resource)))
    }

    /// Changes a resource by a JSON merge patch.
    ///
    /// # Errors
    /// When the API server refuses it.
    pub async fn patch<K: Kind>(&self, name: &str, patch: &serde_json::Value) -> Result<K> {
        let patched = self
            .namespace
            .api::<K>()
            .patch(name, &PatchParams::default(), &Patch::Merge(patch))
            .await;
        patched.with_context(|| format!("failed to patch {name}"))
    }

    /// Deletes a resource, and does not wait until it is gone.
    ///
    /// # Errors
    /// When the API server refuses it.
    pub async fn delete<K: Kind>(&self, name: &str) -> Result<()> {
        let api = self.namespace.api::<K>();
        let deleted = api.delete(name, &DeleteParams::default()).await;
        deleted
            .map(drop)
            .with_context(|| format!("failed to delete {name}"))
    }

    /// Polls a resource until `look` finds something in it.
    ///
    /// # Errors
    /// After `deadline`, with what was waited for and the resource as it stands.
    pub async fn until<K: Kind, T>(
        &self,
        name: &str,
        what: &str,
        deadline: Duration,
        mut look: impl FnMut(&K) -> Option<T>,
    ) -> Result<T> {
        let api = self.namespace.api::<K>();
        let mut last = None;
        let found = poll_until(what, deadline, async || {
            // An API server that is away for a while is waited for as well.
            let resource = api.get_opt(name).await.ok()??;
            let found = look(&resource);
            last = Some(resource);
            found
        });
        let found = found.await;
        found.map_err(|error| {
            let kind = K::kind(&K::DynamicType::default()).into_owned();
            let seen = serde_json::to_string_pretty(&last).unwrap_or_default();
            anyhow!(
                "expected of {kind} {name}: {what}; after {} s it is {seen}\n{error}",
                deadline.as_secs()
            )
        })
    }

    /// The key that was delivered for the ApiKey `name`, once it is there.
    ///
    /// # Errors
    /// When it is not there in time; with the ApiKey as it stands.
    pub async fn key(&self, name: &str) -> Result<String> {
        let secrets = self.namespace.api::<Secret>();
        let delivered = poll_until("the Secret of a key", SOON, async || {
            let secret = secrets.get_opt(name).await.ok()??;
            let key = secret.data?.remove(KEY_FIELD)?;
            String::from_utf8(key.0).ok()
        });
        match delivered.await {
            Ok(key) => Ok(key),
            Err(error) => {
                let resource = self.namespace.api::<ApiKey>().get_opt(name).await;
                Err(error).with_context(|| format!("no key was delivered for {resource:?}"))
            }
        }
    }

    /// Revokes an ApiKey for good.
    ///
    /// # Errors
    /// When the API server refuses it.
    pub async fn revoke(&self, name: &str) -> Result<()> {
        self.patch::<ApiKey>(name, &json!({"spec": {"revoked": true}}))
            .await
            .map(drop)
    }
}

fn name_of<K: Kind>(resource: &K) -> String {
    let kind = K::kind(&K::DynamicType::default()).into_owned();
    format!(
        "{kind} {}",
        resource.meta().name.as_deref().unwrap_or_default()
    )
}

/// Cognito takes a second or two to start, and users of different worlds do not meet in it.
async fn cognito() -> glyph_harness::Result<&'static Cognito> {
    static SHARED: OnceCell<Cognito> = OnceCell::const_new();
    SHARED.get_or_try_init(Cognito::start).await
}
