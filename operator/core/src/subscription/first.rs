//! The first payment of a subscription: by a link, an invoice or a card that is there. Pure.

use glyph_crds::PaymentMethod;

use super::{Action, Observed};
use crate::billing::{
    CheckoutParams, CheckoutSession, CheckoutState, Collection, SubscriptionParams,
};
use crate::{Blocker, Next, reason};

/// Days until an invoice is due, unless the spec says.
const DAYS_UNTIL_DUE: u32 = 14;

/// What is asked for now.
enum Wish {
    Checkout(CheckoutParams),
    Subscription(SubscriptionParams),
}

/// The next thing to do for a subscription that is not there; `open` is the session that can be paid.
pub(super) fn plan_first_payment(
    observed: &Observed,
    open: Option<&CheckoutSession>,
) -> Next<Action> {
    let wish = wish(observed);
    // A link sells what it was made for, whoever recorded it or did not: what is asked now needs another (CASE 22).
    let holds = |session: &CheckoutSession| match &wish {
        Ok(Wish::Checkout(params)) => session.offer == Some(params.offer()),
        Ok(Wish::Subscription(_)) | Err(_) => false,
    };
    if let Some(session) = open.filter(|session| !holds(session)) {
        return Next::Do(Action::ExpireCheckout(session.id.clone()));
    }
    match (wish, open) {
        (Err(blocker), _) => blocker.into(),
        (Ok(Wish::Subscription(params)), _) => Next::Do(Action::MakeSubscription(params)),
        (Ok(Wish::Checkout(params)), None) => Next::Do(Action::MakeCheckout(params)),
        (Ok(Wish::Checkout(_)), Some(session)) => awaits(observed, session).into(),
    }
}

/// The customer has to pay at a link.
fn awaits(observed: &Observed, session: &CheckoutSession) -> Blocker {
    let (name, tier) = (&observed.spec.customer_ref.name, &observed.spec.tier);
    match &session.url {
        Some(url) => {
            let message = format!("customer {name} pays for tier {tier} at {url}");
            Blocker::customer(reason::AWAITING_PAYMENT, message)
        }
        None => Blocker::wait(reason::PROGRESSING, "Stripe gives no checkout link yet"),
    }
}

/// What the spec asks for; or what is missing for it.
fn wish(observed: &Observed) -> Result<Wish, Blocker> {
    let customer = payer(observed)?;
    let spec = &observed.spec;
    let tier = observed.plan.to_buy(&spec.tier)?;
    let price = tier.price.to_owned();
    let trial_days = spec.trial_days.or(tier.trial_days).filter(|days| *days > 0);
    let trial_without_card = tier.trial_without_card && trial_days.is_some();
    let owner = observed.meta.owner.clone();
    let collection = match spec.payment {
        PaymentMethod::Checkout => {
            return Ok(Wish::Checkout(CheckoutParams {
                customer,
                price,
                trial_days,
                trial_without_card,
                success_url: observed.urls.success.clone(),
                cancel_url: observed.urls.cancel.clone(),
                owner,
            }));
        }
        PaymentMethod::Invoice => Collection::Invoice {
            days_until_due: spec.days_until_due.unwrap_or(DAYS_UNTIL_DUE),
        },
        PaymentMethod::DefaultPaymentMethod => Collection::Automatic,
    };
    Ok(Wish::Subscription(SubscriptionParams {
        customer,
        price,
        trial_days,
        trial_without_card,
        collection,
        owner,
    }))
}

/// The Stripe customer who is to pay, if nobody pays for this customer already.
fn payer(observed: &Observed) -> Result<String, Blocker> {
    let customer = &observed.spec.customer_ref.name;
    if let Some(conflict) = conflict(observed) {
        return Err(conflict);
    }
    let id = observed.payer.id(customer)?;
    if let Some(rival) = &observed.rival {
        let of = rival.owner.as_ref();
        let of = of.map_or(String::new(), |of| {
            format!(" of Subscription {}/{}", of.namespace, of.name)
        });
        let message = format!(
            "customer {customer} has Stripe subscription {}{of} already: end that one, or delete this Subscription",
            rival.id
        );
        return Err(Blocker::person(reason::CONFLICT, message));
    }
    // Completed, and its subscription is not to be seen yet: a second session would be a second payment (CASE 23).
    let mut sessions = observed.sessions.iter();
    if sessions.any(|s| s.state == CheckoutState::Complete) {
        let message = "the checkout is complete; waiting for its subscription in Stripe";
        return Err(Blocker::wait(reason::PROGRESSING, message));
    }
    Ok(id)
}

/// Another Subscription speaks for the customer.
pub(super) fn conflict(observed: &Observed) -> Option<Blocker> {
    let other = observed.in_charge.as_deref()?;
    Some(in_charge(other, &observed.spec.customer_ref.name))
}

/// Subscription `other` speaks for `customer`.
#[must_use]
pub fn in_charge(other: &str, customer: &str) -> Blocker {
    let message = format!(
        "Subscription {other} speaks for customer {customer}: change its tier, or delete one of the two"
    );
    Blocker::person(reason::CONFLICT, message)
}
