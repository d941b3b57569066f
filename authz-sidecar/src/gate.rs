//! Where a check becomes an answer: the decision of `glyph-authz-core`, with the counters asked in its middle.
//!
//! The index is read under a lock that is never held across an `.await`. Whatever goes wrong on the way ends in a
//! denial: there is no path to an answer but through a verdict.

use std::fmt::Display;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Instant;

use arc_swap::ArcSwap;
use glyph_authz_core::decide::Basis;
use glyph_authz_core::http::{self, HttpAnswer};
use glyph_authz_core::index::{Change, Kind, ObjectName, Scope, Updated};
use glyph_authz_core::outage::{Outage, WhenAway};
use glyph_authz_core::wire::{Answer, read_access_log, read_check};
use glyph_authz_core::{
    Admission, Authorized, Counted, Denial, Identity, Index, Policy, RequestView, Verdict,
    authorize,
};
use glyph_crds::api_key_format::Peppers;
use glyph_runtime::clock::Clock;
use glyph_usage::{Counters, CountersError};
use jiff::Timestamp;

use crate::Settings;
use crate::metrics::Metrics;
use crate::tokens::Tokens;
use crate::usage::Usage;

/// A fault that would be logged with every request is logged once in this many seconds.
const SAY_EVERY: i64 = 10;

/// All that checks are decided by.
pub struct Gate<C, K> {
    index: RwLock<Index>,
    peppers: ArcSwap<Peppers>,
    tokens: Arc<Tokens>,
    policy: Policy,
    counters: C,
    when_away: WhenAway,
    outage: Mutex<Outage>,
    clock: K,
    last_said: AtomicI64,
    /// What goes to Redis later.
    pub usage: Usage,
    /// What is counted of the decisions.
    pub metrics: Metrics,
}

impl<C, K> Gate<C, K> {
    /// A gate that knows nothing yet, to be fed by one watch of each kind and scope.
    pub fn new(
        settings: &Settings,
        scopes: &[Scope],
        peppers: Peppers,
        counters: C,
        clock: K,
        usage: Usage,
    ) -> Self {
        Self {
            index: RwLock::new(Index::new(scopes)),
            peppers: ArcSwap::from_pointee(peppers),
            tokens: Arc::default(),
            policy: settings.policy(),
            counters,
            when_away: settings.when_redis_down,
            outage: Mutex::default(),
            clock,
            last_said: AtomicI64::new(i64::MIN),
            usage,
            metrics: Metrics::default(),
        }
    }

    /// The same gate, which takes tokens too.
    #[must_use]
    pub fn taking(self, tokens: Arc<Tokens>) -> Self {
        Self { tokens, ..self }
    }

    /// Puts other peppers in force.
    pub fn set_peppers(&self, peppers: Peppers) {
        self.peppers.store(peppers.into());
    }

    /// Takes in what the watch of `kind` over `scope` tells.
    pub fn update(&self, kind: Kind, scope: &Scope, change: Change) -> Updated {
        // A writer that panicked ends the process (its task has ended); until then its index is not read (`admit`).
        self.index
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .update(kind, scope, change)
    }

