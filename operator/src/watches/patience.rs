//! When a watch that broke is taken up again.

use std::time::Duration;

use glyph_runtime::random::jitter;
use kube::runtime::utils::Backoff;

const FIRST_WAIT: Duration = Duration::from_millis(500);
/// An API server that is back is noticed within this, not within the minute that kube's default comes to.
const LONGEST_WAIT: Duration = Duration::from_secs(4);

/// Doubling waits with jitter; the next success makes them short again.
pub(super) struct Patience(Duration);

impl Default for Patience {
    fn default() -> Self {
        Self(FIRST_WAIT)
    }
}

impl Iterator for Patience {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let wait = self.0;
        self.0 = (wait * 2).min(LONGEST_WAIT);
        Some(jitter(wait))
    }
}

impl Backoff for Patience {
    fn reset(&mut self) {
        self.0 = FIRST_WAIT;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_few_seconds_never_end_and_are_short_again_after_a_success() {
        let mut patience = Patience::default();
        assert!(patience.next().unwrap() <= FIRST_WAIT);
        let longest = patience.by_ref().take(20).max().unwrap();
        assert!(longest > LONGEST_WAIT / 2 && longest <= LONGEST_WAIT);
        patience.reset();
        assert!(patience.next().unwrap() <= FIRST_WAIT);
    }
}
