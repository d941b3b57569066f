//! The pools whose tokens are taken, and their keys as last fetched: a value that is replaced, never changed.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::{KeySet, Pool};

/// How long things hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// How far `exp`, `nbf` and `iat` may be off.
    pub leeway: SignedDuration,
    /// How long keys are gone by when they cannot be fetched again.
    pub longest_age: SignedDuration,
}

/// Whom tokens are taken from, and by which keys.
#[derive(Clone)]
pub struct Trust {
    pools: Arc<[Pool]>,
    known: Vec<Known>,
    rules: Rules,
}

/// What is known of a pool's keys.
#[derive(Clone, Default)]
struct Known {
    /// The keys, and when they were last seen to be these.
    keys: Option<(Arc<KeySet>, Timestamp)>,
    /// How many times they have changed.
    generation: u64,
    /// Whether the last fetch failed.
    is_failing: bool,
}

impl Trust {
    /// Trusts `pools`, of which no key is known yet. Their issuers must differ.
    #[must_use]
    pub fn new(pools: Vec<Pool>, rules: Rules) -> Self {
        Self {
            known: vec![Known::default(); pools.len()],
            pools: pools.into(),
            rules,
        }
    }

    /// The pools, in the order that they are numbered by.
    #[must_use]
    pub fn pools(&self) -> &[Pool] {
        &self.pools
    }

    /// Whether no tokens are taken at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pools.is_empty()
    }

    /// The same, once `keys` of the pool have been fetched.
    #[must_use]
    pub fn fetched(&self, pool: usize, keys: KeySet, now: Timestamp) -> Self {
        self.with(pool, |known| {
            let before = known.keys.as_ref().map(|(keys, _)| &**keys);
            if before != Some(&keys) {
                known.generation += 1;
            }
            known.keys = Some((Arc::new(keys), now));
            known.is_failing = false;
        })
    }

    /// The same, once it failed to fetch the keys of the pool: those that are known go on.
    #[must_use]
    pub fn failed(&self, pool: usize) -> Self {
        self.with(pool, |known| known.is_failing = true)
    }

    /// How long ago the keys of the pool were fetched.
    #[must_use]
    pub fn age(&self, pool: usize, now: Timestamp) -> Option<SignedDuration> {
        let (_, at) = self.known.get(pool)?.keys.as_ref()?;
        Some(now.duration_since(*at))
    }

    fn with(&self, pool: usize, change: impl FnOnce(&mut Known)) -> Self {
        let mut changed = self.clone();
        if let Some(known) = changed.known.get_mut(pool) {
            change(known);
        }
        changed
    }

    /// The pool that is named `issuer`, and its number.
    pub(super) fn pool(&self, issuer: &str) -> Option<(usize, &Pool)> {
        let mut all = self.pools.iter().enumerate();
        all.find(|(_, pool)| pool.issuer == issuer)
    }

    /// The keys of the pool, unless they are too old to go by.
    pub(super) fn keys(&self, pool: usize, now: Timestamp) -> Option<&KeySet> {
        let (keys, at) = self.known.get(pool)?.keys.as_ref()?;
        (now.duration_since(*at) <= self.rules.longest_age).then_some(keys)
    }

    pub(super) fn generation(&self, pool: usize) -> u64 {
        self.known.get(pool).map_or(0, |known| known.generation)
    }

    /// Whether the last fetch of the pool's keys failed.
    #[must_use]
    pub fn is_failing(&self, pool: usize) -> bool {
        self.known.get(pool).is_none_or(|known| known.is_failing)
    }

    /// Whether what ends at the second `end` is over.
    pub(super) fn is_over(&self, end: i64, now: Timestamp) -> bool {
        now.as_second() >= end.saturating_add(self.rules.leeway.as_secs())
    }

    /// Whether what begins at the second `begin` is still ahead.
    pub(super) fn is_ahead(&self, begin: i64, now: Timestamp) -> bool {
        now.as_second() < begin.saturating_sub(self.rules.leeway.as_secs())
    }
}
