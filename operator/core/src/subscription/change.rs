//! What is asked of a subscription that runs: when it ends, and by which price it is billed. Pure.
//!
//! Dearer or equal: at once, and only if the difference could be charged. Cheaper: at the period's end, by a
//! subscription schedule of ours, which can be taken back until then. What a person changed in Stripe stands, unless
//! the spec was edited since it was last acted on or `driftPolicy` is `Revert`. The end and the tier are acted on apart:
//! a tier that cannot be moved to does not undo what a customer cancels.

use glyph_crds::entitlement::is_final;
use glyph_crds::{DriftPolicy, ExistingSubscribers, SubscriptionState};

use super::{Action, CREATE_SCHEDULE, Observed, Plan, is_behind};
use crate::billing::{Phases, PlanChange, Schedule, ScheduleParams, StripeSubscription, Terms};
use crate::{Blocker, Next, reason};

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
    Others(&'a Schedule),
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
    if running.pause.is_some() && reverts(observed) {
        return Next::Do(Action::ResumeCollection(id.clone()));
    }
    let ends = observed.spec.cancel_at_period_end;
    let end_differs = acts_on_end(observed) && running.cancel_at_period_end != ends;
    let schedule = match attached(observed) {
        Attached::Nobody => None,
        Attached::Us(schedule) => Some(schedule),
        Attached::UnderWay => return make_schedule(running),
        Attached::Others(schedule) => {
            let moves = is_edited(observed) && wanted_move(observed, running, false).is_some();
            return if reverts(observed) || end_differs || moves {
                Next::Do(Action::ReleaseSchedule(schedule.id.clone()))
            } else {
                Next::Done
            };
        }
    };
    let wanted = wanted_move(observed, running, schedule.is_some());
    match (schedule, wanted) {
        (Some(schedule), Some(Move::AtPeriodEnd(price, terms))) if !end_differs => {
            plan_phases(observed, running, schedule, price, terms)
        }
        // Stripe takes neither an end nor another price for what a schedule is in charge of.
        (Some(schedule), _) => Next::Do(Action::ReleaseSchedule(schedule.id.clone())),
        (None, _) if end_differs => Next::Do(Action::SetCancelAtPeriodEnd(id.clone(), ends)),
        (None, Some(Move::Now(price))) => plan_change(observed, running, price),
        (None, Some(Move::AtPeriodEnd(..))) => make_schedule(running),
        (None, None) => Next::Done,
    }
}

fn make_schedule(running: &StripeSubscription) -> Next<Action> {
    Next::Do(Action::MakeSchedule(ScheduleParams {
        subscription: running.id.clone(),
    }))
}

/// A move at once. In a trial nothing is charged, and nothing has to be kept from being charged again.
fn plan_change(observed: &Observed, running: &StripeSubscription, price: &str) -> Next<Action> {
    let Some(item) = &running.item else {
        return Next::Done;
    };
    let charge = running.state != Some(SubscriptionState::Trialing);
    Next::Do(Action::ChangePlan(PlanChange {
        subscription: running.id.clone(),
        item: item.clone(),
        price: price.to_owned(),
        charge,
        key: charge.then(|| key(observed, running, item, price)),
    }))
}

/// One try an hour for one edit of the spec and one move. A charge that went through leaves another latest invoice: the
/// same move, made again after it was undone in Stripe, is another one.
fn key(observed: &Observed, running: &StripeSubscription, item: &str, price: &str) -> String {
    let (uid, generation) = (&observed.meta.owner.uid, observed.meta.generation);
    let from = running.price.as_deref().unwrap_or_default();
    let last = running.invoice.as_deref().unwrap_or_default();
    let hour = observed.meta.now.as_second() / 3600;
    let generation = generation.unwrap_or_default();
    format!("glyph-move-{uid}-{generation}-{item}-{from}-{price}-{last}-{hour}")
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
        Attached::Others(schedule)
    }
}

/// The schedule in charge of the subscription, where somebody else made it.
pub(super) fn foreign_schedule(observed: &Observed) -> Option<&Schedule> {
    match attached(observed) {
        Attached::Others(schedule) => Some(schedule),
        Attached::Nobody | Attached::Us(_) | Attached::UnderWay => None,
    }
}

fn reverts(observed: &Observed) -> bool {
    observed.spec.drift_policy == DriftPolicy::Revert
}

/// Whether the spec's tier goes before Stripe's.
pub(super) fn acts_on_tier(observed: &Observed) -> bool {
    is_edited(observed) || reverts(observed)
}

