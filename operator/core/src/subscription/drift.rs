//! What a running subscription lacks of its spec: because it cannot be had yet, or because it was changed in Stripe. Pure.

use glyph_crds::entitlement::is_final;
use glyph_crds::{DriftPolicy, SubscriptionStatus};

use super::Observed;
use super::change::{acts_on_tier, foreign_schedule, is_edited, obstacle};
use super::first::conflict;
use super::status::day;
use crate::billing::{Pause, StripeSubscription};
use crate::condition::{Finding, Findings};
use crate::reason;

/// A change made in Stripe: its reason, and what to do about it.
type Change = (&'static str, String);

/// Whether Stripe neither bills for the spec's tier nor will from the next period on.
pub(super) fn is_unmoved(observed: &Observed, status: &SubscriptionStatus) -> bool {
    let there = status.tier.as_ref() == Some(&observed.spec.tier) && !observed.stray_price;
    status.pending_tier.is_none() && !there
}

/// Says in `findings` what Stripe has otherwise than the spec, and whether another Subscription speaks for the customer.
pub(super) fn with_differences(
    mut findings: Findings,
    observed: &Observed,
    status: &SubscriptionStatus,
    found: &StripeSubscription,
) -> Findings {
    if is_final(status.state) {
        return findings;
    }
    let changes = changes(observed, status, found);
    if let Some((reason, _)) = changes.first() {
        let sentences: Vec<_> = changes
            .iter()
            .map(|(_, message)| message.as_str())
            .collect();
        let finding = |status| Finding {
            status,
            reason: (*reason).into(),
            message: sentences.join("; "),
        };
        (findings.drifted, findings.synced) = (finding(true), finding(false));
    }
    if is_unmoved(observed, status) && acts_on_tier(observed) {
        let Findings {
            synced, stalled, ..
        } = Findings::blocked(&obstacle(observed, found));
        (findings.synced, findings.stalled) = (synced, stalled);
    }
    if let Some(conflict) = conflict(observed) {
        let drifted = findings.drifted;
        findings = Findings::blocked(&conflict);
        findings.drifted = drifted;
    }
    findings
}

fn changes(
    observed: &Observed,
    status: &SubscriptionStatus,
    found: &StripeSubscription,
) -> Vec<Change> {
    let pause = found.pause.as_ref();
    let schedule = foreign_schedule(observed);
    [
        tier_change(observed, status, found),
        end_change(observed, found),
        pause.map(|pause| (reason::COLLECTION_PAUSED, paused(pause))),
        schedule.map(|schedule| (reason::SCHEDULED, scheduled(&schedule.id))),
        (!found.is_single()).then(|| (reason::ITEMS_CHANGED, items(found))),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn tier_change(
    observed: &Observed,
    status: &SubscriptionStatus,
    found: &StripeSubscription,
) -> Option<Change> {
    if !is_unmoved(observed, status) {
        return None;
    }
    let wanted = &observed.spec.tier;
    if observed.stray_price {
        let price = found.price.as_deref().unwrap_or("of its own");
        let in_force = match &status.tier {
            Some(tier) => format!("tier {tier}, the last one known, stays in force"),
            None => "no tier is in force by it".to_owned(),
        };
        let back = undo(observed, &format!("to go back to {wanted}"));
        let message = format!(
            "Stripe bills by price {price}, which is no Tier's: {in_force}. Make it a Tier's (spec.stripe.priceId) and \
             name that one in spec.tier to keep it{back}"
        );
        return Some((reason::PRICE_OF_NO_TIER, message));
    }
    let tier = status.tier.as_ref().filter(|_| !is_edited(observed))?;
    let back = undo(observed, &format!("to put {wanted} back"));
    let message = format!(
        "Stripe bills for tier {tier}, which is in force, and the spec names {wanted}: set spec.tier to {tier} to keep \
         it{back}"
    );
    Some((reason::TIER_CHANGED, message))
}

/// How to have a change undone, where that was not asked for yet.
fn undo(observed: &Observed, to: &str) -> String {
    match observed.spec.drift_policy {
        DriftPolicy::Accept => format!(", or set spec.driftPolicy to Revert {to}"),
        DriftPolicy::Revert => String::new(),
    }
}

fn end_change(observed: &Observed, found: &StripeSubscription) -> Option<Change> {
    let ends = found.cancel_at_period_end;
    (ends != observed.spec.cancel_at_period_end).then(|| {
        let message = if ends {
            "in Stripe the subscription was set to end with its period, which stands: set spec.cancelAtPeriodEnd \
             to agree, or spec.driftPolicy to Revert to go on"
        } else {
            "in Stripe the subscription was resumed, which stands: set spec.cancelAtPeriodEnd to false to agree, \
             or spec.driftPolicy to Revert to end it with its period"
        };
        (reason::CANCELLATION_CHANGED, message.to_owned())
    })
}

fn paused(pause: &Pause) -> String {
    let until = match pause.resumes_at {
        Some(at) => format!("until {}", day(at)),
        None => "until somebody ends it".to_owned(),
    };
    let meanwhile = match pause.behavior.as_str() {
        "void" => "invoices are void meanwhile",
        "keep_as_draft" => "invoices stay drafts meanwhile",
        "mark_uncollectible" => "invoices are given up meanwhile",
        _ => "invoices wait meanwhile",
    };
    format!(
        "in Stripe the collection of payments was paused {until}, and service goes on: {meanwhile}. Resume it in Stripe, \
         or set spec.driftPolicy to Revert"
    )
}

fn scheduled(id: &str) -> String {
    format!(
        "subscription schedule {id}, which Glyph did not make, decides what comes next, and it stands: edit the spec to \
         go before it, set spec.driftPolicy to Revert, or release it in Stripe"
    )
}

fn items(found: &StripeSubscription) -> String {
    let price = found.price.as_deref().unwrap_or("of its own");
    format!(
        "Stripe bills for {} items, the first of them {} times price {price}, and Glyph sells one of one: it counts as \
         one; take the rest out in Stripe",
        1 + found.others.len(),
        found.quantity
    )
}
