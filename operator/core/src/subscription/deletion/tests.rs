use glyph_crds::SubscriptionState as State;
use glyph_crds::common::Intent;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::json;

use super::super::{Payer, Plan, ReturnUrls};
use super::*;
use crate::Meta;
use crate::billing::{
    CheckoutParams, CheckoutSession, CheckoutState, Collection, Owner, StripeSubscription,
    SubscriptionParams,
};

fn deleted_at() -> Timestamp {
    "2026-01-01T00:00:00Z".parse().unwrap()
}

fn owner() -> Owner {
    let [kind, namespace, name, uid] = ["Subscription", "shop", "ada", "u-1"].map(str::to_owned);
    Owner {
        kind,
        namespace,
        name,
        uid,
    }
}

/// A Subscription whose customer is gone from Kubernetes, a minute after it was deleted.
fn observed(intent: Intent) -> Observed {
    let spec = json!({"customerRef": {"name": "ada"}, "tier": "starter"});
    let status = json!({"conditions": [], "intent": intent});
    Observed {
        rival: None,
        stray_price: false,
        meta: Meta {
            now: deleted_at() + SignedDuration::from_mins(1),
            owner: owner(),
            generation: Some(2),
            deleting: true,
            deleted_at: Some(deleted_at()),
            finalized: true,
        },
        spec: serde_json::from_value(spec).unwrap(),
        status: serde_json::from_value(status).unwrap(),
        in_charge: None,
        payer: Payer::Missing,
        plan: Plan::Missing,
        subscriptions: Vec::new(),
        sessions: Vec::new(),
        schedule: None,
        billed: None,
        urls: ReturnUrls {
            success: String::new(),
            cancel: String::new(),
        },
    }
}

/// An intent an hour old.
fn intent(operation: &str, params: &impl Serialize) -> Intent {
    let started = deleted_at() - SignedDuration::from_hours(1);
    intent::new("u-1", operation, params, "nonce", started).unwrap()
}

fn checkout() -> CheckoutParams {
    CheckoutParams {
        customer: "cus_1".into(),
        price: "price_1".into(),
        trial_days: None,
        trial_without_card: false,
        success_url: "s".into(),
        cancel_url: "c".into(),
        owner: owner(),
    }
}

fn subscription() -> SubscriptionParams {
    SubscriptionParams {
        trial_without_card: false,
        customer: "cus_1".into(),
        price: "price_1".into(),
        trial_days: None,
        collection: Collection::Automatic,
        owner: owner(),
    }
}

fn made(state: State) -> StripeSubscription {
    StripeSubscription {
        quantity: 1,
        others: Vec::new(),
        currency: None,
        pause: None,
        invoice: None,
        id: "sub_1".into(),
        customer: "cus_1".into(),
        state: Some(state),
        price: None,
        terms: None,
        item: None,
        schedule: None,
        invoice_url: None,
        period: None,
        cancel_at_period_end: false,
        cancel_at: None,
        billing_cycle_anchor: None,
        created: deleted_at(),
        started: None,
        trial_end: None,
        ended: None,
        owner: Some(owner()),
    }
}

/// CASE 10.
#[test]
fn a_checkout_whose_answer_was_lost_is_found_under_its_key_and_ended_before_anything_is_let_go() {
    let mut observed = observed(intent(CREATE_CHECKOUT, &checkout()));
    assert_eq!(
        plan(&observed),
        Next::Do(Action::MakeCheckout(checkout())),
        "with the frozen parameters, though the customer is gone"
    );
    observed.status.intent = None;
    observed.sessions = vec![CheckoutSession {
        offer: None,
        id: "cs_1".into(),
        url: None,
        state: CheckoutState::Open,
        customer: None,
        subscription: None,
        expires_at: deleted_at() + SignedDuration::from_hours(24),
        owner: Some(owner()),
    }];
    assert_eq!(
        plan(&observed),
        Next::Do(Action::ExpireCheckout("cs_1".into()))
    );
    observed.sessions[0].state = CheckoutState::Expired;
    assert_eq!(plan(&observed), Next::Do(Action::RemoveFinalizer));
}

#[test]
fn a_checkout_whose_key_stripe_has_forgotten_was_looked_for_and_is_let_go() {
    let mut observed = observed(intent(CREATE_CHECKOUT, &checkout()));
    observed.meta.now += SignedDuration::from_hours(23);
    assert_eq!(plan(&observed), Next::Do(Action::RemoveFinalizer));
}

/// CASE 10: a create that is made again could be the first, and charge for what nobody wants any more.
#[test]
fn a_subscription_whose_answer_was_lost_is_looked_for_while_it_may_come_and_never_made_again() {
    let mut observed = observed(intent(CREATE_SUBSCRIPTION, &subscription()));
    let Next::Wait(blocker) = plan(&observed) else {
        panic!("it is let go: {:?}", plan(&observed));
    };
    assert_eq!(blocker.reason, reason::DELETING);
    observed.subscriptions = vec![made(State::Active)];
    assert_eq!(plan(&observed), Next::Do(Action::Cancel("sub_1".into())));
    observed.subscriptions = vec![made(State::Canceled)];
    assert_eq!(plan(&observed), Next::Do(Action::RemoveFinalizer));
    observed.subscriptions.clear();
    observed.meta.now += SignedDuration::from_mins(2);
    assert_eq!(plan(&observed), Next::Do(Action::RemoveFinalizer));
}
