//! What the statuses of all kinds have in common.

use glyph_crds::common::Intent;
use glyph_crds::{
    ApiKeyStatus, CreditGrantStatus, CreditPackStatus, GlyphCustomerStatus, SubscriptionStatus,
    TierStatus,
};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use crate::condition::Findings;

/// A status with conditions.
pub trait Status: Clone + Default + PartialEq {
    /// Its conditions.
    fn conditions(&self) -> &[Condition];
    /// Puts conditions in.
    fn set_conditions(&mut self, conditions: Vec<Condition>);
    /// Says which generation of the spec it speaks of.
    fn set_observed_generation(&mut self, generation: Option<i64>);

    /// Takes `findings` over as this status' conditions.
    fn find(&mut self, findings: Findings, generation: Option<i64>, now: Timestamp) {
        let conditions = findings.into_conditions(self.conditions(), generation, now);
        self.set_conditions(conditions);
    }
}

/// A status of a kind that makes objects in Stripe.
pub trait Intends: Status {
    /// The external create under way.
    fn intent(&self) -> Option<&Intent>;
    /// Puts one in, or takes it out.
    fn set_intent(&mut self, intent: Option<Intent>);
}

macro_rules! status {
    ($($kind:ty),*) => {$(
        impl Status for $kind {
            fn conditions(&self) -> &[Condition] {
                &self.conditions
            }
            fn set_conditions(&mut self, conditions: Vec<Condition>) {
                self.conditions = conditions;
            }
            fn set_observed_generation(&mut self, generation: Option<i64>) {
                self.observed_generation = generation;
            }
        }
    )*};
}

macro_rules! intends {
    ($($kind:ty),*) => {$(
        impl Intends for $kind {
            fn intent(&self) -> Option<&Intent> {
                self.intent.as_ref()
            }
            fn set_intent(&mut self, intent: Option<Intent>) {
                self.intent = intent;
            }
        }
    )*};
}

status!(
    TierStatus,
    CreditPackStatus,
    GlyphCustomerStatus,
    SubscriptionStatus,
    ApiKeyStatus,
    CreditGrantStatus
);
intends!(
    TierStatus,
    CreditPackStatus,
    GlyphCustomerStatus,
    SubscriptionStatus
);
