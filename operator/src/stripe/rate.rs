//! How many requests a second this process sends to Stripe: a token bucket that holds one second's worth.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// What the bucket holds when it is full.
const BURST: Duration = Duration::from_secs(1);

/// The bucket, kept as the time of its next free slot.
pub(super) struct RateLimit {
    interval: Duration,
    next: Mutex<Instant>,
}

impl RateLimit {
    /// A full bucket of `per_second` (at least 1) tokens.
    pub(super) fn new(per_second: u32, now: Instant) -> Self {
        let interval = BURST / per_second.max(1);
        Self {
            interval,
            next: Mutex::new(now - (BURST - interval)),
        }
    }

    /// Takes the next slot and says when it is; `Err` with the wait when it lies past `latest`, and takes none. A slot
    /// that is free now is given, however late it is.
    pub(super) fn reserve(&self, now: Instant, latest: Instant) -> Result<Instant, Duration> {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = (*next).max(now - (BURST - self.interval));
        if slot > now && slot > latest {
            return Err(slot - now);
        }
        *next = slot + self.interval;
        Ok(slot.max(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn a_second_holds_its_number_at_once_and_the_rest_come_evenly() {
        // Far from the machine's start, before which no instant can be named.
        let now = Instant::now() + MINUTE;
        let rate = RateLimit::new(4, now);
        let waits: Vec<_> = (0..6)
            .map(|_| (rate.reserve(now, now + MINUTE).unwrap() - now).as_millis())
            .collect();
        assert_eq!(waits, [0, 0, 0, 0, 250, 500]);
    }

    #[test]
    fn a_pause_fills_the_bucket_again_but_never_over() {
        let now = Instant::now() + MINUTE;
        let rate = RateLimit::new(2, now);
        let later = now + MINUTE;
        let waits: Vec<_> = (0..3)
            .map(|_| (rate.reserve(later, later + MINUTE).unwrap() - later).as_millis())
            .collect();
        assert_eq!(waits, [0, 0, 500]);
    }

    #[test]
    fn a_slot_past_the_deadline_is_not_taken() {
        let now = Instant::now() + MINUTE;
        let rate = RateLimit::new(1, now);
        assert_eq!(rate.reserve(now, now), Ok(now));
        assert_eq!(rate.reserve(now, now), Err(Duration::from_secs(1)));
        assert_eq!(rate.reserve(now, now), Err(Duration::from_secs(1)));
        let later = now + MINUTE;
        assert_eq!(rate.reserve(later, now), Ok(later));
    }
}
