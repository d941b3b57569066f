//! How many requests this process sends to Stripe: in no second more than its limit, whatever was asked for at once and
//! however long nothing could be sent.
//!
//! A token bucket holds a fifth of a second's worth and is filled with the other four fifths a second, so that what
//! it lets through in any one second is the limit at most. A process that stood still gives many slots at once that
//! lay apart: so what was really sent is counted as well.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

const SECOND: Duration = Duration::from_secs(1);
/// In this long no more than the limit is sent: a second, and what the network may shift two requests by.
const WINDOW: Duration = Duration::from_millis(1050);
/// The part of the limit that may be sent at once.
const BURST_SHARE: u32 = 5;

/// The limit.
pub(super) struct RateLimit {
    /// Between two slots.
    interval: Duration,
    /// What the bucket holds when it is full, as the time that fills it.
    full: Duration,
    /// Most requests in [`WINDOW`].
    most: usize,
    state: Mutex<State>,
}

struct State {
    /// The next free slot.
    next: Instant,
    /// When the last requests were sent, oldest first.
    sent: VecDeque<Instant>,
}

impl RateLimit {
    /// A full bucket for `per_second` (at least 1) requests.
    pub(super) fn new(per_second: u32, now: Instant) -> Self {
        let per_second = per_second.max(1);
        let burst = (per_second / BURST_SHARE).max(1);
        let interval = SECOND / (per_second - burst).max(1);
        let full = interval * (burst - 1);
        Self {
            interval,
            full,
            most: usize::try_from(per_second).unwrap_or(usize::MAX),
            state: Mutex::new(State {
                next: now - full,
                sent: VecDeque::new(),
            }),
        }
    }

    /// Waits for the next slot; `Err` with the wait when it lies past `latest`, and takes none. Dropped on the way, its
    /// slot is lost and no harm done.
    pub(super) async fn slot(&self, latest: Instant) -> Result<(), Duration> {
        let mut at = self.reserve(Instant::now(), latest)?;
        loop {
            sleep_until(at).await;
            match self.send(Instant::now()) {
                Ok(()) => return Ok(()),
                Err(later) => at = later,
            }
        }
    }

    /// Takes the next slot and says when it is. A slot that is free now is given, however late it is.
    fn reserve(&self, now: Instant, latest: Instant) -> Result<Instant, Duration> {
        let mut state = self.state();
        let slot = state.next.max(now - self.full);
        if slot > now && slot > latest {
            return Err(slot - now);
        }
        state.next = slot + self.interval;
        Ok(slot.max(now))
    }

    /// Counts a request that is sent now; `Err` with the earliest time it may be, where that is later.
    fn send(&self, now: Instant) -> Result<(), Instant> {
        let mut state = self.state();
        if state.sent.len() >= self.most
            && let Some(oldest) = state.sent.front()
            && now < *oldest + WINDOW
        {
            return Err(*oldest + WINDOW);
        }
        state.sent.push_back(now);
        if state.sent.len() > self.most {
            state.sent.pop_front();
        }
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    /// Far from the machine's start, before which no instant can be named.
    fn now() -> Instant {
        Instant::now() + MINUTE
    }

    /// Most of `sent` within one second.
    fn peak(sent: &[Instant]) -> usize {
        let within = |from: &Instant| {
            let in_second = |at: &&Instant| **at >= *from && **at < *from + SECOND;
            sent.iter().filter(in_second).count()
        };
        sent.iter().map(within).max().unwrap_or_default()
    }

    #[test]
    fn a_fifth_is_sent_at_once_and_the_rest_comes_evenly() {
        let now = now();
        let rate = RateLimit::new(10, now);
        let waits: Vec<_> = (0..5)
            .map(|_| (rate.reserve(now, now + MINUTE).unwrap() - now).as_millis())
            .collect();
        assert_eq!(waits, [0, 0, 125, 250, 375]);
    }

    #[test]
    fn no_second_sees_more_than_the_limit_also_after_a_long_pause() {
        for limit in [1, 2, 3, 5, 20, 99] {
            let begun = now();
            let rate = RateLimit::new(limit, begun);
            let sent: Vec<_> = [begun, begun + 10 * MINUTE]
                .into_iter()
                .flat_map(|now| std::iter::repeat_n(now, 300))
                .map(|now| rate.reserve(now, now + 10 * MINUTE).unwrap())
                .collect();
            let (peak, limit) = (peak(&sent), usize::try_from(limit).unwrap());
            assert!(peak <= limit, "{peak} of {limit}");
            assert!(peak >= limit * 4 / 5, "{peak} of {limit}");
        }
    }

    #[test]
    fn what_a_stopped_process_has_missed_is_not_sent_at_once() {
        let begun = now();
        let rate = RateLimit::new(10, begun);
        let resumed = begun + MINUTE;
        assert!((0..10).all(|_| rate.send(resumed) == Ok(())));
        assert_eq!(rate.send(resumed), Err(resumed + WINDOW));
        assert_eq!(rate.send(resumed + WINDOW), Ok(()));
    }

    #[test]
    fn a_slot_past_the_deadline_is_not_taken() {
        let now = now();
        let rate = RateLimit::new(1, now);
        assert_eq!(rate.reserve(now, now), Ok(now));
        assert_eq!(rate.reserve(now, now), Err(SECOND));
        assert_eq!(rate.reserve(now, now), Err(SECOND));
        let later = now + MINUTE;
        assert_eq!(rate.reserve(later, now), Ok(later));
    }
}
