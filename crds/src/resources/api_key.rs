//! `ApiKey`: a credential of a customer. The key itself is never in the resource, only its hashes.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::core::Duration;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::common::{LocalRef, RateLimit, conditions_schema};

/// A credential of a customer, delivered once into a Secret.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "glyphapi.ai",
    version = "v1alpha1",
    kind = "ApiKey",
    namespaced,
    status = "ApiKeyStatus",
    derive = "PartialEq",
    category = "glyph"
)]
#[serde(rename_all = "camelCase")]
pub struct ApiKeySpec {
    /// Whose key it is.
    pub customer_ref: LocalRef,
    /// Name that people know the key by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 250))]
    pub display_name: Option<String>,
    /// Which gateways accept the key.
    #[serde(default)]
    pub environment: Environment,
    /// When the key stops working. Absent: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Time>,
    /// The key stopped working, for good.
    #[serde(default)]
    pub revoked: bool,
    /// Rate limit of this key, instead of the tier's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_limit: Option<RateLimit>,
    /// Addresses the key may be used from, as CIDR. Empty: any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    pub allowed_cidrs: Vec<String>,
    /// What the key may do, in the API's own words. Empty: all the customer may.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    pub scopes: Vec<String>,
    /// Replaces the key when its revision grows.
    #[serde(default)]
    pub rotation: Rotation,
    /// Name of the Secret the key is delivered in; default: the name of the ApiKey.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub secret_name: Option<String>,
    /// How long the Secret stays, as in `15m`; default one hour.
    #[serde(default = "default_reveal_ttl")]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Rotation {
    /// Grows to make a new key.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub revision: i64,
    /// How long the old key works beside the new one, as in `24h`.
    #[serde(default = "default_overlap")]
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