/// Whether the spec's end goes before Stripe's. Nothing of ours ever makes a subscription that ends: if a new one does,
/// somebody has cancelled it in Stripe meanwhile.
pub(super) fn acts_on_end(observed: &Observed) -> bool {
    let asks = observed.spec.cancel_at_period_end || !is_new(observed);
    is_end_edited(observed) && asks || reverts(observed)
}

/// Whether nothing of the spec was acted on since there is a subscription, and it was not edited since its link was made.
pub(super) fn is_new(observed: &Observed) -> bool {
    let status = &observed.status;
    let seen = status.observed_generation;
    let unedited = seen.is_none() || seen == observed.meta.generation;
    match status.end_observed_generation {
        Some(seen) => seen == 0,
        None => status.state.is_none() && unedited,
    }
}

/// Whether the spec was edited since its tier was last acted on; at first, it was.
pub(super) fn is_edited(observed: &Observed) -> bool {
    is_unseen(observed, observed.status.observed_generation)
}

/// Whether the spec was edited since its end was last acted on; at first, it was.
pub(super) fn is_end_edited(observed: &Observed) -> bool {
    is_unseen(observed, observed.status.end_observed_generation)
}

fn is_unseen(observed: &Observed, seen: Option<i64>) -> bool {
    observed.status.state.is_none() || seen.is_some() && seen != observed.meta.generation
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
    if running.price.as_ref() == Some(price) || is_other_currency(running, terms) {
        return None;
    }
    // A schedule's phases name all items, and would drop those that somebody added.
    let waits = !ends(observed, running) && running.is_single();
    let later = waits.then_some(Move::AtPeriodEnd(price, terms));
    let at_once = Some(Move::Now(price));
    let billed = observed.billed.as_ref().filter(|_| !observed.stray_price);
    let of_the_spec = billed.map(|tier| &tier.name) == Some(&observed.spec.tier);
    let cheaper = is_cheaper(running, terms);
    match running.state {
        Some(Active | Trialing) if of_the_spec => match existing {
            ExistingSubscribers::Keep => None,
            ExistingSubscribers::AtRenewal => later,
            ExistingSubscribers::Now => at_once,
        },
        _ if !acts_on_tier(observed) && !scheduled => None,
        Some(Trialing) => at_once,
        Some(Active) if cheaper => later,
        Some(Active) => at_once,
        _ => None,
    }
}

/// Whether there is no next period: a schedule of ours would take the place of an end that somebody set in Stripe.
fn ends(observed: &Observed, running: &StripeSubscription) -> bool {
    observed.spec.cancel_at_period_end
        || running.cancel_at_period_end
        || running.cancel_at.is_some()
}

fn is_other_currency(running: &StripeSubscription, terms: &Terms) -> bool {
    let billed = running.currency.as_ref();
    billed.is_some_and(|billed| *billed != terms.currency)
}

/// What cannot be compared, as a price by the week, is not held to be dearer.
fn is_cheaper(running: &StripeSubscription, terms: &Terms) -> bool {
    let billed = running.terms.as_ref();
    billed.is_some_and(|billed| terms.a_year() < billed.a_year())
}

/// Why the spec's tier is not on its way, although it goes before Stripe's.
pub(super) fn obstacle(observed: &Observed, running: &StripeSubscription) -> Blocker {
    use SubscriptionState::{Active, Trialing};
    let tier = &observed.spec.tier;
    let terms = match observed.plan.to_buy(tier) {
        Ok(bargain) => bargain.terms,
        Err(blocker) => return blocker,
    };
    let later = is_cheaper(running, terms);
    let (reason, message) = if is_other_currency(running, terms) {
        let billed = running.currency.as_deref().unwrap_or("another currency");
        let message = format!(
            "tier {tier} is sold in {}, and Stripe bills this subscription in {billed}, which cannot be changed: name \
             another tier, or end this Subscription and make another",
            terms.currency
        );
        (reason::OTHER_CURRENCY, message)
    } else if !matches!(running.state, Some(Active | Trialing)) {
        let message = format!("tier {tier} comes once the open invoice is paid");
        return Blocker::wait(reason::PROGRESSING, message);
    } else if later && ends(observed, running) {
        let message = format!(
            "the subscription ends with its period, before tier {tier} would begin: take one of the two back"
        );
        (reason::ENDS_FIRST, message)
    } else if later && !running.is_single() {
        (reason::ITEMS_CHANGED, items_before(tier))
    } else {
        let message = format!("Stripe is being brought in line with tier {tier}");
        return Blocker::wait(reason::PROGRESSING, message);
    };
    Blocker::person(reason, message)
}

fn items_before(tier: &str) -> String {
    format!(
        "tier {tier} would begin with the next period, which cannot be arranged for several items: leave one in Stripe, \
         with quantity 1"
    )
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
