//! What a customer is entitled to. One table, used by the operator (who may have a key, what to show)
//! and by the sidecar (what to let through), so that they cannot disagree. Pure: the time is an argument.

use jiff::Timestamp;

use crate::period::{Cycle, Period};
use crate::{Subscription, SubscriptionState, SubscriptionStatus, Tier};

/// What a customer's subscription comes to at a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Full service on this tier, by a subscription.
    Subscribed {
        /// Name of the tier in force.
        tier: String,
        /// How Stripe bills it, which the months of allowance are cut from.
        cycle: Option<Cycle>,
    },
    /// A renewal stayed unpaid past its grace: the tier's `degradeTo` holds, or payment is required.
    Lapsed {
        /// Name of the tier that was not paid for.
        tier: String,
    },
    /// No subscription in force: the default tier.
    Default,
}

/// What a state of Stripe's comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Service {
    /// The tier billed, in full.
    Full,
    /// The tier's `degradeTo`, or 402.
    Lapsed,
    /// The default tier.
    None,
}

/// What is enforced: Stripe's state, then within its grace, past it (or without one), and while the resource is being
/// deleted. No subscription is the default tier. `docs/billing.md` shows this table to people.
const ENFORCED: [(SubscriptionState, [Service; 3]); 8] = {
    use Service::{Full, Lapsed, None};
    use SubscriptionState as S;
    [
        (S::Incomplete, [None, None, None]),
        (S::IncompleteExpired, [None, None, None]),
        (S::Trialing, [Full, Full, None]),
        (S::Active, [Full, Full, None]),
        (S::PastDue, [Full, Lapsed, None]),
        (S::Unpaid, [Lapsed, Lapsed, None]),
        (S::Paused, [Lapsed, Lapsed, None]),
        (S::Canceled, [None, None, None]),
    ]
};

/// The cell of [`ENFORCED`].
fn enforced(state: SubscriptionState, in_grace: bool, deleting: bool) -> Service {
    let column = match (deleting, in_grace) {
        (true, _) => 2,
        (false, true) => 0,
        (false, false) => 1,
    };
    let row = ENFORCED.iter().find(|(row, _)| *row == state);
    row.map_or(Service::None, |(_, cells)| cells[column])
}

impl Standing {
    /// What `subscription` comes to at `now`, by the table [`ENFORCED`]. What Stripe is known to do at the period's end
    /// (an end, another tier) holds from that instant on, whether or not the news of it has come.
    #[must_use]
    pub fn of(subscription: Option<&Subscription>, now: Timestamp) -> Self {
        let Some((subscription, status)) = subscription.and_then(|s| Some((s, s.status.as_ref()?)))
        else {
            return Self::Default;
        };
        let Some((state, tier)) = status.state.zip(tier_at(status, now)) else {
            return Self::Default;
        };
        if status.ends_at.as_ref().is_some_and(|end| end.0 <= now) {
            return Self::Default;
        }
        let until = status.grace_until.as_ref();
        let in_grace = until.is_some_and(|until| now < until.0);
        let deleting = subscription.metadata.deletion_timestamp.is_some();
        match enforced(state, in_grace, deleting) {
            Service::Full => Self::Subscribed {
                tier,
                cycle: cycle(status),
            },
            Service::Lapsed => Self::Lapsed { tier },
            Service::None => Self::Default,
        }
    }
}

/// The tier billed, or the one that has taken over with the period's end.
fn tier_at(status: &SubscriptionStatus, now: Timestamp) -> Option<String> {
    let over = status
        .current_period
        .as_ref()
        .is_some_and(|p| p.end.0 <= now);
    let next = status.pending_tier.clone().filter(|_| over);
    next.or_else(|| status.tier.clone())
}

fn cycle(status: &SubscriptionStatus) -> Option<Cycle> {
    let period = status.current_period.as_ref()?;
    let period = Period {
        start: period.start.0,
        end: period.end.0,
    };
    let anchor = status.billing_cycle_anchor.as_ref();
    Some(Cycle {
        period,
        anchor: anchor.map_or(period.start, |anchor| anchor.0),
    })
}

