//! `CreditGrant`: credits given to a customer, once. Immutable: Kubernetes' uniqueness is the ledger's.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::common::{LocalRef, conditions_schema};

/// Credits given to a customer, once.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "glyphapi.ai",
    version = "v1alpha1",
    kind = "CreditGrant",
    namespaced,
    status = "CreditGrantStatus",
    derive = "PartialEq",
    category = "glyph"
)]
#[serde(rename_all = "camelCase")]
pub struct CreditGrantSpec {
    /// Who gets the credits.
    pub customer_ref: LocalRef,
    /// How many.
    #[schemars(range(min = 1, max = 1_000_000_000_000_i64))]
    pub credits: i64,
    /// Where they come from.
    pub source: GrantSource,
}

/// Where granted credits come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GrantSource {
    /// Kind of source.
    #[serde(rename = "type")]
    pub source_type: GrantSourceType,
    /// Stripe's id of the checkout session or invoice; absent for an admin's grant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 255))]
    pub id: Option<String>,
    /// Why, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1000))]
    pub reason: Option<String>,
}

/// Kind of source of granted credits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum GrantSourceType {
    /// A paid checkout session.
    CheckoutSession,
    /// A paid invoice.
    Invoice,
    /// A person with access to the cluster.
    Admin,
}

/// What was observed of a grant.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CreditGrantStatus {
    /// Generation of the spec that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Ready, Synced, Stalled, Drifted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "conditions_schema")]
    pub conditions: Vec<Condition>,
    /// Where the grant stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
}
