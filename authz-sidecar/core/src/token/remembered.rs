//! Tokens that were verified before: most come many times before they are over, and a signature costs a hundred times
//! what looking one up does.
//!
//! As much memory as is stated and no more: a token has a place in one of [`SETS`] sets of [`WAYS`], by the end of its
//! signature, and who comes to a full set takes the place of one that is over, or else of the one whose turn it is. Only
//! genuine tokens come in, so nobody can fill it who has not signed in, and nobody can choose where. A token is found only
//! if it is the same to the last letter.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use super::{Trust, Verified};

const SETS: usize = 2048;
const WAYS: usize = 8;
/// Longest token that is kept; longer ones are verified each time. So all of it is 64 MiB at most, and some 20 MiB with
/// Cognito's tokens as they are.
const LONGEST: usize = 4096;
/// So many letters of the end tell tokens apart well: they are of the signature.
const TELLING: usize = 32;

/// The tokens verified last.
pub struct Remembered {
    sets: Box<[Mutex<Set>]>,
    places: RandomState,
}

/// How tokens were found to be genuine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// By having been seen before.
    pub remembered: u64,
    /// By their signature.
    pub verified: u64,
}

#[derive(Default)]
struct Set {
    entries: Vec<Entry>,
    /// Whose turn it is to go.
    next: usize,
    seen: Seen,
}

/// A genuine token: a secret, and nothing here shows it.
struct Entry {
    token: Box<str>,
    says: Arc<Verified>,
}

impl Default for Remembered {
    fn default() -> Self {
        Self {
            sets: (0..SETS).map(|_| Mutex::default()).collect(),
            places: RandomState::new(),
        }
    }
}

impl Remembered {
    /// What `token` says, if that is known and holds still: by the keys of now, and not past its end.
    pub(super) fn find(&self, token: &str, trust: &Trust, now: Timestamp) -> Option<Arc<Verified>> {
        let mut set = self.set(token)?;
        let found = set.entries.iter().position(|entry| *entry.token == *token);
        let place = found?;
        let says = Arc::clone(&set.entries.get(place)?.says);
        if !holds(&says, trust, now) {
            set.entries.swap_remove(place);
            return None;
        }
        set.seen.remembered += 1;
        Some(says)
    }

    /// Keeps what `token` says.
    pub(super) fn put(&self, token: &str, says: &Arc<Verified>, trust: &Trust, now: Timestamp) {
        let Some(mut set) = self.set(token) else {
            return;
        };
        set.seen.verified += 1;
        if token.len() > LONGEST || set.entries.iter().any(|entry| *entry.token == *token) {
            return;
        }
        let entry = Entry {
            token: token.into(),
            says: Arc::clone(says),
        };
        if set.entries.len() < WAYS {
            set.entries.push(entry);
            return;
        }
        let over = set
            .entries
            .iter()
            .position(|entry| !holds(&entry.says, trust, now));
        let place = over.unwrap_or(set.next % WAYS);
        set.next = set.next.wrapping_add(1);
        if let Some(old) = set.entries.get_mut(place) {
            *old = entry;
        }
    }

    /// How many times tokens were found to be genuine, and by what.
    #[must_use]
    pub fn seen(&self) -> Seen {
        self.sets.iter().fold(Seen::default(), |sum, set| {
            let seen = lock(set).seen;
            Seen {
                remembered: sum.remembered + seen.remembered,
                verified: sum.verified + seen.verified,
            }
        })
    }

    /// How many tokens are kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sets.iter().map(|set| lock(set).entries.len()).sum()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn set(&self, token: &str) -> Option<MutexGuard<'_, Set>> {
        let bytes = token.as_bytes();
        let end = bytes.get(bytes.len().saturating_sub(TELLING)..)?;
        let place = self.places.hash_one(end) as usize % SETS;
        self.sets.get(place).map(lock)
    }
}

/// A set is whole between any two of its changes, so one that a panic left behind can be gone on with.
fn lock(set: &Mutex<Set>) -> MutexGuard<'_, Set> {
    set.lock().unwrap_or_else(PoisonError::into_inner)
}

fn holds(says: &Verified, trust: &Trust, now: Timestamp) -> bool {
    trust.keys(says.pool, now).is_some()
        && trust.generation(says.pool) == says.generation
        && !trust.is_over(says.expires, now)
}