/// When a [`Standing`] changes by the passing of time alone.
pub fn turning_points(status: &SubscriptionStatus) -> impl Iterator<Item = Timestamp> {
    let period = status.current_period.as_ref();
    let takes_over = period.filter(|_| status.pending_tier.is_some());
    let grace = status.grace_until.as_ref();
    [grace, status.ends_at.as_ref(), takes_over.map(|p| &p.end)]
        .into_iter()
        .flatten()
        .map(|time| time.0)
}

/// Whether Stripe will never bring this subscription back.
#[must_use]
pub fn is_final(state: Option<SubscriptionState>) -> bool {
    matches!(
        state,
        Some(SubscriptionState::Canceled | SubscriptionState::IncompleteExpired)
    )
}

/// Where a subscription stands in the line to speak for its customer: those that have not ended before those that
/// have, then those that Stripe knows or is being told of (creation times are whole seconds, and two may share one), then
/// the oldest, then by UID. The least is in charge.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seniority {
    ended: bool,
    untried: bool,
    made: Option<Timestamp>,
    uid: Option<String>,
}

impl Seniority {
    /// The place of `subscription`.
    #[must_use]
    pub fn of(subscription: &Subscription) -> Self {
        let metadata = &subscription.metadata;
        let status = subscription.status.as_ref();
        let begun = status.is_some_and(|s| {
            s.stripe_subscription_id.is_some()
                || s.checkout_session_id.is_some()
                || s.intent.is_some()
        });
        Self {
            ended: is_final(status.and_then(|s| s.state)),
            untried: !begun,
            made: metadata.creation_timestamp.as_ref().map(|t| t.0),
            uid: metadata.uid.clone(),
        }
    }
}

/// The subscription that speaks for a customer ([`Seniority`]). Every other one is in conflict with it.
pub fn in_charge<'a>(all: impl IntoIterator<Item = &'a Subscription>) -> Option<&'a Subscription> {
    all.into_iter().min_by_key(|s| Seniority::of(s))
}

/// Whether a customer may get a new API key, and if not, what it waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyEntitlement {
    /// A key may be made.
    Granted,
    /// The tier gives keys after payment only, and nothing is paid.
    AfterPayment {
        /// Tier that has to be paid for.
        tier: String,
        /// Where the customer pays, if a link is ready.
        pay_at: Option<String>,
    },
    /// The tier that decides does not exist.
    UnknownTier {
        /// Its name.
        tier: String,
    },
}

/// Whether a customer with the subscription in charge `subscription` may get a new key.
///
/// Before the first payment the subscribed tier decides, not the default one: that is the plan's
/// "generate after payment". Keys that exist already go on by what is in force.
#[must_use]
pub fn key_entitlement<'a>(
    subscription: Option<&Subscription>,
    default_tier: &str,
    tier_named: impl Fn(&str) -> Option<&'a Tier>,
    now: Timestamp,
) -> KeyEntitlement {
    let status = subscription.and_then(|s| s.status.as_ref());
    let ended = is_final(status.and_then(|s| s.state));
    let standing = Standing::of(subscription, now);
    let name = match (&standing, subscription) {
        (Standing::Subscribed { .. }, _) => return KeyEntitlement::Granted,
        (Standing::Lapsed { tier }, _) => tier.as_str(),
        (Standing::Default, Some(wish)) if !ended => wish.spec.tier.as_str(),
        (Standing::Default, _) => default_tier,
    };
    match tier_named(name) {
        None => KeyEntitlement::UnknownTier {
            tier: name.to_owned(),
        },
        Some(tier) if tier.spec.keys_before_payment => KeyEntitlement::Granted,
        Some(_) => KeyEntitlement::AfterPayment {
            tier: name.to_owned(),
            pay_at: status.and_then(|s| s.checkout_url.clone()),
        },
    }
}

#[cfg(test)]
mod tests;
