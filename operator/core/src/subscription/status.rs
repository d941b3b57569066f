//! The status of a `Subscription`: pure, from what was observed and planned.

use std::time::Duration;

use glyph_crds::common::{BilledPrice, PeriodStatus};
use glyph_crds::entitlement::{is_final, turning_points};
use glyph_crds::{SubscriptionState as State, SubscriptionStatus};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::change::{acts_on_end, is_edited, is_end_edited, is_new};
use super::drift::{is_unmoved, with_differences};
use super::{Action, Observed, Plan, current, is_behind, payable};
use crate::billing::{Schedule, StripeSubscription};
use crate::condition::Findings;
use crate::status::Status;
use crate::{Blocker, Next, Settled, polling, reason};

/// How soon to look again at two objects that were read on two sides of a period's end.
const BEHIND: Duration = Duration::from_secs(3);

/// The status that says where Stripe stands.
#[must_use]
pub fn status(observed: &Observed, next: &Next<Action>) -> Settled<SubscriptionStatus> {
    let meta = &observed.meta;
    let mut status = observed.status.clone();
    status.observed_generation = meta.generation;
    let now = meta.now;
    let subscription = current(
        &observed.subscriptions,
        status.stripe_subscription_id.as_deref(),
    );
    let behind = subscription.is_some_and(|found| is_behind(found, observed.schedule.as_ref()));
    let findings = match (next, subscription) {
        (Next::Do(_), _) => Findings::blocked(&Blocker::wait(
            if meta.deleting {
                reason::DELETING
            } else {
                reason::PROGRESSING
            },
            "Stripe is being brought in line",
        )),
        (Next::Wait(blocker), None) => {
            offer_link(&mut status, observed);
            Findings::blocked(blocker)
        }
        (Next::Wait(_) | Next::Done, Some(subscription)) => {
            take_over(&mut status, observed, subscription);
            acted_on(&mut status, observed, subscription, behind);
            let findings = standing(&status, subscription, now);
            with_differences(findings, observed, &status, subscription)
        }
        (Next::Done, None) => Findings::blocked(&Blocker::wait(
            reason::DELETING,
            "nothing is left in Stripe",
        )),
    };
    status.find(findings, meta.generation, now);
    let look_again = if behind {
        Some(BEHIND)
    } else {
        look_again(&status, now)
    };
    Settled { status, look_again }
}

/// Which generation's tier and which generation's end Stripe has: what has to wait is still to be done, and so is all
/// between two periods.
fn acted_on(
    status: &mut SubscriptionStatus,
    observed: &Observed,
    found: &StripeSubscription,
    behind: bool,
) {
    if is_final(status.state) {
        return;
    }
    let present = observed.meta.generation;
    let not_yet = |seen: Option<i64>| Some(seen.filter(|_| seen != present).unwrap_or(0));
    let before = &observed.status;
    if is_edited(observed) && (behind || is_unmoved(observed, status)) {
        status.observed_generation = not_yet(before.observed_generation);
    }
    let differs = found.cancel_at_period_end != observed.spec.cancel_at_period_end;
    let waits = behind || differs && acts_on_end(observed);
    status.end_observed_generation = if is_end_edited(observed) && waits {
        not_yet(before.end_observed_generation)
    } else {
        present
    };
}

/// The open checkout's link, or none.
fn offer_link(status: &mut SubscriptionStatus, observed: &Observed) {
    let open = payable(&observed.sessions, observed.meta.now);
    status.checkout_url = open.and_then(|s| s.url.clone());
    status.checkout_session_id = open.map(|s| s.id.clone());
    status.checkout_expires_at = open.map(|s| Time(s.expires_at));
    if open.is_some() {
        status.intent = None;
    }
}

