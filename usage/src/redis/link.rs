//! One server: its connection, asked with a deadline, watched by the breaker, made again by one task.
//!
//! Requests never connect and never probe: they find a connection or fail at once. So a Redis that hangs costs a few
//! requests the deadline and the rest nothing, and one that comes back is noticed without a request being spent on it.
//! Nothing is ever sent twice: a request whose connection broke may have been counted.

use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use redis::aio::{ConnectionLike as _, MultiplexedConnection};
use redis::{
    Cmd, ErrorKind, FromRedisValue, Pipeline, RedisError, RedisResult, ServerErrorKind, cmd,
    from_redis_value,
};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use super::EvictingRedis;
use super::sentinels::Sentinels;
use super::trouble::{Failure, Redirect, advice, is_one_requests};
use super::url::{Dial, Node};
use crate::Unavailable;
use crate::breaker::Breaker;

/// How long a connection may take to be made, authentication and script included. No request waits for it.
const CONNECT_DEADLINE: Duration = Duration::from_secs(1);

/// Does what requests do, so that a user of too few rights, a replica, or a Redis without memory is found out first.
const PROBE: &str = include_str!("../probe.lua");

pub(super) struct Link {
    server: Server,
    source: &'static str,
    deadline: Duration,
    state: Mutex<State>,
    /// Told when the breaker opens.
    opened: Notify,
    /// Told when there is a connection.
    connected: Notify,
    /// Cancelled when it was tried to connect for the first time, however that ended.
    tried: CancellationToken,
}

/// Who is connected to.
pub(super) enum Server {
    /// The one at an address.
    At(Dial, Node),
    /// The master that Sentinels name.
    Master(Sentinels),
    /// A node of a cluster.
    Member(Dial, Node),
}

struct State {
    breaker: Breaker,
    /// There is one exactly while the breaker is closed.
    connection: Option<MultiplexedConnection>,
    /// Counts the connections, so that what is learned of an old one is not held against a new one.
    generation: u64,
    /// The hash tag under which a probe writes; without one (a member without slots), it writes nothing.
    tag: Option<String>,
}

/// A connection as one request uses it.
pub(super) struct Line {
    connection: MultiplexedConnection,
    /// Whether each command goes to a node that does not hold its slot yet.
    is_asking: bool,
}

/// What a request learned about its connection.
enum Report {
    Answered,
    Failed,
    Lost,
}

impl Link {
    /// A link that gives its requests the script `source`, and waits no longer than `deadline` for a probe.
    pub(super) fn new(server: Server, source: &'static str, deadline: Duration) -> Self {
        let tag = match server {
            Server::Member(..) => None,
            Server::At(..) | Server::Master(_) => Some("probe".to_owned()),
        };
        Self {
            server,
            source,
            deadline,
            state: Mutex::new(State {
                breaker: Breaker::open(Instant::now().into_std()),
                connection: None,
                generation: 0,
                tag,
            }),
            opened: Notify::new(),
            connected: Notify::new(),
            tried: CancellationToken::new(),
        }
    }

    /// Has probes write under this hash tag.
    pub(super) fn probe_under(&self, tag: Option<String>) {
        self.state().tag = tag;
    }

    /// Waits until it was tried to connect for the first time.
    pub(super) async fn tried(&self) {
        self.tried.cancelled().await;
    }

    pub(super) fn is_available(&self) -> bool {
        self.state().connection.is_some()
    }

    /// Waits until there is a connection, but not past `until`.
    pub(super) async fn connected(&self, until: Instant) {
        let connected = self.connected.notified();
        if !self.is_available() {
            let _too_late = timeout_at(until, connected).await;
        }
    }

    /// The present connection.
    pub(super) fn connection(&self) -> Option<MultiplexedConnection> {
        self.state().connection.clone()
    }

    /// Asks over the present connection, and waits for the answer until `until`.
    pub(super) async fn ask<T, A: Future<Output = RedisResult<T>>>(
        &self,
        until: Instant,
        is_asking: bool,
        question: impl FnOnce(Line) -> A,
    ) -> Result<T, Failure> {
        let (line, generation) = {
            let state = self.state();
            let connection = state.connection.clone();
            let connection = connection.ok_or(Failure::Away(Unavailable::NotConnected))?;
            let line = Line {
                connection,
                is_asking,
            };
            (line, state.generation)
        };
        let (report, answer) = match timeout_at(until, question(line)).await {
            Ok(Ok(answer)) => (Report::Answered, Ok(answer)),
            Ok(Err(error)) if error.is_io_error() => (
                Report::Lost,
                Err(Failure::Away(Unavailable::ConnectionLost)),
            ),
            Ok(Err(error)) if is_one_requests(&error) => {
                (Report::Answered, Err(Failure::Answer(error)))
            }
            Ok(Err(error)) => (Report::Failed, Err(Failure::Answer(error))),
            Err(_) => {
                let late = Unavailable::TooLate(self.deadline);
                (Report::Failed, Err(Failure::Away(late)))
            }
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
            let server = self.server.name();
            tracing::warn!(%server, "Redis does not answer: its counters are not available");
            self.opened.notify_one();
        }
    }

