//! When a call is made again, by the rules of Stripe's own libraries
//! (<https://docs.stripe.com/error-low-level#should-retry>). Pure: the jitter is an argument.
//!
//! Every call may be repeated: reads and deletes are idempotent, and each POST carries one idempotency key for all
//! its attempts.

use std::time::Duration;

use super::answer::Answer;

/// Attempts of one call.
const MOST_TRIES: u32 = 4;
/// Wait before the second attempt, before jitter; it doubles from there.
const FIRST_WAIT: Duration = Duration::from_millis(500);
/// Longest wait of the doubling.
const LONGEST_WAIT: Duration = Duration::from_secs(8);
/// A `Retry-After` beyond this is not waited for within a call: whoever called comes back by then.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(10);

/// How long to wait before the next attempt, after `tries` attempts of which the last ended in `answer` (`None`: in
/// none at all). `None`: this is the call's end.
pub(super) fn next_wait(
    answer: Option<&Answer>,
    tries: u32,
    jitter: impl Fn(Duration) -> Duration,
) -> Option<Duration> {
    let retry_after = answer.and_then(|answer| answer.retry_after);
    if tries >= MOST_TRIES
        || answer.is_some_and(|answer| !worth_another(answer))
        || retry_after.is_some_and(|after| after > LONGEST_RETRY_AFTER)
    {
        return None;
    }
    let doubled = FIRST_WAIT * 2_u32.pow(tries.saturating_sub(1));
    let wait = jitter(doubled.min(LONGEST_WAIT));
    Some(wait.max(retry_after.unwrap_or_default()))
}

/// Stripe's word first; a stored answer stays what it is.
fn worth_another(answer: &Answer) -> bool {
    if answer.status.is_success() || answer.replayed {
        return false;
    }
    answer.should_retry.unwrap_or(matches!(
        answer.status.as_u16(),
        408 | 409 | 424 | 429 | 500..
    ))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::{HeaderMap, StatusCode};

    use super::*;

    fn answer(status: u16) -> Answer {
        let status = StatusCode::from_u16(status).unwrap();
        Answer::new(status, &HeaderMap::new(), Bytes::new())
    }

    fn wait(answer: &Answer) -> Option<Duration> {
        next_wait(Some(answer), 1, |full| full)
    }

    #[test]
    fn a_connection_that_broke_is_tried_four_times_with_doubling_waits() {
        let waits: Vec<_> = (1..=4)
            .map(|tries| next_wait(None, tries, |full| full))
            .collect();
        let millis = |millis| Some(Duration::from_millis(millis));
        assert_eq!(waits, [millis(500), millis(1000), millis(2000), None]);
        assert_eq!(next_wait(None, 1, |full| full / 2), millis(250));
    }

    #[test]
    fn without_stripes_word_the_status_decides() {
        for again in [408, 409, 424, 429, 500, 502, 503] {
            assert!(wait(&answer(again)).is_some(), "{again}");
        }
        for not in [200, 302, 400, 401, 402, 403, 404] {
            assert_eq!(wait(&answer(not)), None, "{not}");
        }
    }

    #[test]
    fn stripes_word_wins_either_way() {
        let mut refused = answer(429);
        refused.should_retry = Some(false);
        assert_eq!(wait(&refused), None);
        let mut wanted = answer(400);
        wanted.should_retry = Some(true);
        assert!(wait(&wanted).is_some());
    }

    #[test]
    fn a_stored_500_is_not_asked_for_again() {
        let mut stored = answer(500);
        stored.replayed = true;
        assert_eq!(wait(&stored), None);
    }

    #[test]
    fn a_short_retry_after_is_waited_for_and_a_long_one_is_handed_on() {
        let after = |seconds| {
            let mut throttled = answer(429);
            throttled.retry_after = Some(Duration::from_secs(seconds));
            wait(&throttled)
        };
        assert_eq!(after(3), Some(Duration::from_secs(3)));
        assert_eq!(after(0), Some(Duration::from_millis(500)));
        assert_eq!(after(11), None);
    }
}
