//! How often Stripe is asked about what a customer may do at any moment: often at first, so that a payment is noticed
//! within seconds without any webhook, then ever less often. Of a late one the webhook tells, or the sweep of events.

use std::time::Duration;

use glyph_crds::common::condition::READY;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

/// A quarter of its age, between these two: what nobody paid for a day costs a few looks a day.
const POLL: (Duration, Duration) = (Duration::from_secs(3), Duration::from_secs(6 * 3600));

/// How soon to look again at what waits since `since`, and soon after `ends`.
pub(crate) fn again(since: Timestamp, ends: Option<Timestamp>, now: Timestamp) -> Duration {
    let (soonest, latest) = POLL;
    let passed = |from: Timestamp, to: Timestamp| {
        Duration::try_from(to.duration_since(from)).unwrap_or(soonest)
    };
    let end = ends.map_or(latest, |end| passed(now, end).max(soonest));
    (passed(since, now) / 4).clamp(soonest, latest).min(end)
}

/// Since when a resource is not ready.
pub(crate) fn unready_since(conditions: &[Condition], now: Timestamp) -> Timestamp {
    let ready = conditions.iter().find(|c| c.type_ == READY);
    ready.map_or(now, |c| c.last_transition_time.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn hours(hours: i64) -> i64 {
        hours * 3600
    }

    #[test]
    fn a_new_link_is_looked_at_within_seconds_and_an_old_one_in_hours() {
        let wait = |age| again(at(0), None, at(age)).as_secs();
        assert_eq!([0, 12, 60, 1200].map(wait), [3, 3, 15, 300]);
        assert_eq!([4, 24, 1000].map(|h| wait(hours(h))), [3600, 21600, 21600]);
    }

    #[test]
    fn a_link_that_expires_is_looked_at_when_it_does() {
        let wait = |ends| again(at(0), Some(at(ends)), at(hours(22))).as_secs();
        assert_eq!(
            [hours(24), hours(22) + 1, 0].map(wait),
            [7200, 3, 3],
            "seconds from 22 h on"
        );
    }

    /// What an abandoned link costs: each look is two lists.
    #[test]
    fn a_link_that_nobody_pays_costs_a_few_looks_a_day() {
        let (mut now, mut looks) = (hours(24), 0);
        while now < hours(48) {
            now += i64::try_from(again(at(0), Some(at(hours(48))), at(now)).as_secs()).unwrap();
            looks += 1;
        }
        assert!(looks <= 5, "{looks}");
    }
}
