//! Where the operator is killed: at which call, and on which side of its effect. Which of them are tried is
//! drawn here; nothing is run.

use std::fmt;

use glyph_harness::proxy::Moment;

use crate::measures::draw::Draw;

/// A moment of a call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Point {
    /// The call's number among those counted, from 1.
    pub(super) call: usize,
    /// Before or after its effect.
    pub(super) moment: Moment,
}

impl Point {
    /// Both moments of each of the first `calls` calls.
    pub(super) fn all(calls: usize) -> Vec<Self> {
        let both = |call| {
            [Moment::BeforeForwarding, Moment::BeforeAnswer].map(|moment| Self { call, moment })
        };
        (1..=calls).flat_map(both).collect()
    }
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let side = match self.moment {
            Moment::BeforeForwarding => "before the effect",
            Moment::BeforeAnswer => "after the effect",
        };
        write!(f, "{side} of call {}", self.call)
    }
}

/// A tenth of `all`, rounded up, drawn from `seed`.
pub(super) fn a_tenth(mut all: Vec<Point>, seed: u64) -> Vec<Point> {
    let mut draw = Draw::new(seed);
    let wanted = all.len().div_ceil(10);
    (0..wanted)
        .map(|_| all.swap_remove(draw.below(all.len())))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_tenth_is_a_tenth_and_the_same_for_the_same_seed() {
        let drawn = |seed| {
            a_tenth(Point::all(52), seed)
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
        };
        assert_eq!(drawn(7).len(), 11);
        assert_eq!(drawn(7), drawn(7));
        assert_ne!(drawn(7), drawn(8));
        assert_eq!(
            drawn(7).iter().collect::<BTreeSet<_>>().len(),
            11,
            "each once"
        );
        assert!(a_tenth(Vec::new(), 7).is_empty());
    }
}
