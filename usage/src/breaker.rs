//! When to ask Redis, and when to leave it alone. Pure: the time is an argument.
//!
//! Closed: requests are sent. Open: none is, and they fail at once. While it is open, one prober at a time
//! (`keep_connected`, never a request) tries Redis at growing intervals, and closes it when Redis answers in time.

use std::time::{Duration, Instant};

/// So many requests in a row without an answer open the breaker.
pub(crate) const FAILURES_TO_OPEN: u32 = 5;

/// The pause after the first failed probe. The first probe itself comes at once. Doubles with each.
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// The longest pause between probes: how late, at most, a Redis that is back is noticed.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

#[derive(Debug, PartialEq)]
pub(crate) enum Breaker {
    Closed {
        failures: u32,
    },
    Open {
        failed_probes: u32,
        probe_at: Instant,
    },
}

impl Breaker {
    /// Open, with a probe due at once.
    pub(crate) fn open(now: Instant) -> Self {
        Self::Open {
            failed_probes: 0,
            probe_at: now,
        }
    }

    /// A probe was answered in time.
    pub(crate) fn close(&mut self) {
        *self = Self::Closed { failures: 0 };
    }

    /// A request was answered.
    pub(crate) fn succeeded(&mut self) {
        if let Self::Closed { failures } = self {
            *failures = 0;
        }
    }

    /// A request was not answered in time. `true` when this opened the breaker.
    pub(crate) fn failed(&mut self, now: Instant) -> bool {
        let Self::Closed { failures } = self else {
            return false;
        };
        *failures += 1;
        let opens = *failures >= FAILURES_TO_OPEN;
        if opens {
            *self = Self::open(now);
        }
        opens
    }

    /// A probe was not answered in time.
    pub(crate) fn probe_failed(&mut self, now: Instant) {
        if let Self::Open {
            failed_probes,
            probe_at,
        } = self
        {
            let pause = FIRST_PAUSE.saturating_mul(1 << (*failed_probes).min(16));
            *probe_at = now + pause.min(LONGEST_PAUSE);
            *failed_probes += 1;
        }
    }

    /// When the next probe is due; `None` while closed.
    pub(crate) fn probe_at(&self) -> Option<Instant> {
        match self {
            Self::Closed { .. } => None,
            Self::Open { probe_at, .. } => Some(*probe_at),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn closed() -> Breaker {
        Breaker::Closed { failures: 0 }
    }

    #[test]
    fn it_opens_at_the_fifth_failure_in_a_row_and_not_before() {
        let now = Instant::now();
        let mut breaker = closed();
        let opened: Vec<bool> = (0..5).map(|_| breaker.failed(now)).collect();
        assert_eq!(opened, [false, false, false, false, true]);
        assert_eq!(breaker.probe_at(), Some(now));
    }

    #[test]
    fn an_answer_in_between_starts_the_count_again() {
        let now = Instant::now();
        let mut breaker = closed();
        for _ in 0..10 {
            for _ in 1..FAILURES_TO_OPEN {
                assert!(!breaker.failed(now));
            }
            breaker.succeeded();
        }
        assert_eq!(breaker.probe_at(), None);
    }

    #[test]
    fn probes_come_at_once_then_at_pauses_that_double_up_to_a_second() {
        let start = Instant::now();
        let mut breaker = Breaker::open(start);
        assert_eq!(breaker.probe_at(), Some(start));
        let pauses: Vec<u128> = (0..8)
            .map(|_| {
                let now = breaker.probe_at().unwrap();
                breaker.probe_failed(now);
                (breaker.probe_at().unwrap() - now).as_millis()
            })
            .collect();
        assert_eq!(pauses, [50, 100, 200, 400, 800, 1000, 1000, 1000]);
    }

    #[test]
    fn requests_that_fail_late_do_not_put_off_the_probe() {
        let start = Instant::now();
        let mut breaker = Breaker::open(start);
        assert!(!breaker.failed(start + Duration::from_secs(5)));
        assert_eq!(breaker.probe_at(), Some(start));
    }

    #[test]
    fn a_probe_that_is_answered_closes_it_and_the_count_starts_again() {
        let now = Instant::now();
        let mut breaker = Breaker::open(now);
        breaker.probe_failed(now);
        breaker.close();
        assert_eq!(breaker, closed());
        assert!(!breaker.failed(now));
    }
}
