//! `Subscription`: a customer's wish for a tier, and where Stripe stands on it.
//!
//! Stripe's latest word decides, never an event's payload or order. A subscription of ours is found by
//! its owner's UID, so that an older one that ends late cannot harm it.

mod change;
mod deletion;
mod drift;
mod first;
mod status;

use glyph_crds::entitlement::is_final;
use glyph_crds::{ExistingSubscribers, SubscriptionSpec, SubscriptionStatus};
use jiff::Timestamp;

use crate::billing::{
    CheckoutParams, CheckoutSession, CheckoutState, Phases, PlanChange, Schedule, ScheduleParams,
    StripeSubscription, SubscriptionParams, Terms,
};
use crate::{Blocker, Meta, Next, reason};

pub use first::in_charge;
pub use status::status;

/// The operation of an intent to make a checkout session.
pub const CREATE_CHECKOUT: &str = "CreateCheckout";
/// The operation of an intent to make a subscription without checkout.
pub const CREATE_SUBSCRIPTION: &str = "CreateSubscription";
/// The operation of an intent to make a schedule.
pub const CREATE_SCHEDULE: &str = "CreateSchedule";

/// What is known of the customer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payer {
    /// There is no such GlyphCustomer.
    Missing,
    /// It has no Stripe customer that stands.
    NotReady,
    /// Its Stripe customer.
    Ready(String),
}

impl Payer {
    /// The Stripe customer of GlyphCustomer `name`; or what is missing for a payment.
    ///
    /// # Errors
    /// What to wait for.
    pub(crate) fn id(&self, name: &str) -> Result<String, Blocker> {
        match self {
            Self::Missing => {
                let message = format!("create GlyphCustomer {name} in this namespace");
                Err(Blocker::wait(reason::CUSTOMER_NOT_FOUND, message))
            }
            Self::NotReady => {
                let message =
                    format!("GlyphCustomer {name} is not in Stripe: its conditions say why");
                Err(Blocker::wait(reason::CUSTOMER_NOT_READY, message))
            }
            Self::Ready(id) => Ok(id.clone()),
        }
    }
}

/// What is known of the tier in the spec.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plan {
    /// There is no such Tier.
    Missing,
    /// It cannot be bought.
    NotSold,
    /// It has no Stripe price yet.
    NotReady,
    /// It can be bought.
    Sold {
        /// Stripe price.
        price: String,
        /// What it comes to.
        terms: Terms,
        /// Days of trial that the tier gives.
        trial_days: Option<u32>,
        /// Whether a trial begins without a card.
        trial_without_card: bool,
        /// What becomes of those who pay a former price of the tier.
        existing: ExistingSubscribers,
    },
}

impl Plan {
    /// What there is to buy of `tier`.
    ///
    /// # Errors
    /// What it lacks.
    fn to_buy(&self, tier: &str) -> Result<Bargain<'_>, Blocker> {
        match self {
            Self::Missing => {
                let message = format!("create Tier {tier} in this namespace, or correct spec.tier");
                Err(Blocker::wait(reason::TIER_NOT_FOUND, message))
            }
            Self::NotSold => {
                let message = format!(
                    "tier {tier} cannot be paid for: it is free or sold by a person; choose a tier with a price"
                );
                Err(Blocker::person(reason::TIER_NOT_SOLD, message))
            }
            Self::NotReady => {
                let message = format!("Tier {tier} has no Stripe price: its conditions say why");
                Err(Blocker::wait(reason::TIER_NOT_READY, message))
            }
            Self::Sold {
                price,
                terms,
                trial_days,
                trial_without_card,
                existing: _,
            } => Ok(Bargain {
                price,
                terms,
                trial_days: *trial_days,
                trial_without_card: *trial_without_card,
            }),
        }
    }
}

/// A tier that can be bought.
struct Bargain<'a> {
    price: &'a str,
    terms: &'a Terms,
    trial_days: Option<u32>,
    trial_without_card: bool,
}

/// The tier in force: the one that Stripe bills for, or, where its price is no Tier's, the last one known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BilledTier {
    /// Name of the Tier.
    pub name: String,
    /// Its days of grace.
    pub grace_days: Option<u32>,
}

/// Where the checkout page sends the person afterwards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReturnUrls {
    /// After paying.
    pub success: String,
    /// After giving up.
    pub cancel: String,
}

/// What is known of a subscription.
#[derive(Clone, Debug)]
pub struct Observed {
    /// The resource.
    pub meta: Meta,
    /// Its spec.
    pub spec: SubscriptionSpec,
    /// The status as it stands.
    pub status: SubscriptionStatus,
    /// Another Subscription that speaks for this customer.
    pub in_charge: Option<String>,
    /// A Stripe subscription of this customer that has not ended and is another Subscription's; looked for before a
    /// first payment.
    pub rival: Option<StripeSubscription>,
    /// The customer.
    pub payer: Payer,
    /// The tier in the spec.
    pub plan: Plan,
    /// Stripe subscriptions of this resource.
    pub subscriptions: Vec<StripeSubscription>,
    /// Checkout sessions of this resource.
    pub sessions: Vec<CheckoutSession>,
    /// The schedule that is in charge of [`current`].
    pub schedule: Option<Schedule>,
    /// The tier behind the price of [`current`], where it is known.
    pub billed: Option<BilledTier>,
    /// That price is known to be no Tier's.
    pub stray_price: bool,
    /// Return addresses of checkouts.
    pub urls: ReturnUrls,
}

