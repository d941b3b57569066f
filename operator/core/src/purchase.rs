//! `CreditPurchase`: one payment for a credit pack, and the one grant that comes of it.
//!
//! Stripe's latest word decides: what an event said, and how often, is not asked. The grant's name follows from
//! the session's id, so that Kubernetes takes it once, whoever tries and however often. What was sold stands in the
//! session, frozen when it was made.

mod status;

use glyph_crds::{CreditPack, CreditPurchaseSpec, CreditPurchaseStatus, MOST_CREDITS};
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};

use crate::billing::{CheckoutState, PackCheckout, PackCheckoutParams, Payment, PaymentState};
use crate::subscription::{Payer, ReturnUrls};
use crate::{Blocker, Meta, Next, intent, reason};

pub use status::status;

/// The operation of an intent to make a checkout session.
pub const CREATE_CHECKOUT: &str = "CreatePackCheckout";
/// Bytes of the digest in a grant's name: 128 bits, which no two sessions ever share.
const DIGEST_BYTES: usize = 16;

/// What is known of the pack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pack {
    /// There is no such CreditPack.
    Missing,
    /// Its Stripe price is not yet that of its spec.
    NotReady,
    /// It can be bought.
    Sold {
        /// Stripe price.
        price: String,
        /// Credits in one pack.
        credits: i64,
        /// Days after which they expire.
        expires_after_days: Option<u32>,
    },
}

impl Pack {
    /// What a purchase can go by. Only a status that speaks of the present spec will do: credits of one edition
    /// are not sold at the price of another.
    #[must_use]
    pub fn of(pack: Option<&CreditPack>) -> Self {
        let Some(pack) = pack.filter(|pack| pack.metadata.deletion_timestamp.is_none()) else {
            return Self::Missing;
        };
        let status = pack.status.as_ref();
        let current =
            status.filter(|status| status.observed_generation == pack.metadata.generation);
        match current.and_then(|status| status.stripe_price_id.clone()) {
            Some(price) => Self::Sold {
                price,
                credits: pack.spec.credits,
                expires_after_days: pack.spec.expires_after_days,
            },
            None => Self::NotReady,
        }
    }
}

/// What is known of a purchase.
#[derive(Clone, Debug)]
pub struct Observed {
    /// The resource.
    pub meta: Meta,
    /// Its spec.
    pub spec: CreditPurchaseSpec,
    /// The status as it stands.
    pub status: CreditPurchaseStatus,
    /// The customer.
    pub payer: Payer,
    /// The pack.
    pub pack: Pack,
    /// Checkout sessions of this resource; not read any more once its grant is recorded.
    pub sessions: Vec<PackCheckout>,
    /// The payment of [`current`], or of the recorded grant.
    pub payment: Option<Payment>,
    /// Return addresses of checkouts.
    pub urls: ReturnUrls,
}

/// A grant to make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Name of the CreditGrant.
    pub name: String,
    /// Name of the GlyphCustomer.
    pub customer: String,
    /// How many.
    pub credits: i64,
    /// The session that paid for it.
    pub session: String,
    /// The payment, unless none was needed.
    pub payment: Option<String>,
    /// The end of what is left of them.
    pub expires_at: Option<Timestamp>,
}

/// What to do for a purchase.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Before anything external.
    AddFinalizer,
    /// Make a checkout session, or find it.
    MakeCheckout(PackCheckoutParams),
    /// End an open checkout session.
    ExpireCheckout(String),
    /// Make the grant, or find it, and record it.
    Grant(Grant),
    /// After everything external.
    RemoveFinalizer,
}

/// The name of the grant for a checkout session. Session ids hold capitals, which names may not.
#[must_use]
pub fn grant_name(session: &str) -> String {
    let digest = Sha256::digest(session.as_bytes());
    let hex = digest
        .iter()
        .take(DIGEST_BYTES)
        .map(|byte| format!("{byte:02x}"));
    format!("cs-{}", hex.collect::<String>())
}

/// The session that stands for the purchase: a paid one, else one whose money may come, else one that can be paid;
/// of several the oldest.
#[must_use]
pub fn current(sessions: &[PackCheckout], now: Timestamp) -> Option<&PackCheckout> {
    let rank = |session: &PackCheckout| match session.state {
        CheckoutState::Complete if session.paid => Some(0),
        CheckoutState::Complete => Some(1),
        CheckoutState::Open if now < session.expires_at => Some(2),
        CheckoutState::Open | CheckoutState::Expired => None,
    };
    let standing = sessions.iter().filter(|session| rank(session).is_some());
    standing.min_by_key(|session| (rank(session), session.created, session.id.clone()))
}

