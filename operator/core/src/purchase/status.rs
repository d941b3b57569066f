//! The status of a `CreditPurchase`: pure, from what was observed and planned.

use std::time::Duration;

use glyph_crds::{CreditPurchaseStatus, DisputeState, PurchaseState};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::{Action, Observed, current};
use crate::billing::{CheckoutState, PackCheckout, Payment, PaymentState};
use crate::condition::Findings;
use crate::status::Status;
use crate::{Blocker, Next, Settled, polling, reason};

/// The status that says where the payment stands.
#[must_use]
pub fn status(observed: &Observed, next: &Next<Action>) -> Settled<CreditPurchaseStatus> {
    let meta = &observed.meta;
    let mut status = observed.status.clone();
    status.observed_generation = meta.generation;
    if status.grant.is_none() {
        take_session(
            &mut status,
            current(&observed.sessions, meta.now),
            observed.payment.as_ref(),
        );
    }
    if let Some(payment) = &observed.payment {
        take_payment(&mut status, payment);
    }
    let findings = match next {
        Next::Wait(blocker) => Findings::blocked(blocker),
        Next::Do(_) => Findings::blocked(&Blocker::wait(
            if meta.deleting {
                reason::DELETING
            } else {
                reason::PROGRESSING
            },
            "Stripe is being brought in line",
        )),
        Next::Done if status.grant.is_none() => Findings::blocked(&Blocker::wait(
            reason::DELETING,
            "nothing is left in Stripe",
        )),
        Next::Done => paid(&status),
    };
    status.find(findings, meta.generation, meta.now);
    let look_again = look_again(&status, meta.now);
    Settled { status, look_again }
}

fn take_session(
    status: &mut CreditPurchaseStatus,
    session: Option<&PackCheckout>,
    payment: Option<&Payment>,
) {
    let open = session.filter(|session| session.state == CheckoutState::Open);
    status.checkout_url = open.and_then(|session| session.url.clone());
    status.checkout_expires_at = open.map(|session| Time(session.expires_at));
    status.checkout_session_id = session.map(|session| session.id.clone());
    status.payment_intent_id = session.and_then(|session| session.payment.clone());
    let former = status.credits;
    status.credits = session.and_then(|session| session.credits.or(former));
    status.state = session.map(|session| match session.state {
        CheckoutState::Complete if session.paid => PurchaseState::Paid,
        CheckoutState::Complete => match payment.map(|payment| payment.state) {
            Some(PaymentState::Failed) => PurchaseState::Failed,
            _ => PurchaseState::Processing,
        },
        CheckoutState::Open | CheckoutState::Expired => PurchaseState::Open,
    });
    if session.is_some() {
        status.intent = None;
    }
}

fn take_payment(status: &mut CreditPurchaseStatus, payment: &Payment) {
    let Payment {
        id,
        state,
        received,
        refunded,
        currency,
        dispute,
    } = payment;
    status.payment_intent_id = Some(id.clone());
    if *state == PaymentState::Succeeded {
        status.amount_paid = Some(*received);
        status.currency = Some(currency.clone());
        status.amount_refunded = Some(*refunded).filter(|refunded| *refunded > 0);
        status.disputed = *dispute;
    }
}

fn paid(status: &CreditPurchaseStatus) -> Findings {
    let grant = status.grant.as_deref().unwrap_or_default();
    let credits = status.credits.unwrap_or_default();
    let currency = status.currency.as_deref().unwrap_or_default();
    match (status.disputed, status.amount_refunded) {
        (DisputeState::Open, _) => Findings::ready(
            reason::DISPUTED,
            format!(
                "the payment is disputed: CreditGrant {grant} gives no credits until that is decided"
            ),
        ),
        (DisputeState::Lost, _) => Findings::ready(
            reason::DISPUTED,
            format!("the dispute of the payment was lost: CreditGrant {grant} gives no credits"),
        ),
        (DisputeState::None | DisputeState::Won, Some(refunded)) => Findings::ready(
            reason::REFUNDED,
            format!(
                "{refunded} minor units of {currency} were refunded: CreditGrant {grant} says what was taken back"
            ),
        ),
        (DisputeState::None | DisputeState::Won, None) => Findings::ready(
            reason::GRANTED,
            format!("paid: CreditGrant {grant} gives {credits} credits"),
        ),
    }
}

/// An open checkout is polled, so that its payment is noticed without any webhook.
fn look_again(status: &CreditPurchaseStatus, now: Timestamp) -> Option<Duration> {
    if status.state == Some(PurchaseState::Open) {
        let unready = polling::unready_since(&status.conditions, now);
        let ends = status.checkout_expires_at.as_ref().map(|end| end.0);
        return Some(polling::again(unready, ends, now));
    }
    let intent = status.intent.as_ref();
    intent.map(|intent| polling::again(intent.started_at.0, None, now))
}
