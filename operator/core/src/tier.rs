//! The statuses of `Tier` and `CreditPack`; their plan is [`crate::offer`]'s. And who keeps a tier from
//! being deleted.

use std::collections::BTreeSet;
use std::time::Duration;

use glyph_crds::{CreditPackStatus, TierStatus};

use crate::condition::Findings;
use crate::offer::{Action, Observed, found};
use crate::status::Status;
use crate::{Blocker, Next, Settled, reason};

/// Former prices that a tier remembers.
const MOST_FORMER: usize = 100;
/// Users of a tier that a message names.
const NAMED: usize = 5;
/// How soon a tier that waits for its users to leave is looked at again; nothing is called for that.
const UNTIL_LEFT: Duration = Duration::from_secs(5);

/// What keeps a tier from being deleted: whoever still needs it, by kind and name, e.g. `Subscription ada`.
#[must_use]
pub fn in_use(users: &[String]) -> Option<Blocker> {
    let (named, others) = users.split_at(users.len().min(NAMED));
    let others = match others.len() {
        0 if users.is_empty() => return None,
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let (count, named) = (users.len(), named.join(", "));
    let message = format!(
        "{count} still on this tier ({named}{others}): move or end them; the tier goes when none is left"
    );
    Some(Blocker::person(reason::IN_USE, message))
}

/// The prices that a tier was sold at before `current`.
#[must_use]
pub fn former_prices(old: &TierStatus, current: Option<&str>) -> Vec<String> {
    let mut former = old.former_price_ids.clone();
    former.extend(old.stripe_price_id.clone());
    let mut seen = BTreeSet::new();
    former.retain(|id| Some(id.as_str()) != current && seen.insert(id.clone()));
    former.drain(..former.len().saturating_sub(MOST_FORMER));
    former
}

/// What is known of a tier beside its offer.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The status as it stands.
    pub old: &'a TierStatus,
    /// Sold by a person.
    pub contact_sales: bool,
    /// How many customers subscribe to it.
    pub subscribers: i64,
    /// What keeps it from being deleted.
    pub in_use: Option<&'a Blocker>,
}

/// The status of a tier.
#[must_use]
pub fn tier_status(
    observed: &Observed,
    next: &Next<Action>,
    facts: Facts<'_>,
) -> Settled<TierStatus> {
    let Facts {
        old,
        contact_sales,
        subscribers,
        in_use,
    } = facts;
    let meta = &observed.meta;
    if let Some(blocker) = in_use {
        let mut status = old.clone();
        status.observed_generation = meta.generation;
        status.subscribers = Some(subscribers);
        status.find(Findings::blocked(blocker), meta.generation, meta.now);
        let look_again = Some(UNTIL_LEFT);
        return Settled { status, look_again };
    }
    let (stripe_product_id, stripe_price_id, mut findings) = found(observed, next);
    if contact_sales && *next == Next::Done {
        findings = Findings::ready(
            reason::CONTACT_SALES,
            "sold by a person, so Stripe holds nothing for it",
        );
    }
    let keep = *next != Next::Done;
    let mut status = TierStatus {
        observed_generation: meta.generation,
        conditions: old.conditions.clone(),
        stripe_product_id,
        former_price_ids: former_prices(old, stripe_price_id.as_deref()),
        stripe_price_id,
        subscribers: Some(subscribers),
        intent: old.intent.clone().filter(|_| keep),
        settled_for: old.settled_for.clone(),
    };
    status.find(findings, meta.generation, meta.now);
    Settled::until_told(status)
}

/// The status of a credit pack.
#[must_use]
pub fn pack_status(
    observed: &Observed,
    next: &Next<Action>,
    old: &CreditPackStatus,
) -> Settled<CreditPackStatus> {
    let (stripe_product_id, stripe_price_id, findings) = found(observed, next);
    let keep = *next != Next::Done;
    let mut status = CreditPackStatus {
        observed_generation: observed.meta.generation,
        conditions: old.conditions.clone(),
        stripe_product_id,
        stripe_price_id,
        intent: old.intent.clone().filter(|_| keep),
        settled_for: old.settled_for.clone(),
    };
    status.find(findings, observed.meta.generation, observed.meta.now);
    Settled::until_told(status)
}
