//! `CreditPack`: credits that are sold for a one-time price.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::common::{Intent, OneTimePrice, StripePriceRef, conditions_schema};
use crate::rules;

/// Credits that are sold for a one-time price.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "glyphapi.ai",
    version = "v1alpha1",
    kind = "CreditPack",
    namespaced,
    status = "CreditPackStatus",
    derive = "PartialEq",
    doc = "Credits that are sold for a one-time price.",
    shortname = "cpack",
    category = "glyph",
    printcolumn(name = "Credits", type_ = "integer", json_path = ".spec.credits"),
    printcolumn(name = "Price", type_ = "integer", json_path = ".spec.price.amount"),
    printcolumn(name = "Currency", type_ = "string", json_path = ".spec.price.currency"),
    printcolumn(name = "Ready", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].status"#),
    printcolumn(name = "Reason", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].reason"#),
    printcolumn(name = "Stripe price", type_ = "string", json_path = ".status.stripePriceId", priority = 1),
    printcolumn(name = "Message", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].message"#, priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = rules::name_fits_a_label()
)]
#[serde(rename_all = "camelCase")]
pub struct CreditPackSpec {
    /// Name that customers see; becomes the Stripe product's name.
    #[schemars(length(max = rules::DISPLAY_NAME_LENGTH))]
    #[x_kube(validation = rules::not_blank("displayName", "write the name that customers see"))]
    pub display_name: String,
    /// What the pack is, in a few sentences; becomes the Stripe product's description.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = rules::DESCRIPTION_LENGTH))]
    #[x_kube(validation = rules::not_blank("description", "write what customers read, or leave it out"))]
    pub description: Option<String>,
    /// Credits in the pack; one pays for one unit of cost past the quota.
    #[x_kube(validation = rules::credits())]
    pub credits: i64,
    /// Days from the payment on after which what is left expires; absent: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = rules::between("expiresAfterDays", 1, 3650, ""))]
    pub expires_after_days: Option<u32>,
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
    /// What the operator saw when it last found all well; it need not ask Stripe again while that stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settled_for: Option<String>,
}
