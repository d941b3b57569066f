//! What is counted of the operator's calls. Pure.

use std::collections::VecDeque;
use std::fmt;
use std::time::{Duration, Instant};

use glyph_harness::proxy::{Call, CallKind, Callee};

/// Calls of a start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Counted {
    /// Writes to Kubernetes, but for the Lease.
    pub(super) writes: usize,
    /// Calls to Stripe, all.
    pub(super) stripe: usize,
}

impl Counted {
    pub(super) fn of(calls: &[Call]) -> Self {
        let count = |is: &dyn Fn(&Call) -> bool| calls.iter().filter(|call| is(call)).count();
        Self {
            writes: count(&is_write),
            stripe: count(&|c| c.callee == Callee::Stripe),
        }
    }
}

impl fmt::Display for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { writes, stripe } = self;
        write!(f, "{writes} writes, {stripe} calls to Stripe")
    }
}

/// Whether a call changes something in Kubernetes, but for the Lease.
fn is_write(call: &Call) -> bool {
    (call.callee, call.kind) == (Callee::Kubernetes, CallKind::Write)
}

/// Whether a call is one that a start should do without.
pub(super) fn is_cost(call: &Call) -> bool {
    is_write(call) || call.callee == Callee::Stripe && is_work(call)
}

/// Whether a call is more than what an idle leader does: renew its lease and sweep.
pub(super) fn is_work(call: &Call) -> bool {
    call.kind != CallKind::Lease && !is_sweep(call)
}

/// Whether a call asks for Stripe's events.
fn is_sweep(call: &Call) -> bool {
    call.what.starts_with("/v1/events")
}

/// Whether a call asks for the first of Stripe's events that a sweep looks at.
pub(super) fn begins_sweep(call: &Call) -> bool {
    is_sweep(call) && !call.what.contains("starting_after")
}

/// The most of these moments, in order, within any one second.
pub(super) fn peak(moments: impl Iterator<Item = Instant>) -> usize {
    let (mut within, mut most) = (VecDeque::new(), 0);
    for moment in moments {
        while within
            .front()
            .is_some_and(|first| moment - *first >= Duration::from_secs(1))
        {
            within.pop_front();
        }
        within.push_back(moment);
        most = most.max(within.len());
    }
    most
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_that_of_any_second_not_of_the_clocks() {
        let begun = Instant::now();
        let at = |millis: &[u64]| {
            let moments: Vec<_> = millis
                .iter()
                .map(|ms| begun + Duration::from_millis(*ms))
                .collect();
            peak(moments.into_iter())
        };
        assert_eq!(at(&[]), 0);
        assert_eq!(at(&[0, 1000, 2000]), 1);
        assert_eq!(at(&[0, 900, 950, 1100, 1899, 1900]), 4);
    }
}
