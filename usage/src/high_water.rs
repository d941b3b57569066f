//! The highest count this process has seen of each customer's present period. Pure.
//!
//! A Redis that was flushed, or that failed over to a replica which lagged, has forgotten some or all of what was
//! used. Each sidecar remembers the last count it was told, and hands it to the script as a floor: so the counter
//! comes back as the maximum of what Redis holds and what any sidecar that still asks has seen, never as 0.

use std::collections::HashMap;

use crate::Period;
use crate::counted::Counted;

/// Below this many customers nothing is swept out.
const SMALLEST_SWEEP: usize = 1024;

/// Marks by customer: one each, of the newest period seen.
#[derive(Default)]
pub(crate) struct HighWater {
    by_customer: HashMap<Box<str>, Mark>,
    sweep_at: usize,
}

struct Mark {
    period: Period,
    counted: Counted,
}

impl HighWater {
    /// What is known to be used and given back; 0 when nothing is known.
    pub(crate) fn floor(&self, customer: &str, period: Period) -> Counted {
        self.by_customer
            .get(customer)
            .filter(|mark| mark.period.start == period.start)
            .map_or(Counted::default(), |mark| mark.counted)
    }

    /// Takes note of what was counted. `now`: seconds since 1970; marks of periods that have ended by then are
    /// thrown out whenever their number has doubled, so there are at most twice as many as customers in use.
    pub(crate) fn record(&mut self, customer: &str, period: Period, counted: Counted, now: i64) {
        if let Some(mark) = self.by_customer.get_mut(customer) {
            if period.start > mark.period.start {
                *mark = Mark { period, counted };
            } else if period.start == mark.period.start {
                *mark = Mark {
                    period,
                    counted: counted.max(mark.counted),
                };
            }
            return;
        }
        if self.by_customer.len() >= self.sweep_at.max(SMALLEST_SWEEP) {
            self.by_customer.retain(|_, mark| mark.period.end > now);
            self.sweep_at = self.by_customer.len() * 2;
        }
        self.by_customer
            .insert(customer.into(), Mark { period, counted });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAY: Period = Period {
        start: 100,
        end: 200,
    };
    const JUNE: Period = Period {
        start: 200,
        end: 300,
    };

    fn used(used: u64) -> Counted {
        Counted { used, returned: 0 }
    }

    #[test]
    fn what_was_given_back_is_known_beside_what_was_used_and_neither_undoes_the_other() {
        let mut marks = HighWater::default();
        marks.record("a", MAY, used(7), 150);
        let returned = Counted {
            used: 0,
            returned: 2,
        };
        marks.record("a", MAY, returned, 150);
        marks.record("a", MAY, used(6), 150);
        let known = marks.floor("a", MAY);
        assert_eq!((known.used, known.returned, known.net()), (7, 2, 5));
    }

    #[test]
    fn the_floor_is_the_highest_count_seen_in_that_period() {
        let mut marks = HighWater::default();
        assert_eq!(marks.floor("a", MAY).used, 0);
        marks.record("a", MAY, used(7), 150);
        marks.record("a", MAY, used(5), 150);
        assert_eq!(
            (marks.floor("a", MAY).used, marks.floor("b", MAY).used),
            (7, 0)
        );
    }

    #[test]
    fn a_new_period_starts_at_nothing_and_a_late_request_does_not_bring_the_old_one_back() {
        let mut marks = HighWater::default();
        marks.record("a", MAY, used(7), 150);
        assert_eq!(marks.floor("a", JUNE).used, 0);
        marks.record("a", JUNE, used(1), 201);
        marks.record("a", MAY, used(8), 201);
        assert_eq!(
            (marks.floor("a", JUNE).used, marks.floor("a", MAY).used),
            (1, 0)
        );
    }

    #[test]
    fn customers_of_ended_periods_are_forgotten_and_present_ones_are_not() {
        let mut marks = HighWater::default();
        for customer in 0..SMALLEST_SWEEP {
            marks.record(&format!("old{customer}"), MAY, used(1), 150);
        }
        for customer in 0..3 * SMALLEST_SWEEP {
            marks.record(&format!("new{customer}"), JUNE, used(1), 250);
        }
        assert_eq!(marks.by_customer.len(), 3 * SMALLEST_SWEEP);
        assert_eq!(
            (
                marks.floor("old0", MAY).used,
                marks.floor("new0", JUNE).used
            ),
            (0, 1)
        );
    }
}
