//! Where a checkout stands, by what the controllers wrote down.

use glyph_crds::common::condition;
use glyph_crds::{CreditPurchase, PurchaseState, Subscription, SubscriptionState};
use glyph_operator_core::reason;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use crate::account::problem::{Problem, ProblemCode};

/// Where it stands.
pub(super) enum Stand {
    /// It can be paid.
    Open {
        /// Where.
        url: String,
        /// Until when.
        until: Option<Timestamp>,
    },
    /// The money is on its way.
    Processing,
    /// Nothing is left to be paid.
    Complete,
    /// It failed, or has ended.
    Failed,
    /// It cannot be done.
    Refused(Box<Problem>),
}

/// The condition of this type, if it speaks of the spec as it is.
fn current<'a>(
    conditions: &'a [Condition],
    type_: &str,
    generation: Option<i64>,
) -> Option<&'a Condition> {
    let mut all = conditions.iter();
    all.find(|condition| condition.type_ == type_ && condition.observed_generation == generation)
}

/// Where a plan's checkout stands; nothing while the controller has not come to it.
pub(super) fn of_subscription(subscription: &Subscription) -> Option<Stand> {
    let generation = subscription.metadata.generation;
    let status = subscription.status.as_ref()?;
    current(&status.conditions, condition::READY, generation)?;
    if let Some(refused) = refused(&status.conditions, generation) {
        return Some(refused);
    }
    if let Some(url) = status.checkout_url.clone() {
        let until = status.checkout_expires_at.as_ref().map(|until| until.0);
        return Some(Stand::Open { url, until });
    }
    use SubscriptionState as State;
    match (status.state?, status.invoice_url.clone()) {
        (State::Canceled | State::IncompleteExpired, _) => Some(Stand::Failed),
        (State::Incomplete | State::PastDue | State::Unpaid | State::Paused, Some(url)) => {
            Some(Stand::Open { url, until: None })
        }
        (State::Active | State::Trialing, _) => {
            let wanted = Some(&subscription.spec.tier);
            let reached = status.tier.as_ref() == wanted && status.pending_tier.is_none();
            (reached || status.pending_tier.as_ref() == wanted).then_some(Stand::Complete)
        }
        _ => None,
    }
}

/// What keeps a checkout from going on, if something does.
fn refused(conditions: &[Condition], generation: Option<i64>) -> Option<Stand> {
    let synced = current(conditions, condition::SYNCED, generation)?;
    if synced.status == "False" && synced.reason == reason::REFUSED {
        let detail = "Stripe could not charge for this, and nothing has changed: change the card in the portal (POST /billing/portal), then ask again.";
        let problem = Problem::new(ProblemCode::PaymentRequired, detail);
        return Some(Stand::Refused(Box::new(problem)));
    }
    let stalled = current(conditions, condition::STALLED, generation)?;
    if stalled.status != "True" || stalled.reason == reason::ENDED {
        return None;
    }
    tracing::warn!(
        reason = stalled.reason,
        message = stalled.message,
        "a checkout cannot go on"
    );
    let detail = "This cannot be bought at the moment; ask the support of this API.";
    Some(Stand::Refused(Box::new(Problem::new(
        ProblemCode::Conflict,
        detail,
    ))))
}

/// Where the purchase of credits stands; nothing while the controller has not come to it.
pub(super) fn of_purchase(purchase: &CreditPurchase) -> Option<Stand> {
    let generation = purchase.metadata.generation;
    let status = purchase.status.as_ref()?;
    if let Some(refused) = refused(&status.conditions, generation) {
        return Some(refused);
    }
    match status.state? {
        PurchaseState::Open => {
            let url = status.checkout_url.clone()?;
            let until = status.checkout_expires_at.as_ref().map(|until| until.0);
            Some(Stand::Open { url, until })
        }
        PurchaseState::Processing => Some(Stand::Processing),
        PurchaseState::Paid => Some(Stand::Complete),
        PurchaseState::Failed => Some(Stand::Failed),
    }
}
