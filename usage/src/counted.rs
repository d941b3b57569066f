//! A count with what was given back of it. Pure.

use crate::MAX_COUNT;

/// What is counted of something. Both only grow, so that the highest of each is the latest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counted {
    pub(crate) used: u64,
    pub(crate) returned: u64,
}

impl Counted {
    pub(crate) fn max(self, other: Self) -> Self {
        Self {
            used: self.used.max(other.used),
            returned: self.returned.max(other.returned),
        }
    }

    /// Takes `count` more as used.
    pub(crate) fn spend(&mut self, count: u64) {
        self.used = self.used.saturating_add(count).min(MAX_COUNT);
    }

    /// Takes `count` more as given back.
    pub(crate) fn give_back(&mut self, count: u64) {
        self.returned = self.returned.saturating_add(count).min(MAX_COUNT);
    }

    /// What counts.
    pub(crate) fn net(self) -> u64 {
        self.used.saturating_sub(self.returned)
    }
}
