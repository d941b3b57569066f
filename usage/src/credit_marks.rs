//! The highest use this process has seen of each grant. Pure.
//!
//! As `high_water` does for quotas: what a Redis that lost its data is raised to, together with the checkpoint that
//! comes with each grant. A mark is needed only until the checkpoint has caught up, which takes minutes.

use std::collections::HashMap;
use std::sync::Arc;

use crate::Grant;
use crate::counted::Counted;

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
    counted: Vec<(Arc<str>, Counted)>,
}

impl CreditMarks {
    /// What is known to be used and given back of each of `grants`, their checkpoint included.
    pub(crate) fn floors(&self, customer: &str, grants: &[Grant]) -> Vec<Counted> {
        let of = |grant: &Grant| {
            let checkpoint = Counted {
                used: grant.floor,
                returned: grant.returned,
            };
            checkpoint.max(self.floor(customer, &grant.id))
        };
        grants.iter().map(of).collect()
    }

    /// What this process has seen of one grant.
    pub(crate) fn floor(&self, customer: &str, grant: &str) -> Counted {
        let marks = self.by_customer.get(customer);
        marks.map_or(Counted::default(), |marks| marks.of(grant))
    }

    /// Takes note of what is counted of each of `grants`, and lets go of others that were not asked for in a while.
    /// `now`: seconds since 1970.
    pub(crate) fn record(
        &mut self,
        customer: &str,
        grants: &[Grant],
        counted: &[Counted],
        now: i64,
    ) {
        let ids = grants.iter().map(|grant| &grant.id);
        self.raise(customer, ids.zip(counted.iter().copied()), now);
        if let Some(marks) = self.by_customer.get_mut(customer)
            && marks.counted.len() > grants.len() * 2 + SPARE
        {
            marks
                .counted
                .retain(|(id, _)| grants.iter().any(|grant| grant.id == *id));
        }
    }

    /// Takes note of what is counted of some grants. `now`: seconds since 1970.
    pub(crate) fn raise<'a>(
        &mut self,
        customer: &str,
        counted: impl Iterator<Item = (&'a Arc<str>, Counted)>,
        now: i64,
    ) {
        let Some(marks) = self.by_customer.get_mut(customer) else {
            if self.by_customer.len() >= self.sweep_at.max(SMALLEST_SWEEP) {
                self.by_customer
                    .retain(|_, marks| now - marks.asked_at < KEEP);
                self.sweep_at = self.by_customer.len() * 2;
            }
            let counted = counted.map(|(id, counted)| (Arc::clone(id), counted));
            let marks = Marks {
                asked_at: now,
                counted: counted.collect(),
            };
            self.by_customer.insert(customer.into(), marks);
            return;
        };
        marks.asked_at = marks.asked_at.max(now);
        for (id, counted) in counted {
            marks.raise(id, counted);
        }
    }
}

impl Marks {
    fn of(&self, id: &str) -> Counted {
        let known = self.counted.iter().find(|(known, _)| **known == *id);
        known.map_or(Counted::default(), |(_, counted)| *counted)
    }

    fn raise(&mut self, id: &Arc<str>, counted: Counted) {
        match self.counted.iter_mut().find(|(known, _)| known == id) {
            Some((_, mark)) => *mark = counted.max(*mark),
            None => self.counted.push((Arc::clone(id), counted)),
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
            returned: 0,
            expires_at: None,
        }
    }

    fn counted<const N: usize>(used: [u64; N]) -> [Counted; N] {
        used.map(|used| Counted { used, returned: 0 })
    }

    fn used(marks: &CreditMarks, customer: &str, grants: &[Grant]) -> Vec<u64> {
        let floors = marks.floors(customer, grants);
        floors.iter().map(|floor| floor.used).collect()
    }

    #[test]
    fn what_was_given_back_of_a_grant_is_the_highest_of_checkpoint_and_what_was_seen() {
        let mut marks = CreditMarks::default();
        let mut known = grant("g", 5);
        known.returned = 2;
        let returned = Counted {
            used: 0,
            returned: 3,
        };
        marks.raise("a", [(&known.id, returned)].into_iter(), 100);
        let floors = marks.floors("a", &[known.clone()]);
        assert_eq!((floors[0].used, floors[0].returned), (5, 3));
        known.returned = 4;
        assert_eq!(marks.floors("a", &[known])[0].returned, 4);
    }

    #[test]
    fn the_floor_of_a_grant_is_the_highest_of_checkpoint_and_what_was_seen() {
        let mut marks = CreditMarks::default();
        let grants = [grant("g1", 3), grant("g2", 0)];
        assert_eq!(used(&marks, "a", &grants), [3, 0]);
        marks.record("a", &grants, &counted([5, 7]), 100);
        marks.record("a", &grants, &counted([4, 8]), 100);
        assert_eq!(used(&marks, "a", &grants), [5, 8]);
        assert_eq!(used(&marks, "a", &[grant("g1", 9)]), [9]);
        assert_eq!(used(&marks, "b", &grants), [3, 0]);
    }

    #[test]
    fn a_grant_that_was_not_asked_for_meanwhile_has_its_mark_still_and_old_ones_do_not_pile_up() {
        let mut marks = CreditMarks::default();
        marks.record("a", &[grant("kept", 0)], &counted([5]), 100);
        marks.record("a", &[grant("other", 0)], &counted([1]), 100);
        assert_eq!(used(&marks, "a", &[grant("kept", 0)]), [5]);
        for old in 0..1000 {
            marks.record("a", &[grant(&format!("old{old}"), 0)], &counted([1]), 100);
        }
        assert!(marks.by_customer["a"].counted.len() <= 2 + SPARE);
    }

    #[test]
    fn customers_who_have_asked_nothing_for_a_week_are_forgotten_and_others_are_not() {
        let mut marks = CreditMarks::default();
        let grants = [grant("g", 0)];
        for customer in 0..SMALLEST_SWEEP {
            marks.record(&format!("old{customer}"), &grants, &counted([1]), 100);
        }
        marks.record("new", &grants, &counted([1]), 100 + KEEP);
        assert_eq!(marks.by_customer.len(), 1);
        assert_eq!(used(&marks, "new", &grants), [1]);
    }
}
