//! The vocabulary of the counters: what is asked, what is answered, and what may go wrong. Pure.

use std::collections::BTreeMap;
use std::error::Error;
use std::time::Duration;

use crate::credits::{self, Credits, Grant};
use crate::{Batch, Charge, CreditsUsed, Drawn, GivenBack, Step, UsageRow};

/// The highest count, cost or limit: 2^53 − 1, up to which the numbers of Redis' Lua are exact.
pub const MAX_COUNT: u64 = (1 << 53) - 1;

/// The fastest rate limit. Above it the clock's microsecond is too coarse.
pub const MAX_REQUESTS_PER_SECOND: u32 = 1_000_000;

/// The largest burst.
pub const MAX_BURST: u32 = 1_000_000;

/// The last second of the year 9999.
const LAST_SECOND: i64 = 253_402_300_799;

/// Counters that decide whether a request may pass, and count it if it does, in one step.
pub trait Counters: Send + Sync + 'static {
    /// Admits and counts the request, or refuses it and counts nothing: neither quota, credits nor rate.
    ///
    /// When this fails or is dropped while it waits, the request may have been counted all the same: an error errs
    /// on the side of counting, never of admitting more than the limit.
    fn spend(
        &self,
        spend: &Spend<'_>,
    ) -> impl Future<Output = Result<Outcome, CountersError>> + Send;

    /// Gives back what a call has taken: once, however often and by whomever it is asked for.
    ///
    /// When this fails or is dropped while it waits, it may have been given back all the same: ask again.
    fn give_back(
        &self,
        charge: &Charge,
    ) -> impl Future<Output = Result<GivenBack, CountersError>> + Send;

    /// How much `customer` has used in `period`, without what was given back. Kept for at least seven days after the
    /// period's end.
    fn used(
        &self,
        customer: &str,
        period: Period,
    ) -> impl Future<Output = Result<u64, CountersError>> + Send;

    /// How many credits each of `customers` has used and been given back, by grant id, in the order asked: empty where
    /// nothing is known.
    ///
    /// It is what a checkpoint copies: take the maximum of each number and the last checkpoint's, for it may have been
    /// lost.
    fn used_credits(
        &self,
        customers: &[&str],
    ) -> impl Future<Output = Result<Vec<BTreeMap<String, CreditsUsed>>, CountersError>> + Send;

    /// Adds requests to what is known of a customer's usage; `false` when the batch had been added before.
    ///
    /// When this fails or is dropped while it waits, they may have been added all the same: try the same batch again,
    /// before any later one of its source and customer.
    fn add_usage(&self, batch: &Batch) -> impl Future<Output = Result<bool, CountersError>> + Send;

    /// The requests of `customer` by hour or day, from the one that `from` is in up to, not including, the second `to`;
    /// in order of time, then of key, endpoint and class.
    fn usage_of(
        &self,
        customer: &str,
        from: i64,
        to: i64,
        step: Step,
    ) -> impl Future<Output = Result<Vec<UsageRow>, CountersError>> + Send;
}

/// One request that asks to pass.
///
/// The quota counts `cost`; the rate limit counts requests, so that a dear request is not a fast one. A request of
/// cost 0 counts nothing and is never refused for quota, but it is a request all the same and is rate limited.
/// What the quota does not hold of the cost is taken from `grants`, wholly or not at all.
#[derive(Clone, Copy, Debug)]
pub struct Spend<'a> {
    /// The customer's UID: who the quota belongs to. All of a customer's counters share one Redis slot.
    pub customer: &'a str,
    /// The key's id: what the rate limit belongs to.
    pub key_id: &'a str,
    /// How many calls of the quota this request takes.
    pub cost: u64,
    /// The billing month that this request falls into. Its start names the counter.
    pub period: Period,
    /// The quota in force: calls a period. `None` is unlimited, and counted all the same. It is compared, never
    /// stored, so that a changed limit is in force with the next request and nothing used is forgotten.
    pub limit: Option<u64>,
    /// What the caller knows to be used of this period, from a checkpoint; 0 when it knows nothing. The counter is
    /// raised to it, so that a Redis that lost its data does not start again at nothing.
    pub floor: u64,
    /// The rate limit of the key. `None` is unlimited.
    pub rate: Option<Rate>,
    /// The credits that the request may draw on, in the order they are spent; at most [`MAX_GRANTS`], of different
    /// ids. Without a limit none is ever taken.
    ///
    /// [`MAX_GRANTS`]: crate::MAX_GRANTS
    pub grants: &'a [Grant],
}

/// A billing month: from `start` up to, not including, `end`; seconds since 1970 UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Period {
    /// The first second.
    pub start: i64,
    /// The first second after it.
    pub end: i64,
}

