//! Whether a new process may leave a resource alone: `status.settledFor` names what the last pass saw when it found all
//! well. As long as a process sees the same at its first look, nothing in Stripe or Cognito has to be read.
//!
//! Written as sixteen hex digits of a SHA-256, and, where something changes by the passing of time alone, `@` and when.

use std::time::Duration;

use glyph_crds::common::condition::{READY, SYNCED};
use jiff::Timestamp;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::status::Status;

/// Bytes of the digest that are kept.
const KEPT: usize = 8;

/// The digest of all that a pass goes by.
#[must_use]
pub fn digest(seen: &Value) -> String {
    let hash = Sha256::digest(seen.to_string());
    let kept = hash.iter().take(KEPT);
    kept.map(|byte| format!("{byte:02x}")).collect()
}

/// Puts into `status` that it is settled for `digest` until `look_again` from now; takes it out where it is not.
pub fn record<S: Status>(
    status: &mut S,
    digest: Option<&str>,
    look_again: Option<Duration>,
    now: Timestamp,
) {
    let settled = digest
        .filter(|_| is_well(status))
        .map(|digest| match look_again {
            None => digest.to_owned(),
            Some(wait) => {
                let new = now.checked_add(wait).unwrap_or(Timestamp::MAX);
                // The same wait seen a little later is no news.
                let old = status.settled_for().and_then(|old| until(old, digest)?);
                let until = old.filter(|old| now < *old && *old <= new).unwrap_or(new);
                format!("{digest}@{until:.0}")
            }
        });
    status.set_settled_for(settled);
}

/// How long a resource with this status may be left alone by a process that sees `digest`: `None`: not at all,
/// `Some(None)`: until it is told.
pub fn rest<S: Status>(status: &S, digest: &str, now: Timestamp) -> Option<Option<Duration>> {
    if !is_well(status) {
        return None;
    }
    match until(status.settled_for()?, digest)? {
        None => Some(None),
        Some(until) => Duration::try_from(until.duration_since(now))
            .ok()
            .filter(|left| !left.is_zero())
            .map(Some),
    }
}

/// Nothing is under way, missing or in doubt.
fn is_well<S: Status>(status: &S) -> bool {
    let holds = |type_| {
        let mut all = status.conditions().iter();
        all.any(|c| c.type_ == type_ && c.status == "True")
    };
    !status.is_under_way() && holds(READY) && holds(SYNCED)
}

/// Until when `settled` holds, if it speaks of `digest`.
fn until(settled: &str, digest: &str) -> Option<Option<Timestamp>> {
    match settled.split_once('@') {
        None => (settled == digest).then_some(None),
        Some((of, until)) if of == digest => Some(Some(until.parse().ok()?)),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use glyph_crds::SubscriptionStatus;
    use glyph_crds::common::Intent;
    use serde_json::json;

    use super::*;
    use crate::condition::Findings;
    use crate::{Blocker, reason};

    const MINUTE: Duration = Duration::from_secs(60);

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn well() -> SubscriptionStatus {
        let mut status = SubscriptionStatus::default();
        status.find(
            Findings::ready(reason::ACTIVE, "all is well"),
            Some(1),
            at(0),
        );
        status
    }

    #[test]
    fn what_was_settled_rests_for_the_same_and_for_nothing_else() {
        let mut status = well();
        let same = digest(&json!([1, "evt_1"]));
        record(&mut status, Some(&same), None, at(0));
        assert_eq!(status.settled_for.as_ref().map(String::len), Some(16));
        assert_eq!(rest(&status, &same, at(9)), Some(None));
        for other in [json!([2, "evt_1"]), json!([1, "evt_2"]), json!([1, null])] {
            assert_eq!(rest(&status, &digest(&other), at(9)), None, "{other}");
        }
    }

    #[test]
    fn what_changes_by_the_passing_of_time_rests_until_then_and_seeing_it_again_is_no_news() {
        let mut status = well();
        record(&mut status, Some("d"), Some(MINUTE), at(0));
        assert_eq!(rest(&status, "d", at(20)), Some(Some(MINUTE * 2 / 3)));
        assert_eq!(rest(&status, "d", at(60)), None);
        let before = status.clone();
        record(&mut status, Some("d"), Some(MINUTE), at(20));
        assert_eq!(status, before);
        record(&mut status, Some("d"), Some(MINUTE / 2), at(20));
        assert_eq!(rest(&status, "d", at(20)), Some(Some(MINUTE / 2)));
        record(&mut status, Some("d"), Some(MINUTE), at(61));
        assert_eq!(rest(&status, "d", at(61)), Some(Some(MINUTE)));
    }

    #[test]
    fn what_is_not_well_or_under_way_never_rests() {
        let mut waiting = well();
        waiting.find(
            Findings::blocked(&Blocker::wait(reason::PROGRESSING, "not yet")),
            Some(1),
            at(0),
        );
        let mut making = well();
        let at_zero = k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(at(0));
        making.intent = Some(Intent {
            operation: "CreateCheckout".into(),
            idempotency_key: "key".into(),
            parameters: "{}".into(),
            started_at: at_zero,
        });
        for mut status in [waiting, making, SubscriptionStatus::default()] {
            record(&mut status, Some("d"), None, at(0));
            assert_eq!(status.settled_for, None);
            status.settled_for = Some("d".into());
            assert_eq!(rest(&status, "d", at(0)), None);
        }
    }
}