/// The status with Stripe's word, if it has it not yet, for what is still to be done in Stripe: what that goes by (the
/// intent, a schedule that is being made, a session that can still be paid, whether the spec was acted on) stays. `gives_way`: a
/// schedule of ours is about to be released although what it brings is still asked for.
pub(super) fn untold(
    observed: &Observed,
    found: &StripeSubscription,
    gives_way: bool,
) -> Option<SubscriptionStatus> {
    let (meta, former) = (&observed.meta, &observed.status);
    let mut status = former.clone();
    take_state(&mut status, observed, found);
    if observed.schedule.is_none() {
        show_schedule(&mut status, observed);
    }
    if payable(&observed.sessions, meta.now).is_none() {
        forget_checkout(&mut status);
    }
    record_acted_on(&mut status, observed, found);
    if gives_way {
        // What was to come with the period still is, once it can.
        status.observed_generation = Some(0);
    }
    if status == *former {
        return None;
    }
    status.settled_for = None;
    let mut findings = standing(&status, found, meta.now);
    let waiting = Blocker::wait(reason::PROGRESSING, "Stripe is being brought in line");
    findings.synced = Findings::blocked(&waiting).synced;
    status.find(findings, meta.generation, meta.now);
    Some(status)
}

/// Which generations are acted on while something is still to be done: at first none, and that of an end that Stripe has
/// already, so that a move to a tier that fails undoes nobody's cancellation.
fn record_acted_on(
    status: &mut SubscriptionStatus,
    observed: &Observed,
    found: &StripeSubscription,
) {
    if is_new(observed) {
        if observed.status.state.is_none() {
            status.observed_generation = Some(0);
        }
        status.end_observed_generation = Some(0);
    } else if status.end_observed_generation.is_none() {
        status.end_observed_generation = status.observed_generation;
    }
    if found.cancel_at_period_end == observed.spec.cancel_at_period_end {
        status.end_observed_generation = observed.meta.generation;
    }
}

fn forget_checkout(status: &mut SubscriptionStatus) {
    status.checkout_url = None;
    status.checkout_session_id = None;
    status.checkout_expires_at = None;
}

/// What Stripe says of the subscription, when nothing is left to be done.
fn take_over(status: &mut SubscriptionStatus, observed: &Observed, found: &StripeSubscription) {
    forget_checkout(status);
    status.intent = None;
    // Between two periods, what was pending still is.
    if !is_behind(found, observed.schedule.as_ref()) {
        show_schedule(status, observed);
    }
    take_state(status, observed, found);
}

/// Where the subscription stands.
fn take_state(status: &mut SubscriptionStatus, observed: &Observed, found: &StripeSubscription) {
    let StripeSubscription {
        id,
        customer: _,
        state,
        price: _,
        terms,
        item: _,
        quantity: _,
        others: _,
        currency: _,
        pause: _,
        schedule: _,
        invoice: _,
        invoice_url,
        period,
        cancel_at_period_end,
        cancel_at,
        billing_cycle_anchor,
        created: _,
        started,
        trial_end,
        ended,
        owner: _,
    } = found;
    let now = observed.meta.now;
    status.stripe_subscription_id = Some(id.clone());
    status.invoice_url.clone_from(invoice_url);
    // A word that we do not know leaves the last known state in force, and the condition says so.
    status.state = state.or(status.state);
    status.price = terms.as_ref().map(|terms| BilledPrice {
        currency: terms.currency.clone(),
        amount: terms.amount,
        interval: terms.interval,
    });
    status.started_at = started.map(Time);
    status.trial_ends_at = trial_end.map(Time);
    status.ended_at = ended.map(Time);
    if let Some((start, end)) = period {
        status.current_period = Some(PeriodStatus {
            start: Time(*start),
            end: Time(*end),
        });
    }
    let with_period = period.filter(|_| *cancel_at_period_end).map(|(_, end)| end);
    status.ends_at = cancel_at.or(with_period).map(Time);
    status.billing_cycle_anchor = billing_cycle_anchor.map(Time);
    let billed = observed.billed.as_ref();
    if let Some(billed) = billed {
        status.tier = Some(billed.name.clone());
    }
    take_debt(status, billed.and_then(|billed| billed.grace_days), now);
}

/// Since when something is owed, and until when that is borne.
fn take_debt(status: &mut SubscriptionStatus, grace_days: Option<u32>, now: Timestamp) {
    let owes = matches!(
        status.state,
        Some(State::PastDue | State::Unpaid | State::Paused)
    );
    status.unpaid_since = owes.then(|| status.unpaid_since.take().unwrap_or(Time(now)));
    status.grace_until = match status.state {
        Some(State::PastDue) => {
            let days = grace_days.map(i64::from);
            status
                .grace_until
                .take()
                .or_else(|| days.and_then(|days| after_days(now, days)))
        }
        _ => None,
    };
}

