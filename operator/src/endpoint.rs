//! Our own webhook endpoint at Stripe, when the operator is told its public address: made once, found again by address and
//! metadata, kept listening to exactly the types that matter.
//!
//! Stripe tells an endpoint's signing secret only when it is made. So it is kept in a Secret, which every replica
//! follows; an endpoint whose secret was lost on the way there is replaced by another, and deleted after that.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use futures::StreamExt;
use glyph_operator_core::event::TYPES;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Patch, PatchParams};
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::watch_object;
use kube::{Api, Client, ResourceExt};
use serde_json::json;
use thiserror::Error;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::leader::{Lead, LostLease};
use crate::ports::{CallError, Endpoint, Endpoints};

/// Entry of the Secret that holds the signing secret.
const ENTRY: &str = "STRIPE_WEBHOOK_SECRET";
/// Annotation of the Secret: whose secret it is.
const OF: &str = "glyphapi.ai/webhook-endpoint";
/// Who writes the Secret.
const FIELD_MANAGER: &str = "glyph-webhook-endpoint";
/// Between two looks at the endpoint; a person may have changed it.
const EVERY: Duration = Duration::from_secs(3600);
/// Before another try after a failure.
const AGAIN: Duration = Duration::from_secs(30);

/// The signing secret of our own endpoint, as far as it is known; clones share it. It shows to nobody.
#[derive(Clone, Default)]
pub struct Registered(Arc<RwLock<Option<String>>>);

impl Registered {
    /// The secret.
    pub(crate) fn secret(&self) -> Option<String> {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Follows the Secret `name` until `stop`.
    pub async fn follow(self, api: Api<Secret>, name: String, stop: CancellationToken) {
        let seen = watch_object(api, &name).default_backoff();
        let mut seen = std::pin::pin!(seen.take_until(stop.cancelled()));
        while let Some(seen) = seen.next().await {
            let Ok(secret) = seen else { continue };
            let known = secret.and_then(|secret| entry(&secret));
            *self.0.write().unwrap_or_else(PoisonError::into_inner) = known;
        }
    }
}

/// Whoever keeps the endpoint.
pub struct Registrar<E> {
    /// Stripe.
    pub stripe: E,
    /// Where the Secret is.
    pub client: Client,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The public address of our webhooks; without one there is nothing to keep.
    pub url: Option<String>,
}

#[derive(Debug, Error)]
enum RegisterError {
    #[error(transparent)]
    Stripe(#[from] CallError),
    #[error("failed to keep the webhook endpoint's Secret")]
    Kubernetes(#[from] kube::Error),
    #[error(transparent)]
    LostLease(#[from] LostLease),
}

impl<E: Endpoints> Registrar<E> {
    /// Keeps the endpoint while this replica leads.
    pub async fn run(&self, lead: &Lead) {
        let Some(url) = &self.url else { return };
        let keeping = async {
            loop {
                let wait = match self.keep(lead, url).await {
                    Ok(()) => EVERY,
                    Err(error) => {
                        let error = &error as &dyn std::error::Error;
                        tracing::warn!(
                            error,
                            url,
                            "failed to keep the webhook endpoint; trying again"
                        );
                        AGAIN
                    }
                };
                sleep(wait).await;
            }
        };
        lead.run_while_held(keeping).await;
    }

    /// Exactly one endpoint of ours, whose secret is in the Secret.
    async fn keep(&self, lead: &Lead, url: &str) -> Result<(), RegisterError> {
        let mark = format!("{}/{}", self.namespace, self.name);
        let api: Api<Secret> = Api::namespaced(self.client.clone(), &self.namespace);
        let secret = api.get_opt(&self.name).await?;
        let kept = secret
            .filter(|secret| entry(secret).is_some())
            .and_then(|secret| secret.annotations().get(OF).cloned());
        let all = self.stripe.endpoints().await?;
        let (current, former): (Vec<_>, Vec<_>) = all
            .into_iter()
            .filter(|endpoint| endpoint.mark.as_deref() == Some(mark.as_str()))
            .partition(|endpoint| endpoint.url == url && Some(&endpoint.id) == kept.as_ref());
        lead.check()?;
        match current.first() {
            Some(current) if is_as_it_should_be(current) => {}
            Some(current) => self.stripe.update_endpoint(&current.id, &TYPES).await?,
            None => {
                let made = self.stripe.create_endpoint(url, &mark, &TYPES).await?;
                tracing::info!(endpoint = made.id, url, "registered the webhook endpoint");
                let secret = json!({
                    "apiVersion": "v1", "kind": "Secret",
                    "metadata": {"name": self.name, "annotations": {OF: made.id}},
                    "stringData": {ENTRY: made.secret},
                });
                let params = PatchParams::apply(FIELD_MANAGER).force();
                api.patch(&self.name, &params, &Patch::Apply(secret))
                    .await?;
            }
        }
        for former in former {
            lead.check()?;
            self.stripe.delete_endpoint(&former.id).await?;
            tracing::info!(
                endpoint = former.id,
                "deleted a former webhook endpoint of ours"
            );
        }
        Ok(())
    }
}

fn is_as_it_should_be(endpoint: &Endpoint) -> bool {
    let mut events: Vec<&str> = endpoint.events.iter().map(String::as_str).collect();
    events.sort_unstable();
    endpoint.enabled && events == TYPES
}

fn entry(secret: &Secret) -> Option<String> {
    let bytes = secret.data.as_ref()?.get(ENTRY)?;
    String::from_utf8(bytes.0.clone()).ok()
}
