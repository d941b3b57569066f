//! The Subscription, and what Stripe shows of it.

use glyph_crds::common::condition::READY;
use glyph_crds::{SubscriptionSpec, SubscriptionState, SubscriptionStatus};
use glyph_operator_core::billing::{CheckoutSession, CheckoutState, Owner, StripeSubscription};
use glyph_operator_core::subscription::{self, BilledTier, Observed, Payer, ReturnUrls};
use glyph_operator_core::{Meta, Next};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::Woken;

/// The moment at which all happens: what is compared is what differs by order, not by time.
pub(super) const NOW: Timestamp = Timestamp::UNIX_EPOCH;

pub(super) struct Plan;

impl Woken for Plan {
    type State = SubscriptionStatus;

    fn begin(&self) -> Result<SubscriptionStatus, String> {
        self.pass(&SubscriptionStatus::default(), 0)
    }

    fn pass(
        &self,
        status: &SubscriptionStatus,
        after: usize,
    ) -> Result<SubscriptionStatus, String> {
        let observed = observed(status.clone(), after)?;
        match subscription::plan(&observed) {
            Next::Do(action) => Err(format!(
                "pure: after {after} events a purchase asks for {action:?}"
            )),
            next => Ok(subscription::status(&observed, &next).status),
        }
    }
}

/// Paid, as the spec asks.
pub(super) fn is_bought(status: &SubscriptionStatus) -> Result<(), String> {
    let ready = |status: &SubscriptionStatus| {
        let mut conditions = status.conditions.iter();
        conditions.any(|one| one.type_ == READY && one.status == "True")
    };
    let bought = status.state == Some(SubscriptionState::Active)
        && status.tier.as_deref() == Some("starter")
        && status.checkout_url.is_none()
        && ready(status);
    bought
        .then_some(())
        .ok_or_else(|| format!("pure: in order, the subscription ends as {status:?}"))
}

/// A resource, its finalizer set.
pub(super) fn meta(kind: &str) -> Meta {
    let owner = Owner {
        kind: kind.to_owned(),
        namespace: "shop".to_owned(),
        name: "ada".to_owned(),
        uid: format!("uid-{kind}"),
    };
    Meta {
        now: NOW,
        owner,
        generation: Some(1),
        deleting: false,
        deleted_at: None,
        finalized: true,
    }
}

pub(super) fn urls() -> ReturnUrls {
    ReturnUrls {
        success: "https://shop.example/paid".to_owned(),
        cancel: "https://shop.example/plans".to_owned(),
    }
}

fn observed(status: SubscriptionStatus, after: usize) -> Result<Observed, String> {
    let meta = meta("Subscription");
    let spec = json!({"customerRef": {"name": "ada"}, "tier": "starter"});
    let spec: SubscriptionSpec = serde_json::from_value(spec).map_err(|error| error.to_string())?;
    let subscriptions = subscription_after(after, &meta);
    Ok(Observed {
        schedule: None,
        spec,
        in_charge: None,
        rival: None,
        payer: Payer::Ready("cus_1".to_owned()),
        plan: subscription::Plan::Sold {
            price: "price_1".to_owned(),
            terms: terms(),
            trial_days: None,
            trial_without_card: false,
            existing: glyph_crds::ExistingSubscribers::Keep,
        },
        billed: subscriptions.first().map(|_| BilledTier {
            name: "starter".to_owned(),
            grace_days: Some(7),
        }),
        stray_price: false,
        subscriptions,
        sessions: vec![session_after(after, &meta)],
        urls: urls(),
        status,
        meta,
    })
}

/// Completed by the first event.
fn session_after(after: usize, meta: &Meta) -> CheckoutSession {
    let complete = after >= 1;
    CheckoutSession {
        id: "cs_plan".to_owned(),
        url: (!complete).then(|| "https://checkout.example/cs_plan".to_owned()),
        state: if complete {
            CheckoutState::Complete
        } else {
            CheckoutState::Open
        },
        customer: Some("cus_1".to_owned()),
        subscription: complete.then(|| "sub_1".to_owned()),
        expires_at: NOW + SignedDuration::from_hours(24),
        offer: Some("price_1 trial=0 card=required".to_owned()),
        owner: Some(meta.owner.clone()),
    }
}

/// To be seen from the second event on, and active from the third.
fn subscription_after(after: usize, meta: &Meta) -> Vec<StripeSubscription> {
    let state = match after {
        0 | 1 => return Vec::new(),
        2 => SubscriptionState::Incomplete,
        _ => SubscriptionState::Active,
    };
    vec![StripeSubscription {
        terms: Some(terms()),
        quantity: 1,
        others: Vec::new(),
        currency: Some("usd".to_owned()),
        pause: None,
        schedule: None,
        invoice: None,
        invoice_url: None,
        id: "sub_1".to_owned(),
        customer: "cus_1".to_owned(),
        state: Some(state),
        price: Some("price_1".to_owned()),
        item: Some("si_1".to_owned()),
        period: Some((NOW, NOW + SignedDuration::from_hours(30 * 24))),
        cancel_at_period_end: false,
        cancel_at: None,
        billing_cycle_anchor: Some(NOW),
        created: NOW,
        started: Some(NOW),
        trial_end: None,
        ended: None,
        owner: Some(meta.owner.clone()),
    }]
}

/// What the one price comes to.
fn terms() -> glyph_operator_core::billing::Terms {
    glyph_operator_core::billing::Terms {
        currency: "usd".to_owned(),
        amount: 2900,
        interval: glyph_crds::common::Interval::Month,
    }
}
