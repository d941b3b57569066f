//! The subscription: what Kubernetes says is what Stripe says, what is enforced follows from that, and the one who had
//! the last word has it.

use glyph_crds::common::condition::SYNCED;
use glyph_crds::entitlement::{Standing, in_charge};
use glyph_crds::period::{Cycle, Period};
use glyph_crds::{Subscription, SubscriptionState as State};
use glyph_operator_core::reason;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::super::model::{Model, Wish, Word};
use super::super::operation::Level;
use super::super::seen::{Seen, billed, is_live, level_of, name, owner, state_of, uid};
use super::{id, is_true, said};
use crate::resources::DEFAULT_TIER;

/// Everything about subscriptions.
pub(super) fn at_rest(model: &Model, seen: &Seen) -> Vec<String> {
    let mut wrong = Vec::new();
    let names: Vec<_> = seen.subscriptions.iter().map(name).collect();
    let wanted: Vec<_> = model.wishes.iter().map(|wish| wish.name.as_str()).collect();
    if names != wanted {
        wrong.push(format!(
            "there are the Subscriptions {names:?}, and {wanted:?} should be"
        ));
        return wrong;
    }
    for (wish, resource) in model.wishes.iter().zip(&seen.subscriptions) {
        match seen.subscription_of(uid(resource)) {
            Some(found) => {
                wrong.extend(told(seen, resource, found));
                wrong.extend(grace(model, resource, found));
                if is_live(found) {
                    wrong.extend(last_word(seen, wish, resource, found));
                }
            }
            None => wrong.extend(link(seen, wish, resource)),
        }
    }
    let uids: Vec<_> = seen.subscriptions.iter().map(uid).collect();
    for orphan in seen
        .stripe
        .subscriptions
        .iter()
        .filter(|one| is_live(one) && !uids.contains(&owner(one)))
    {
        wrong.push(format!(
            "{} lives on, and its Subscription is gone",
            id(orphan)
        ));
    }
    for orphan in seen
        .stripe
        .sessions
        .iter()
        .filter(|one| one["mode"] == "subscription" && seen.is_open(one))
    {
        if !uids.contains(&owner(orphan)) {
            wrong.push(format!(
                "{} can be paid, and its Subscription is gone",
                id(orphan)
            ));
        }
    }
    wrong.extend(enforced(seen));
    wrong
}

/// What the status says is what Stripe says.
fn told(seen: &Seen, resource: &Subscription, found: &Value) -> Vec<String> {
    let what = name(resource);
    let status = json!(resource.status);
    let item = &found["items"]["data"][0];
    let mut wrong = Vec::new();
    let mut same = |field: &str, said: &Value, stripe: Value| {
        if *said != stripe {
            wrong.push(format!(
                "{what} says of its {field} {said}, and Stripe {stripe}"
            ));
        }
    };
    same(
        "subscription",
        &status["stripeSubscriptionId"],
        found["id"].clone(),
    );
    same("state", &status["state"], found["status"].clone());
    same(
        "tier",
        &status["tier"],
        billed(found).map_or(Value::Null, |level| level.name().into()),
    );
    same(
        "period's start",
        &status["currentPeriod"]["start"],
        time(&item["current_period_start"]),
    );
    same(
        "period's end",
        &status["currentPeriod"]["end"],
        time(&item["current_period_end"]),
    );
    same("link", &status["checkoutUrl"], Value::Null);
    if is_live(found) {
        let pending = seen
            .pending(found)
            .map_or(Value::Null, |level| level.name().into());
        same("pending tier", &status["pendingTier"], pending);
    }
    let open = seen.open_sessions(uid(resource));
    if let Some(session) = open.first() {
        wrong.push(format!("{} can be paid beside {}", id(session), id(found)));
    }
    wrong
}

fn time(seconds: &Value) -> Value {
    let at = seconds
        .as_i64()
        .and_then(|at| Timestamp::from_second(at).ok());
    at.map_or(Value::Null, |at| at.to_string().into())
}