    /// Probes Redis whenever the breaker is open, and hands its connection to the requests when it answers in time.
    ///
    /// # Errors
    /// When the first server found may evict counters.
    pub(super) async fn keep_connected(&self) -> Result<(), EvictingRedis> {
        let mut first = true;
        // Said once, not at each of many probes.
        let mut said = String::new();
        loop {
            let probe_at = self.state().breaker.probe_at();
            let Some(probe_at) = probe_at else {
                tokio::select! {
                    () = self.opened.notified() => {}
                    () = self.server.until_moved() => self.leave(),
                }
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
                    said.clear();
                    self.install(connection);
                    tracing::info!(server = %self.server.name(), "Redis is connected");
                }
                Err(error) => {
                    self.say(&error, &mut said);
                    self.state().breaker.probe_failed(Instant::now().into_std());
                }
            }
            self.tried.cancel();
        }
    }

    fn say(&self, error: &RedisError, said: &mut String) {
        let (server, now, advice) = (self.server.name(), error.to_string(), advice(error));
        if *said != now {
            match advice {
                "" => tracing::warn!(%server, error = %now, "failed to connect to Redis"),
                _ => tracing::error!(%server, error = %now, "failed to connect to Redis; {advice}"),
            }
            *said = now;
        }
    }

    /// The Sentinels name another master: what the old one counts, the new one does not know.
    fn leave(&self) {
        let mut state = self.state();
        state.connection = None;
        state.breaker = Breaker::open(Instant::now().into_std());
        tracing::warn!("the Sentinels name another master");
    }

    fn install(&self, connection: MultiplexedConnection) {
        let mut state = self.state();
        state.connection = Some(connection);
        state.generation += 1;
        state.breaker.close();
        drop(state);
        self.connected.notify_waiters();
    }

    /// A new connection that has the script and does within the deadline what requests do, and what Redis says of its memory.
    async fn connect(&self) -> RedisResult<(MultiplexedConnection, String)> {
        let setup = async {
            let mut connection = self.server.connect().await?;
            let mut load = cmd("SCRIPT");
            load.arg("LOAD").arg(self.source);
            load.exec_async(&mut connection).await?;
            let mut memory = cmd("INFO");
            let memory = memory.arg("memory").query_async(&mut connection).await;
            let memory = memory.or_else(|error: RedisError| {
                tracing::warn!(%error, "failed to read Redis' maxmemory-policy: make sure that it is noeviction");
                if error.is_io_error() { Err(error) } else { Ok(String::new()) }
            })?;
            Ok::<_, RedisError>((connection, memory))
        };
        let (mut connection, memory) = timeout(CONNECT_DEADLINE, setup)
            .await
            .map_err(io::Error::from)??;
        let probe = timeout(self.deadline, self.probe(&mut connection));
        probe.await.map_err(io::Error::from)??;
        Ok((connection, memory))
    }

    async fn probe(&self, connection: &mut MultiplexedConnection) -> RedisResult<()> {
        let tag = self.state().tag.clone();
        let Some(tag) = tag else {
            return cmd("TIME").exec_async(connection).await;
        };
        let mut probe = cmd("EVAL");
        probe.arg(PROBE).arg(2);
        for what in ["string", "hash"] {
            probe.arg(format!("glyph:{{{tag}}}:probe:{what}"));
        }
        match (&self.server, probe.exec_async(connection).await) {
            // It answers, which is what was asked, though the slot has gone elsewhere.
            (Server::Member(_, node), Err(error)) if Redirect::of(&error, node).is_some() => Ok(()),
            (_, answer) => answer,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Server {
    async fn connect(&self) -> RedisResult<MultiplexedConnection> {
        match self {
            Self::At(dial, node) | Self::Member(dial, node) => dial.connect(node).await,
            Self::Master(sentinels) => sentinels.connect().await,
        }
    }

    /// Ends when the server is another one; never, where it cannot be.
    async fn until_moved(&self) {
        match self {
            Self::Master(sentinels) => sentinels.until_moved().await,
            Self::At(..) | Self::Member(..) => std::future::pending().await,
        }
    }

    /// For messages.
    fn name(&self) -> String {
        match self {
            Self::At(_, node) | Self::Member(_, node) => node.to_string(),
            Self::Master(_) => "the Sentinels' master".to_owned(),
        }
    }
}

impl Line {
    /// Sends `command`, once, and gives the answer.
    pub(super) async fn query<T: FromRedisValue>(&mut self, command: &Cmd) -> RedisResult<T> {
        if !self.is_asking {
            return command.query_async(&mut self.connection).await;
        }
        let mut both = Pipeline::with_capacity(2);
        both.cmd("ASKING").add_command(command.clone());
        let answers = self.connection.req_packed_commands(&both, 0, 2).await?;
        let answer = answers.into_iter().nth(1);
        let answer = answer.ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))?;
        Ok(from_redis_value(answer.extract_error()?)?)
    }

    /// Runs a script by its hash; sends it whole when Redis has forgotten it, as after a restart, which keeps it there again.
    pub(super) async fn run<T: FromRedisValue>(
        &mut self,
        source: &str,
        hash: &str,
        arguments: impl Fn(&mut Cmd),
    ) -> RedisResult<T> {
        let command = |verb, script: &str| {
            let mut command = cmd(verb);
            arguments(command.arg(script));
            command
        };
        match self.query(&command("EVALSHA", hash)).await {
            // What was not run was not counted either.
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                self.query(&command("EVAL", source)).await
            }
            answer => answer,
        }
    }
}

/// The policy in `INFO memory`, unless it keeps all counters. All counters have a TTL, so `volatile-*` evicts them as
/// `allkeys-*` does. `INFO`, because managed Redis forbids `CONFIG`.
fn evicting(memory: &str) -> Option<EvictingRedis> {
    let mut lines = memory.lines();
    let policy = lines
        .find_map(|line| line.strip_prefix("maxmemory_policy:"))?
        .trim();
    (policy != "noeviction").then(|| EvictingRedis {
        policy: policy.to_owned(),
    })
}
