//! How one external object is made exactly once (CASES 1–7): look, write the intent down, call under its
//! key; after a crash call again under the same key with the frozen parameters; only a key that is used
//! up or forgotten gives way to a new one, and never before having looked.
//!
//! "Having looked" means a strongly consistent list. A search lags by up to an hour, so that an empty one
//! proves nothing (<https://docs.stripe.com/search#data-freshness>); the adapters list first.

use glyph_crds::common::Intent;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Stripe forgets idempotency keys after 24 h (<https://docs.stripe.com/api/idempotent_requests>); an
/// hour less, because its clock is not ours.
const KEY_LIFETIME: SignedDuration = SignedDuration::from_hours(23);

/// How long after its last try a create may still take effect, though its answer was lost: a call with all its attempts
/// takes 60 s at most, and Stripe ends soon after what it has begun.
const TAKES_EFFECT: SignedDuration = SignedDuration::from_mins(3);

/// What to do next to have the object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Look for objects of this owner.
    Look,
    /// One was found: it is the one.
    Adopt,
    /// Several were found: touch none.
    Twice,
    /// Write a new intent down.
    Record,
    /// Make the call of the intent, perhaps again.
    Call,
}

/// What to do next. `intent` is the one written down for this operation; `spent`, that its key answers
/// with an error for ever; `found`, how many objects a look found, if there was one.
#[must_use]
pub fn next_step(
    intent: Option<&Intent>,
    spent: bool,
    found: Option<usize>,
    now: Timestamp,
) -> Step {
    let usable = !spent && intent.is_some_and(|intent| is_known(intent, now));
    match found {
        Some(0) | None if usable => Step::Call,
        None => Step::Look,
        Some(0) => Step::Record,
        Some(1) => Step::Adopt,
        Some(_) => Step::Twice,
    }
}

/// Whether Stripe still knows the key of `intent`, so that the call can be made again.
#[must_use]
pub fn is_known(intent: &Intent, now: Timestamp) -> bool {
    now.duration_since(intent.started_at.0) < KEY_LIFETIME
}

/// Whether the call of `intent`, not made again since `stopped`, can still take effect, so that a look proves nothing.
#[must_use]
pub fn may_take_effect(intent: &Intent, stopped: Option<Timestamp>, now: Timestamp) -> bool {
    let last = stopped.map_or(intent.started_at.0, |at| at.max(intent.started_at.0));
    now.duration_since(last) < TAKES_EFFECT
}

/// The frozen parameters of the intent for `operation`, if there is one and they can be read back.
#[must_use]
pub fn frozen<P: DeserializeOwned>(intent: Option<&Intent>, operation: &str) -> Option<P> {
    let intent = intent.filter(|intent| intent.operation == operation)?;
    serde_json::from_str(&intent.parameters).ok()
}

/// The Stripe customer that an intent's frozen parameters name.
#[must_use]
pub fn customer(intent: Option<&Intent>) -> Option<String> {
    let parameters: Value = serde_json::from_str(&intent?.parameters).ok()?;
    Some(parameters.get("customer")?.as_str()?.to_owned())
}

/// A new intent. `nonce` makes its key another one than that of an earlier intent for the same thing.
///
/// # Errors
/// Parameters that JSON cannot express.
pub fn new(
    uid: &str,
    operation: &str,
    parameters: &impl Serialize,
    nonce: &str,
    now: Timestamp,
) -> Result<Intent, serde_json::Error> {
    Ok(Intent {
        operation: operation.to_owned(),
        idempotency_key: format!("glyph-{operation}-{uid}-{nonce}"),
        parameters: serde_json::to_string(parameters)?,
        started_at: Time(now),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn intent() -> Intent {
        new("u", "CreateCustomer", &"p", "n", at("2026-01-01T00:00:00Z")).unwrap()
    }

    #[test]
    fn nothing_is_made_before_having_looked_and_written_the_intent_down() {
        let now = at("2026-01-01T00:00:00Z");
        assert_eq!(next_step(None, false, None, now), Step::Look);
        assert_eq!(next_step(None, false, Some(0), now), Step::Record);
        assert_eq!(next_step(Some(&intent()), false, Some(0), now), Step::Call);
    }

    #[test]
    fn a_retry_within_a_day_repeats_the_call_and_a_later_one_looks_first() {
        let soon = at("2026-01-01T22:59:59Z");
        let late = at("2026-01-01T23:00:00Z");
        assert_eq!(next_step(Some(&intent()), false, None, soon), Step::Call);
        assert_eq!(next_step(Some(&intent()), false, None, late), Step::Look);
        assert_eq!(
            next_step(Some(&intent()), false, Some(0), late),
            Step::Record
        );
        assert_eq!(
            next_step(Some(&intent()), false, Some(1), late),
            Step::Adopt
        );
    }

    #[test]
    fn a_key_that_is_used_up_gives_way_to_a_new_one_only_after_a_look() {
        let now = at("2026-01-01T00:01:00Z");
        assert_eq!(next_step(Some(&intent()), true, None, now), Step::Look);
        assert_eq!(next_step(Some(&intent()), true, Some(1), now), Step::Adopt);
        assert_eq!(next_step(Some(&intent()), true, Some(0), now), Step::Record);
    }

    #[test]
    fn what_a_lost_create_was_for_is_read_back_from_its_intent() {
        let of = |parameters: Value| {
            new(
                "u",
                "CreateCheckout",
                &parameters,
                "n",
                at("2026-01-01T00:00:00Z"),
            )
            .unwrap()
        };
        let checkout = of(serde_json::json!({"customer": "cus_1", "price": "price_1"}));
        assert_eq!(customer(Some(&checkout)).as_deref(), Some("cus_1"));
        assert_eq!(
            customer(Some(&of(serde_json::json!({"subscription": "sub_1"})))),
            None
        );
        assert_eq!(customer(Some(&intent())), None);
        assert_eq!(
            frozen::<String>(Some(&intent()), "CreateCustomer").as_deref(),
            Some("p")
        );
        assert_eq!(frozen::<String>(Some(&intent()), "CreateCheckout"), None);
        assert_eq!(frozen::<i64>(Some(&intent()), "CreateCustomer"), None);
    }

    #[test]
    fn a_look_proves_nothing_while_a_create_can_still_take_effect() {
        let deleted = Some(at("2026-01-01T05:00:00Z"));
        let may = |stopped, now| may_take_effect(&intent(), stopped, at(now));
        assert!(may(None, "2026-01-01T00:02:59Z"));
        assert!(!may(None, "2026-01-01T00:03:00Z"));
        assert!(may(deleted, "2026-01-01T05:02:59Z"));
        assert!(!may(deleted, "2026-01-01T05:03:00Z"));
    }

    #[test]
    fn two_found_are_left_alone_even_with_a_usable_key() {
        let now = at("2026-01-01T00:00:00Z");
        assert_eq!(next_step(None, false, Some(2), now), Step::Twice);
        assert_eq!(next_step(Some(&intent()), false, Some(2), now), Step::Twice);
    }
}
