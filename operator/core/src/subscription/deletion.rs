//! What is ended before a `Subscription` may go: whatever can be paid, and whatever charges. Pure.

use glyph_crds::entitlement::is_final;

use super::{Action, CREATE_CHECKOUT, CREATE_SUBSCRIPTION, Observed, payable};
use crate::{Blocker, Next, intent, reason};

/// The next thing to do for a subscription that goes.
pub(super) fn plan(observed: &Observed) -> Next<Action> {
    let meta = &observed.meta;
    if !meta.finalized {
        return Next::Done;
    }
    // Sessions first: a person could still pay one while the subscription is being ended.
    if let Some(session) = payable(&observed.sessions, meta.now) {
        return Next::Do(Action::ExpireCheckout(session.id.clone()));
    }
    let mut live = observed.subscriptions.iter().filter(|s| !is_final(s.state));
    match live.next() {
        Some(live) => Next::Do(Action::Cancel(live.id.clone())),
        None => unresolved(observed).unwrap_or(Next::Do(Action::RemoveFinalizer)),
    }
}

/// A create whose answer was lost may have happened, or still happen: nothing is let go before that is known (CASE 10).
fn unresolved(observed: &Observed) -> Option<Next<Action>> {
    let Observed { meta, status, .. } = observed;
    let intent = status.intent.as_ref()?;
    match intent.operation.as_str() {
        // Found under its key, and ended then. One that is made only now is ended before anybody has its link.
        CREATE_CHECKOUT if intent::is_known(intent, meta.now) => {
            let params = intent::frozen(Some(intent), CREATE_CHECKOUT)?;
            Some(Next::Do(Action::MakeCheckout(params)))
        }
        // Not so a subscription: one that is made only now is charged for. It was the first, so that any is this one.
        CREATE_SUBSCRIPTION
            if observed.subscriptions.is_empty()
                && intent::may_take_effect(intent, meta.deleted_at, meta.now) =>
        {
            let message = "Stripe may still make a subscription whose answer was lost: it is looked for, and ended";
            Some(Blocker::wait(reason::DELETING, message).into())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
