//! `Tier`: a plan that is sold, and what it entitles to.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::common::{
    Intent, LocalRef, RateLimit, RecurringPrice, StripePriceRef, conditions_schema,
};

/// A plan that is sold, and what it entitles to.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "glyphapi.ai",
    version = "v1alpha1",
    kind = "Tier",
    namespaced,
    status = "TierStatus",
    derive = "PartialEq",
    category = "glyph"
)]
#[serde(rename_all = "camelCase")]
pub struct TierSpec {
    /// Name that customers see; becomes the Stripe product's name.
    #[schemars(length(min = 1, max = 250))]
    pub display_name: String,
    /// What is charged. Absent: the tier is free, or sold by a person (`contactSales`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<RecurringPrice>,
    /// Sold by a person: no price is made, and no checkout is offered.
    #[serde(default)]
    pub contact_sales: bool,
    /// Which Stripe price stands for this tier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stripe: Option<StripePriceRef>,
    /// Requests per billing month. Absent: unlimited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota: Option<Quota>,
    /// Rate limit of each key, unless the key names its own. Absent: unlimited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_limit: Option<RateLimit>,
    /// What happens past the quota.
    #[serde(default)]
    pub over_quota: OverQuota,
    /// Days of trial a new subscription begins with, unless it names its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 730))]
    pub trial_days: Option<u32>,
    /// What happens when a renewal stays unpaid. Absent: payment is required at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grace: Option<Grace>,
    /// Whether API keys are made before anything was paid. The free tier says yes.
    #[serde(default)]
    pub keys_before_payment: bool,
    /// What the tier offers, in words, for price pages.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50))]
    pub features: Vec<String>,
}

/// A monthly allowance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Quota {
    /// Requests per billing month (per calendar month in UTC where nothing is billed).
    #[schemars(range(min = 0, max = 9_007_199_254_740_991_i64))]
    pub requests: u64,
}

/// What happens to a request past the quota.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OverQuota {
    /// Refused with 429.
    #[default]
    Deny,
    /// Paid from prepaid credits while there are any.
    Credits,
    /// Admitted, counted, and billed by use.
    Meter,
}

/// What happens when a renewal stays unpaid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Grace {
    /// Days of full service after a payment failed.
    #[schemars(range(min = 0, max = 90))]
    pub days: u32,
    /// Tier whose limits hold after that. Absent: requests are refused with 402.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub degrade_to: Option<LocalRef>,
}

/// What was observed of a tier.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TierStatus {
    /// Generation of the spec that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Ready, Synced, Stalled, Drifted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "conditions_schema")]
    pub conditions: Vec<Condition>,
    /// Stripe product (`prod_…`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stripe_product_id: Option<String>,
    /// Stripe price (`price_…`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stripe_price_id: Option<String>,
    /// Customers this tier is in force for by a Subscription.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subscribers: Option<i64>,
    /// External create under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intent: Option<Intent>,
}
