//! The keys of the user pools whose tokens are taken: fetched ahead, and once more when a token names one that is not
//! known. What a token must be is `glyph_authz_core::token`'s.
//!
//! Requests with API keys never wait for any of this, and go on whatever becomes of it.

mod fetch;
mod metrics;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use arc_swap::ArcSwap;
use futures::future::join_all;
use glyph_authz_core::token::{KeySet, Pool, Remembered, Rules, Schedule, Trust, Verifier};
use glyph_runtime::clock::Clock;
use http::Uri;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use fetch::{Failure, Fetcher};
use metrics::Fetches;

/// How long a check waits for a fetch that may bring the key it needs: less than gateways wait for it (Envoy 250 ms, as it
/// is shipped here).
const PATIENCE: Duration = Duration::from_millis(150);

/// A pool, and where its keys are.
#[derive(Clone, Debug)]
pub struct Source {
    /// The pool.
    pub pool: Pool,
    /// Its JWKS.
    pub keys_at: Uri,
}

/// Whom tokens are taken from, and all that is known of them.
pub struct Tokens {
    trust: ArcSwap<Trust>,
    remembered: Remembered,
    places: Box<[Place]>,
    fetches: Fetches,
}

/// Where a pool's keys come from.
struct Place {
    keys_at: Uri,
    schedule: Mutex<Schedule>,
    wake: Notify,
    /// How many fetches have ended.
    ended: watch::Sender<u64>,
}

impl Default for Tokens {
    /// Takes none.
    fn default() -> Self {
        let rules = Rules {
            leeway: SignedDuration::ZERO,
            longest_age: SignedDuration::ZERO,
        };
        Self::new(Vec::new(), rules, SignedDuration::ZERO)
    }
}

impl Tokens {
    /// Takes tokens of these pools, once their keys are there: they are fetched one `every` so long.
    #[must_use]
    pub fn new(sources: Vec<Source>, rules: Rules, every: SignedDuration) -> Self {
        let (pools, places) = sources
            .into_iter()
            .map(|source| (source.pool, Place::new(source.keys_at, every)))
            .unzip::<_, _, Vec<_>, Vec<_>>();
        Self {
            trust: ArcSwap::from_pointee(Trust::new(pools, rules)),
            remembered: Remembered::default(),
            places: places.into(),
            fetches: Fetches::default(),
        }
    }

    /// Whether no tokens are taken at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Calls `judge` with what tokens are verified by now.
    pub fn with_verifier<T>(&self, judge: impl FnOnce(Verifier<'_>) -> T) -> T {
        judge(Verifier {
            trust: &self.trust.load(),
            remembered: &self.remembered,
        })
    }

    /// Waits until each pool was asked for the first time, however that ended.
    pub async fn tried(&self) {
        join_all(self.places.iter().map(async |place| {
            // The sender lives as long as `self`: it does not fail.
            let _ = place.ended.subscribe().wait_for(|ended| *ended > 0).await;
        }))
        .await;
    }

    /// A token names a key that the pool has not: has it asked for them, and waits a little. `None` when they were asked
    /// for too shortly ago, `Some(true)` when they have come or failed to, `Some(false)` when that takes too long.
    pub async fn refreshed(&self, pool: usize, now: Timestamp) -> Option<bool> {
        let place = self.places.get(pool)?;
        let mut ended = place.ended.subscribe();
        let before = *ended.borrow_and_update();
        let is_worth_waiting = place.schedule().want(now);
        place.wake.notify_one();
        if !is_worth_waiting {
            return None;
        }
        let wait = ended.wait_for(|ended| *ended != before);
        Some(tokio::time::timeout(PATIENCE, wait).await.is_ok())
    }

    /// Keeps the keys of all pools fetched until `stop`.
    ///
    /// # Errors
    /// When the system's certificates cannot be read.
    pub async fn keep_fetched(
        self: Arc<Self>,
        clock: impl Clock,
        stop: CancellationToken,
    ) -> anyhow::Result<()> {
        if !self.is_empty() {
            let fetcher = Fetcher::new().context("failed to read the system's certificates")?;
            let (tokens, fetcher, clock) = (&self, &fetcher, &clock);
            let all = (0..self.places.len())
                .map(|pool| async move { tokens.follow(pool, fetcher, clock).await });
            stop.run_until_cancelled(join_all(all)).await;
        }
        stop.cancelled().await;
        Ok(())
    }

    /// Fetches the keys of one pool, for ever.
    async fn follow(&self, pool: usize, fetcher: &Fetcher, clock: &impl Clock) {
        let Some(place) = self.places.get(pool) else {
            return;
        };
        loop {
            let wait = place.schedule().wait(clock.now());
            if !wait.is_zero() {
                let wait = Duration::try_from(wait).unwrap_or_default();
                // Whoever wakes it has changed the schedule: it is looked at again.
                let _ = tokio::time::timeout(wait, place.wake.notified()).await;
                continue;
            }
            place.schedule().begin(clock.now());
            let fetched = fetcher.keys(&place.keys_at).await;
            let succeeded = fetched.is_ok();
            self.take(pool, &place.keys_at, fetched, clock.now());
            place.schedule().end(succeeded);
            place.ended.send_modify(|ended| *ended += 1);
        }
    }

    /// Puts fetched keys in force; without, the last ones stay. Says what has changed, once.
    fn take(&self, pool: usize, at: &Uri, fetched: Result<KeySet, Failure>, now: Timestamp) {
        let trust = self.trust.load();
        let id = trust.pools().get(pool).map_or("", |known| &known.id);
        let (is_failing, has_keys) = (trust.is_failing(pool), trust.age(pool, now).is_some());
        match &fetched {
            Ok(keys) if is_failing || !has_keys => {
                tracing::info!(
                    pool = id,
                    keys = keys.len(),
                    "the keys of the user pool are in force"
                );
            }
            Ok(_) => {}
            Err(failure) if is_failing => {
                tracing::debug!(pool = id, "failed to fetch keys again from {at}: {failure}");
            }
            Err(failure) => {
                let meanwhile = if has_keys {
                    "those that are known stay in force"
                } else {
                    "access tokens are answered with 503 until they come"
                };
                tracing::warn!(
                    pool = id,
                    "failed to fetch keys from {at}, {meanwhile}: {failure}"
                );
            }
        }
        let outcome = fetched.as_ref().map_or_else(Failure::outcome, |_| "ok");
        self.fetches.ended(id, outcome);
        // Pools are followed side by side: each changes its own part of what there is by then.
        let next = |trust: &Arc<Trust>| match &fetched {
            Ok(keys) => trust.fetched(pool, keys.clone(), now),
            Err(_) => trust.failed(pool),
        };
        self.trust.rcu(next);
    }
}

impl Place {
    fn new(keys_at: Uri, every: SignedDuration) -> Self {
        Self {
            keys_at,
            schedule: Mutex::new(Schedule::new(every)),
            wake: Notify::new(),
            ended: watch::Sender::new(0),
        }
    }

    fn schedule(&self) -> MutexGuard<'_, Schedule> {
        self.schedule.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
