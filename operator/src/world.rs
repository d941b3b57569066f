//! What a controller acts on: one namespace (or all) of the cluster, Stripe, Cognito, and the settings.

use std::sync::Arc;
use std::time::Duration;

use glyph_operator_core::billing::{FailureClass, Owner};
use glyph_operator_core::subscription::ReturnUrls;
use glyph_operator_core::{Meta, settled};
use glyph_runtime::clock::Clock;
use glyph_runtime::credentials::Credentials;
use jiff::Timestamp;
use kube::runtime::events::Recorder;
use kube::{Api, Client, ResourceExt};
use serde_json::json;

use crate::credits::UsedCredits;
use crate::leader::Lead;
use crate::metrics::Counted;
use crate::ports::{CallError, Identity};
use crate::seats::Seats;
use crate::stripe::SECRET_KEY;
use crate::watches::{STRIPE_EVENT, Stores, View, Watched};
use glyph_crds::api_key_format::Peppers;

/// Our finalizer: there may be objects in Stripe to clean up.
pub const FINALIZER: &str = "glyphapi.ai/stripe";
/// Our finalizer: there may be a Cognito user that we made.
pub const USER_FINALIZER: &str = "glyphapi.ai/cognito-user";
/// The setting that holds the peppers.
pub(crate) const PEPPERS: &str = "GLYPH_KEY_PEPPERS";

/// What all controllers share.
pub struct Shared<B, I> {
    /// The API server.
    pub client: Client,
    /// Stripe.
    pub billing: B,
    /// Cognito.
    pub identity: I,
    /// Peppers, by name.
    pub credentials: Credentials,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Events.
    pub recorder: Recorder,
    /// Tier of customers without a subscription.
    pub default_tier: String,
    /// Return addresses of checkouts.
    pub urls: ReturnUrls,
    /// Time between full passes.
    pub resync: Duration,
    /// Credits used, by the counters.
    pub credits: UsedCredits,
    /// Time between checkpoints of them.
    pub checkpoint: Duration,
    /// What is counted of their work.
    pub counted: Counted,
}

/// What the controllers of one namespace, or of all, act on while they lead.
pub struct World<B, I> {
    /// What all controllers share.
    pub shared: Arc<Shared<B, I>>,
    /// The resources.
    pub stores: Stores,
    /// The right to act.
    pub lead: Lead,
    /// The customers whose first payment is being arranged.
    pub seats: Seats,
    /// Whether the sweep of Stripe's events covers the time in which nobody led, so that what is settled may rest.
    pub covered: bool,
}

impl<B, I> World<B, I> {
    /// The present moment, to the second, as the API server keeps times.
    pub fn now(&self) -> Timestamp {
        let now = self.shared.clock.now();
        Timestamp::from_second(now.as_second()).unwrap_or(now)
    }

    /// Identity and stage of life of a resource.
    pub fn meta<K: Watched>(&self, object: &K) -> Meta {
        let meta = object.meta();
        Meta {
            now: self.now(),
            owner: Owner {
                kind: K::kind(&()).into_owned(),
                namespace: object.namespace().unwrap_or_default(),
                name: object.name_any(),
                uid: object.uid().unwrap_or_default(),
            },
            generation: meta.generation,
            deleting: meta.deletion_timestamp.is_some(),
            deleted_at: meta.deletion_timestamp.as_ref().map(|at| at.0),
            finalized: object.finalizers().iter().any(|f| f == FINALIZER),
        }
    }

    /// The digest of all that a pass over a resource goes by, if its kind ever rests. It says also which
    /// version with which settings it was: another one may act differently.
    pub fn digest<K: Watched>(&self, object: &K) -> Option<String>
    where
        I: Identity,
    {
        let view = View {
            stores: &self.stores,
            now: self.now(),
        };
        let inputs = object.inputs(&view)?;
        let meta = object.meta();
        if meta.deletion_timestamp.is_some() {
            return None;
        }
        let shared = &self.shared;
        let key = shared.credentials.get(SECRET_KEY).ok();
        let live = key.map(|key| key.expose().contains("_live_"));
        Some(settled::digest(&json!([
            glyph_runtime::version(),
            shared.default_tier,
            shared.identity.configured(),
            live,
            meta.uid,
            meta.generation,
            object.annotations().get(STRIPE_EVENT),
            inputs,
        ])))
    }

    /// The API of a kind, in the namespace of `object`.
    pub fn api<K: Watched>(&self, object: &K) -> Api<K> {
        let namespace = object.namespace().unwrap_or_default();
        Api::namespaced(self.shared.client.clone(), &namespace)
    }

    /// The peppers in force.
    ///
    /// # Errors
    /// The setting is missing or malformed; the text says how to give it.
    pub fn peppers(&self) -> Result<Peppers, CallError> {
        let failed = |message: String| CallError {
            operation: "hash the API key",
            message,
            class: FailureClass::Credential(PEPPERS),
            request_id: None,
        };
        let setting = self
            .shared
            .credentials
            .get(PEPPERS)
            .map_err(|e| failed(e.to_string()))?;
        Peppers::parse(setting.expose()).map_err(|e| failed(e.to_string()))
    }
}
