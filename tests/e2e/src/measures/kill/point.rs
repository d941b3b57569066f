//! Where the operator is killed: at which call, and on which side of its effect. Which of them are tried is
//! drawn here; nothing is run.

use std::fmt;

use anyhow::Result;
use glyph_harness::proxy::Moment;

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

/// A seed nobody chose.
pub(super) fn draw_seed() -> Result<u64> {
    Ok(u64::from(u32::from_ne_bytes(
        glyph_runtime::random::bytes()?
    )))
}

/// A tenth of `all`, rounded up, drawn from `seed`.
pub(super) fn a_tenth(mut all: Vec<Point>, mut seed: u64) -> Vec<Point> {
    let wanted = all.len().div_ceil(10);
    let mut drawn = Vec::new();
    while drawn.len() < wanted {
        let left = u64::try_from(all.len()).unwrap_or(1);
        let place = usize::try_from(splitmix(&mut seed) % left).unwrap_or_default();
        drawn.push(all.swap_remove(place));
    }
    drawn
}

/// The next number of SplitMix64 (Steele, Lea and Flood, 2014).
fn splitmix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
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
