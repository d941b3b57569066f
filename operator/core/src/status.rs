//! What the statuses of all kinds have in common.

use glyph_crds::common::Intent;
use glyph_crds::{
    ApiKeyStatus, CreditGrantStatus, CreditPackStatus, CreditPurchaseStatus, GlyphApiStatus,
    GlyphCustomerStatus, SubscriptionStatus, TierStatus,
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

    /// What it is settled for ([`crate::settled`]).
    fn settled_for(&self) -> Option<&str> {
        None
    }
    /// Puts that in, or takes it out.
    fn set_settled_for(&mut self, _settled: Option<String>) {}
    /// Whether an external create is under way.
    fn is_under_way(&self) -> bool {
        false
    }

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
    ($($kind:ty $(: $settles:ident)?),*) => {$(
        impl Status for $kind {
            $($settles!();)?
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

/// For a kind whose passes ask Stripe or Cognito.
macro_rules! settles {
    () => {
        fn settled_for(&self) -> Option<&str> {
            self.settled_for.as_deref()
        }
        fn set_settled_for(&mut self, settled: Option<String>) {
            self.settled_for = settled;
        }
        fn is_under_way(&self) -> bool {
            self.intent.is_some()
        }
    };
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
    TierStatus: settles,
    CreditPackStatus: settles,
    GlyphCustomerStatus: settles,
    SubscriptionStatus: settles,
    ApiKeyStatus,
    CreditPurchaseStatus: settles,
    CreditGrantStatus,
    GlyphApiStatus
);
intends!(
    TierStatus,
    CreditPackStatus,
    GlyphCustomerStatus,
    SubscriptionStatus,
    CreditPurchaseStatus
);
