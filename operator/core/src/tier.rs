//! The statuses of `Tier` and `CreditPack`; their plan is [`crate::offer`]'s.

use glyph_crds::{CreditPackStatus, TierStatus};

use crate::condition::Findings;
use crate::offer::{Action, Observed, found};
use crate::status::Status;
use crate::{Next, Settled, reason};

/// The status of a tier that so many customers subscribe to.
#[must_use]
pub fn tier_status(
    observed: &Observed,
    next: &Next<Action>,
    old: &TierStatus,
    contact_sales: bool,
    subscribers: i64,
) -> Settled<TierStatus> {
    let (stripe_product_id, stripe_price_id, mut findings) = found(observed, next);
    if contact_sales && *next == Next::Done {
        findings = Findings::ready(
            reason::CONTACT_SALES,
            "sold by a person, so Stripe holds nothing for it",
        );
    }
    let keep = *next != Next::Done;
    let mut status = TierStatus {
        observed_generation: observed.meta.generation,
        conditions: old.conditions.clone(),
        stripe_product_id,
        stripe_price_id,
        subscribers: Some(subscribers),
        intent: old.intent.clone().filter(|_| keep),
    };
    status.find(findings, observed.meta.generation, observed.meta.now);
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
    };
    status.find(findings, observed.meta.generation, observed.meta.now);
    Settled::until_told(status)
}