/// A rate limit after the generic cell rate algorithm (GCRA): `burst` at once, then `requests_per_second` evenly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// What is admitted for ever: 1 to [`MAX_REQUESTS_PER_SECOND`].
    pub requests_per_second: u32,
    /// What is admitted at once after a pause: 1 to [`MAX_BURST`].
    pub burst: u32,
}

impl Rate {
    /// Microseconds from one request to the next.
    pub(crate) fn interval(self) -> f64 {
        1e6 / f64::from(self.requests_per_second)
    }
}

/// The answer to a [`Spend`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Whether the request may pass.
    pub decision: Decision,
    /// Calls used in the period, this request included if it was admitted, without those given back. May be above a
    /// lowered limit.
    pub used: u64,
    /// Calls left of the limit; `None` without one.
    pub remaining: Option<u64>,
    /// The state of the rate limit; `None` without one.
    pub rate: Option<RateState>,
    /// What it came to in credits; `None` when the request had no grants to draw on.
    pub credits: Option<Credits>,
    /// Which grants the request has drawn on; empty where it has taken no credits.
    pub drawn: Vec<Drawn>,
}

/// Whether a request may pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It may, and is counted.
    Admitted,
    /// The quota and the credits do not hold its cost. Also the answer when the rate limit would refuse it as well.
    QuotaExceeded,
    /// The key is used too fast.
    RateLimited {
        /// After this long the same request would pass, if no other comes in between.
        retry_after: Duration,
    },
}

/// The state of a rate limit after the decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateState {
    /// Requests that would be admitted at once.
    pub remaining: u32,
    /// After this long without a request the whole burst is available again.
    pub full_after: Duration,
}

/// Why there is no [`Outcome`].
#[derive(Debug, thiserror::Error)]
pub enum CountersError {
    /// The counters cannot be asked now. They come back by themselves.
    #[error("the counters are not available: {0}")]
    Unavailable(Unavailable),
    /// The counters answered with an error.
    #[error("the counters failed")]
    Failed(#[source] Box<dyn Error + Send + Sync>),
    /// The question makes no sense.
    #[error("failed to count: {0}")]
    Invalid(&'static str),
}

/// Why the counters cannot be asked now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {
    /// There is no connection to Redis, or it is not used because Redis did not answer. This took no time.
    #[error("no connection to Redis")]
    NotConnected,
    /// Redis did not answer within the deadline.
    #[error("no answer from Redis within {0:?}")]
    TooLate(Duration),
    /// The connection broke while the answer was awaited.
    #[error("the connection to Redis broke")]
    ConnectionLost,
}

impl Spend<'_> {
    /// Refuses what the counters could not hold exactly or safely.
    pub(crate) fn validate(&self) -> Result<(), CountersError> {
        validate_counter(self.customer, self.period)?;
        let rule = |holds: bool, sentence| {
            if holds {
                Ok(())
            } else {
                Err(CountersError::Invalid(sentence))
            }
        };
        rule(
            is_name(self.key_id),
            "the key id must not be empty or hold braces",
        )?;
        let numbers = [self.cost, self.limit.unwrap_or(0), self.floor];
        rule(
            numbers.iter().all(|&number| number <= MAX_COUNT),
            "cost, limit and floor must be at most 2^53 - 1",
        )?;
        credits::validate(self.grants)?;
        let Some(rate) = self.rate else { return Ok(()) };
        rule(
            (1..=MAX_REQUESTS_PER_SECOND).contains(&rate.requests_per_second),
            "requests per second must be from 1 to 1,000,000",
        )?;
        rule(
            (1..=MAX_BURST).contains(&rate.burst),
            "the burst must be from 1 to 1,000,000",
        )
    }
}

/// Refuses a counter that has no name of its own. Braces would change the Redis slot.
pub(crate) fn validate_counter(customer: &str, period: Period) -> Result<(), CountersError> {
    validate_customer(customer)?;
    if !(0 <= period.start && period.start < period.end && period.end <= LAST_SECOND) {
        return Err(CountersError::Invalid(
            "the period must end after its start, and lie between 1970 and 9999",
        ));
    }
    Ok(())
}

pub(crate) fn validate_customer(customer: &str) -> Result<(), CountersError> {
    if is_name(customer) {
        Ok(())
    } else {
        Err(CountersError::Invalid(
            "the customer must not be empty or hold braces",
        ))
    }
}

pub(crate) fn is_name(text: &str) -> bool {
    !text.is_empty() && !text.contains(['{', '}'])
}

/// A name that can stand beside others.
pub(crate) fn is_word(text: &str) -> bool {
    !text.is_empty() && !text.contains(char::is_whitespace)
}
