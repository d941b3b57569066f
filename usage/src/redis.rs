//! The counters in Redis: one script (`spend.lua`) a decision, one round trip, exact however many sidecars ask.
//!
//! A request waits for Redis no longer than the deadline. One that was too late may have been counted all the same:
//! Redis runs what has reached it. That errs on the side of counting. After a few in a row nothing is sent any more
//! until Redis answers again; see `link`. A Redis that lost its data is raised to the highest count this process has
//! seen; see `high_water` and `credit_marks`. Redis' own types stop here.

mod attempts;
mod cluster;
mod link;
mod sentinels;
mod slots;
mod trouble;
mod url;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::join_all;
use redis::{Cmd, Pipeline, RedisResult, Script};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub use self::attempts::Attempts;
use self::cluster::Cluster;
use self::link::{Line, Link, Server};
use self::sentinels::Sentinels;
use self::trouble::Failure;
use self::url::Place;
use crate::credit_marks::CreditMarks;
use crate::high_water::HighWater;
use crate::spend::{validate_counter, validate_customer};
use crate::{Counters, CountersError, Credits, Decision, Outcome, Period, RateState, Spend};

/// How long a request waits for Redis, if nothing else is asked for.
pub const DEFAULT_DEADLINE: Duration = Duration::from_millis(20);

/// Customers whose credits are read at once.
const CUSTOMERS_AT_ONCE: usize = 500;

const SCRIPT: &str = include_str!("spend.lua");

/// `REDIS_URL` (or what stands beside it) cannot be used: why, without showing it, as it may hold a password.
#[derive(Debug, thiserror::Error)]
#[error(
    "failed to read the Redis URL: {0}; it must be redis://[user:password@]host[:port][/database], \
     redis+sentinel://[user:password@]host[:port],…/master[/database][?sentinel_username=…&sentinel_password=…] or \
     redis+cluster://[user:password@]host[:port],…; with TLS rediss in place of redis"
)]
pub struct InvalidUrl(&'static str);

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

/// The counters in Redis. Clones share one connection to each server; requests are pipelined on it.
///
/// Nothing is connected until [`RedisCounters::keep_connected`] runs.
#[derive(Clone)]
pub struct RedisCounters(Arc<Shared>);

struct Shared {
    redis: Redis,
    script_hash: String,
    deadline: Duration,
    marks: Mutex<Marks>,
}

/// What is asked.
enum Redis {
    One(Box<Link>),
    Cluster(Box<Cluster>),
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
            redis: Redis::at(place, deadline),
            script_hash: Script::new(SCRIPT).get_hash().to_owned(),
            deadline,
            marks: Mutex::default(),
        })))
    }

    /// Connects, and connects again whenever Redis was lost, until `stop`. Run it as one of the process' tasks.
    ///
    /// # Errors
    /// When the first Redis found may evict counters (`maxmemory-policy` other than `noeviction`): do not start then.
    pub async fn keep_connected(&self, stop: CancellationToken) -> Result<(), EvictingRedis> {
        let kept = async {
            match &self.0.redis {
                Redis::One(link) => link.keep_connected().await,
                Redis::Cluster(cluster) => cluster.keep_connected().await,
            }
        };
        stop.run_until_cancelled(kept).await.unwrap_or(Ok(()))
    }

    /// Waits until [`RedisCounters::keep_connected`] has tried for the first time, however that ended: until then a request
    /// fails for want of a moment, after that for want of Redis.
    pub async fn tried(&self) {
        match &self.0.redis {
            Redis::One(link) => link.tried().await,
            Redis::Cluster(cluster) => cluster.tried().await,
        }
    }

    /// Whether requests are sent to Redis now: it is connected and has answered lately. In a cluster, every master of a slot.
    pub fn is_available(&self) -> bool {
        match &self.0.redis {
            Redis::One(link) => link.is_available(),
            Redis::Cluster(cluster) => cluster.is_available(),
        }
    }

    /// Asks the server that has the counters of `customer`, no longer than the deadline. The question may be put to several
    /// nodes of a cluster, of which only the last takes it.
    async fn ask<T, A: Future<Output = RedisResult<T>>>(
        &self,
        customer: &str,
        question: impl Fn(Line) -> A,
    ) -> Result<T, Failure> {
        match &self.0.redis {
            Redis::One(link) => link.ask(self.until(), false, question).await,
            Redis::Cluster(cluster) => cluster.ask(customer, question).await,
        }
    }

    fn until(&self) -> Instant {
        Instant::now() + self.0.deadline
    }

    fn marks(&self) -> MutexGuard<'_, Marks> {
        self.0.marks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The hashes of credits of `customers`: from one server in one go, from a cluster each at its node, all at once.
    async fn credits(&self, customers: &[&str]) -> Result<Vec<RedisResult<Hash>>, Failure> {
        match &self.0.redis {
            Redis::One(link) => {
                let mut pipeline = Pipeline::with_capacity(customers.len());
                pipeline.ignore_errors();
                for customer in customers {
                    pipeline.hgetall(credits_key(customer));
                }
                let read = |mut line: Line| async move { line.query_all(&pipeline).await };
                link.ask(self.until(), false, read).await
            }
            Redis::Cluster(cluster) => {
                let read = customers
                    .iter()
                    .map(|customer| credits_in(cluster, customer));
                join_all(read).await.into_iter().collect()
            }
        }
    }
}

impl Redis {
    fn at(place: Place, deadline: Duration) -> Self {
        let one = |server| Self::One(Box::new(Link::new(server, SCRIPT, deadline)));
        match place {
            Place::Server(dial, node) => one(Server::At(dial, node)),
            Place::Master {
                sentinel,
                sentinels,
                name,
                dial,
            } => one(Server::Master(Sentinels::new(
                sentinels, &sentinel, name, dial,
            ))),
            Place::Cluster(dial, seeds) => {
                Self::Cluster(Box::new(Cluster::new(dial, seeds, SCRIPT, deadline)))
            }
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
        let command = &|verb: &str, script: &str| script_command(verb, script, spend, &floors);
        let hash = &*self.0.script_hash;
        let run = |mut line: Line| async move { line.run(SCRIPT, hash, command).await };
        let numbers: Vec<u64> = self.ask(spend.customer, run).await?;
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
        let command = &Cmd::get(quota_key(customer, period));
        let get = |mut line: Line| async move { line.query::<Option<u64>>(command).await };
        let counted = self.ask(customer, get).await?.unwrap_or(0);
        Ok(counted.max(self.marks().quotas.floor(customer, period)))
    }

    /// At once for each 500 customers; each time may take the deadline. What cannot be read (overwritten by hand)
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
            let answers = self.credits(some).await?;
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

/// The hash of credits of `customer`. A node that is away is everyone's failure, as it is with one server.
async fn credits_in(cluster: &Cluster, customer: &str) -> Result<RedisResult<Hash>, Failure> {
    let command = &Cmd::hgetall(credits_key(customer));
    let read = |mut line: Line| async move { line.query(command).await };
    match cluster.ask(customer, read).await {
        Ok(hash) => Ok(Ok(hash)),
        Err(Failure::Answer(error)) => Ok(Err(error)),
        Err(away) => Err(away),
    }
}

/// The counts of a hash that can be read.
fn credits_read(hash: RedisResult<Hash>) -> BTreeMap<String, i64> {
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
