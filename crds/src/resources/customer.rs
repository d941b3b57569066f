//! `GlyphCustomer`: who pays, and who they are to Stripe and Cognito.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::common::{DeletionPolicy, Intent, conditions_schema};

/// Somebody who uses the API: one Stripe customer and, where asked, one Cognito user.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "glyphapi.ai",
    version = "v1alpha1",
    kind = "GlyphCustomer",
    namespaced,
    status = "GlyphCustomerStatus",
    derive = "PartialEq",
    category = "glyph"
)]
#[serde(rename_all = "camelCase")]
pub struct GlyphCustomerSpec {
    /// E-mail address; Stripe sends receipts to it.
    #[schemars(length(min = 3, max = 254))]
    pub email: String,
    /// Name on invoices.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 250))]
    pub display_name: Option<String>,
    /// The Cognito user. Absent: the customer has keys only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cognito: Option<CognitoRef>,
    /// Refuse every request of this customer with 403.
    #[serde(default)]
    pub suspended: bool,
    /// Whether the Stripe customer and a Cognito user that we made go with the resource.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,
}

/// Which Cognito user a customer is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CognitoRef {
    /// User name in the pool; default with `create`: the e-mail address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub username: Option<String>,
    /// The user's `sub` in the pool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub sub: Option<String>,
    /// Make the user when the pool has none of that name.
    #[serde(default)]
    pub create: bool,
}

/// What was observed of a customer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GlyphCustomerStatus {
    /// Generation of the spec that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Ready, Synced, Stalled, Drifted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "conditions_schema")]
    pub conditions: Vec<Condition>,
    /// Stripe customer (`cus_…`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stripe_customer_id: Option<String>,
    /// The Cognito user's `sub`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cognito_sub: Option<String>,
    /// Tier in force, for people to read; programs judge by [`crate::entitlement`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<String>,
    /// Prepaid credits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credits: Option<Credits>,
    /// External create under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intent: Option<Intent>,
}

/// Prepaid credits, as of a moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Credits {
    /// Credits granted so far.
    pub granted: i64,
    /// Credits used so far.
    pub used: i64,
    /// When `used` was read.
    pub as_of: Time,
}
