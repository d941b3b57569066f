//! The counters in Redis: one script (`spend.lua`) a decision, one round trip, exact however many sidecars ask.
//!
//! A request waits for Redis no longer than the deadline. One that was too late may have been counted all the same:
//! Redis runs what has reached it. That errs on the side of counting. After a few in a row nothing is sent any more
//! until Redis answers again; see `link`. A Redis that lost its data is raised to the highest count this process has
//! seen; see `high_water` and `credit_marks`. Redis' own types stop here.

mod attempts;
mod link;
mod place;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::join_all;
use redis::{Cmd, ErrorKind, Pipeline, RedisError, RedisResult, ServerErrorKind};
use tokio_util::sync::CancellationToken;

pub use self::attempts::Attempts;
use self::link::Link;
use self::place::{Connection, Place};
use crate::credit_marks::CreditMarks;
use crate::high_water::HighWater;
use crate::spend::{validate_counter, validate_customer};
use crate::{Counters, CountersError, Credits, Decision, Outcome, Period, RateState, Spend};

/// How long a request waits for Redis, if nothing else is asked for.
pub const DEFAULT_DEADLINE: Duration = Duration::from_millis(20);

/// Customers whose credits are read at once.
const CUSTOMERS_AT_ONCE: usize = 500;

const SCRIPT: &str = include_str!("spend.lua");

/// The Redis URL cannot be used. It is not shown: it may hold a password.
#[derive(Debug, thiserror::Error)]
#[error(
    "failed to read the Redis URL: it must be redis://[user:password@]host[:port][/database], \
     redis+sentinel://[user:password@]host[:port],…/master[/database] or \
     redis+cluster://[user:password@]host[:port],…; with TLS rediss in place of redis"
)]
pub struct InvalidUrl;

/// This Redis may throw counters away.
#[derive(Debug, thiserror::Error)]
#[error(
    "Redis has maxmemory-policy {policy}: when it runs out of memory it throws counters away, and customers get their \
     quota again; set maxmemory-policy to noeviction"
)]
pub struct EvictingRedis {
    /// The policy found.
    pub policy: String,
}

/// The counters in Redis. Clones share one connection; requests are pipelined on it.
///
/// Nothing is connected until [`RedisCounters::keep_connected`] runs.
#[derive(Clone)]
pub struct RedisCounters(Arc<Shared>);

struct Shared {
    link: Link,
    marks: Mutex<Marks>,
}

/// What this process has seen.
#[derive(Default)]
struct Marks {
    quotas: HighWater,
    credits: CreditMarks,
}

/// What is known to be used: of the quota, and of each grant.
struct Floors {
    quota: u64,
    credits: Vec<u64>,
}

/// The script's answer, without the counts of the grants; see `spend.lua`.
struct Reply {
    outcome: Outcome,
    now: i64,
}

impl RedisCounters {
    /// Counters at `url` (one server, Sentinels or a cluster; see docs/redis.md), that wait no longer than `deadline` for an
    /// answer ([`DEFAULT_DEADLINE`]). With TLS, whoever `authority` (PEM) vouches for is believed; without one, whoever this
    /// machine believes.
    pub fn new(url: &str, authority: Option<&str>, deadline: Duration) -> Result<Self, InvalidUrl> {
        let place = Place::parse(url, authority)?;
        Ok(Self(Arc::new(Shared {
            link: Link::new(place, SCRIPT, deadline),
            marks: Mutex::default(),
        })))
    }

    /// Connects, and connects again whenever Redis was lost, until `stop`. Run it as one of the process' tasks.
    ///
    /// # Errors
    /// When the first Redis found may evict counters (`maxmemory-policy` other than `noeviction`): do not start then.
    pub async fn keep_connected(&self, stop: CancellationToken) -> Result<(), EvictingRedis> {
        stop.run_until_cancelled(self.0.link.keep_connected())
            .await
            .unwrap_or(Ok(()))
    }

