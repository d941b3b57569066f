//! `CreditPurchase`: a customer's wish for a credit pack, and where its payment stands.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::common::{Intent, LocalRef, conditions_schema};
use crate::rules;

/// A customer's wish for a credit pack: one payment, one grant.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "glyphapi.ai",
    version = "v1alpha1",
    kind = "CreditPurchase",
    namespaced,
    status = "CreditPurchaseStatus",
    derive = "PartialEq",
    doc = "A customer's wish for a credit pack: one payment, one CreditGrant.",
    shortname = "cpurchase",
    category = "glyph",
    selectable = ".spec.customerRef.name",
    printcolumn(name = "Customer", type_ = "string", json_path = ".spec.customerRef.name"),
    printcolumn(name = "Pack", type_ = "string", json_path = ".spec.pack"),
    printcolumn(name = "Credits", type_ = "integer", json_path = ".status.credits"),
    printcolumn(name = "State", type_ = "string", json_path = ".status.state"),
    printcolumn(name = "Ready", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].status"#),
    printcolumn(name = "Reason", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].reason"#),
    printcolumn(name = "Grant", type_ = "string", json_path = ".status.grant", priority = 1),
    printcolumn(name = "Pay at", type_ = "string", json_path = ".status.checkoutUrl", priority = 1),
    printcolumn(name = "Message", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].message"#, priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = rules::name_fits_a_label()
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rules::immutable("a purchase", "make another CreditPurchase for other credits"))]
pub struct CreditPurchaseSpec {
    /// Who pays, and gets the credits.
    pub customer_ref: LocalRef,
    /// Name of the CreditPack in this namespace.
    #[schemars(length(max = rules::LABEL_LENGTH))]
    #[x_kube(validation = rules::resource_name("pack"))]
    pub pack: String,
    /// How many packs.
    #[serde(default = "one")]
    #[x_kube(validation = rules::between("quantity", 1, 100, ""))]
    pub quantity: u32,
}

fn one() -> u32 {
    1
}

/// What was observed of a purchase.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CreditPurchaseStatus {
    /// Generation of the spec that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Ready, Synced, Stalled, Drifted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "conditions_schema")]
    pub conditions: Vec<Condition>,
    /// Where the payment stands; absent until there is a checkout session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<PurchaseState>,
    /// Where the customer pays, while open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkout_url: Option<String>,
    /// The checkout session (`cs_…`): the open one, then the one that was completed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkout_session_id: Option<String>,
    /// When the open session can no longer be paid; another one is made then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkout_expires_at: Option<Time>,
    /// The payment (`pi_…`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment_intent_id: Option<String>,
    /// Credits that are sold: the pack's, as they were when the session was made, times the quantity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credits: Option<i64>,
    /// What was paid, in minor units of `currency`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount_paid: Option<i64>,
    /// ISO 4217 currency code in lower case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
    /// What was refunded of it, in minor units.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount_refunded: Option<i64>,
    /// Whether the customer's bank disputes the payment.
    #[serde(default)]
    pub disputed: DisputeState,
    /// Name of the CreditGrant, once paid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grant: Option<String>,
    /// External create under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intent: Option<Intent>,
    /// What the operator saw when it last found all well; it need not ask Stripe again while that stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settled_for: Option<String>,
}

/// Where a payment stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum PurchaseState {
    /// The customer can pay at the link.
    Open,
    /// The customer has ordered; the money is on its way, which can take days.
    Processing,
    /// The money is there.
    Paid,
    /// The money did not come.
    Failed,
}

/// Whether a payment is disputed. An inquiry, which moves no money, is no dispute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DisputeState {
    /// It is not, and never was.
    #[default]
    None,
    /// The bank has taken the money until it is decided.
    Open,
    /// The money came back.
    Won,
    /// The money is gone.
    Lost,
}
