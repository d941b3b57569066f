//! `CreditGrant`: credits given to a customer, once. Immutable: Kubernetes' uniqueness is the ledger's.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::common::{LocalRef, conditions_schema};
use crate::rules;

/// Credits given to a customer, once.
#[expect(
    clippy::duplicated_attributes,
    reason = "two printer columns may have one type"
)]
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "glyphapi.ai",
    version = "v1alpha1",
    kind = "CreditGrant",
    namespaced,
    status = "CreditGrantStatus",
    derive = "PartialEq",
    doc = "Credits given to a customer, once. Immutable: Kubernetes' uniqueness is the ledger's.",
    shortname = "cgrant",
    category = "glyph",
    selectable = ".spec.customerRef.name",
    printcolumn(
        name = "Customer",
        type_ = "string",
        json_path = ".spec.customerRef.name"
    ),
    printcolumn(name = "Credits", type_ = "integer", json_path = ".spec.credits"),
    printcolumn(name = "Used", type_ = "integer", json_path = ".status.used"),
    printcolumn(name = "Source", type_ = "string", json_path = ".spec.source.type"),
    printcolumn(name = "State", type_ = "string", json_path = ".status.state"),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].status"#
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].reason"#
    ),
    printcolumn(name = "Expires", type_ = "string", json_path = ".spec.expiresAt"),
    printcolumn(
        name = "Taken back",
        type_ = "integer",
        json_path = ".status.takenBack",
        priority = 1
    ),
    printcolumn(
        name = "Source ID",
        type_ = "string",
        json_path = ".spec.source.id",
        priority = 1
    ),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].message"#,
        priority = 1
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    )
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rules::immutable("a grant", "make another CreditGrant for other credits"))]
pub struct CreditGrantSpec {
    /// Who gets the credits.
    pub customer_ref: LocalRef,
    /// How many.
    #[x_kube(validation = rules::credits())]
    pub credits: i64,
    /// Where they come from.
    pub source: GrantSource,
    /// What is left at this moment cannot be spent any more; absent: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "rules::timestamp_schema")]
    #[x_kube(validation = rules::timestamp("expiresAt"))]
    pub expires_at: Option<Time>,
}

/// Where granted credits come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[x_kube(validation = rules::rule(
    "self.type == 'Admin' || has(self.id)",
    "source.id is missing; write Stripe's id of the checkout session (cs_…) or invoice (in_…)",
))]
#[x_kube(validation = rules::rule(
    "self.type != 'Admin' || !has(self.id)",
    "an Admin's grant has no source.id; remove it, and write the reason in source.reason",
).field_path(".id"))]
#[x_kube(validation = rules::rule(
    "self.type != 'Admin' || has(self.reason)",
    "an Admin's grant needs source.reason; write why the credits are given",
))]
#[x_kube(validation = rules::rule(
    "!has(self.id) || self.type == 'Admin' || self.id.startsWith(self.type == 'Invoice' ? 'in_' : 'cs_')",
    "source.id must begin with cs_ for a CheckoutSession, and with in_ for an Invoice",
).field_path(".id"))]
pub struct GrantSource {
    /// Kind of source.
    #[serde(rename = "type")]
    pub source_type: GrantSourceType,
    /// Stripe's id of the checkout session or invoice; absent for an admin's grant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 255))]
    pub id: Option<String>,
    /// Why, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1000))]
    #[x_kube(validation = rules::not_blank("source.reason", "write why the credits are given"))]
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
    /// Where the grant stands. Absent until its customer exists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<GrantState>,
    /// Credits used, as of `asOf`: never lowered. A lost counter begins here.
    #[serde(default)]
    pub used: i64,
    /// Credits of `used` that were given back, because the call that took them failed: never lowered.
    #[serde(default)]
    pub returned: i64,
    /// Credits that a refund or a dispute takes back, used or not.
    #[serde(default)]
    pub taken_back: i64,
    /// Credits of `takenBack` that were used already and not given back, so that they could not be taken.
    #[serde(default)]
    pub owed: i64,
    /// When `used` or `returned` was last seen to have grown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub as_of: Option<Time>,
}

/// Where granted credits stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum GrantState {
    /// There are credits left.
    Granted,
    /// All were used.
    Exhausted,
    /// What was left is past its end.
    Expired,
    /// What was left was taken back.
    TakenBack,
}
