//! When a pool's keys are fetched. Pure: the time is an argument.

use jiff::{SignedDuration, Timestamp};

/// Shortest time from one fetch to the next, once there are keys: whatever tokens name, the pool is asked no more often.
const SHORTEST: SignedDuration = SignedDuration::from_secs(10);
/// The first wait where there are no keys at all; it doubles up to [`SHORTEST`].
const FIRST: SignedDuration = SignedDuration::from_secs(1);

/// The fetches of one pool's keys.
#[derive(Clone, Debug)]
pub struct Schedule {
    every: SignedDuration,
    begun: Option<Timestamp>,
    is_under_way: bool,
    /// Whether keys have been fetched, ever.
    has_keys: bool,
    failures: u32,
    is_wanted: bool,
}

impl Schedule {
    /// The first at once, then one `every` so long.
    #[must_use]
    pub fn new(every: SignedDuration) -> Self {
        Self {
            every,
            begun: None,
            is_under_way: false,
            has_keys: false,
            failures: 0,
            is_wanted: false,
        }
    }

    /// How long to wait until the next fetch; zero is now. A clock that was put back does not make it wait.
    #[must_use]
    pub fn wait(&self, now: Timestamp) -> SignedDuration {
        let Some(begun) = self.begun.filter(|begun| *begun <= now) else {
            return SignedDuration::ZERO;
        };
        let pause = if !self.has_keys {
            let doubled = 2_i32.saturating_pow(self.failures.saturating_sub(1).min(8));
            FIRST.saturating_mul(doubled).min(SHORTEST)
        } else if self.failures > 0 || self.is_wanted {
            SHORTEST
        } else {
            self.every.max(SHORTEST)
        };
        (pause - now.duration_since(begun)).max(SignedDuration::ZERO)
    }

    /// A token names a key that is not known. Tells whether its pool is being asked, or may be now: then the answer is
    /// worth waiting for.
    pub fn want(&mut self, now: Timestamp) -> bool {
        if self.is_under_way {
            return true;
        }
        self.is_wanted = true;
        self.wait(now).is_zero()
    }

    /// A fetch begins.
    pub fn begin(&mut self, now: Timestamp) {
        self.begun = Some(now);
        self.is_under_way = true;
        self.is_wanted = false;
    }

    /// The fetch has ended.
    pub fn end(&mut self, succeeded: bool) {
        self.is_under_way = false;
        self.has_keys |= succeeded;
        self.failures = if succeeded {
            0
        } else {
            self.failures.saturating_add(1)
        };
    }
}
