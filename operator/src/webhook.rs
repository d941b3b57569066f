//! `POST /webhooks/stripe`: an event of Stripe's becomes an annotation on the resource it is about, and only then
//! is acknowledged. The payload is a hint and nothing more: whoever the annotation wakes reads the latest object
//! from Stripe. It calls Kubernetes; Stripe only for a thin event whose object no resource of ours records.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use glyph_crds::malformed::without_values;
use glyph_operator_core::billing::Owner;
use glyph_operator_core::event::{Event, known_type};
use glyph_operator_core::signature::{self, SignatureError};
use glyph_runtime::admin::Metrics;
use glyph_runtime::clock::Clock;
use glyph_runtime::credentials::Credentials;
use tokio::time::timeout;

use crate::endpoint::Registered;
use crate::events::{Marker, OwnerLookup, Told};
use crate::ports::Events;
use crate::stripe::SECRET_KEY;
use crate::stripe::event::parse;
use metrics::EventMetrics;
use outcome::Outcome;

mod metrics;
mod outcome;

/// The setting that holds the signing secrets, separated by commas: the new and, after a rotation, the old.
pub const WEBHOOK_SECRET: &str = "STRIPE_WEBHOOK_SECRET";

/// Largest body: Stripe's events are some 10 KiB.
const LARGEST_BODY: usize = 1 << 20;
/// How long Kubernetes, and Stripe where it is asked, may take; Stripe gives up after 20 s.
const DEADLINE: Duration = Duration::from_secs(8);

/// What the receiver needs.
pub struct Webhook<O, E> {
    /// Holds [`WEBHOOK_SECRET`], and [`SECRET_KEY`], which tells our mode.
    credentials: Credentials,
    registered: Registered,
    clock: Arc<dyn Clock>,
    marker: Arc<Marker<O>>,
    stripe: E,
    metrics: EventMetrics,
}

impl<O: OwnerLookup, E: Events> Webhook<O, E> {
    /// A receiver whose metrics are registered in `metrics`.
    pub fn new(
        credentials: Credentials,
        registered: Registered,
        clock: Arc<dyn Clock>,
        marker: Arc<Marker<O>>,
        stripe: E,
        metrics: &Metrics,
    ) -> Self {
        let metrics = EventMetrics::new(metrics);
        Self {
            credentials,
            registered,
            clock,
            marker,
            stripe,
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
        let event = match parse(&body) {
            Ok(event) => seen.event.insert(event),
            Err(error) => return Outcome::NoEvent(without_values(&error.to_string())),
        };
        match self.credentials.get(SECRET_KEY) {
            Err(missing) => return Outcome::NotConfigured(missing.to_string()),
            // sk_live_…, rk_live_…, sk_test_…, rk_test_…
            Ok(key) if key.expose().contains("_live_") != event.livemode => {
                return Outcome::OtherMode;
            }
            Ok(_) => {}
        }
        match timeout(DEADLINE, self.take(event, &mut seen.owners)).await {
            Ok(outcome) => outcome,
            Err(_) => Outcome::KubernetesFailed("it did not answer in time".to_owned()),
        }
    }

    /// Puts the event on every resource it is about, which go into `owners`.
    async fn take(&self, event: &Event, owners: &mut Vec<Owner>) -> Outcome {
        let unlisted =
            || Outcome::KubernetesFailed("the resources are not all listed yet".to_owned());
        let Some(found) = self.marker.owners_of(&event.event_type, &event.about) else {
            return unlisted();
        };
        *owners = found;
        if let (true, Some(url), Some(_)) =
            (owners.is_empty(), &event.url, known_type(&event.event_type))
        {
            let about = match self.stripe.about(url).await {
                Ok(about) => about.unwrap_or_default(),
                Err(error) => return Outcome::StripeFailed(error.to_string()),
            };
            match self.marker.owners_of(&event.event_type, &about) {
                Some(found) => *owners = found,
                None => return unlisted(),
            }
        }
        match self.marker.tell(owners, &event.id).await {
            Ok(Told::Held) => Outcome::Accepted,
            Ok(Told::Foreign) => Outcome::Foreign,
            Ok(Told::Nobody) => Outcome::Unowned,
            Err(error) => Outcome::KubernetesFailed(error.to_string()),
        }
    }

    /// Whether Stripe signed this body.
    fn believe(&self, headers: &HeaderMap, body: &[u8]) -> Result<(), Outcome> {
        let registered = self.registered.secret();
        let configured = match self.credentials.get(WEBHOOK_SECRET) {
            Ok(configured) => Some(configured),
            Err(_) if registered.is_some() => None,
            Err(missing) => return Err(Outcome::NotConfigured(missing.to_string())),
        };
        let configured = configured.as_ref().map_or("", |c| c.expose());
        let secrets = configured
            .split(',')
            .chain(registered.as_deref())
            .map(str::trim);
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
pub fn router<O: OwnerLookup, E: Events>(webhook: Webhook<O, E>) -> Router {
    Router::new()
        .route("/webhooks/stripe", post(receive::<O, E>))
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .with_state(Arc::new(webhook))
}

async fn receive<O: OwnerLookup, E: Events>(
    State(webhook): State<Arc<Webhook<O, E>>>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let (mut seen, arrived) = (Seen::default(), webhook.clock.now());
    let outcome = webhook.receive(&headers, body, &mut seen).await;
    seen.audit(&outcome);
    if let Some(created) = seen.event.as_ref().and_then(|event| event.created) {
        webhook.metrics.came(arrived.duration_since(created));
    }
    let event_type = seen.event.as_ref().map(|event| event.event_type.as_str());
    webhook.metrics.record(event_type, outcome.name());
    outcome.into_response()
}

#[cfg(test)]
mod tests;