/// What to do for a subscription.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Before anything external.
    AddFinalizer,
    /// Write down what Stripe says, before anything is changed there.
    TakeOver(Box<SubscriptionStatus>),
    /// Make a checkout session, or find it.
    MakeCheckout(CheckoutParams),
    /// End an open checkout session.
    ExpireCheckout(String),
    /// Make a subscription without checkout, or find it.
    MakeSubscription(SubscriptionParams),
    /// Collect its payments again.
    ResumeCollection(String),
    /// Set whether it ends with its period.
    SetCancelAtPeriodEnd(String, bool),
    /// Move it to another price now.
    ChangePlan(PlanChange),
    /// Make a schedule for it, or find it.
    MakeSchedule(ScheduleParams),
    /// Have the schedule move it to another price at the period's end.
    SetPhases(Phases),
    /// Take the schedule off it, as it stands.
    ReleaseSchedule(String),
    /// End it now.
    Cancel(String),
    /// After everything external.
    RemoveFinalizer,
}

/// The Stripe subscription that stands for the resource: a live one before an ended one; of several live
/// ones the recorded, else the oldest; of ended ones the newest.
#[must_use]
pub fn current<'a>(
    subscriptions: &'a [StripeSubscription],
    recorded: Option<&str>,
) -> Option<&'a StripeSubscription> {
    let live = subscriptions.iter().filter(|s| !is_final(s.state));
    let oldest = live.min_by_key(|s| (Some(s.id.as_str()) != recorded, s.created, s.id.clone()));
    oldest.or_else(|| {
        subscriptions
            .iter()
            .max_by_key(|s| (s.created, s.id.clone()))
    })
}

/// Whether the subscription was read before a period's end that its schedule, read after it, has passed: what is said of
/// the two then is of no one moment, and nothing may be done on it.
fn is_behind(subscription: &StripeSubscription, schedule: Option<&Schedule>) -> bool {
    let phase = schedule.and_then(|schedule| schedule.current);
    let times = subscription.period.zip(phase);
    times.is_some_and(|((_, ends), (begun, _))| ends <= begun)
}

/// The session that can be paid now.
fn payable(sessions: &[CheckoutSession], now: Timestamp) -> Option<&CheckoutSession> {
    let open = |s: &&CheckoutSession| s.state == CheckoutState::Open && now < s.expires_at;
    sessions.iter().find(open)
}

/// The next thing to do.
#[must_use]
pub fn plan(observed: &Observed) -> Next<Action> {
    let Observed {
        meta,
        spec: _,
        status,
        in_charge: _,
        rival: _,
        payer: _,
        plan: _,
        subscriptions,
        sessions,
        schedule: _,
        billed: _,
        stray_price: _,
        urls: _,
    } = observed;
    if meta.deleting {
        return deletion::plan(observed);
    }
    if !meta.finalized {
        return Next::Do(Action::AddFinalizer);
    }
    let open = payable(sessions, meta.now);
    if let Some(subscription) = current(subscriptions, status.stripe_subscription_id.as_deref()) {
        let next = match open {
            // It is paid: no second payable session may stand beside it (CASE 22).
            Some(session) => Next::Do(Action::ExpireCheckout(session.id.clone())),
            None => change::plan_running(observed, subscription),
        };
        return told_first(observed, subscription, next);
    }
    first::plan_first_payment(observed, open)
}

/// What was paid is served even if what is to be done next fails, or is refused for as long as the spec asks for it.
fn told_first(
    observed: &Observed,
    running: &StripeSubscription,
    next: Next<Action>,
) -> Next<Action> {
    let Next::Do(action) = &next else {
        return next;
    };
    match status::untold(observed, running, gives_way(observed, action)) {
        Some(told) => Next::Do(Action::TakeOver(Box::new(told))),
        None => next,
    }
}

/// Whether a schedule of ours is to be released although the tier that it brings is still asked for: something is in its
/// way now (an invoice that is overdue, a tier that is not sold any more), which may pass.
fn gives_way(observed: &Observed, action: &Action) -> bool {
    let wanted = Some(&observed.spec.tier);
    let reached = observed.billed.as_ref().map(|tier| &tier.name) == wanted;
    matches!(action, Action::ReleaseSchedule(_))
        && observed.status.pending_tier.as_ref() == wanted
        && !reached
}

#[cfg(test)]
mod tests;
