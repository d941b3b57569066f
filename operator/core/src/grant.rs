//! `CreditGrant`: what stands of it, after use, its end, refunds and disputes. Pure arithmetic: how much was used is
//! counted in Redis, what was paid back is the purchase's to know.

use std::time::Duration;

use glyph_crds::{
    CreditGrant, CreditGrantSpec, CreditGrantStatus, CreditPurchaseStatus, DisputeState, GrantState,
};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::condition::Findings;
use crate::status::Status;
use crate::{Blocker, Next, Settled, reason};

/// What is known of a grant.
#[derive(Clone, Debug)]
pub struct Observed {
    /// The present moment.
    pub now: Timestamp,
    /// `metadata.generation`.
    pub generation: Option<i64>,
    /// Its spec.
    pub spec: CreditGrantSpec,
    /// The status as it stands.
    pub status: CreditGrantStatus,
    /// Whether its customer exists.
    pub customer_exists: bool,
    /// What is known of its payment; without it, what was taken back before stays so.
    pub payment: Option<CreditPurchaseStatus>,
    /// What the counters say, where they were asked.
    pub counted: Option<Counted>,
}

/// What is counted of a grant's credits. Both numbers only grow, so the higher one is the later.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Credits taken by calls.
    pub used: i64,
    /// Credits given back of these, because the calls failed.
    pub returned: i64,
}

/// A grant needs no action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {}

/// Waits for the customer; that is all.
#[must_use]
pub fn plan(observed: &Observed) -> Next<Action> {
    if observed.customer_exists {
        return Next::Done;
    }
    let name = &observed.spec.customer_ref.name;
    Blocker::wait(
        reason::CUSTOMER_NOT_FOUND,
        format!("create GlyphCustomer {name} in this namespace; the grant is recorded then"),
    )
    .into()
}

/// Credits that a payment's refunds and disputes take back: all while a dispute is open or when it was lost, else the
/// part that was refunded, rounded up, so that a whole refund leaves nothing.
#[must_use]
pub fn taken_back(credits: i64, payment: &CreditPurchaseStatus) -> i64 {
    if matches!(payment.disputed, DisputeState::Open | DisputeState::Lost) {
        return credits;
    }
    let paid = i128::from(payment.amount_paid.unwrap_or(0));
    let refunded = i128::from(payment.amount_refunded.unwrap_or(0)).clamp(0, paid.max(0));
    if paid <= 0 {
        return 0;
    }
    let part = (i128::from(credits) * refunded + paid - 1) / paid;
    i64::try_from(part).unwrap_or(credits).min(credits)
}

/// Credits of a grant that can be spent at a moment.
#[must_use]
pub fn left(spec: &CreditGrantSpec, status: &CreditGrantStatus, now: Timestamp) -> i64 {
    if is_expired(spec, now) {
        return 0;
    }
    (spec.credits - status.taken_back - net_used(status)).max(0)
}

/// Credits that were taken and not given back.
#[must_use]
pub fn net_used(status: &CreditGrantStatus) -> i64 {
    (status.used - status.returned).max(0)
}

fn is_expired(spec: &CreditGrantSpec, now: Timestamp) -> bool {
    spec.expires_at.as_ref().is_some_and(|end| end.0 <= now)
}

/// Credits granted (less those taken back), used and left, over those of `grants` that stand.
#[must_use]
pub fn balance<'a>(
    grants: impl IntoIterator<Item = &'a CreditGrant>,
    now: Timestamp,
) -> (i64, i64, i64) {
    let standing = grants.into_iter().filter(|grant| {
        grant.metadata.deletion_timestamp.is_none() && !is_expired(&grant.spec, now)
    });
    standing.fold((0, 0, 0), |(granted, used, rest), grant| {
        let status = grant.status.clone().unwrap_or_default();
        (
            granted + grant.spec.credits - status.taken_back,
            used + net_used(&status),
            rest + left(&grant.spec, &status, now),
        )
    })
}

/// The status that says what stands of it.
#[must_use]
pub fn status(observed: &Observed, next: &Next<Action>) -> Settled<CreditGrantStatus> {
    let Observed {
        now,
        generation,
        spec,
        status,
        customer_exists: _,
        payment,
        counted,
    } = observed;
    let mut status = status.clone();
    status.observed_generation = *generation;
    if let Some(Counted { used, returned }) = *counted
        && (used > status.used || returned > status.returned)
    {
        status.used = status.used.max(used);
        status.returned = status.returned.max(returned);
        status.as_of = Some(Time(*now));
    }
    if let Some(payment) = payment {
        status.taken_back = taken_back(spec.credits, payment);
    }
    status.owed = (net_used(&status) - (spec.credits - status.taken_back)).max(0);
    let findings = match next {
        Next::Wait(blocker) => Findings::blocked(blocker),
        Next::Done => {
            let state = state(spec, &status, *now);
            status.state = Some(state);
            told(spec, &status, state)
        }
        Next::Do(action) => match *action {},
    };
    status.find(findings, *generation, *now);
    let end = spec.expires_at.as_ref().filter(|end| *now < end.0);
    let look_again = end.and_then(|end| Duration::try_from(end.0.duration_since(*now)).ok());
    Settled { status, look_again }
}

fn state(spec: &CreditGrantSpec, status: &CreditGrantStatus, now: Timestamp) -> GrantState {
    if spec.credits - status.taken_back - net_used(status) > 0 {
        return if is_expired(spec, now) {
            GrantState::Expired
        } else {
            GrantState::Granted
        };
    }
    if status.taken_back > 0 {
        GrantState::TakenBack
    } else {
        GrantState::Exhausted
    }
}

fn told(spec: &CreditGrantSpec, status: &CreditGrantStatus, state: GrantState) -> Findings {
    let (customer, credits) = (&spec.customer_ref.name, spec.credits);
    match state {
        _ if status.taken_back > 0 => {
            let (taken, owed) = (status.taken_back, status.owed);
            let message = format!(
                "{taken} of {credits} credits of {customer} are taken back after a refund or a dispute; {owed} of \
                 them had been used"
            );
            Findings::ready(reason::TAKEN_BACK, message)
        }
        GrantState::Granted | GrantState::TakenBack => Findings::ready(
            reason::RECORDED,
            format!("{credits} credits are granted to {customer}"),
        ),
        GrantState::Exhausted => Findings::ready(
            reason::EXHAUSTED,
            format!("all {credits} credits of {customer} are used"),
        ),
        GrantState::Expired => Findings::ready(
            reason::EXPIRED,
            format!("what was left of {credits} credits of {customer} has expired"),
        ),
    }
}

#[cfg(test)]
mod tests;
