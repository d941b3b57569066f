//! `ApiKey`: a credential of a customer. The key itself is never in the resource, only its hashes.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::core::Duration;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::common::{LocalRef, RateLimit, conditions_schema};
use crate::rules;

/// A credential of a customer, delivered once into a Secret.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "glyphapi.ai",
    version = "v1alpha1",
    kind = "ApiKey",
    namespaced,
    status = "ApiKeyStatus",
    derive = "PartialEq",
    doc = "A credential of a customer. The key itself is never in the resource, only its hashes.",
    shortname = "gkey",
    category = "glyph",
    selectable = ".spec.customerRef.name",
    printcolumn(name = "Customer", type_ = "string", json_path = ".spec.customerRef.name"),
    printcolumn(name = "Prefix", type_ = "string", json_path = ".status.prefix"),
    printcolumn(name = "Expires", type_ = "string", json_path = ".spec.expiresAt"),
    printcolumn(name = "Revoked", type_ = "boolean", json_path = ".spec.revoked"),
    printcolumn(name = "Ready", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].status"#),
    printcolumn(name = "Reason", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].reason"#),
    printcolumn(name = "Last used", type_ = "string", json_path = ".status.lastUsedAt", priority = 1),
    printcolumn(name = "Key ID", type_ = "string", json_path = ".status.keyId", priority = 1),
    printcolumn(name = "Message", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].message"#, priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = rules::name_fits_a_label()
)]
#[serde(rename_all = "camelCase")]
pub struct ApiKeySpec {
    /// Whose key it is. Immutable.
    #[x_kube(validation = rules::immutable("customerRef", "make another ApiKey for another customer"))]
    pub customer_ref: LocalRef,
    /// Name that people know the key by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = rules::DISPLAY_NAME_LENGTH))]
    #[x_kube(validation = rules::not_blank("displayName", "write a name that people know the key by, or leave it out"))]
    pub display_name: Option<String>,
    /// Which gateways accept the key. Immutable.
    #[serde(default)]
    #[x_kube(validation = rules::immutable("environment", "make another ApiKey for another environment"))]
    pub environment: Environment,
    /// When the key stops working, as an RFC 3339 time. Absent: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "rules::timestamp_schema")]
    #[x_kube(validation = rules::timestamp("expiresAt"))]
    pub expires_at: Option<Time>,
    /// The key stopped working, for good.
    #[serde(default)]
    #[x_kube(validation = rules::rule(
        "self || !oldSelf",
        "a revoked key stays revoked; make another ApiKey",
    ))]
    pub revoked: bool,
    /// Rate limit of this key, instead of the tier's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_limit: Option<RateLimit>,
    /// Addresses the key may be used from, as CIDR. Empty: any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100), inner(length(max = 64)))]
    #[x_kube(validation = rules::rule(
        "self.all(cidr, isCIDR(cidr))",
        "allowedCidrs must hold addresses with a prefix length, such as 203.0.113.0/24, 198.51.100.7/32 or 2001:db8::/32",
    ))]
    pub allowed_cidrs: Vec<String>,
    /// What the key may do, in the API's own words. Empty: all the customer may.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100), inner(length(max = 128)))]
    #[x_kube(validation = rules::rule(
        "self.all(scope, scope.matches('^[A-Za-z0-9_.:/*-]+$'))",
        "scopes must hold words of letters, digits and '_', '.', ':', '/', '*', '-'",
    ))]
    pub scopes: Vec<String>,
    /// Replaces the key when its revision grows.
    #[serde(default)]
    pub rotation: Rotation,
    /// Name of the Secret the key is delivered in; default: the name of the ApiKey.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    #[x_kube(validation = rules::resource_name("secretName"))]
    pub secret_name: Option<String>,
    /// How long the Secret stays, as in `15m`; default one hour.
    #[serde(default = "default_reveal_ttl")]
    #[schemars(length(max = 32))]
    #[x_kube(validation = rules::duration_from("revealTtl", "1s"))]
    pub reveal_ttl: Duration,
}

/// Which gateways accept a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Environment {
    /// Gateways in production.
    #[default]
    Live,
    /// Gateways for development.
    Dev,
}

/// When and how a key is replaced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
pub struct Rotation {
    /// Grows to make a new key.
    #[serde(default)]
    #[x_kube(validation = rules::between("rotation.revision", 0, 9_007_199_254_740_991, ""))]
    #[x_kube(validation = rules::rule(
        "self >= oldSelf",
        "rotation.revision can only grow; add 1 to replace the key",
    ))]
    pub revision: i64,
    /// How long the old key works beside the new one, as in `24h`; `0s` ends it at once.
    #[serde(default = "default_overlap")]
    #[schemars(length(max = 32))]
    #[x_kube(validation = rules::duration_from("rotation.overlap", "0s"))]
    pub overlap: Duration,
}

impl Default for Rotation {
    fn default() -> Self {
        Self {
            revision: 0,
            overlap: default_overlap(),
        }
    }
}

fn default_overlap() -> Duration {
    std::time::Duration::from_secs(24 * 3600).into()
}

fn default_reveal_ttl() -> Duration {
    std::time::Duration::from_secs(3600).into()
}

/// What was observed of a key.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApiKeyStatus {
    /// Generation of the spec that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Ready, Synced, Stalled, Drifted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "conditions_schema")]
    pub conditions: Vec<Condition>,
    /// Public id of the key, in usage and headers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_id: Option<String>,
    /// Beginning of the key, for people to recognise it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// Hashes that are accepted, newest first: one, or two while a rotation overlaps.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hashes: Vec<HashedKey>,
    /// Revision of `rotation` that the newest hash belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<i64>,
    /// When the key was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Time>,
    /// When the Secret with the newest key goes, or went.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reveal_until: Option<Time>,
    /// When the key was seen revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<Time>,
    /// When the key was last used, to the hour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used_at: Option<Time>,
}

/// A key's hash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HashedKey {
    /// HMAC-SHA-256 of the key under the pepper, as 64 hexadecimal digits.
    pub value: String,
    /// Version of the pepper.
    pub pepper_version: u32,
    /// From when on this hash is refused, because a newer key took over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_after: Option<Time>,
}
