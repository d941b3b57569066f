//! The counters in Redis, at the `REDIS_URL` that is in force: when the credential changes, the next check goes to the
//! new one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use arc_swap::ArcSwap;
use glyph_runtime::Secret;
use glyph_runtime::credentials::{Credentials, MissingCredential};
use glyph_usage::{
    Batch, Charge, Counters, CountersError, CreditsUsed, GivenBack, Outcome, Period, RedisCounters,
    Spend, Step, UsageRow,
};
use tokio_util::sync::CancellationToken;

use crate::{REDIS_CA, REDIS_URL};

/// Redis, wherever the credentials say it is.
#[derive(Clone)]
pub struct ReloadingRedis {
    credentials: Credentials,
    deadline: Duration,
    current: Arc<ArcSwap<RedisCounters>>,
}

impl ReloadingRedis {
    /// Nothing is connected until [`ReloadingRedis::keep_connected`] runs.
    ///
    /// # Errors
    /// When `REDIS_URL` is missing or is none. The error does not show it.
    pub fn new(credentials: Credentials, deadline: Duration) -> anyhow::Result<Self> {
        let first = counters(&place(&credentials)?, deadline)?;
        Ok(Self {
            credentials,
            deadline,
            current: Arc::new(ArcSwap::from_pointee(first)),
        })
    }

    /// Whether requests are sent to Redis now.
    #[must_use]
    pub fn is_available(&self) -> bool {
        self.current.load().is_available()
    }

    /// Waits until it was tried to connect for the first time, however that ended.
    pub async fn tried(&self) {
        self.current.load_full().tried().await;
    }

    /// Keeps connected to the present Redis until `stop`.
    ///
    /// # Errors
    /// When Redis may throw counters away (`maxmemory-policy`): nothing should be sold by it.
    pub async fn keep_connected(self, stop: CancellationToken) -> anyhow::Result<()> {
        let mut changed = self.credentials.changed();
        let mut place = self::place(&self.credentials)?;
        loop {
            let current = self.current.load_full();
            tokio::select! {
                ended = current.keep_connected(stop.clone()) => return ended.context("this Redis must not be used"),
                moved = changed.changed() => moved.context("failed to follow the credentials")?,
            }
            match self::place(&self.credentials) {
                Ok(now) if now == place => {}
                Ok(now) => match counters(&now, self.deadline) {
                    Ok(next) => {
                        place = now;
                        self.current.store(Arc::new(next));
                        tracing::info!("REDIS_URL has changed: connecting to another Redis");
                    }
                    Err(error) => tracing::error!("{error:#}; the last Redis stays in use"),
                },
                Err(error) => tracing::error!("{error}; the last Redis stays in use"),
            }
        }
    }
}

/// What says where Redis is: the URL, and who vouches for it.
type Place = (Secret, Option<Secret>);

fn place(credentials: &Credentials) -> Result<Place, MissingCredential> {
    let authority = credentials.get(REDIS_CA).ok();
    Ok((credentials.get(REDIS_URL)?, authority))
}

fn counters((url, authority): &Place, deadline: Duration) -> anyhow::Result<RedisCounters> {
    let authority = authority.as_ref().map(Secret::expose);
    RedisCounters::new(url.expose(), authority, deadline)
        .context("the credential REDIS_URL cannot be used")
}

impl Counters for ReloadingRedis {
    async fn spend(&self, spend: &Spend<'_>) -> Result<Outcome, CountersError> {
        self.current.load_full().spend(spend).await
    }

    async fn used(&self, customer: &str, period: Period) -> Result<u64, CountersError> {
        self.current.load_full().used(customer, period).await
    }

    async fn give_back(&self, charge: &Charge) -> Result<GivenBack, CountersError> {
        self.current.load_full().give_back(charge).await
    }

    async fn used_credits(
        &self,
        customers: &[&str],
    ) -> Result<Vec<BTreeMap<String, CreditsUsed>>, CountersError> {
        self.current.load_full().used_credits(customers).await
    }

    async fn add_usage(&self, batch: &Batch) -> Result<bool, CountersError> {
        self.current.load_full().add_usage(batch).await
    }

    async fn usage_of(
        &self,
        customer: &str,
        from: i64,
        to: i64,
        step: Step,
    ) -> Result<Vec<UsageRow>, CountersError> {
        let current = self.current.load_full();
        current.usage_of(customer, from, to, step).await
    }
}
