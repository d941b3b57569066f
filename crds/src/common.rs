//! Types that several kinds share. Only values: what they mean is decided elsewhere.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::KubeSchema;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// The condition types every kind uses; they are always all present, and never come and go.
pub mod condition {
    /// The resource does what its spec asks for.
    pub const READY: &str = "Ready";
    /// Stripe and Cognito hold what the spec asks for.
    pub const SYNCED: &str = "Synced";
    /// No progress is possible without a person: the reason and message say what to change.
    pub const STALLED: &str = "Stalled";
    /// Somebody changed the external object behind our back.
    pub const DRIFTED: &str = "Drifted";
}

/// A reference to another Glyph resource in the same namespace.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct LocalRef {
    /// Name of the resource in this namespace.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

/// How often a price is charged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Interval {
    /// Every month.
    Month,
    /// Every year; quotas still count by month.
    Year,
}

/// A price that is charged again every interval.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RecurringPrice {
    /// ISO 4217 currency code in lower case, as Stripe writes it.
    #[schemars(regex(pattern = "^[a-z]{3}$"))]
    pub currency: String,
    /// Amount in the currency's minor unit (cents for usd).
    #[schemars(range(min = 1, max = 99_999_999))]
    pub amount: i64,
    /// How often the amount is charged.
    pub interval: Interval,
}

/// A price that is charged once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OneTimePrice {
    /// ISO 4217 currency code in lower case, as Stripe writes it.
    #[schemars(regex(pattern = "^[a-z]{3}$"))]
    pub currency: String,
    /// Amount in the currency's minor unit (cents for usd).
    #[schemars(range(min = 1, max = 99_999_999))]
    pub amount: i64,
}

/// Which Stripe price stands for a resource. At most one of the two.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!(has(self.lookupKey) && has(self.priceId))")
    .message("set stripe.lookupKey (the operator makes the price) or stripe.priceId (adopts yours), not both"))]
pub struct StripePriceRef {
    /// Lookup key under which the operator makes and finds the price; default `<namespace>-<name>`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 200))]
    pub lookup_key: Option<String>,
    /// Id of a price made by hand (`price_…`); it is adopted, never changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = "^price_[A-Za-z0-9_]+$"))]
    pub price_id: Option<String>,
}

/// A sustained rate with a burst, per API key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RateLimit {
    /// Requests per second that are admitted for ever.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub requests_per_second: u32,
    /// Requests admitted at once after a pause; default: `requestsPerSecond`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub burst: Option<u32>,
}

impl RateLimit {
    /// Requests admitted at once after a pause.
    #[must_use]
    pub fn burst(&self) -> u32 {
        self.burst.unwrap_or(self.requests_per_second)
    }
}

/// Whether external objects outlive the resource.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DeletionPolicy {
    /// Stripe's and Cognito's objects stay.
    #[default]
    Retain,
    /// Stripe's and Cognito's objects are deleted with the resource.
    Delete,
}

/// A span of time that a quota or an invoice covers: from `start` up to, not including, `end`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PeriodStatus {
    /// First instant.
    pub start: Time,
    /// First instant after it.
    pub end: Time,
}

/// An external create that was decided but whose result is not yet recorded. It is written, with
/// optimistic locking, before the call; recovery repeats the very same call under the same key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Intent {
    /// What is being made, e.g. `CreateCustomer`.
    pub operation: String,
    /// Idempotency key the call is made under.
    pub idempotency_key: String,
    /// The call's parameters, frozen, as JSON. Never a secret.
    pub parameters: String,
    /// When the intent was written.
    pub started_at: Time,
}

/// Schema of `conditions`: a list keyed by `type`, so that server-side apply merges it.
pub fn conditions_schema(generator: &mut SchemaGenerator) -> Schema {
    let item = generator.subschema_for::<Condition>();
    json_schema!({
        "type": "array",
        "items": item,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
    })
}
