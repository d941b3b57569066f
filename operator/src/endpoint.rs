//! Our own webhook endpoint at Stripe, when the operator is told its public address: made once, found again by address and
//! metadata, kept listening to exactly the types that matter.
//!
//! Stripe tells an endpoint's signing secret only when it is made. So it is kept in a Secret, which every replica
//! follows; an endpoint whose secret was lost on the way there is replaced by another, and deleted after that.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use futures::StreamExt;
use glyph_operator_core::event::TYPES;
use k8s_openapi::api::coordination::v1::Lease;
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
    /// Name of the Lease that replicas agree by, in that namespace too.
    pub lease: String,
    /// The public address of our webhooks; without one there is nothing to keep.
    pub url: Option<String>,
}

#[derive(Debug, Error)]
enum RegisterError {
    #[error(transparent)]
    Stripe(#[from] CallError),
    #[error("failed to keep the webhook endpoint's Secret, or to read the Lease")]
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
        let mark = self.mark().await?;
        let api: Api<Secret> = Api::namespaced(self.client.clone(), &self.namespace);
        let secret = api.get_opt(&self.name).await?;
        let kept = secret
            .filter(|secret| entry(secret).is_some())
            .and_then(|secret| secret.annotations().get(OF).cloned());
        let all = self.stripe.endpoints().await?;
        let Ours { current, former } = Ours::among(all, url, kept.as_deref(), &mark);
        lead.check()?;
        match current {
            Some(current) if is_as_it_should_be(&current, &mark) => {}
            Some(current) => {
                let id = &current.id;
                self.stripe.update_endpoint(id, &mark, &TYPES).await?;
            }
            None => {
                let made = self.stripe.create_endpoint(url, &mark, &TYPES).await?;
                tracing::info!(endpoint = made.id, url, "registered the webhook endpoint");
                let secret = json!({
                    "apiVersion": "v1", "kind": "Secret",
                    "metadata": {
                        "name": self.name, "annotations": {OF: made.id},
                        "labels": {"app.kubernetes.io/managed-by": "glyph"},
                    },
                    "stringData": {ENTRY: made.secret},
                });
                let params = PatchParams::apply(FIELD_MANAGER).force();
                api.patch(&self.name, &params, &Patch::Apply(secret))
                    .await?;
            }
        }
        for former in former {
            lead.check()?;
            self.stripe.delete_endpoint(&former).await?;
            tracing::info!(
                endpoint = former,
                "deleted a former webhook endpoint of ours"
            );
        }
        Ok(())
    }

    /// What our endpoints bear. Names are the same in many clusters, and one Stripe account may serve several: the UID
    /// of the Lease, which stays when the Secret is lost, is nobody else's.
    async fn mark(&self) -> kube::Result<String> {
        let leases: Api<Lease> = Api::namespaced(self.client.clone(), &self.namespace);
        let uid = leases.get(&self.lease).await?.uid().unwrap_or_default();
        Ok(format!("{}/{}/{uid}", self.namespace, self.name))
    }
}

/// The endpoints at Stripe that are ours.
#[derive(Debug, PartialEq, Eq)]
struct Ours {
    /// The one whose secret is kept, whatever mark it bears: an earlier Lease's, perhaps.
    current: Option<Endpoint>,
    /// Ids of others that bear our mark, and of no others.
    former: Vec<String>,
}

impl Ours {
    fn among(all: Vec<Endpoint>, url: &str, kept: Option<&str>, mark: &str) -> Self {
        let is_current = |one: &Endpoint| one.url == url && Some(one.id.as_str()) == kept;
        let (current, others): (Vec<_>, Vec<_>) = all.into_iter().partition(is_current);
        let marked = |one: &Endpoint| one.mark.as_deref() == Some(mark);
        let former = others.into_iter().filter(marked);
        Self {
            current: current.into_iter().next(),
            former: former.map(|one| one.id).collect(),
        }
    }
}

fn is_as_it_should_be(endpoint: &Endpoint, mark: &str) -> bool {
    let mut events: Vec<&str> = endpoint.events.iter().map(String::as_str).collect();
    events.sort_unstable();
    endpoint.enabled && events == TYPES && endpoint.mark.as_deref() == Some(mark)
}

fn entry(secret: &Secret) -> Option<String> {
    let bytes = secret.data.as_ref()?.get(ENTRY)?;
    String::from_utf8(bytes.0.clone()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "https://api.example.com/webhooks/stripe";

    fn endpoint(id: &str, url: &str, mark: Option<&str>) -> Endpoint {
        Endpoint {
            id: id.to_owned(),
            url: url.to_owned(),
            events: TYPES.map(str::to_owned).into(),
            enabled: true,
            mark: mark.map(str::to_owned),
        }
    }

    #[test]
    fn an_endpoint_of_an_operator_of_the_same_names_in_another_cluster_is_left_alone() {
        let elsewhere = endpoint(
            "we_2",
            "https://other.example.com",
            Some("glyph/hook/uid-2"),
        );
        let by_hand = endpoint("we_3", URL, None);
        let of_names_alone = endpoint("we_4", "https://other.example.com", Some("glyph/hook"));
        let all = vec![elsewhere, by_hand, of_names_alone];
        let ours = Ours::among(all, URL, Some("we_1"), "glyph/hook/uid-1");
        assert_eq!((ours.current, ours.former), (None, Vec::new()));
    }

    #[test]
    fn one_whose_secret_is_lost_or_whose_address_is_former_is_deleted_and_the_kept_one_stays() {
        let mark = "glyph/hook/uid-1";
        let kept = endpoint("we_1", URL, Some(mark));
        let lost = endpoint("we_2", URL, Some(mark));
        let moved = endpoint("we_3", "https://former.example.com", Some(mark));
        let all = vec![lost, kept.clone(), moved];
        let ours = Ours::among(all, URL, Some("we_1"), mark);
        assert_eq!(ours.current, Some(kept));
        assert_eq!(ours.former, ["we_2", "we_3"]);
    }

    #[test]
    fn the_kept_one_is_ours_under_another_mark_too_and_is_marked_anew() {
        let kept = endpoint("we_1", URL, Some("glyph/hook/uid-of-a-lease-that-is-gone"));
        let ours = Ours::among(vec![kept.clone()], URL, Some("we_1"), "glyph/hook/uid-1");
        assert_eq!(ours.current.as_ref(), Some(&kept));
        assert!(!is_as_it_should_be(&kept, "glyph/hook/uid-1"));
    }
}
