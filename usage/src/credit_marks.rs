//! The highest use this process has seen of each grant. Pure.
//!
//! As `high_water` does for quotas: what a Redis that lost its data is raised to, together with the checkpoint that
//! comes with each grant. A mark is needed only until the checkpoint has caught up, which takes minutes.

use std::collections::HashMap;
use std::sync::Arc;

use crate::Grant;

/// Below this many customers nothing is swept out.
const SMALLEST_SWEEP: usize = 1024;

/// Seconds for which the marks of a customer who asks nothing are kept at least.
const KEEP: i64 = 7 * 24 * 60 * 60;

/// Marks of grants kept beyond those in use, so that one that comes back has its mark still.
const SPARE: usize = 16;

/// Marks by customer and grant.
#[derive(Default)]
pub(crate) struct CreditMarks {
    by_customer: HashMap<Box<str>, Marks>,
    sweep_at: usize,
}

struct Marks {
    /// When the customer has asked last, seconds since 1970.
    asked_at: i64,
    used: Vec<(Arc<str>, u64)>,
}

impl CreditMarks {
    /// What is known to be used of each of `grants`, their checkpoint included.
    pub(crate) fn floors(&self, customer: &str, grants: &[Grant]) -> Vec<u64> {
        let marks = self.by_customer.get(customer);
        let mark = |grant: &Grant| marks.map_or(0, |marks| marks.of(&grant.id));
        grants
            .iter()
            .map(|grant| grant.floor.max(mark(grant)))
            .collect()
    }

    /// Takes note that of each of `grants` so many are used. `now`: seconds since 1970.
    pub(crate) fn record(&mut self, customer: &str, grants: &[Grant], used: &[u64], now: i64) {
        let Some(marks) = self.by_customer.get_mut(customer) else {
            if self.by_customer.len() >= self.sweep_at.max(SMALLEST_SWEEP) {
                self.by_customer
                    .retain(|_, marks| now - marks.asked_at < KEEP);
                self.sweep_at = self.by_customer.len() * 2;
            }
            let ids = grants.iter().map(|grant| Arc::clone(&grant.id));
            let used = ids.zip(used.iter().copied()).collect();
            let asked_at = now;
            self.by_customer
                .insert(customer.into(), Marks { asked_at, used });
            return;
        };
        marks.asked_at = marks.asked_at.max(now);
        for (grant, used) in grants.iter().zip(used) {
            marks.raise(&grant.id, *used);
        }
        if marks.used.len() > grants.len() * 2 + SPARE {
            marks
                .used
                .retain(|(id, _)| grants.iter().any(|grant| grant.id == *id));
        }
    }
}

impl Marks {
    fn of(&self, id: &str) -> u64 {
        let known = self.used.iter().find(|(known, _)| **known == *id);
        known.map_or(0, |(_, used)| *used)
    }

    fn raise(&mut self, id: &Arc<str>, used: u64) {
        match self.used.iter_mut().find(|(known, _)| known == id) {
            Some((_, mark)) => *mark = used.max(*mark),
            None => self.used.push((Arc::clone(id), used)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(id: &str, floor: u64) -> Grant {
        Grant {
            id: id.into(),
            available: 100,
            floor,
            expires_at: None,
        }
    }

    #[test]
    fn the_floor_of_a_grant_is_the_highest_of_checkpoint_and_what_was_seen() {
        let mut marks = CreditMarks::default();
        let grants = [grant("g1", 3), grant("g2", 0)];
        assert_eq!(marks.floors("a", &grants), [3, 0]);
        marks.record("a", &grants, &[5, 7], 100);
        marks.record("a", &grants, &[4, 8], 100);
        assert_eq!(marks.floors("a", &grants), [5, 8]);
        assert_eq!(marks.floors("a", &[grant("g1", 9)]), [9]);
        assert_eq!(marks.floors("b", &grants), [3, 0]);
    }

    #[test]
    fn a_grant_that_was_not_asked_for_meanwhile_has_its_mark_still_and_old_ones_do_not_pile_up() {
        let mut marks = CreditMarks::default();
        marks.record("a", &[grant("kept", 0)], &[5], 100);
        marks.record("a", &[grant("other", 0)], &[1], 100);
        assert_eq!(marks.floors("a", &[grant("kept", 0)]), [5]);
        for old in 0..1000 {
            marks.record("a", &[grant(&format!("old{old}"), 0)], &[1], 100);
        }
        assert!(marks.by_customer["a"].used.len() <= 2 + SPARE);
    }

    #[test]
    fn customers_who_have_asked_nothing_for_a_week_are_forgotten_and_others_are_not() {
        let mut marks = CreditMarks::default();
        let grants = [grant("g", 0)];
        for customer in 0..SMALLEST_SWEEP {
            marks.record(&format!("old{customer}"), &grants, &[1], 100);
        }
        marks.record("new", &grants, &[1], 100 + KEEP);
        assert_eq!(marks.by_customer.len(), 1);
        assert_eq!(marks.floors("new", &grants), [1]);
    }
}