    /// Reads something off the index.
    pub fn look<T>(&self, look: impl FnOnce(&Index) -> T) -> T {
        look(&self.index.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<C: Counters, K: Clock> Gate<C, K> {
    /// The answer to a `CheckRequest`.
    pub async fn check(&self, message: &[u8]) -> Answer {
        let request = read_check(message)
            .map_err(|error| Denial::unavailable(format!("failed to read a check: {error}")));
        let verdict = self.decide(request).await;
        let now = self.clock.now();
        match self.usage.receipt(&verdict, &self.peppers.load(), now) {
            Some(receipt) => Answer::with_receipt(&verdict, &receipt),
            None => Answer::of(&verdict),
        }
    }

    /// Takes in a message of Envoy's access log.
    pub fn take_log(&self, message: &[u8]) {
        let (peppers, now) = (self.peppers.load(), self.clock.now());
        let take = |entry: Result<_, _>| self.usage.logged(entry, &peppers, now);
        if let Err(error) = read_access_log(message, take) {
            self.usage.logged(Err(error), &peppers, now);
        }
    }

    /// The answer to a check over HTTP.
    pub async fn check_http(&self, check: http::Check<'_>) -> HttpAnswer {
        let verdict = self.decide(check.request).await;
        self.usage.checked(&verdict, self.clock.now());
        HttpAnswer::of(check.dialect, &verdict)
    }

    async fn decide(&self, request: Result<RequestView<'_>, Denial>) -> Verdict {
        let begun = Instant::now();
        let verdict = self.verdict(request).await;
        self.metrics.decided(&verdict, begun.elapsed());
        self.log(&verdict);
        verdict
    }

    async fn verdict(&self, request: Result<RequestView<'_>, Denial>) -> Verdict {
        let request = request?;
        let now = self.clock.now();
        let authorized = match self.admit(&request, now) {
            Err(denial) => self.once_more(denial, &request, now).await?,
            Ok(authorized) => authorized,
        };
        let admission = match authorized {
            Authorized::Open(permit) => return Ok(*permit),
            Authorized::Metered(admission) => admission,
        };
        let asked = Instant::now();
        let answer = self.counters.spend(&admission.spend()).await;
        self.metrics.redis.asked(&answer, asked.elapsed());
        let counted = match answer {
            Ok(outcome) => Counted::Judged(outcome),
            Err(error) => self.without_counters(&error, &admission, now),
        };
        admission.settle(counted)
    }

    /// A token's key that is not known may have come with the others by now: then the request is judged once more.
    async fn once_more(
        &self,
        denial: Denial,
        request: &RequestView<'_>,
        now: Timestamp,
    ) -> Result<Authorized, Denial> {
        let Some(pool) = denial.wanting_key_of() else {
            return Err(denial);
        };
        match self.tokens.refreshed(pool, now).await {
            None => Err(denial),
            Some(true) => self.admit(request, self.clock.now()),
            Some(false) => Err(Denial::unavailable(
                "a token names a key that is not known, and its pool takes long to say which it has",
            )),
        }
    }

    fn admit(&self, request: &RequestView<'_>, now: Timestamp) -> Result<Authorized, Denial> {
        let index = self
            .index
            .read()
            .map_err(|_| Denial::unavailable("the index was left half changed"))?;
        let peppers = self.peppers.load();
        self.tokens.with_verifier(|verifier| {
            let basis = Basis {
                index: &index,
                peppers: &peppers,
                verifier,
                policy: &self.policy,
                now,
            };
            authorize(request, basis)
        })
    }

    fn without_counters(
        &self,
        error: &CountersError,
        admission: &Admission,
        now: Timestamp,
    ) -> Counted {
        let policy = match error {
            CountersError::Unavailable(_) | CountersError::Failed(_) => self.when_away,
            // Not an outage: this request can never be counted.
            CountersError::Invalid(_) => WhenAway::Deny,
        };
        self.say(now, error, Some(admission.customer()));
        let mut outage = self.outage.lock().unwrap_or_else(PoisonError::into_inner);
        if outage.admits(policy, admission.customer(), admission.cost(), now) {
            Counted::AwayAdmitted
        } else {
            Counted::AwayRefused
        }
    }

    /// Each decision at debug, without anything the request carried; a fault that is not the caller's as a warning.
    fn log(&self, verdict: &Verdict) {
        match verdict {
            Ok(permit) => {
                let known = permit.identity();
                let customer = known.map(|known| known.customer().as_str());
                let key = known.and_then(Identity::key_id);
                tracing::debug!(customer, key, endpoint = permit.endpoint(), "admitted");
            }
            Err(denial) => {
                let (code, endpoint) = (denial.code().as_str(), denial.endpoint());
                tracing::debug!(code, endpoint, "refused");
                if let Some(cause) = denial.cause() {
                    self.say(self.clock.now(), &cause, None);
                }
            }
        }
    }

    fn say(&self, now: Timestamp, cause: &dyn Display, customer: Option<&ObjectName>) {
        let (now, last) = (now.as_second(), self.last_said.load(Ordering::Relaxed));
        let due = now.saturating_sub(last) >= SAY_EVERY;
        // Of several who find it due, one says it.
        if due
            && self
                .last_said
                .compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
        {
            let customer = customer.map(ObjectName::as_str);
            tracing::warn!(
                customer,
                "requests cannot be decided: {cause} (said at most every {SAY_EVERY} s)"
            );
        }
    }
}
