//! The counters in Redis: one script (`spend.lua`) a decision, one round trip, exact however many sidecars ask.
//!
//! A request waits for Redis no longer than the deadline. One that was too late may have been counted all the same:
//! Redis runs what has reached it. That errs on the side of counting. After a few in a row nothing is sent any more
//! until Redis answers again; see `link`. A Redis that lost its data is raised to the highest count this process has
//! seen; see `high_water`. Redis' own types stop here.

mod link;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::io::tcp::TcpSettings;
use redis::{Client, Cmd, ErrorKind, IntoConnectionInfo, RedisResult, ServerErrorKind};
use tokio_util::sync::CancellationToken;

use self::link::Link;
use crate::high_water::HighWater;
use crate::spend::validate_counter;
use crate::{Counters, CountersError, Decision, Outcome, Period, RateState, Spend};

/// How long a request waits for Redis, if nothing else is asked for.
pub const DEFAULT_DEADLINE: Duration = Duration::from_millis(20);

const SCRIPT: &str = include_str!("spend.lua");

/// The Redis URL cannot be used. It is not shown: it may hold a password.
#[derive(Debug, thiserror::Error)]
#[error("failed to read the Redis URL: it must be redis://[user:password@]host[:port][/database]")]
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
    marks: Mutex<HighWater>,
}

/// `{verdict, used, rate remaining, retry after, full after, now}`; see `spend.lua`.
type Reply = (u8, u64, u32, u64, u64, i64);

impl RedisCounters {
    /// Counters at `url`, `redis://[user:password@]host[:port][/database]`, that wait no longer than `deadline` for
    /// an answer ([`DEFAULT_DEADLINE`]).
    pub fn new(url: &str, deadline: Duration) -> Result<Self, InvalidUrl> {
        let info = url.into_connection_info().map_err(|_| InvalidUrl)?;
        // Nagle's algorithm would hold a request back until the one before it is answered.
        let info = info.set_tcp_settings(TcpSettings::default().set_nodelay(true));
        let client = Client::open(info).map_err(|_| InvalidUrl)?;
        Ok(Self(Arc::new(Shared {
            link: Link::new(client, SCRIPT, deadline),
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

    /// Whether requests are sent to Redis now: it is connected and has answered lately.
    pub fn is_available(&self) -> bool {
        self.0.link.is_available()
    }

    fn marks(&self) -> MutexGuard<'_, HighWater> {
        self.0.marks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn run_script(
        &self,
        mut connection: MultiplexedConnection,
        spend: &Spend<'_>,
        floor: u64,
    ) -> RedisResult<Reply> {
        let by_hash = script_command("EVALSHA", self.0.link.script_hash(), spend, floor);
        match by_hash.query_async(&mut connection).await {
            // Redis has restarted or its scripts were flushed: EVAL runs the script and keeps it.
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                script_command("EVAL", SCRIPT, spend, floor)
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
        let floor = self
            .marks()
            .floor(spend.customer, spend.period)
            .max(spend.floor);
        let reply = self
            .0
            .link
            .ask(|connection| self.run_script(connection, spend, floor))
            .await?;
        let (verdict, used, rate_remaining, retry_after, full_after, now) = reply;
        self.marks().record(spend.customer, spend.period, used, now);
        Ok(Outcome {
            decision: match verdict {
                0 => Decision::Admitted,
                1 => Decision::QuotaExceeded,
                _ => Decision::RateLimited {
                    retry_after: Duration::from_micros(retry_after),
                },
            },
            used,
            remaining: spend.limit.map(|limit| limit.saturating_sub(used)),
            rate: spend.rate.map(|_| RateState {
                remaining: rate_remaining,
                full_after: Duration::from_micros(full_after),
            }),
        })
    }

    async fn used(&self, customer: &str, period: Period) -> Result<u64, CountersError> {
        validate_counter(customer, period)?;
        let get = Cmd::get(quota_key(customer, period));
        let get = async |mut connection| get.query_async::<Option<u64>>(&mut connection).await;
        let counted = self.0.link.ask(get).await?.unwrap_or(0);
        Ok(counted.max(self.marks().floor(customer, period)))
    }
}

fn quota_key(customer: &str, period: Period) -> String {
    format!("glyph:{{{customer}}}:quota:{}", period.start)
}

/// The script's KEYS and ARGV, as documented at its head.
fn script_command(verb: &str, script: &str, spend: &Spend<'_>, floor: u64) -> Cmd {
    let mut command = Cmd::new();
    command.arg(verb).arg(script);
    command
        .arg(if spend.rate.is_some() { 2 } else { 1 })
        .arg(quota_key(spend.customer, spend.period));
    if spend.rate.is_some() {
        command.arg(format!(
            "glyph:{{{}}}:rate:{}",
            spend.customer, spend.key_id
        ));
    }
    command.arg(spend.cost);
    match spend.limit {
        Some(limit) => command.arg(limit),
        None => command.arg(-1),
    };
    command.arg(floor).arg(spend.period.end);
    if let Some(rate) = spend.rate {
        command.arg(rate.interval()).arg(rate.burst);
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Rate;

    #[test]
    fn both_keys_of_a_request_have_the_customer_as_their_one_hash_tag() {
        let rate = Some(Rate {
            requests_per_second: 4,
            burst: 8,
        });
        let period = Period {
            start: 100,
            end: 200,
        };
        let spend = Spend {
            customer: "c-1",
            key_id: "k-1",
            cost: 2,
            period,
            limit: Some(9),
            floor: 0,
            rate,
        };
        let command = script_command("EVALSHA", "hash", &spend, 3);
        let words: Vec<_> = command
            .args_iter()
            .map(|word| match word {
                redis::Arg::Simple(bytes) => String::from_utf8(bytes.to_vec()).unwrap(),
                _ => panic!("a cursor or other word"),
            })
            .collect();
        let keys = ["glyph:{c-1}:quota:100", "glyph:{c-1}:rate:k-1"];
        assert_eq!(words[..5], ["EVALSHA", "hash", "2", keys[0], keys[1]]);
        assert_eq!(words[5..], ["2", "9", "3", "200", "250000.0", "8"]);
    }

    #[test]
    fn a_url_that_cannot_be_used_is_refused_without_being_shown() {
        for url in [
            "redis://:hunter2@",
            "rediss://:hunter2@localhost",
            "http://:hunter2@localhost",
            "hunter2",
        ] {
            let refused = RedisCounters::new(url, DEFAULT_DEADLINE).err().unwrap();
            assert!(!format!("{refused} {refused:?}").contains("hunter2"));
        }
    }
}