    /// Waits until [`RedisCounters::keep_connected`] has tried for the first time, however that ended: until then a request
    /// fails for want of a moment, after that for want of Redis.
    pub async fn tried(&self) {
        self.0.link.tried().await;
    }

    /// Whether requests are sent to Redis now: it is connected and has answered lately.
    pub fn is_available(&self) -> bool {
        self.0.link.is_available()
    }

    fn marks(&self) -> MutexGuard<'_, Marks> {
        self.0.marks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn run_script(
        &self,
        mut connection: Connection,
        spend: &Spend<'_>,
        floors: &Floors,
    ) -> RedisResult<Vec<u64>> {
        let by_hash = script_command("EVALSHA", self.0.link.script_hash(), spend, floors);
        match by_hash.query_async(&mut connection).await {
            // Redis has restarted or its scripts were flushed: EVAL runs the script and keeps it.
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                script_command("EVAL", SCRIPT, spend, floors)
                    .query_async(&mut connection)
                    .await
            }
            answer => answer,
        }
    }
}

impl Counters for RedisCounters {
    async fn spend(&self, spend: &Spend<'_>) -> Result<Outcome, CountersError> {
        spend.validate()?;
        let floors = {
            let marks = self.marks();
            let quota = marks.quotas.floor(spend.customer, spend.period);
            Floors {
                quota: quota.max(spend.floor),
                credits: marks.credits.floors(spend.customer, spend.grants),
            }
        };
        let numbers = self
            .0
            .link
            .ask(|connection| self.run_script(connection, spend, &floors))
            .await?;
        let (reply, credits_used) =
            read_reply(&numbers, spend).ok_or_else(|| CountersError::Failed(UNREADABLE.into()))?;
        let mut marks = self.marks();
        let (customer, used) = (spend.customer, reply.outcome.used);
        marks.quotas.record(customer, spend.period, used, reply.now);
        if !credits_used.is_empty() {
            marks
                .credits
                .record(customer, spend.grants, credits_used, reply.now);
        }
        Ok(reply.outcome)
    }

    async fn used(&self, customer: &str, period: Period) -> Result<u64, CountersError> {
        validate_counter(customer, period)?;
        let get = Cmd::get(quota_key(customer, period));
        let get = async |mut connection| get.query_async::<Option<u64>>(&mut connection).await;
        let counted = self.0.link.ask(get).await?.unwrap_or(0);
        Ok(counted.max(self.marks().quotas.floor(customer, period)))
    }

    /// One round trip for each 500 customers; each may take the deadline. What cannot be read (overwritten by hand)
    /// is logged and left out, so that it keeps nobody else's from being read.
    async fn used_credits(
        &self,
        customers: &[&str],
    ) -> Result<Vec<BTreeMap<String, i64>>, CountersError> {
        customers
            .iter()
            .try_for_each(|customer| validate_customer(customer))?;
        let mut all = Vec::with_capacity(customers.len());
        for some in customers.chunks(CUSTOMERS_AT_ONCE) {
            let keys: Vec<_> = some.iter().map(|customer| credits_key(customer)).collect();
            let read = async |connection| hashes(connection, &keys).await;
            let answers = self.0.link.ask(read).await?;
            all.extend(answers.into_iter().map(credits_read));
        }
        Ok(all)
    }
}

const UNREADABLE: &str = "the script's answer is not of its form";

/// The answer, and how much is used of each grant. `None` when it is none.
fn read_reply<'a>(numbers: &'a [u64], spend: &Spend<'_>) -> Option<(Reply, &'a [u64])> {
    let (&[verdict, used, rate_remaining, retry_after, full_after, now], rest) =
        numbers.split_first_chunk()?;
    let (credits, credits_used) = match rest.split_first_chunk() {
        Some((&[taken, left], used)) => (Some(Credits { taken, left }), used),
        None => (None, &[][..]),
    };
    if credits_used.len() != spend.grants.len() {
        return None;
    }
    let outcome = Outcome {
        decision: match verdict {
            0 => Decision::Admitted,
            1 => Decision::QuotaExceeded,
            _ => Decision::RateLimited {
                retry_after: Duration::from_micros(retry_after),
            },
        },
        used,
        remaining: spend.limit.map(|limit| limit.saturating_sub(used)),
        rate: match spend.rate {
            Some(_) => Some(RateState {
                remaining: rate_remaining.try_into().ok()?,
                full_after: Duration::from_micros(full_after),
            }),
            None => None,
        },
        credits,
    };
    let now = now.try_into().ok()?;
    Some((Reply { outcome, now }, credits_used))
}

