//! Whether a new process may leave a resource alone: `status.settledFor` names what the last pass saw when it came to
//! rest. As long as a process sees the same at its first look, nothing in Stripe or Cognito has to be read.
//!
//! At rest is also what is not ready and has only the customer to wait for: an end, a failed payment, an unpaid renewal,
//! a link that nobody pays. Stripe holds what the spec asks, and tells of a payment.
//!
//! Written as sixteen hex digits of a SHA-256, and, where something changes by the passing of time alone, `@` and when.

use std::time::Duration;

use glyph_crds::common::condition::{DRIFTED, READY, SYNCED};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::status::Status;

/// Bytes of the digest that are kept.
const KEPT: usize = 8;
/// The shortest rest that is written down: each is a write, and a start costs less than many of those.
const SHORTEST: Duration = Duration::from_secs(3600);

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
    let worth_it = look_again.is_none_or(|wait| SHORTEST <= wait);
    let settled =
        digest
            .filter(|_| worth_it && is_at_rest(status))
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
    if !is_at_rest(status) {
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

/// Nothing is under way, in doubt, or to be mended where nobody would tell of it: Stripe holds what the spec asks, or
/// what a person changed there, which stands.
#[must_use]
pub fn is_at_rest<S: Status>(status: &S) -> bool {
    let find = |type_| status.conditions().iter().find(|c| c.type_ == type_);
    let holds = |c: &&Condition| c.status == "True";
    let (ready, drifted) = (find(READY).filter(holds), find(DRIFTED).filter(holds));
    let in_force = |synced: &Condition| {
        holds(&synced) || ready.is_some() && drifted.is_some_and(|c| c.reason == synced.reason)
    };
    !status.is_under_way() && find(SYNCED).is_some_and(in_force)
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
    use crate::billing::FailureClass;
    use crate::condition::Findings;
    use crate::{Blocker, reason};

    const HOUR: Duration = SHORTEST;

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
        record(&mut status, Some("d"), Some(3 * HOUR), at(0));
        assert_eq!(rest(&status, "d", at(3600)), Some(Some(2 * HOUR)));
        assert_eq!(rest(&status, "d", at(3 * 3600)), None);
        let before = status.clone();
        record(&mut status, Some("d"), Some(3 * HOUR), at(1200));
        assert_eq!(status, before);
        record(&mut status, Some("d"), Some(HOUR), at(1200));
        assert_eq!(rest(&status, "d", at(1200)), Some(Some(HOUR)));
        record(&mut status, Some("d"), Some(3 * HOUR), at(4801));
        assert_eq!(rest(&status, "d", at(4801)), Some(Some(3 * HOUR)));
    }

    #[test]
    fn what_is_looked_at_again_soon_is_not_written_down_each_time() {
        let mut status = well();
        record(&mut status, Some("d"), Some(HOUR / 2), at(0));
        assert_eq!(status.settled_for, None);
    }

    /// 10,000 customers who are gone must not mean 10,000 calls at a start.
    #[test]
    fn what_only_the_customer_can_change_rests_too_and_so_does_a_change_in_stripe_that_stands() {
        let mut ended = well();
        ended.find(
            Findings::blocked(&Blocker::customer(reason::ENDED, "make another")),
            Some(1),
            at(0),
        );
        let mut drifted = well();
        let mut findings = Findings::ready(reason::ACTIVE, "paid");
        findings.drifted.status = true;
        findings.drifted.reason = reason::TIER_CHANGED.into();
        findings.synced = findings.drifted.clone();
        findings.synced.status = false;
        drifted.find(findings, Some(1), at(0));
        for mut status in [ended, drifted] {
            record(&mut status, Some("d"), None, at(0));
            assert_eq!(rest(&status, "d", at(0)), Some(None));
        }
    }

    #[test]
    fn what_waits_for_others_is_in_doubt_or_under_way_never_rests() {
        let blocked = |blocker: Blocker| {
            let mut status = well();
            status.find(Findings::blocked(&blocker), Some(1), at(0));
            status
        };
        let waiting = blocked(Blocker::wait(reason::PROGRESSING, "not yet"));
        let deleted = blocked(Blocker::drift(reason::DELETED_IN_STRIPE, "gone"));
        let mut failed = well();
        let failure = Findings::failed(&failed.conditions, &FailureClass::Transient, "away");
        failed.find(failure, Some(1), at(0));
        let mut making = well();
        let at_zero = k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(at(0));
        making.intent = Some(Intent {
            operation: "CreateCheckout".into(),
            idempotency_key: "key".into(),
            parameters: "{}".into(),
            started_at: at_zero,
        });
        let nothing_known = SubscriptionStatus::default();
        for mut status in [waiting, deleted, failed, making, nothing_known] {
            record(&mut status, Some("d"), None, at(0));
            assert_eq!(status.settled_for, None);
            status.settled_for = Some("d".into());
            assert_eq!(rest(&status, "d", at(0)), None);
        }
    }
}
