//! `CreditPack`: credits that are sold for a one-time price.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::common::{Intent, OneTimePrice, StripePriceRef, conditions_schema};

/// Credits that are sold for a one-time price.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "glyphapi.ai",
    version = "v1alpha1",
    kind = "CreditPack",
    namespaced,
    status = "CreditPackStatus",
    derive = "PartialEq",
    category = "glyph"
)]
#[serde(rename_all = "camelCase")]
pub struct CreditPackSpec {
    /// Name that customers see; becomes the Stripe product's name.
    #[schemars(length(min = 1, max = 250))]
    pub display_name: String,
    /// Credits in the pack; one pays for one unit of cost past the quota.
    #[schemars(range(min = 1, max = 1_000_000_000_000_i64))]
    pub credits: i64,
    /// What the pack costs.
    pub price: OneTimePrice,
    /// Which Stripe price stands for this pack.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stripe: Option<StripePriceRef>,
}

/// What was observed of a credit pack.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CreditPackStatus {
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
    /// External create under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intent: Option<Intent>,
}
