//! The counters in Redis: one script (`spend.lua`) a decision, one round trip, exact however many sidecars ask.
//!
//! A request waits for Redis no longer than the deadline. One that was too late may have been counted all the same:
//! Redis runs what has reached it. That errs on the side of counting. After a few in a row nothing is sent any more
//! until Redis answers again; see `link`. A Redis that lost its data is raised to the highest count this process has
//! seen; see `high_water` and `credit_marks`. Redis' own types stop here.

mod attempts;
mod cluster;
mod give_back;
mod link;
mod sentinels;
mod slots;
mod trouble;
mod url;
mod usage;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::join_all;
use redis::{Cmd, RedisResult, Script};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub use self::attempts::Attempts;
use self::cluster::Cluster;
use self::link::{Line, Link, Server};
use self::sentinels::Sentinels;
use self::trouble::Failure;
use self::url::Place;
use crate::counted::Counted;
use crate::credit_marks::CreditMarks;
use crate::credits::RETURNED;
use crate::high_water::HighWater;
use crate::spend::{validate_counter, validate_customer};
use crate::{
    Batch, Charge, Counters, CountersError, Credits, CreditsUsed, Decision, Drawn, GivenBack,
    Outcome, Period, RateState, Spend, Step, UsageRow,
};

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

/// What is known to be counted: of the quota, and of each grant.
struct Floors {
    quota: Counted,
    credits: Vec<Counted>,
}

/// The script's answer; see `spend.lua`.
struct Reply {
    outcome: Outcome,
    quota: Counted,
    /// Of each grant.
    credits: Vec<Counted>,
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

    /// What the hash at `key` of `customer` holds. One that cannot be read (overwritten by hand) is an answer; a Redis, or a
    /// node, that is away is none.
    async fn hash(&self, customer: &str, key: String) -> Result<RedisResult<Hash>, Failure> {
        let command = &Cmd::hgetall(key);
        let read = |mut line: Line| async move { line.query(command).await };
        match self.ask(customer, read).await {
            Ok(hash) => Ok(Ok(hash)),
            Err(Failure::Answer(error)) => Ok(Err(error)),
            Err(away) => Err(away),
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
            let checkpoint = Counted {
                used: spend.floor,
                returned: 0,
            };
            let quota = marks.quotas.floor(spend.customer, spend.period);
            Floors {
                quota: quota.max(checkpoint),
                credits: marks.credits.floors(spend.customer, spend.grants),
            }
        };
        let arguments = &|command: &mut Cmd| spend_arguments(command, spend, &floors);
        let hash = &*self.0.script_hash;
        let run = |mut line: Line| async move { line.run(SCRIPT, hash, arguments).await };
        let numbers: Vec<u64> = self.ask(spend.customer, run).await?;
        let reply =
            read_reply(&numbers, spend).ok_or_else(|| CountersError::Failed(UNREADABLE.into()))?;
        let mut marks = self.marks();
        let (customer, now) = (spend.customer, reply.now);
        marks
            .quotas
            .record(customer, spend.period, reply.quota, now);
        if !reply.credits.is_empty() {
            marks
                .credits
                .record(customer, spend.grants, &reply.credits, now);
        }
        Ok(reply.outcome)
    }

    async fn give_back(&self, charge: &Charge) -> Result<GivenBack, CountersError> {
        self.give_charge_back(charge).await
    }

    async fn used(&self, customer: &str, period: Period) -> Result<u64, CountersError> {
        validate_counter(customer, period)?;
        let used = &Cmd::get(quota_key(customer, period));
        let returned = &Cmd::get(returned_key(customer, period));
        let get = |mut line: Line| async move {
            let counted: (Option<u64>, Option<u64>) =
                (line.query(used).await?, line.query(returned).await?);
            Ok(counted)
        };
        let (used, returned) = self.ask(customer, get).await?;
        let counted = Counted {
            used: used.unwrap_or(0),
            returned: returned.unwrap_or(0),
        };
        Ok(counted
            .max(self.marks().quotas.floor(customer, period))
            .net())
    }

    /// At once for each 500 customers; each time may take the deadline. What cannot be read (overwritten by hand)
    /// is logged and left out, so that it keeps nobody else's from being read.
    async fn used_credits(
        &self,
        customers: &[&str],
    ) -> Result<Vec<BTreeMap<String, CreditsUsed>>, CountersError> {
        customers
            .iter()
            .try_for_each(|customer| validate_customer(customer))?;
        let mut all = Vec::with_capacity(customers.len());
        for some in customers.chunks(CUSTOMERS_AT_ONCE) {
            let hashes = some
                .iter()
                .map(|customer| self.hash(customer, credits_key(customer)));
            for hash in join_all(hashes).await {
                all.push(credits_read(hash?));
            }
        }
        Ok(all)
    }

