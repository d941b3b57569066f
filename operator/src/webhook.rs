//! `POST /webhooks/stripe`: an event of Stripe's becomes an annotation on the resource it is about, and only then
//! is acknowledged. The payload is a hint and nothing more: whoever the annotation wakes reads the latest object
//! from Stripe. It calls Kubernetes, and never Stripe.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use glyph_operator_core::billing::Owner;
use glyph_operator_core::signature::{self, SignatureError};
use glyph_runtime::admin::Metrics;
use glyph_runtime::clock::Clock;
use glyph_runtime::credentials::Credentials;
use kube::Client;
use tokio::time::timeout;

use crate::stripe::SECRET_KEY;
use event::Event;
use mark::Marked;
use metrics::EventMetrics;
use outcome::Outcome;
pub use owners::{OwnerLookup, WatchedOwners};

mod event;
mod mark;
mod metrics;
mod outcome;
mod owners;

/// The setting that holds the signing secrets, separated by commas: the new and, after a rotation, the old.
pub const WEBHOOK_SECRET: &str = "STRIPE_WEBHOOK_SECRET";

/// Largest body: Stripe's events are some 10 KiB.
const LARGEST_BODY: usize = 1 << 20;
/// How long Kubernetes may take; Stripe gives up after 20 s.
const DEADLINE: Duration = Duration::from_secs(8);

/// What the receiver needs.
pub struct Webhook<O> {
    /// Holds [`WEBHOOK_SECRET`], and [`SECRET_KEY`], which tells our mode.
    credentials: Credentials,
    clock: Arc<dyn Clock>,
    client: Client,
    owners: O,
    metrics: EventMetrics,
}

impl<O: OwnerLookup> Webhook<O> {
    /// A receiver whose metrics are registered in `metrics`.
    pub fn new(
        credentials: Credentials,
        clock: Arc<dyn Clock>,
        client: Client,
        owners: O,
        metrics: &Metrics,
    ) -> Self {
        let metrics = EventMetrics::new(metrics);
        Self {
            credentials,
            clock,
            client,
            owners,
            metrics,
        }
    }

    /// What one delivery comes to.
    async fn receive(
        &self,
        headers: &HeaderMap,
        body: Result<Bytes, BytesRejection>,
        seen: &mut Seen,
    ) -> Outcome {
        let body = match body {
            Ok(body) => body,
            Err(refused) => return Outcome::Unreadable(refused),
        };
        if let Err(outcome) = self.believe(headers, &body) {
            return outcome;
        }
        let event = match serde_json::from_slice::<Event>(&body) {
            Ok(event) => seen.event.insert(event),
            Err(error) => return Outcome::NoEvent(error.to_string()),
        };
        match self.credentials.get(SECRET_KEY) {
            Err(missing) => return Outcome::NotConfigured(missing.to_string()),
            // sk_live_…, rk_live_…, sk_test_…, rk_test_…
            Ok(key) if key.expose().contains("_live_") != event.livemode => {
                return Outcome::OtherMode;
            }
            Ok(_) => {}
        }
        let Some(owners) = self.owners_of(event) else {
            let reason = "the resources are not all listed yet".to_owned();
            return Outcome::KubernetesFailed(reason);
        };
        seen.owners = owners;
        match timeout(DEADLINE, self.mark(&seen.owners, &event.id)).await {
            Ok(outcome) => outcome,
            Err(_) => Outcome::KubernetesFailed("it did not answer in time".to_owned()),
        }
    }

    /// Whether Stripe signed this body.
    fn believe(&self, headers: &HeaderMap, body: &[u8]) -> Result<(), Outcome> {
        let secrets = (self.credentials.get(WEBHOOK_SECRET))
            .map_err(|missing| Outcome::NotConfigured(missing.to_string()))?;
        let secrets = secrets.expose().split(',').map(str::trim);
        let mut sent = headers.get_all("stripe-signature").iter();
        let header = match (sent.next(), sent.next()) {
            (Some(header), None) => header,
            (None, _) => {
                return Err(Outcome::NotBelieved(SignatureError::Malformed(
                    "it is missing",
                )));
            }
            _ => {
                return Err(Outcome::NotBelieved(SignatureError::Malformed(
                    "there are two",
                )));
            }
        };
        let secrets = secrets.filter(|secret| !secret.is_empty());
        signature::verify(header.as_bytes(), body, secrets, self.clock.now())
            .map_err(Outcome::NotBelieved)
    }

    /// Whom the event is about: the owner its object names, and those whose status names its object. Only when there
    /// is nobody, its customer. `None` while not all resources are known.
    fn owners_of(&self, event: &Event) -> Option<Vec<Owner>> {
        let mut owners: Vec<Owner> = event.owner().into_iter().collect();
        for id in event.ids() {
            owners.extend(self.owners.by_stripe_id(id)?);
        }
        if let (true, Some(customer)) = (owners.is_empty(), event.customer()) {
            owners.extend(self.owners.by_stripe_id(customer)?);
        }
        owners.sort_by(|one, other| one.uid.cmp(&other.uid));
        owners.dedup_by(|one, other| one.uid == other.uid);
        Some(owners)
    }

    /// Puts the event on every resource it is about.
    async fn mark(&self, owners: &[Owner], event: &str) -> Outcome {
        let mut outcome = if owners.is_empty() {
            Outcome::Unowned
        } else {
            Outcome::Foreign
        };
        for owner in owners {
            if !self.owners.watches(&owner.namespace) {
                continue;
            }
            match mark::mark(&self.client, owner, event).await {
                Ok(Marked::Marked) => outcome = Outcome::Accepted,
                Ok(Marked::Foreign) => {}
                Err(error) => return Outcome::KubernetesFailed(error.to_string()),
            }
        }
        outcome
    }
}

/// What became known of a delivery, for its audit line.
#[derive(Default)]
struct Seen {
    event: Option<Event>,
    owners: Vec<Owner>,
}

impl Seen {
    /// The one line that every delivery leaves: who, what, how it ended; nothing of the payload.
    fn audit(&self, outcome: &Outcome) {
        let event = self.event.as_ref();
        let owners: Vec<_> = (self.owners.iter())
            .map(|owner| format!("{}/{}/{}", owner.kind, owner.namespace, owner.name))
            .collect();
        tracing::info!(
            target: "audit",
            event = event.map(|event| event.id.as_str()),
            r#type = event.map(|event| event.event_type.as_str()),
            owner = owners.join(","),
            outcome = outcome.name(),
            detail = outcome.detail(),
            "Stripe event"
        );
    }
}

/// The route, to be served or driven by a test.
pub fn router<O: OwnerLookup>(webhook: Webhook<O>) -> Router {
    Router::new()
        .route("/webhooks/stripe", post(receive::<O>))
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .with_state(Arc::new(webhook))
}

async fn receive<O: OwnerLookup>(
    State(webhook): State<Arc<Webhook<O>>>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let mut seen = Seen::default();
    let outcome = webhook.receive(&headers, body, &mut seen).await;
    seen.audit(&outcome);
    let event_type = seen.event.as_ref().map(|event| event.event_type.as_str());
    webhook.metrics.record(event_type, outcome.name());
    outcome.into_response()
}

#[cfg(test)]
mod tests;