type Hash = BTreeMap<String, String>;

/// The hashes at `keys`: asked for in one go, or in a cluster each at its node, all at once.
async fn hashes(
    mut connection: Connection,
    keys: &[String],
) -> RedisResult<Vec<RedisResult<Hash>>> {
    if let Connection::Cluster(_) = connection {
        let read = |key| {
            let mut connection = connection.clone();
            async move { Cmd::hgetall(key).query_async::<Hash>(&mut connection).await }
        };
        // A node that is away is everyone's failure, as it is with one server.
        let mut answers = join_all(keys.iter().map(read)).await;
        let is_lost =
            |answer: &RedisResult<Hash>| answer.as_ref().is_err_and(RedisError::is_io_error);
        return match answers.iter().position(is_lost) {
            Some(lost) => answers.swap_remove(lost).map(|_| Vec::new()),
            None => Ok(answers),
        };
    }
    let mut pipeline = Pipeline::with_capacity(keys.len());
    pipeline.ignore_errors();
    for key in keys {
        pipeline.hgetall(key);
    }
    pipeline.query_async(&mut connection).await
}

/// The counts of a hash that can be read.
fn credits_read(hash: RedisResult<BTreeMap<String, String>>) -> BTreeMap<String, i64> {
    let hash = hash.unwrap_or_else(|error| {
        tracing::warn!(%error, "failed to read the credits used by a customer");
        BTreeMap::new()
    });
    let count = |(id, used): (String, String)| match used.parse() {
        Ok(used) => Some((id, used)),
        Err(_) => {
            tracing::warn!(grant = %id, "failed to read the credits used of a grant: not a number");
            None
        }
    };
    hash.into_iter().filter_map(count).collect()
}

fn credits_key(customer: &str) -> String {
    format!("glyph:{{{customer}}}:credits")
}

fn quota_key(customer: &str, period: Period) -> String {
    format!("glyph:{{{customer}}}:quota:{}", period.start)
}

/// The script's KEYS and ARGV, as documented at its head.
fn script_command(verb: &str, script: &str, spend: &Spend<'_>, floors: &Floors) -> Cmd {
    let has_grants = !spend.grants.is_empty();
    let keys = match spend.rate {
        _ if has_grants => 3,
        Some(_) => 2,
        None => 1,
    };
    let mut command = Cmd::new();
    command.arg(verb).arg(script);
    command
        .arg(keys)
        .arg(quota_key(spend.customer, spend.period));
    if keys > 1 {
        command.arg(format!(
            "glyph:{{{}}}:rate:{}",
            spend.customer, spend.key_id
        ));
    }
    if has_grants {
        command.arg(credits_key(spend.customer));
    }
    command.arg(spend.cost);
    match spend.limit {
        Some(limit) => command.arg(limit),
        None => command.arg(-1),
    };
    command.arg(floors.quota).arg(spend.period.end);
    match spend.rate {
        Some(rate) => command.arg(rate.interval()).arg(rate.burst),
        None if has_grants => command.arg(0).arg(0),
        None => &mut command,
    };
    for (grant, floor) in spend.grants.iter().zip(&floors.credits) {
        let expires_at = grant.expires_at.unwrap_or(i64::MAX);
        command.arg(&*grant.id).arg(grant.available);
        command.arg(floor).arg(expires_at);
    }
    command
}

#[cfg(test)]
mod tests;