/// Before the first payment: one link, for the tier in the spec.
fn link(seen: &Seen, wish: &Wish, resource: &Subscription) -> Vec<String> {
    let what = name(resource);
    let speaks = in_charge(&seen.subscriptions).is_some_and(|one| uid(one) == uid(resource));
    let open = seen.open_sessions(uid(resource));
    let status = json!(resource.status);
    let mut wrong = Vec::new();
    if !speaks {
        if !open.is_empty() {
            wrong.push(format!(
                "{what} does not speak for the customer, and has a link"
            ));
        }
        return wrong;
    }
    let [session] = open[..] else {
        return vec![format!(
            "{what} has {} open links: {}",
            open.len(),
            said(&json!(resource))
        )];
    };
    if status["checkoutUrl"] != session["url"] {
        wrong.push(format!(
            "{what} shows {}, and Stripe's open link is {}",
            status["checkoutUrl"], session["url"]
        ));
    }
    if session["amount_total"] != wish.level.amount() {
        wrong.push(format!(
            "the link of {what} is for {} cents, and {} is asked for",
            session["amount_total"],
            wish.level.name()
        ));
    }
    if resource
        .status
        .as_ref()
        .is_none_or(|s| s.observed_generation != resource.metadata.generation)
    {
        wrong.push(format!("the status of {what} is of a former spec"));
    }
    wrong
}

/// The plan and the end are as whoever spoke last has it.
fn last_word(seen: &Seen, wish: &Wish, resource: &Subscription, found: &Value) -> Vec<String> {
    let what = name(resource);
    let mut wrong = Vec::new();
    let ends = found["cancel_at_period_end"] == true;
    let end = match wish.end {
        Word::Spec => Some(wish.ends),
        Word::Stripe(ends) => Some(ends),
        Word::Open => None,
    };
    if end.is_some_and(|end| end != ends) {
        wrong.push(format!(
            "{what} ends with its period: {ends}; asked was {end:?} ({:?}): {}",
            wish.end,
            said(&json!(resource))
        ));
    }
    let (billed, pending) = (billed(found), seen.pending(found));
    let agreed = match wish.plan {
        _ if state_of(found) != Some(State::Active) => true,
        Word::Open => true,
        Word::Stripe(level) => billed == Some(level),
        Word::Spec if billed == Some(wish.level) => pending.is_none(),
        // Cheaper: with the next period, if there is one.
        Word::Spec if billed > Some(wish.level) => {
            pending == Some(wish.level) || ends && pending.is_none()
        }
        Word::Spec => false,
    };
    if !agreed {
        wrong.push(format!(
            "{what} is billed for {billed:?}, then {pending:?}; the spec names {:?}, the last word is {:?}: {}",
            wish.level, wish.plan, said(&json!(resource))
        ));
    }
    let paused = !found["pause_collection"].is_null();
    let moved = pending.is_none() && billed != Some(wish.level) || ends != wish.ends;
    let differs = paused || moved;
    // A move that cannot be made is no drift: the condition says why not.
    if is_true(&json!(resource), "Drifted") != differs && !is_held_up(resource) {
        wrong.push(format!(
            "that {what} differs from its spec is {differs}: {}",
            said(&json!(resource))
        ));
    }
    let status = resource.status.as_ref();
    let acted = status.is_some_and(|s| s.observed_generation == resource.metadata.generation);
    let may_wait = billed != Some(wish.level) && pending.is_none();
    if !acted && !may_wait {
        wrong.push(format!(
            "the status of {what} is of a former spec: {}",
            said(&json!(resource))
        ));
    }
    wrong
}

/// Whether something that the spec asks for cannot be had (yet).
fn is_held_up(resource: &Subscription) -> bool {
    const OBSTACLES: [&str; 4] = [
        reason::REFUSED,
        reason::ENDS_FIRST,
        reason::TIER_NOT_READY,
        reason::PROGRESSING,
    ];
    let conditions = resource.status.as_ref().map(|status| &status.conditions);
    let mut conditions = conditions.into_iter().flatten();
    conditions.any(|one| one.type_ == SYNCED && OBSTACLES.contains(&one.reason.as_str()))
}