/// The schedule of ours, and the tier that it brings.
fn show_schedule(status: &mut SubscriptionStatus, observed: &Observed) {
    let ours = |s: &&Schedule| observed.meta.owns(s.owner.as_ref());
    let schedule = observed.schedule.as_ref().filter(ours);
    let wanted = match &observed.plan {
        Plan::Sold { price, .. } => Some(price),
        _ => None,
    };
    let comes = schedule
        .and_then(|s| s.next.as_ref())
        .is_some_and(|next| Some(next) == wanted);
    status.stripe_schedule_id = schedule.map(|s| s.id.clone());
    status.pending_tier = comes.then(|| observed.spec.tier.clone());
}

fn after_days(now: Timestamp, days: i64) -> Option<Time> {
    now.checked_add(SignedDuration::from_hours(days * 24))
        .ok()
        .map(Time)
}

/// What the state comes to.
fn standing(status: &SubscriptionStatus, found: &StripeSubscription, now: Timestamp) -> Findings {
    let tier = status.tier.as_deref().unwrap_or("unknown");
    let until = status
        .current_period
        .as_ref()
        .map_or(String::new(), |p| day(p.end.0));
    let Some(state) = found.state else {
        let message =
            "Stripe says a state that this version of Glyph does not know: upgrade the operator";
        return Findings::blocked(&Blocker::person(reason::UNKNOWN_STATE, message));
    };
    let ends = match &status.pending_tier {
        _ if found.cancel_at_period_end => ", and ends then".to_owned(),
        Some(next) if next != tier => format!(", then tier {next}"),
        Some(_) => ", then at the tier's new price".to_owned(),
        None => String::new(),
    };
    match state {
        State::Active => Findings::ready(
            reason::ACTIVE,
            format!("tier {tier} is paid until {until}{ends}"),
        ),
        State::Trialing => Findings::ready(
            reason::TRIALING,
            format!("tier {tier} is on trial until {until}{ends}"),
        ),
        State::PastDue => past_due(status, tier, now),
        State::Unpaid | State::Paused => Findings::blocked(&Blocker::customer(
            reason::PAYMENT_REQUIRED,
            format!(
                "tier {tier} is unpaid, and Stripe has given up trying: the customer has to pay its invoice"
            ),
        )),
        State::Incomplete => Findings::blocked(&Blocker::customer(
            reason::AWAITING_PAYMENT,
            format!(
                "the first payment of tier {tier} is not through: the customer has to confirm or repeat it"
            ),
        )),
        State::Canceled | State::IncompleteExpired => Findings::blocked(&Blocker::customer(
            reason::ENDED,
            "the subscription has ended in Stripe: create another Subscription to subscribe again",
        )),
    }
}

fn past_due(status: &SubscriptionStatus, tier: &str, now: Timestamp) -> Findings {
    let blocker = match &status.grace_until {
        Some(until) if now < until.0 => Blocker::customer(
            reason::IN_GRACE,
            format!(
                "renewal of tier {tier} is unpaid: full service until {}",
                day(until.0)
            ),
        ),
        _ => Blocker::customer(
            reason::PAYMENT_REQUIRED,
            format!(
                "renewal of tier {tier} is unpaid past its grace: the customer has to pay its invoice"
            ),
        ),
    };
    Findings::blocked(&blocker)
}

pub(super) fn day(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

/// What the customer may pay is polled; a grace, a tier, a subscription end by themselves.
fn look_again(status: &SubscriptionStatus, now: Timestamp) -> Option<Duration> {
    let unready = polling::unready_since(&status.conditions, now);
    if let Some(expires) = &status.checkout_expires_at {
        return Some(polling::again(unready, Some(expires.0), now));
    }
    if let Some(intent) = &status.intent {
        return Some(polling::again(intent.started_at.0, None, now));
    }
    if status.state == Some(State::Incomplete) {
        return Some(polling::again(unready, None, now));
    }
    let turn = turning_points(status).filter(|at| now < *at).min();
    turn.and_then(|at| Duration::try_from(at.duration_since(now)).ok())
}
