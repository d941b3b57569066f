//! `Tier`: a plan that is sold, and what it entitles to.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::common::{
    Intent, LocalRef, RateLimit, RecurringPrice, StripePriceRef, conditions_schema,
};
use crate::rules;

/// A plan that is sold, and what it entitles to.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "glyphapi.ai",
    version = "v1alpha1",
    kind = "Tier",
    namespaced,
    status = "TierStatus",
    derive = "PartialEq",
    doc = "A plan that is sold, and what it entitles to.",
    shortname = "gtier",
    category = "glyph",
    printcolumn(name = "Price", type_ = "integer", json_path = ".spec.price.amount"),
    printcolumn(name = "Currency", type_ = "string", json_path = ".spec.price.currency"),
    printcolumn(name = "Per", type_ = "string", json_path = ".spec.price.interval"),
    printcolumn(name = "Quota", type_ = "integer", json_path = ".spec.quota.requests"),
    printcolumn(name = "Subscribers", type_ = "integer", json_path = ".status.subscribers"),
    printcolumn(name = "Ready", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].status"#),
    printcolumn(name = "Reason", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].reason"#),
    printcolumn(name = "Stripe price", type_ = "string", json_path = ".status.stripePriceId", priority = 1),
    printcolumn(name = "Message", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].message"#, priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = rules::name_fits_a_label(),
    validation = rules::rule(
        "self.spec.?grace.?degradeTo.?name.orValue('') != self.metadata.name",
        "grace.degradeTo must name another tier: after its grace a tier cannot fall back to itself",
    )
    .field_path(".spec.grace.degradeTo")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rules::rule(
    "!(has(self.price) && self.contactSales)",
    "set price or contactSales, not both: a tier that is sold by a person has no price",
).field_path(".contactSales"))]
#[x_kube(validation = rules::rule(
    "!has(self.stripe) || has(self.price)",
    "stripe needs a price beside it; set price, or remove stripe",
).field_path(".stripe"))]
#[x_kube(validation = rules::rule(
    "!has(self.trialDays) || has(self.price)",
    "trialDays needs a price to try out; set price, or remove trialDays",
).field_path(".trialDays"))]
#[x_kube(validation = rules::rule(
    "self.overQuota == 'Deny' || has(self.quota)",
    "overQuota Credits or Meter needs a quota; set quota, or remove overQuota",
).field_path(".overQuota"))]
pub struct TierSpec {
    /// Name that customers see; becomes the Stripe product's name.
    #[schemars(length(max = rules::DISPLAY_NAME_LENGTH))]
    #[x_kube(validation = rules::not_blank("displayName", "write the name that customers see"))]
    pub display_name: String,
    /// What the tier is, in a few sentences; becomes the Stripe product's description.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = rules::DESCRIPTION_LENGTH))]
    #[x_kube(validation = rules::not_blank("description", "write what customers read, or leave it out"))]
    pub description: Option<String>,
    /// What is charged. Absent: the tier is free, or sold by a person (`contactSales`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<RecurringPrice>,
    /// Sold by a person: no price is made, and no checkout is offered.
    #[serde(default)]
    pub contact_sales: bool,
    /// Which Stripe price stands for this tier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stripe: Option<StripePriceRef>,
    /// What becomes of those who subscribed at a former price when the price changes.
    #[serde(default)]
    pub existing_subscribers: ExistingSubscribers,
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
    #[x_kube(validation = rules::between("trialDays", 1, 730, ""))]
    pub trial_days: Option<u32>,
    /// Whether a trial needs a card to begin. Without one the subscription ends with the trial.
    #[serde(default)]
    pub trial_payment_method: TrialPaymentMethod,
    /// What happens when a renewal stays unpaid. Absent: payment is required at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grace: Option<Grace>,
    /// Whether API keys are made before anything was paid. The free tier says yes.
    #[serde(default)]
    pub keys_before_payment: bool,
    /// What the tier offers, in words, for price pages.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50), inner(length(max = 250)))]
    #[x_kube(validation = rules::rule(
        "self.all(feature, feature.trim() != '')",
        "features must not hold empty lines; remove them",
    ))]
    pub features: Vec<String>,
}

/// What becomes of those who subscribed at a former price of the tier.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ExistingSubscribers {
    /// They go on paying the price they subscribed at.
    #[default]
    Keep,
    /// They pay the new price from their next period on.
    AtRenewal,
    /// They move to the new price at once, and Stripe prorates.
    Now,
}

/// A monthly allowance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
pub struct Quota {
    /// Requests per billing month (per calendar month in UTC where nothing is billed).
    #[x_kube(validation = rules::between("quota.requests", 0, 9_007_199_254_740_991, "; leave quota out for an unlimited tier"))]
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

/// Whether a trial needs a card to begin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TrialPaymentMethod {
    /// The checkout asks for a card, which is charged when the trial ends.
    #[default]
    Required,
    /// The checkout asks for none. A subscription without one by the trial's end is cancelled.
    Optional,
}

/// What happens when a renewal stays unpaid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Grace {
    /// Days of full service after a payment failed.
    #[x_kube(validation = rules::between("grace.days", 0, 90, ""))]
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
    /// Prices that the tier was sold at before, oldest first: who pays one of them is on this tier.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    pub former_price_ids: Vec<String>,
    /// Customers this tier is in force for by a Subscription.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subscribers: Option<i64>,
    /// External create under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intent: Option<Intent>,
    /// What the operator saw when it last found all well; it need not ask Stripe again while that stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settled_for: Option<String>,
}
