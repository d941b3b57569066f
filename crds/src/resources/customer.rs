//! `GlyphCustomer`: who pays, and who they are to Stripe and Cognito.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::common::{DeletionPolicy, Intent, conditions_schema};
use crate::rules;

/// Somebody who uses the API: one Stripe customer and, where asked, one Cognito user.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "glyphapi.ai",
    version = "v1alpha1",
    kind = "GlyphCustomer",
    namespaced,
    status = "GlyphCustomerStatus",
    derive = "PartialEq",
    doc = "Somebody who uses the API: one Stripe customer and, where asked, one Cognito user.",
    shortname = "gcust",
    category = "glyph",
    printcolumn(name = "E-mail", type_ = "string", json_path = ".spec.email"),
    printcolumn(name = "Tier", type_ = "string", json_path = ".status.tier"),
    printcolumn(name = "Suspended", type_ = "boolean", json_path = ".spec.suspended"),
    printcolumn(name = "Credits", type_ = "integer", json_path = ".status.credits.left"),
    printcolumn(name = "Ready", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].status"#),
    printcolumn(name = "Reason", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].reason"#),
    printcolumn(name = "Stripe", type_ = "string", json_path = ".status.stripeCustomerId", priority = 1),
    printcolumn(name = "Cognito", type_ = "string", json_path = ".status.cognitoSub", priority = 1),
    printcolumn(name = "Message", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].message"#, priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = rules::name_fits_a_label()
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rules::rule(
    "!has(oldSelf.cognito) || !has(oldSelf.cognito.sub) \
     || (has(self.cognito) && has(self.cognito.sub) && self.cognito.sub == oldSelf.cognito.sub)",
    "cognito.sub cannot be changed once it is set; make another GlyphCustomer for another user",
).field_path(".cognito"))]
pub struct GlyphCustomerSpec {
    /// E-mail address; Stripe sends receipts to it.
    #[schemars(length(max = 254))]
    #[x_kube(validation = rules::rule(
        r"self.matches('^[^@\\s]+@[^@\\s.]+([.][^@\\s.]+)+$')",
        "email must be one address such as ada@example.com",
    ))]
    pub email: String,
    /// Name on invoices.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = rules::DISPLAY_NAME_LENGTH))]
    #[x_kube(validation = rules::not_blank("displayName", "write the name that invoices show, or leave it out"))]
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
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[x_kube(validation = rules::rule(
    "has(self.username) || has(self.sub) || self.create",
    "cognito needs username or sub of a user in the pool, or create: true to make one",
))]
#[x_kube(validation = rules::rule(
    "!(has(self.username) && has(self.sub))",
    "set cognito.username or cognito.sub, not both: either alone names the user",
))]
#[x_kube(validation = rules::rule(
    "!(self.create && has(self.sub))",
    "cognito.create makes a new user, whose sub Cognito chooses; remove cognito.sub or create",
))]
pub struct CognitoRef {
    /// User name in the pool; default with `create`: the e-mail address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    #[x_kube(validation = rules::rule(
        r"self.matches('^[^\\s]+$')",
        "cognito.username must not be empty or hold white space",
    ))]
    pub username: Option<String>,
    /// The user's `sub` in the pool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    #[x_kube(validation = rules::rule(
        "self.matches('^[A-Za-z0-9-]+$')",
        "cognito.sub must be the id that the pool shows as the user's sub: letters, digits and '-'",
    ))]
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
    /// Tier in force, for people to read (none while payment is required); programs judge by [`crate::entitlement`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<String>,
    /// Prepaid credits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credits: Option<Credits>,
    /// External create under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intent: Option<Intent>,
    /// What the operator saw when it last found all well; it need not ask Stripe again while that stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settled_for: Option<String>,
}

/// Prepaid credits, as of a moment: of all grants that are neither deleted nor past their end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Credits {
    /// Credits granted, less those taken back.
    pub granted: i64,
    /// Credits used of these grants.
    pub used: i64,
    /// Credits that can be spent.
    pub left: i64,
    /// When any of these numbers last changed.
    pub as_of: Time,
}
