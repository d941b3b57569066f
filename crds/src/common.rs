//! Types that several kinds share. Only values: what they mean is decided elsewhere.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::KubeSchema;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::rules;

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
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, KubeSchema)]
pub struct LocalRef {
    /// Name of the resource in this namespace.
    #[schemars(length(max = rules::LABEL_LENGTH))]
    #[x_kube(validation = rules::resource_name("name"))]
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

impl Interval {
    /// What `amount`, charged each interval, comes to in a year.
    #[must_use]
    pub fn a_year(self, amount: i64) -> i64 {
        match self {
            Self::Month => amount.saturating_mul(12),
            Self::Year => amount,
        }
    }
}

/// A price that is charged again every interval.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
pub struct RecurringPrice {
    /// ISO 4217 currency code in lower case, as Stripe writes it.
    #[schemars(length(max = 63))]
    #[x_kube(validation = rules::currency())]
    pub currency: String,
    /// Amount in the currency's minor unit (cents for usd).
    #[x_kube(validation = rules::amount())]
    pub amount: i64,
    /// How often the amount is charged.
    pub interval: Interval,
}

/// A price that is charged once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
pub struct OneTimePrice {
    /// ISO 4217 currency code in lower case, as Stripe writes it.
    #[schemars(length(max = 63))]
    #[x_kube(validation = rules::currency())]
    pub currency: String,
    /// Amount in the currency's minor unit (cents for usd).
    #[x_kube(validation = rules::amount())]
    pub amount: i64,
}

/// A price as Stripe bills it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BilledPrice {
    /// ISO 4217 currency code in lower case, as Stripe writes it.
    pub currency: String,
    /// Amount in the currency's minor unit (cents for usd).
    pub amount: i64,
    /// How often the amount is charged.
    pub interval: Interval,
}

impl BilledPrice {
    /// Minor units a year.
    #[must_use]
    pub fn a_year(&self) -> i64 {
        self.interval.a_year(self.amount)
    }
}

/// Which Stripe price stands for a resource. At most one of the two.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rules::rule(
    "!(has(self.lookupKey) && has(self.priceId))",
    "set stripe.lookupKey (the operator makes the price) or stripe.priceId (it adopts yours), not both",
))]
pub struct StripePriceRef {
    /// Lookup key under which the operator makes and finds the price; default `<namespace>-<name>`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 250))]
    #[x_kube(validation = rules::rule(
        "self.matches('^[A-Za-z0-9_.:-]{1,200}$')",
        "stripe.lookupKey must have 1 to 200 letters, digits, '_', '-', '.' or ':'",
    ))]
    pub lookup_key: Option<String>,
    /// Id of a price made by hand (`price_…`); it is adopted, never changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 250))]
    #[x_kube(validation = rules::rule(
        "self.matches('^price_[A-Za-z0-9_]+$')",
        "stripe.priceId must be the id of a Stripe price, which begins with price_",
    ))]
    pub price_id: Option<String>,
}

/// A sustained rate with a burst, per API key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct RateLimit {
    /// Requests per second that are admitted for ever.
    #[x_kube(validation = rules::between("requestsPerSecond", 1, 1_000_000, ""))]
    pub requests_per_second: u32,
    /// Requests admitted at once after a pause; default: `requestsPerSecond`. Less makes callers space them out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = rules::between("burst", 1, 1_000_000, ""))]
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
