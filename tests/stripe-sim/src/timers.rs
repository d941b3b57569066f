//! When each object next wants attention from the clock, kept sorted so that nobody has to look through all of them.

use std::collections::{BTreeSet, HashMap};

/// When, for which resource (by its place in `RESOURCES`), for which object in the order of first notes.
type Due = (i64, usize, u64);

/// What falls due, earliest first; at one second in the order of the resources, then of the objects' first notes.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    due: BTreeSet<(Due, String)>,
    places: HashMap<String, (u64, Option<Due>)>,
}

impl Timers {
    /// Takes note of when an object wants attention; `None`: not any more.
    pub(crate) fn note(&mut self, resource: usize, id: &str, at: Option<i64>) {
        let next = u64::try_from(self.places.len()).unwrap_or(u64::MAX);
        if !self.places.contains_key(id) {
            if at.is_none() {
                return;
            }
            self.places.insert(id.to_owned(), (next, None));
        }
        let Some((sequence, noted)) = self.places.get_mut(id) else {
            return;
        };
        let wanted = at.map(|at| (at, resource, *sequence));
        if *noted == wanted {
            return;
        }
        if let Some(old) = noted.take() {
            self.due.remove(&(old, id.to_owned()));
        }
        *noted = wanted;
        if let Some(new) = wanted {
            self.due.insert((new, id.to_owned()));
        }
    }

    /// The next thing that falls due no later than `until`: when, for which resource, for which object.
    pub(crate) fn first(&self, until: i64) -> Option<(i64, usize, String)> {
        let ((at, resource, _), id) = self.due.first()?;
        (*at <= until).then(|| (*at, *resource, id.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_due_comes_in_order_and_a_later_note_replaces_an_earlier_one() {
        let mut timers = Timers::default();
        timers.note(1, "b", Some(10));
        timers.note(0, "c", Some(10));
        timers.note(1, "a", Some(5));
        assert_eq!(timers.first(4), None);
        assert_eq!(timers.first(9), Some((5, 1, "a".to_owned())));
        timers.note(1, "a", Some(20));
        assert_eq!(timers.first(10), Some((10, 0, "c".to_owned())));
        timers.note(0, "c", None);
        assert_eq!(timers.first(10), Some((10, 1, "b".to_owned())));
        timers.note(1, "b", None);
        assert_eq!(timers.first(19), None);
    }
}
