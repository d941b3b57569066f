//! The simulator's clock: the wall clock plus a settable offset, or frozen at one second.
//!
//! This is the only module of the simulator that reads the wall clock.

use std::time::SystemTime;

/// Unix seconds of the real world. Webhook signatures carry these, because the receiver checks them against its own
/// clock and not against the simulated one.
pub(crate) fn wall_seconds() -> i64 {
    #[expect(
        clippy::disallowed_methods,
        reason = "the simulator has its own clock, and this is where it stands on the real one"
    )]
    let now = SystemTime::now();
    now.duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |elapsed| {
            i64::try_from(elapsed.as_secs()).unwrap_or(i64::MAX)
        })
}

/// A clock that runs with the real one at an offset, or stands still.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct SimClock {
    offset: i64,
    frozen_at: Option<i64>,
}

impl SimClock {
    /// The simulated time, in Unix seconds.
    pub(crate) fn now(&self) -> i64 {
        self.frozen_at
            .unwrap_or_else(|| wall_seconds() + self.offset)
    }

    /// Goes on from `now`; a frozen clock stays frozen, at the new time.
    pub(crate) fn set(&mut self, now: i64) {
        self.offset = now - wall_seconds();
        if self.frozen_at.is_some() {
            self.frozen_at = Some(now);
        }
    }

    /// Stops the clock where it is, or lets it run on from there.
    pub(crate) fn freeze(&mut self, frozen: bool) {
        let now = self.now();
        self.frozen_at = frozen.then_some(now);
        self.set(now);
    }

    /// Whether it stands still.
    pub(crate) fn is_frozen(&self) -> bool {
        self.frozen_at.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frozen_clock_stands_where_it_was_set() {
        let mut clock = SimClock::default();
        clock.freeze(true);
        clock.set(1_800_000_000);
        assert_eq!(clock.now(), 1_800_000_000);
        clock.freeze(false);
        assert!((clock.now() - 1_800_000_000).abs() <= 1);
    }
}
