//! `GlyphApi`: the endpoints of an API that is sold: who may call each, and what a call takes of the quota.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::common::conditions_schema;
use crate::rules;

/// The endpoints of an API that is sold: who may call each, and what a call takes of the quota.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "glyphapi.ai",
    version = "v1alpha1",
    kind = "GlyphApi",
    namespaced,
    status = "GlyphApiStatus",
    derive = "PartialEq",
    doc = "The endpoints of an API that is sold: who may call each, and what a call takes of the quota.",
    shortname = "gapi",
    category = "glyph",
    printcolumn(name = "Hosts", type_ = "string", json_path = ".spec.hosts"),
    printcolumn(name = "Unmatched", type_ = "string", json_path = ".spec.unmatched"),
    printcolumn(name = "Endpoints", type_ = "integer", json_path = ".status.endpoints"),
    printcolumn(name = "Ready", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].status"#),
    printcolumn(name = "Reason", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].reason"#),
    printcolumn(name = "Message", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].message"#, priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = rules::name_fits_a_label()
)]
#[serde(rename_all = "camelCase")]
pub struct GlyphApiSpec {
    /// Hosts the API answers at, such as `api.example.com` or `*.example.com`. Empty: every host.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50), inner(length(max = 253)))]
    #[x_kube(validation = rules::rule(
        "self.all(host, host.matches('^([*][.])?[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?([.][A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*$'))",
        "hosts must hold names such as api.example.com or *.example.com, without a scheme or a port",
    ))]
    pub hosts: Vec<String>,
    /// What callers can ask for; at most 200.
    #[schemars(length(max = 200))]
    #[x_kube(validation = rules::rule(
        "self.all(one, self.exists_one(other, other.name == one.name))",
        "endpoints must have names of their own; usage and metrics tell them apart by name",
    ))]
    pub endpoints: Vec<Endpoint>,
    /// What becomes of requests that no endpoint is for: `Allow` (a credential is needed, a call is taken) or `Deny` (404).
    #[serde(default)]
    pub unmatched: Unmatched,
}

/// Something that callers can ask for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = rules::rule(
        "!has(self.auth) || self.auth == 'Required' || !has(self.scopes) || size(self.scopes) == 0",
        "scopes need auth: Required, because a caller without a key has none; remove scopes, or set auth: Required",
    ),
    validation = rules::rule(
        "!has(self.auth) || self.auth != 'None' || !has(self.cost)",
        "cost needs a key that pays it; remove cost, or set auth: Required or Optional",
    ),
    validation = rules::rule(
        "!has(self.auth) || self.auth != 'None' || !has(self.chargeOn)",
        "chargeOn needs a key that pays; remove chargeOn, or set auth: Required or Optional",
    )
)]
pub struct Endpoint {
    /// Name in usage and metrics.
    #[schemars(length(max = 63))]
    #[x_kube(validation = rules::rule(
        "self.matches('^[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?$') && self != 'unmatched' && self != 'other'",
        "name must be letters, digits, '_', '.' and '-' with a letter or digit at both ends, and not unmatched or other",
    ))]
    pub name: String,
    /// Methods it is for. Empty: all. `GET` is for `HEAD` too, unless another endpoint names that.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub methods: Vec<Method>,
    /// Path, where `{id}` stands for one segment and `{*rest}`, at the end, for all that follow.
    #[schemars(length(max = 256))]
    #[x_kube(validation = rules::rule("self.startsWith('/')", "path must begin with /"))]
    #[x_kube(validation = rules::rule(
        "!self.startsWith('/') || (self.matches('^(/([A-Za-z0-9_.~!$&()+,;=:@-]+|[{][A-Za-z0-9_-]+[}]))*(/|/[{][*][A-Za-z0-9_-]+[}])?$') && !self.matches('/[.][.]?(/|;|$)'))",
        "path must hold segments of letters, digits and -._~!$&()+,;=:@, parameters such as {id} that are whole segments, or {*rest} at its end, and no query, escapes, dot segments or //",
    ))]
    pub path: String,
    /// Calls of the quota that a request takes; default 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = rules::between("cost", 0, 9_007_199_254_740_991, ""))]
    pub cost: Option<u64>,
    /// What a key that is limited by `scopes` must have, all of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20), inner(length(max = 128)))]
    #[x_kube(validation = rules::rule(
        "self.all(scope, scope.matches('^[A-Za-z0-9_.:/-]+$'))",
        "scopes must hold words of letters, digits and '_', '.', ':', '/', '-'",
    ))]
    pub scopes: Vec<String>,
    /// Whether a key is needed: `Required`, `Optional` (one that is sent must be good), or `None` (public); default
    /// `Required`.
    // No default in the schema: `kubectl apply` takes a list whose items were given some for changed, each time.
    #[serde(default, skip_serializing_if = "Auth::is_required")]
    pub auth: Auth,
    /// Which requests pay: `Always` (all that are let through), or `Success` (what they took is given back when the API fails:
    /// a 5xx, no answer, or one that breaks off); default `Always`. Needs Envoy's access log (docs/sidecar.md).
    // No default in the schema, as above.
    #[serde(default, skip_serializing_if = "ChargeOn::is_always")]
    pub charge_on: ChargeOn,
}

/// A method of HTTP (RFC 9110 section 9, RFC 5789).
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "UPPERCASE")]
#[expect(missing_docs, reason = "the names are those of HTTP")]
pub enum Method {
    Get,
    Head,
    Post,
    Put,
    Patch,
    Delete,
    Options,
    Trace,
}

impl Method {
    /// Each of them.
    pub const ALL: [Self; 8] = [
        Self::Get,
        Self::Head,
        Self::Post,
        Self::Put,
        Self::Patch,
        Self::Delete,
        Self::Options,
        Self::Trace,
    ];

    /// As it stands in a request.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
            Self::Options => "OPTIONS",
            Self::Trace => "TRACE",
        }
    }
}

/// Whether a request needs a credential.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Auth {
    /// It does.
    #[default]
    Required,
    /// Without one it passes as nobody's; one that is sent must be good, and is counted.
    Optional,
    /// It passes as nobody's, whatever is sent, and nothing is counted.
    None,
}

impl Auth {
    /// Whether it is the default.
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
    fn is_required(&self) -> bool {
        *self == Self::Required
    }
}

/// Which requests pay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ChargeOn {
    /// All that are let through.
    #[default]
    Always,
    /// Those that the API answered. What others took is given back.
    Success,
}

impl ChargeOn {
    /// Whether it is the default.
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
    fn is_always(&self) -> bool {
        *self == Self::Always
    }
}

/// What becomes of requests that no endpoint is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Unmatched {
    /// They need a credential that is not limited to scopes, and take one call.
    #[default]
    Allow,
    /// They are refused with 404.
    Deny,
}

/// What was observed of an API.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GlyphApiStatus {
    /// Generation of the spec that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Ready, Synced, Stalled, Drifted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "conditions_schema")]
    pub conditions: Vec<Condition>,
    /// How many endpoints are in force as they stand in the spec.
    #[serde(default)]
    pub endpoints: i64,
    /// What is claimed by an older GlyphApi, or by an endpoint that stands before; the first 20.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conflicts: Vec<String>,
}