    async fn add_usage(&self, batch: &Batch) -> Result<bool, CountersError> {
        self.add_batch(batch).await
    }

    async fn usage_of(
        &self,
        customer: &str,
        from: i64,
        to: i64,
        step: Step,
    ) -> Result<Vec<UsageRow>, CountersError> {
        self.read_usage(customer, from, to, step).await
    }
}

const UNREADABLE: &str = "the script's answer is not of its form";

/// The answer. `None` when it is none.
fn read_reply(numbers: &[u64], spend: &Spend<'_>) -> Option<Reply> {
    let (
        &[
            verdict,
            used,
            rate_remaining,
            retry_after,
            full_after,
            now,
            returned,
        ],
        rest,
    ) = numbers.split_first_chunk()?;
    let (credits, of_grants) = match rest.split_first_chunk() {
        Some((&[taken, left], of_grants)) => (Some(Credits { taken, left }), of_grants),
        None => (None, &[][..]),
    };
    let (of_grants, over) = of_grants.as_chunks::<3>();
    if of_grants.len() != spend.grants.len() || !over.is_empty() {
        return None;
    }
    let drawn = spend.grants.iter().zip(of_grants);
    let drawn = drawn
        .filter(|(_, [.., taken])| *taken > 0)
        .map(|(grant, [.., taken])| Drawn {
            grant: Arc::clone(&grant.id),
            credits: *taken,
        });
    let quota = Counted { used, returned };
    let outcome = Outcome {
        decision: match verdict {
            0 => Decision::Admitted,
            1 => Decision::QuotaExceeded,
            _ => Decision::RateLimited {
                retry_after: Duration::from_micros(retry_after),
            },
        },
        used: quota.net(),
        remaining: spend.limit.map(|limit| limit.saturating_sub(quota.net())),
        rate: match spend.rate {
            Some(_) => Some(RateState {
                remaining: rate_remaining.try_into().ok()?,
                full_after: Duration::from_micros(full_after),
            }),
            None => None,
        },
        credits,
        drawn: drawn.collect(),
    };
    Some(Reply {
        outcome,
        quota,
        credits: of_grants
            .iter()
            .map(|&[used, returned, _]| Counted { used, returned })
            .collect(),
        now: now.try_into().ok()?,
    })
}

type Hash = BTreeMap<String, String>;

/// The counts of a hash that can be read.
fn credits_read(hash: RedisResult<Hash>) -> BTreeMap<String, CreditsUsed> {
    let hash = hash.unwrap_or_else(|error| {
        tracing::warn!(%error, "failed to read the credits used by a customer");
        BTreeMap::new()
    });
    let mut credits = BTreeMap::<String, CreditsUsed>::new();
    for (field, count) in hash {
        let Ok(count) = count.parse() else {
            tracing::warn!(grant = %field, "failed to read the credits used of a grant: not a number");
            continue;
        };
        match field.strip_prefix(RETURNED) {
            Some(id) => credits.entry(id.to_owned()).or_default().returned = count,
            None => credits.entry(field).or_default().used = count,
        }
    }
    credits
}

fn credits_key(customer: &str) -> String {
    format!("glyph:{{{customer}}}:credits")
}

fn quota_key(customer: &str, period: Period) -> String {
    format!("glyph:{{{customer}}}:quota:{}", period.start)
}

fn returned_key(customer: &str, period: Period) -> String {
    format!("glyph:{{{customer}}}:returned:{}", period.start)
}

/// The script's KEYS and ARGV, as documented at its head.
fn spend_arguments(command: &mut Cmd, spend: &Spend<'_>, floors: &Floors) {
    let has_grants = !spend.grants.is_empty();
    let keys = match spend.rate {
        _ if has_grants => 4,
        Some(_) => 3,
        None => 2,
    };
    command
        .arg(keys)
        .arg(quota_key(spend.customer, spend.period))
        .arg(returned_key(spend.customer, spend.period));
    if keys > 2 {
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
    let Counted { used, returned } = floors.quota;
    command.arg(used).arg(returned).arg(spend.period.end);
    match spend.rate {
        Some(rate) => command.arg(rate.interval()).arg(rate.burst),
        None if has_grants => command.arg(0).arg(0),
        None => command,
    };
    for (grant, floor) in spend.grants.iter().zip(&floors.credits) {
        let expires_at = grant.expires_at.unwrap_or(i64::MAX);
        command.arg(&*grant.id).arg(grant.available);
        command.arg(floor.used).arg(floor.returned).arg(expires_at);
    }
}

#[cfg(test)]
mod tests;
