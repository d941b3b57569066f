//! Usage, and what is given back of calls that failed: taken in as checks are answered and as Envoy's access log tells,
//! and brought to Redis off the way of requests. What a request was, and how it ended, is `glyph-authz-core`'s to say.
//!
//! A process that is killed loses what was counted since the last flush, and nothing is ever counted twice: see
//! docs/sidecar.md.

mod metrics;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::stream::{self, FuturesUnordered};
use futures::{FutureExt as _, StreamExt as _};
use glyph_authz_core::Verdict;
use glyph_authz_core::class::Class;
use glyph_authz_core::outbox::{Outbox, requests};
use glyph_authz_core::receipt::{self, Receipt};
use glyph_authz_core::wire::{Logged, Malformed};
use glyph_crds::api_key_format::Peppers;
use glyph_runtime::clock::Clock;
use glyph_runtime::random;
use glyph_usage::{Charge, Counters, CountersError, GIVE_BACK_WITHIN, Line, Step};
use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tokio_util::task::TaskTracker;

pub use metrics::UsageMetrics;

/// Rows of usage that are kept in memory; 20 MB at most.
const MOST_ROWS: usize = 100_000;
/// Charges that wait to be given back.
const MOST_CHARGES: usize = 10_000;
/// Charges given back, and customers written, at the same time.
const AT_ONCE: usize = 32;
/// How long after a failure a charge is given back again.
const AGAIN: Duration = Duration::from_secs(1);
/// How long what is left may take when the process is to end.
const LAST: Duration = Duration::from_secs(5);
/// A request that says it began earlier, or later than now, is counted in the present hour.
const OLDEST: i64 = 60 * 60;

/// Where usage comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum UsageSource {
    /// Each check is a request; how it ended is not known, and nothing is given back.
    #[default]
    Checks,
    /// Envoy's access log says how each request ended. Checks over HTTP, which have no such log, are counted as above.
    AccessLog,
}

/// What has not reached Redis yet.
pub struct Usage {
    from: UsageSource,
    outbox: Mutex<Outbox>,
    charges: mpsc::Sender<Charge>,
    /// What charges' ids begin with, and the last one's number.
    source: String,
    last_charge: AtomicU64,
    /// What may still count something. When all of it has ended, what is left goes to Redis.
    pub served: TaskTracker,
    /// What was counted of it.
    pub metrics: UsageMetrics,
}

/// Charges on their way to be given back.
pub type Charges = mpsc::Receiver<Charge>;

impl Usage {
    /// Nothing counted yet. `source` is a name of letters and digits, always as long, that no other process has.
    #[must_use]
    pub fn new(from: UsageSource, source: String) -> (Self, Charges) {
        let (charges, receiver) = mpsc::channel(MOST_CHARGES);
        let usage = Self {
            from,
            outbox: Mutex::new(Outbox::new(source.clone(), MOST_ROWS)),
            charges,
            source,
            last_charge: AtomicU64::new(0),
            served: TaskTracker::new(),
            metrics: UsageMetrics::default(),
        };
        (usage, receiver)
    }

    /// The receipt that goes with the answer to a check, where the access log will bring it back; else it is counted
    /// now.
    pub fn receipt(&self, verdict: &Verdict, peppers: &Peppers, now: Timestamp) -> Option<String> {
        if self.from == UsageSource::Checks {
            self.checked(verdict, now);
            return None;
        }
        let id = || {
            let number = self.last_charge.fetch_add(1, Ordering::Relaxed);
            format!("{}{number}", self.source)
        };
        Some(receipt::sealed(verdict, peppers, now, id))
    }

    /// Counts a request whose end no access log will tell.
    pub fn checked(&self, verdict: &Verdict, now: Timestamp) {
        if let Some((whose, endpoint)) = receipt::counted(verdict) {
            let class = match verdict {
                Ok(_) => Class::Passed,
                Err(_) => Class::Refused,
            };
            self.count(
                whose.uid(),
                whose.counted_by(),
                endpoint,
                class,
                now.as_second(),
            );
        }
    }

    /// Takes in an entry of the access log.
    pub fn logged(&self, entry: Result<Logged<'_>, Malformed>, peppers: &Peppers, now: Timestamp) {
        let Ok(logged) = entry else {
            return self.metrics.entry("unreadable");
        };
        if !logged.has_ended() {
            return;
        }
        if self.from == UsageSource::Checks {
            return self.metrics.entry("ignored");
        }
        let Some(text) = logged.receipt else {
            return self.metrics.entry("unchecked");
        };
        match receipt::opened(text, peppers) {
            Some(receipt) => self.ended(&logged, receipt, now.as_second()),
            None => self.metrics.entry("forged"),
        }
    }