/// `graceUntil`: only while overdue, counted from when that was first seen, and kept.
fn grace(model: &Model, resource: &Subscription, found: &Value) -> Vec<String> {
    let status = resource.status.as_ref();
    let until = status
        .and_then(|s| s.grace_until.as_ref())
        .map(|until| until.0.as_second());
    let days = billed(found)
        .and_then(Level::grace)
        .map(|(days, _)| i64::from(days) * 86_400);
    let days = days.filter(|_| state_of(found) == Some(State::PastDue));
    let fits = match (until, days) {
        (None, None) => true,
        (Some(until), Some(days)) => {
            let kept = model.grace.filter(|_| !model.may_have_recovered);
            until - days >= model.paid_at && kept.is_none_or(|kept| kept == until)
        }
        _ => false,
    };
    if fits {
        return Vec::new();
    }
    vec![format!(
        "{} is {} and has grace until {until:?}, before {:?}",
        name(resource),
        found["status"],
        model.grace
    )]
}

/// What the sidecar enforces is what `docs/billing.md` says of Stripe's state.
fn enforced(seen: &Seen) -> Vec<String> {
    let first = in_charge(&seen.subscriptions);
    let found = first.and_then(|one| seen.subscription_of(uid(one)));
    let until = first
        .and_then(|one| one.status.as_ref()?.grace_until.as_ref())
        .map(|until| until.0);
    let wanted = wanted(found, until.is_some_and(|until| seen.now < until));
    let standing = Standing::of(first, seen.now);
    if standing != wanted {
        return vec![format!(
            "enforced is {standing:?}, and by Stripe it should be {wanted:?}"
        )];
    }
    // The tier for people to read changes by a timer when a grace ends, which a clock that is moved does not wake.
    if found.and_then(state_of) == Some(State::PastDue) {
        return Vec::new();
    }
    let tier = match &wanted {
        Standing::Subscribed { tier, .. } => Some(tier.clone()),
        Standing::Default => Some(DEFAULT_TIER.to_owned()),
        Standing::Lapsed { tier } => {
            let grace = Level::named(tier).and_then(Level::grace);
            let lower = grace.and_then(|(_, lower)| lower);
            lower.map(|lower| lower.name().to_owned())
        }
    };
    let told = seen
        .customers
        .first()
        .and_then(|one| one.status.as_ref()?.tier.clone());
    if told == tier {
        return Vec::new();
    }
    vec![format!(
        "the customer is said to be on {told:?}, and {tier:?} is enforced"
    )]
}

fn wanted(found: Option<&Value>, in_grace: bool) -> Standing {
    let Some((found, state)) = found.and_then(|found| Some((found, state_of(found)?))) else {
        return Standing::Default;
    };
    let item = &found["items"]["data"][0];
    let Some(level) = level_of(&item["price"]) else {
        return Standing::Default;
    };
    let tier = level.name().to_owned();
    let cycle = cycle(found, item);
    match state {
        State::Trialing | State::Active => Standing::Subscribed { tier, cycle },
        State::PastDue if in_grace => Standing::Subscribed { tier, cycle },
        State::PastDue | State::Unpaid | State::Paused => Standing::Lapsed { tier },
        State::Incomplete | State::IncompleteExpired | State::Canceled => Standing::Default,
    }
}

/// What the months of allowance are cut from.
fn cycle(subscription: &Value, item: &Value) -> Option<Cycle> {
    let instant = |value: &Value| Timestamp::from_second(value.as_i64()?).ok();
    let start = instant(&item["current_period_start"])?;
    let end = instant(&item["current_period_end"])?;
    Some(Cycle {
        period: Period { start, end },
        anchor: instant(&subscription["billing_cycle_anchor"])?,
    })
}
