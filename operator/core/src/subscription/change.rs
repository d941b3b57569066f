//! What is asked of a subscription that runs: when it ends, and by which price it is billed. Pure.
//!
//! Dearer or equal: at once, and only if the difference could be charged. Cheaper: at the period's end, by a
//! subscription schedule of ours, which can be taken back until then. What a person changed in Stripe stands, unless
//! the spec was edited since it was last acted on or `driftPolicy` is `Revert`.

use glyph_crds::entitlement::is_final;
use glyph_crds::{DriftPolicy, ExistingSubscribers, SubscriptionState};

use super::{Action, CREATE_SCHEDULE, Observed, Plan, is_behind};
use crate::Next;
use crate::billing::{Phases, PlanChange, Schedule, ScheduleParams, StripeSubscription, Terms};

/// Another price, and when it begins.
enum Move<'a> {
    Now(&'a str),
    AtPeriodEnd(&'a str, &'a Terms),
}

/// Who made the schedule that is in charge of the subscription.
enum Attached<'a> {
    Nobody,
    Us(&'a Schedule),
    /// We were about to make one when this operator or the one before it ended: it may be that one.
    UnderWay,
    Others,
}

/// The next thing to do for a subscription that is there.
pub(super) fn plan_running(observed: &Observed, running: &StripeSubscription) -> Next<Action> {
    if is_final(running.state) {
        return Next::Done;
    }
    if is_behind(running, observed.schedule.as_ref()) {
        return Next::Done;
    }
    let id = &running.id;
    let make_schedule = || {
        Next::Do(Action::MakeSchedule(ScheduleParams {
            subscription: id.clone(),
        }))
    };
    let schedule = match attached(observed) {
        Attached::Nobody => None,
        Attached::Us(schedule) => Some(schedule),
        Attached::UnderWay => return make_schedule(),
        Attached::Others => return Next::Done,
    };
    let ends = observed.spec.cancel_at_period_end;
    // Nothing of ours ever makes a subscription that ends: at first, somebody has cancelled it in Stripe meanwhile.
    let asks_for_end = acts(observed) && (ends || !is_new(observed) || reverts(observed));
    let end_differs = asks_for_end && running.cancel_at_period_end != ends;
    let wanted = wanted_move(observed, running, schedule.is_some());
    match (schedule, wanted) {
        (Some(schedule), Some(Move::AtPeriodEnd(price, terms))) if !end_differs => {
            plan_phases(observed, running, schedule, price, terms)
        }
        // Stripe takes neither an end nor another price for what a schedule is in charge of.
        (Some(schedule), _) => Next::Do(Action::ReleaseSchedule(schedule.id.clone())),
        (None, _) if end_differs => Next::Do(Action::SetCancelAtPeriodEnd(id.clone(), ends)),
        (None, Some(Move::Now(price))) => match &running.item {
            Some(item) => Next::Do(Action::ChangePlan(PlanChange {
                subscription: id.clone(),
                item: item.clone(),
                price: price.to_owned(),
                charge: running.state != Some(SubscriptionState::Trialing),
                key: key(observed, running, item, price),
            })),
            None => Next::Done,
        },
        (None, Some(Move::AtPeriodEnd(..))) => make_schedule(),
        (None, None) => Next::Done,
    }
}

/// One try an hour for one edit of the spec and one move.
fn key(observed: &Observed, running: &StripeSubscription, item: &str, price: &str) -> String {
    let (uid, generation) = (&observed.meta.owner.uid, observed.meta.generation);
    let from = running.price.as_deref().unwrap_or_default();
    let hour = observed.meta.now.as_second() / 3600;
    let generation = generation.unwrap_or_default();
    format!("glyph-move-{uid}-{generation}-{item}-{from}-{price}-{hour}")
}

fn attached(observed: &Observed) -> Attached<'_> {
    let status = &observed.status;
    let Some(schedule) = &observed.schedule else {
        return Attached::Nobody;
    };
    let recorded = status.stripe_schedule_id.as_ref() == Some(&schedule.id);
    if recorded || observed.meta.owns(schedule.owner.as_ref()) {
        Attached::Us(schedule)
    } else if status
        .intent
        .as_ref()
        .is_some_and(|i| i.operation == CREATE_SCHEDULE)
    {
        Attached::UnderWay
    } else {
        Attached::Others
    }
}

/// Whether the spec goes before what Stripe says: it was edited since it was last acted on, or is not to be drifted from.
fn acts(observed: &Observed) -> bool {
    is_edited(observed) || reverts(observed)
}

fn reverts(observed: &Observed) -> bool {
    observed.spec.drift_policy == DriftPolicy::Revert
}

/// Whether nothing of the spec was acted on since there is a subscription, and it was not edited since its link was made.
pub(super) fn is_new(observed: &Observed) -> bool {
    let status = &observed.status;
    let seen = status.observed_generation;
    let unedited = seen.is_none() || seen == observed.meta.generation;
    seen == Some(0) || status.state.is_none() && unedited
}

/// Whether the spec was edited since it was last acted on; at first, it was.
pub(super) fn is_edited(observed: &Observed) -> bool {
    let status = &observed.status;
    let seen = status.observed_generation;
    status.state.is_none() || seen.is_some() && seen != observed.meta.generation
}

/// The price to move to, if any.
fn wanted_move<'a>(
    observed: &'a Observed,
    running: &StripeSubscription,
    scheduled: bool,
) -> Option<Move<'a>> {
    use SubscriptionState::{Active, Trialing};
    let Plan::Sold {
        price,
        terms,
        trial_days: _,
        trial_without_card: _,
        existing,
    } = &observed.plan
    else {
        return None;
    };
    let billed = running.terms.as_ref();
    // A price that cannot be compared is not ours; one in another currency cannot be moved to.
    let comparable = billed.is_some_and(|billed| billed.currency == terms.currency);
    if running.price.as_ref() == Some(price) || !comparable {
        return None;
    }
    let later = (!observed.spec.cancel_at_period_end).then_some(Move::AtPeriodEnd(price, terms));
    let at_once = Some(Move::Now(price));
    let of_the_spec = observed.billed.as_ref().map(|tier| &tier.name) == Some(&observed.spec.tier);
    let cheaper = billed.is_some_and(|billed| terms.a_year() < billed.a_year());
    match running.state {
        Some(Active | Trialing) if of_the_spec => match existing {
            ExistingSubscribers::Keep => None,
            ExistingSubscribers::AtRenewal => later,
            ExistingSubscribers::Now => at_once,
        },
        _ if !acts(observed) && !scheduled => None,
        Some(Trialing) => at_once,
        Some(Active) if cheaper => later,
        Some(Active) => at_once,
        _ => None,
    }
}

fn plan_phases(
    observed: &Observed,
    running: &StripeSubscription,
    schedule: &Schedule,
    price: &str,
    terms: &Terms,
) -> Next<Action> {
    let owned = observed.meta.owns(schedule.owner.as_ref());
    let (Some(present), Some(period)) = (&running.price, schedule.current.or(running.period))
    else {
        return Next::Done;
    };
    if schedule.next.as_deref() == Some(price) && owned {
        return Next::Done;
    }
    Next::Do(Action::SetPhases(Phases {
        schedule: schedule.id.clone(),
        period,
        price: present.clone(),
        next: price.to_owned(),
        next_interval: terms.interval,
        owner: observed.meta.owner.clone(),
    }))
}
