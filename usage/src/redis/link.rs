//! The one connection to Redis: asked with a deadline, watched by the breaker, made again by one task.
//!
//! Requests never connect and never probe: they find a connection or fail at once. So a Redis that hangs costs a few
//! requests the deadline and the rest nothing, and one that comes back is noticed without a request being spent on it.

use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use redis::{RedisError, RedisResult, Script, Value, cmd};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::EvictingRedis;
use super::place::{Connection, Place};
use crate::breaker::Breaker;
use crate::{CountersError, Unavailable};

/// How long a connection may take to be made, authentication and script included. No request waits for it.
const CONNECT_DEADLINE: Duration = Duration::from_secs(1);

/// Written by each probe, for a second: a replica, or a Redis without memory, answers but counts nothing.
const PROBE_KEY: &str = "glyph:probe";

pub(super) struct Link {
    place: Place,
    source: &'static str,
    script: Script,
    deadline: Duration,
    state: Mutex<State>,
    /// Told when the breaker opens.
    opened: Notify,
    /// Cancelled when it was tried to connect for the first time, however that ended.
    tried: CancellationToken,
}

struct State {
    breaker: Breaker,
    /// There is one exactly while the breaker is closed.
    connection: Option<Connection>,
    /// Counts the connections, so that what is learned of an old one is not held against a new one.
    generation: u64,
}

/// What a request learned about its connection.
enum Report {
    Answered,
    Failed,
    Lost,
}

impl Link {
    pub(super) fn new(place: Place, source: &'static str, deadline: Duration) -> Self {
        let breaker = Breaker::open(Instant::now().into_std());
        Self {
            place,
            source,
            script: Script::new(source),
            deadline,
            state: Mutex::new(State {
                breaker,
                connection: None,
                generation: 0,
            }),
            opened: Notify::new(),
            tried: CancellationToken::new(),
        }
    }

    pub(super) fn script_hash(&self) -> &str {
        self.script.get_hash()
    }

    /// Waits until it was tried to connect for the first time.
    pub(super) async fn tried(&self) {
        self.tried.cancelled().await;
    }

    pub(super) fn is_available(&self) -> bool {
        self.state().connection.is_some()
    }

    /// Asks over the present connection, and waits for the answer until the deadline.
    pub(super) async fn ask<T>(
        &self,
        question: impl AsyncFnOnce(Connection) -> RedisResult<T>,
    ) -> Result<T, CountersError> {
        let (connection, generation) = {
            let state = self.state();
            let connection = state.connection.clone();
            (
                connection.ok_or(CountersError::Unavailable(Unavailable::NotConnected))?,
                state.generation,
            )
        };
        let (report, answer) = match timeout(self.deadline, question(connection)).await {
            Ok(Ok(answer)) => (Report::Answered, Ok(answer)),
            Ok(Err(error)) if error.is_io_error() => (
                Report::Lost,
                Err(CountersError::Unavailable(Unavailable::ConnectionLost)),
            ),
            Ok(Err(error)) => (
                Report::of(&error),
                Err(CountersError::Failed(Box::new(error))),
            ),
            Err(_) => (
                Report::Failed,
                Err(CountersError::Unavailable(Unavailable::TooLate(
                    self.deadline,
                ))),
            ),
        };
        self.take(report, generation);
        answer
    }

    fn take(&self, report: Report, generation: u64) {
        let mut state = self.state();
        if state.generation != generation || state.connection.is_none() {
            return;
        }
        let now = Instant::now().into_std();
        let opened = match report {
            Report::Answered => {
                state.breaker.succeeded();
                false
            }
            Report::Failed => state.breaker.failed(now),
            Report::Lost => {
                state.breaker = Breaker::open(now);
                true
            }
        };
        if opened {
            state.connection = None;
            drop(state);
            tracing::warn!("Redis does not answer: the counters are not available");
            self.opened.notify_one();
        }
    }

    /// Probes Redis whenever the breaker is open, and hands its connection to the requests when it answers in time.
    pub(super) async fn keep_connected(&self) -> Result<(), EvictingRedis> {
        let mut first = true;
        loop {
            let probe_at = self.state().breaker.probe_at();
            let Some(probe_at) = probe_at else {
                self.opened.notified().await;
                continue;
            };
            sleep_until(probe_at.into()).await;
            match self.connect().await {
                Ok((connection, memory)) => {
                    match evicting(&memory) {
                        Some(evicting) if first => return Err(evicting),
                        Some(evicting) => tracing::error!("{evicting}"),
                        None => {}
                    }
                    first = false;
                    self.install(connection);
                    tracing::info!("Redis is connected");
                }
                Err(error) => {
                    tracing::debug!(%error, "failed to connect to Redis");
                    self.state().breaker.probe_failed(Instant::now().into_std());
                }
            }
            self.tried.cancel();
        }
    }

    fn install(&self, connection: Connection) {
        let mut state = self.state();
        state.connection = Some(connection);
        state.generation += 1;
        state.breaker.close();
    }

    /// A new connection that has the script and takes a write within the deadline, and what Redis says of its memory.
    async fn connect(&self) -> RedisResult<(Connection, String)> {
        let setup = async {
            let mut connection = self.place.connect().await?;
            cmd("SCRIPT")
                .arg("LOAD")
                .arg(self.source)
                .exec_async(&mut connection)
                .await?;
            let memory = cmd("INFO")
                .arg("memory")
                .query_async::<Value>(&mut connection)
                .await
                .map(|said| texts(&said));
            let memory = memory.or_else(|error| {
                tracing::warn!(%error, "failed to read Redis' maxmemory-policy: make sure that it is noeviction");
                if error.is_io_error() { Err(error) } else { Ok(String::new()) }
            })?;
            Ok::<_, RedisError>((connection, memory))
        };
        let (mut connection, memory) = timeout(CONNECT_DEADLINE, setup)
            .await
            .map_err(io::Error::from)??;
        let mut write = cmd("SET");
        write.arg(PROBE_KEY).arg(1).arg("PX").arg(1000);
        timeout(self.deadline, write.exec_async(&mut connection))
            .await
            .map_err(io::Error::from)??;
        Ok((connection, memory))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Report {
    /// What an error answer says about Redis. One about the data (a counter overwritten by hand) is an answer, and one
    /// customer's; the others (loading, read-only, out of memory, no permission) concern every request.
    fn of(error: &RedisError) -> Self {
        match error.code() {
            Some("ERR" | "WRONGTYPE") => Self::Answered,
            _ => Self::Failed,
        }
    }
}

/// The policy in `INFO memory`, unless it keeps all counters. All counters have a TTL, so `volatile-*` evicts them as
/// `allkeys-*` does. `INFO`, because managed Redis forbids `CONFIG`.
fn evicting(memory: &str) -> Option<EvictingRedis> {
    let mut policies = memory
        .lines()
        .filter_map(|line| line.strip_prefix("maxmemory_policy:"))
        .map(str::trim);
    let evicting = policies.find(|policy| *policy != "noeviction")?;
    Some(EvictingRedis {
        policy: evicting.to_owned(),
    })
}

/// All that was said: by one server, or by each node of a cluster.
fn texts(said: &Value) -> String {
    match said {
        Value::Map(nodes) => nodes.iter().map(|(_, said)| texts(said) + "\n").collect(),
        Value::Array(all) => all.iter().map(|said| texts(said) + "\n").collect(),
        Value::VerbatimString { text, .. } | Value::SimpleString(text) => text.clone(),
        Value::BulkString(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        _ => String::new(),
    }
}
