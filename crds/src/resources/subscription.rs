//! `Subscription`: a customer's wish for a tier, and where Stripe stands on it.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::common::{BilledPrice, Intent, LocalRef, PeriodStatus, conditions_schema};
use crate::rules;

/// A customer's wish for a tier, paid through Stripe.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "glyphapi.ai",
    version = "v1alpha1",
    kind = "Subscription",
    namespaced,
    status = "SubscriptionStatus",
    derive = "PartialEq",
    doc = "A customer's wish for a tier, and where Stripe stands on it.",
    shortname = "gsub",
    category = "glyph",
    selectable = ".spec.customerRef.name",
    printcolumn(name = "Customer", type_ = "string", json_path = ".spec.customerRef.name"),
    printcolumn(name = "Tier", type_ = "string", json_path = ".spec.tier"),
    printcolumn(name = "State", type_ = "string", json_path = ".status.state"),
    printcolumn(name = "Paid until", type_ = "string", json_path = ".status.currentPeriod.end"),
    printcolumn(name = "Ready", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].status"#),
    printcolumn(name = "Reason", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].reason"#),
    printcolumn(name = "In force", type_ = "string", json_path = ".status.tier", priority = 1),
    printcolumn(name = "Grace until", type_ = "string", json_path = ".status.graceUntil", priority = 1),
    printcolumn(name = "Pay at", type_ = "string", json_path = ".status.checkoutUrl", priority = 1),
    printcolumn(name = "Stripe", type_ = "string", json_path = ".status.stripeSubscriptionId", priority = 1),
    printcolumn(name = "Message", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].message"#, priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = rules::name_fits_a_label()
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rules::rule(
    "!has(self.daysUntilDue) || self.payment == 'Invoice'",
    "daysUntilDue needs payment: Invoice beside it; set that, or remove daysUntilDue",
).field_path(".daysUntilDue"))]
pub struct SubscriptionSpec {
    /// Who subscribes. Immutable.
    #[x_kube(validation = rules::immutable("customerRef", "make another Subscription for another customer"))]
    pub customer_ref: LocalRef,
    /// Name of the Tier subscribed to.
    #[schemars(length(max = rules::LABEL_LENGTH))]
    #[x_kube(validation = rules::resource_name("tier"))]
    pub tier: String,
    /// How the first payment is made.
    #[serde(default)]
    pub payment: PaymentMethod,
    /// Days of trial, instead of the tier's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = rules::between("trialDays", 0, 730, "; 0 means no trial"))]
    pub trial_days: Option<u32>,
    /// Days until each invoice is due; default 14. Only with `payment: Invoice`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = rules::between("daysUntilDue", 1, 365, ""))]
    pub days_until_due: Option<u32>,
    /// End the subscription with the period that is paid.
    #[serde(default)]
    pub cancel_at_period_end: bool,
    /// What to do when the plan is changed in Stripe.
    #[serde(default)]
    pub drift_policy: DriftPolicy,
}

/// How the first payment of a subscription is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum PaymentMethod {
    /// By a person, on Stripe's checkout page; the link is in status.
    #[default]
    Checkout,
    /// By invoice.
    Invoice,
    /// With the customer's default payment method.
    DefaultPaymentMethod,
}

/// What to do when the plan is changed in Stripe.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DriftPolicy {
    /// Take Stripe's plan over into status, and say so.
    #[default]
    Accept,
    /// Put the plan of the spec back.
    Revert,
}

/// Stripe's states of a subscription, in Stripe's own words
/// (<https://docs.stripe.com/api/subscriptions/object#subscription_object-status>).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SubscriptionState {
    /// First payment failed or waits for confirmation.
    Incomplete,
    /// First payment was not made in time; final.
    IncompleteExpired,
    /// In trial.
    Trialing,
    /// Paid.
    Active,
    /// A renewal failed; Stripe tries again.
    PastDue,
    /// Ended; final.
    Canceled,
    /// Renewals failed for good, but the subscription stands.
    Unpaid,
    /// Trial ended without a payment method.
    Paused,
}

/// What was observed of a subscription.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SubscriptionStatus {
    /// Generation of the spec that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Generation of the spec whose `cancelAtPeriodEnd` Stripe was last brought in line with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_observed_generation: Option<i64>,
    /// Ready, Synced, Stalled, Drifted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "conditions_schema")]
    pub conditions: Vec<Condition>,
    /// Stripe subscription (`sub_…`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stripe_subscription_id: Option<String>,
    /// Stripe's state, in Stripe's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<SubscriptionState>,
    /// Tier that Stripe bills for, which is the one in force while paid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<String>,
    /// What Stripe bills; absent for a price that Glyph does not sell by (tiered, decimal, other intervals).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<BilledPrice>,
    /// When the subscription began (Stripe's `start_date`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Time>,
    /// When its trial ends, or ended (Stripe's `trial_end`); absent without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trial_ends_at: Option<Time>,
    /// When the operator first saw it unpaid; gone once it is paid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unpaid_since: Option<Time>,
    /// When Stripe ended it (Stripe's `ended_at`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Time>,
    /// Stripe's current period.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current_period: Option<PeriodStatus>,
    /// Stripe's billing cycle anchor: periods, and months of allowance, begin at its day and time of the month.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub billing_cycle_anchor: Option<Time>,
    /// When Stripe will end the subscription, where that is settled (`cancelAtPeriodEnd`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends_at: Option<Time>,
    /// Where the customer pays; gone once paid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkout_url: Option<String>,
    /// Checkout session (`cs_…`) behind `checkoutUrl`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkout_session_id: Option<String>,
    /// When the checkout link ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkout_expires_at: Option<Time>,
    /// Until when full service goes on although a renewal is unpaid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grace_until: Option<Time>,
    /// Where the customer pays or confirms the latest invoice, while that is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invoice_url: Option<String>,
    /// Subscription schedule (`sub_sched_…`) that brings `pendingTier`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stripe_schedule_id: Option<String>,
    /// Tier that takes over at the period's end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending_tier: Option<String>,
    /// External create under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intent: Option<Intent>,
    /// What the operator saw when it last found all well; it need not ask Stripe again while that stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settled_for: Option<String>,
}