    fn ended(&self, logged: &Logged<'_>, receipt: Receipt, now: i64) {
        let class = match receipt.refused {
            true => Class::Refused,
            false => Class::of(logged),
        };
        self.metrics.request(&receipt.endpoint, class);
        let Some((uid, key_id)) = receipt.whose else {
            return self.metrics.entry("anonymous");
        };
        self.metrics.entry("counted");
        let began = i64::try_from(logged.began).unwrap_or(now);
        let when = if (now - OLDEST..=now).contains(&began) {
            began
        } else {
            now
        };
        self.count(&uid, &key_id, &receipt.endpoint, class, when);
        if let Some(charge) = receipt.charge
            && class.is_failure()
            && self.charges.try_send(charge).is_err()
        {
            self.metrics.given_back("lost");
        }
    }

    fn count(&self, uid: &str, key_id: &str, endpoint: &str, class: Class, when: i64) {
        let line = Line {
            key_id: key_id.to_owned(),
            endpoint: endpoint.to_owned(),
            class: class.as_str().to_owned(),
        };
        let hour = Step::Hour.start_of(when);
        if !self.outbox().count(uid, hour, line) {
            self.metrics.lost("full", 1);
        }
    }

    /// Brings what was counted to Redis at every `interval`, and the rest when all that counts has ended.
    pub async fn keep_flushed(
        &self,
        counters: &impl Counters,
        clock: &impl Clock,
        interval: Duration,
    ) {
        while timeout(interval, self.served.wait()).await.is_err() {
            self.flush(counters, clock).await;
        }
        let rest = async {
            self.flush(counters, clock).await;
            while !self.outbox().is_empty() {
                sleep(AGAIN / 10).await;
                self.flush(counters, clock).await;
            }
        };
        if timeout(LAST, rest).await.is_err() {
            tracing::warn!("the last requests counted did not reach Redis");
        }
    }

    async fn flush(&self, counters: &impl Counters, clock: &impl Clock) {
        let now = clock.now().as_second();
        let customers = self.outbox().batches(now);
        let customers = stream::iter(customers);
        customers
            .for_each_concurrent(AT_ONCE, async |batches| {
                for batch in batches {
                    match counters.add_usage(&batch).await {
                        Ok(_) => {}
                        Err(error @ CountersError::Invalid(_)) => {
                            tracing::warn!(%error, "requests cannot be counted");
                            self.metrics.lost("invalid", requests(&batch));
                        }
                        Err(error) => {
                            tracing::debug!(%error, "requests counted did not reach Redis yet");
                            return self.metrics.flush_failed();
                        }
                    }
                    self.outbox().gone(&batch);
                }
            })
            .await;
        let lost = self.outbox().give_up(now);
        self.metrics.lost("given_up", lost);
    }

    /// Gives back what comes in by `charges`, and the rest when all that counts has ended.
    pub async fn keep_giving_back(
        &self,
        counters: &impl Counters,
        clock: &impl Clock,
        mut charges: Charges,
    ) {
        let mut under_way = FuturesUnordered::new();
        loop {
            tokio::select! {
                Some(charge) = charges.recv(), if under_way.len() < AT_ONCE => {
                    under_way.push(self.give_back(counters, clock, charge));
                }
                Some(()) = under_way.next() => {}
                () = self.served.wait() => break,
            }
        }
        let rest = async {
            while let Some(charge) = charges.recv().now_or_never().flatten() {
                under_way.push(self.give_back(counters, clock, charge));
            }
            while under_way.next().await.is_some() {}
        };
        if timeout(LAST, rest).await.is_err() {
            tracing::warn!("the last calls that failed were not given back");
        }
    }

    /// Asks again until there is an answer: asked twice, it is given back once.
    async fn give_back(&self, counters: &impl Counters, clock: &impl Clock, charge: Charge) {
        loop {
            match counters.give_back(&charge).await {
                Ok(given) => return self.metrics.given_back(metrics::name_of(given)),
                Err(error @ CountersError::Invalid(_)) => {
                    tracing::warn!(%error, "a call cannot be given back");
                    return self.metrics.given_back("invalid");
                }
                Err(error) => tracing::debug!(%error, "a call is not given back yet"),
            }
            if clock.now().as_second() - charge.at > GIVE_BACK_WITHIN {
                return self.metrics.given_back("too_late");
            }
            sleep(random::jitter(AGAIN)).await;
        }
    }

    fn outbox(&self) -> MutexGuard<'_, Outbox> {
        self.outbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