/// The next thing to do.
#[must_use]
pub fn plan(observed: &Observed) -> Next<Action> {
    let Observed {
        meta,
        spec: _,
        status,
        payer,
        pack: _,
        sessions,
        payment,
        urls: _,
    } = observed;
    match (meta.deleting, meta.finalized) {
        (true, false) => return Next::Done,
        (false, false) => return Next::Do(Action::AddFinalizer),
        (_, true) => {}
    }
    if status.grant.is_some() {
        return finished(meta);
    }
    let Some(session) = current(sessions, meta.now) else {
        return if meta.deleting {
            unresolved(observed)
        } else {
            make_checkout(observed)
        };
    };
    // Ordered: nothing else may be paid for it. First of all, because sessions are not read any more once it is granted.
    let payable =
        |other: &&PackCheckout| other.state == CheckoutState::Open && meta.now < other.expires_at;
    if session.state == CheckoutState::Complete
        && let Some(open) = sessions.iter().find(payable)
    {
        return Next::Do(Action::ExpireCheckout(open.id.clone()));
    }
    match session.state {
        CheckoutState::Complete if session.paid => grant(observed, session),
        CheckoutState::Complete => match payment.as_ref().map(|payment| payment.state) {
            Some(PaymentState::Failed) if meta.deleting => finished(meta),
            Some(PaymentState::Failed) => Blocker::customer(
                reason::PAYMENT_FAILED,
                "the payment failed, and nothing was granted: create another CreditPurchase to try again",
            )
            .into(),
            _ => Blocker::customer(
                reason::PAYMENT_PROCESSING,
                "the customer has ordered, and the money is on its way: credits are granted when it is there",
            )
            .into(),
        },
        CheckoutState::Open | CheckoutState::Expired => {
            if meta.deleting || *payer == Payer::Missing {
                return Next::Do(Action::ExpireCheckout(session.id.clone()));
            }
            awaiting(observed, session)
        }
    }
}

/// A session whose answer was lost is found under its key, and ended then; nothing is let go before (CASE 10).
fn unresolved(observed: &Observed) -> Next<Action> {
    let intent = observed.status.intent.as_ref();
    let known = intent.filter(|intent| intent::is_known(intent, observed.meta.now));
    let make = |params| Next::Do(Action::MakeCheckout(params));
    intent::frozen(known, CREATE_CHECKOUT).map_or(Next::Do(Action::RemoveFinalizer), make)
}

fn finished(meta: &Meta) -> Next<Action> {
    if meta.deleting {
        Next::Do(Action::RemoveFinalizer)
    } else {
        Next::Done
    }
}

fn awaiting(observed: &Observed, session: &PackCheckout) -> Next<Action> {
    let (customer, pack) = (&observed.spec.customer_ref.name, &observed.spec.pack);
    match &session.url {
        Some(url) => Blocker::customer(
            reason::AWAITING_PAYMENT,
            format!("customer {customer} pays for pack {pack} at {url}"),
        )
        .into(),
        None => Blocker::wait(reason::PROGRESSING, "Stripe gives no checkout link yet").into(),
    }
}

/// The grant of a paid session. Its end counts from when the money was seen.
fn grant(observed: &Observed, session: &PackCheckout) -> Next<Action> {
    let recorded = observed.status.checkout_session_id.as_ref() == Some(&session.id);
    let credits = session
        .credits
        .or(observed.status.credits.filter(|_| recorded));
    let Some(credits) = credits.filter(|credits| *credits > 0) else {
        let message = format!(
            "session {} is paid, and its metadata in Stripe no longer say for how many credits: \
             write glyph_credits into them again",
            session.id
        );
        return Blocker::person(reason::CREDITS_UNKNOWN, message).into();
    };
    let end = |days: u32| {
        let lasts = SignedDuration::from_hours(i64::from(days) * 24);
        observed.meta.now.checked_add(lasts).ok()
    };
    Next::Do(Action::Grant(Grant {
        name: grant_name(&session.id),
        customer: observed.spec.customer_ref.name.clone(),
        credits,
        session: session.id.clone(),
        payment: session.payment.clone(),
        expires_at: session.expires_after_days.and_then(end),
    }))
}

fn make_checkout(observed: &Observed) -> Next<Action> {
    let (customer, name) = (&observed.spec.customer_ref.name, &observed.spec.pack);
    let customer = match observed.payer.id(customer) {
        Ok(id) => id,
        Err(blocker) => return blocker.into(),
    };
    match &observed.pack {
        Pack::Missing => {
            let message = format!(
                "create CreditPack {name} in this namespace, or make a CreditPurchase of one that is there"
            );
            Blocker::wait(reason::PACK_NOT_FOUND, message).into()
        }
        Pack::NotReady => {
            let message = format!("CreditPack {name} has no Stripe price: its conditions say why");
            Blocker::wait(reason::PACK_NOT_READY, message).into()
        }
        Pack::Sold {
            price,
            credits,
            expires_after_days,
        } => {
            let (credits, quantity) = (*credits, observed.spec.quantity);
            let sold = credits.saturating_mul(i64::from(quantity));
            if sold > MOST_CREDITS {
                return too_many(name, credits, quantity);
            }
            Next::Do(Action::MakeCheckout(PackCheckoutParams {
                customer,
                price: price.clone(),
                quantity,
                credits: sold,
                expires_after_days: *expires_after_days,
                success_url: observed.urls.success.clone(),
                cancel_url: observed.urls.cancel.clone(),
                owner: observed.meta.owner.clone(),
            }))
        }
    }
}

/// What no grant can hold is not sold.
fn too_many(pack: &str, credits: i64, quantity: u32) -> Next<Action> {
    let message = format!(
        "{quantity} of pack {pack}, {credits} credits each, are more than the {MOST_CREDITS} that can be granted \
         at once: create another CreditPurchase with a lower quantity"
    );
    Blocker::person(reason::TOO_MANY_CREDITS, message).into()
}

#[cfg(test)]
mod tests;
