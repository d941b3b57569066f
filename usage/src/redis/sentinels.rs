//! The Sentinels that watch a master: where it is, and when it is another.
//!
//! All are asked at once and the most votes count: one that hangs holds nobody up, and one that was cut off from the others
//! sends nobody to a master that is none any more.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::join_all;
use redis::aio::MultiplexedConnection;
use redis::{RedisError, RedisResult, cmd};
use tokio::sync::Mutex as AsyncMutex;
use tokio::time::{sleep, timeout};

use super::url::{Dial, Node};

/// How long a Sentinel is waited for.
const PATIENCE: Duration = Duration::from_millis(300);

/// How often the Sentinels are asked whether the master is another one, while it answers.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

pub(super) struct Sentinels {
    sentinels: Vec<Sentinel>,
    /// The name under which they know the master.
    name: String,
    /// How the master is dialled.
    dial: Dial,
    /// The master found last.
    found: Mutex<Option<Node>>,
}

struct Sentinel {
    dial: Dial,
    node: Node,
    connection: AsyncMutex<Option<MultiplexedConnection>>,
}

impl Sentinels {
    /// Those at `nodes`, dialled as `sentinel` says; the master that they call `name` is dialled as `dial` says.
    pub(super) fn new(nodes: Vec<Node>, sentinel: &Dial, name: String, dial: Dial) -> Self {
        let sentinel = |node| Sentinel {
            dial: sentinel.clone(),
            node,
            connection: AsyncMutex::new(None),
        };
        Self {
            sentinels: nodes.into_iter().map(sentinel).collect(),
            name,
            dial,
            found: Mutex::new(None),
        }
    }

    /// A connection to the server that most of the Sentinels who answer call the master.
    pub(super) async fn connect(&self) -> RedisResult<MultiplexedConnection> {
        let (votes, error) = self.votes().await;
        let Some((master, _)) = most(&votes) else {
            return Err(error.unwrap_or_else(|| {
                let why = "no Sentinel knows a master of the name in REDIS_URL";
                io::Error::new(io::ErrorKind::NotFound, why).into()
            }));
        };
        *self.found() = Some(master.clone());
        self.dial.connect(master).await
    }

    /// Ends when more than half of all Sentinels call another server the master than the one found last.
    pub(super) async fn until_moved(&self) {
        loop {
            sleep(LOOK_AGAIN).await;
            let (votes, _) = self.votes().await;
            let moved = most(&votes).is_some_and(|(master, votes)| {
                votes > self.sentinels.len() / 2 && self.found().as_ref() != Some(master)
            });
            if moved {
                return;
            }
        }
    }

    /// How many call which server the master; and why one of them said nothing.
    async fn votes(&self) -> (BTreeMap<Node, usize>, Option<RedisError>) {
        let answers = self.sentinels.iter().map(|one| one.master(&self.name));
        let mut votes = BTreeMap::new();
        let mut failed = None;
        for answer in join_all(answers).await {
            match answer {
                Ok(Some(master)) => *votes.entry(master).or_default() += 1,
                Ok(None) => {}
                Err(error) => failed = Some(error),
            }
        }
        (votes, failed)
    }

    fn found(&self) -> MutexGuard<'_, Option<Node>> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sentinel {
    /// What it calls the master of this name.
    async fn master(&self, name: &str) -> RedisResult<Option<Node>> {
        let mut kept = self.connection.lock().await;
        let asked = timeout(PATIENCE, async {
            // A connection that broke since the last question is replaced at once.
            if let Some(connection) = kept.take()
                && let Ok(answer) = self.ask(connection, name).await
            {
                return Ok(answer);
            }
            let connection = self.dial.connect(&self.node).await?;
            self.ask(connection, name).await
        });
        let (connection, master) = asked.await.map_err(io::Error::from)??;
        *kept = Some(connection);
        Ok(master)
    }

    async fn ask(
        &self,
        mut connection: MultiplexedConnection,
        name: &str,
    ) -> RedisResult<(MultiplexedConnection, Option<Node>)> {
        let mut question = cmd("SENTINEL");
        question.arg("get-master-addr-by-name").arg(name);
        let answer: Option<(String, u16)> = question.query_async(&mut connection).await?;
        let master = answer.and_then(|(host, port)| Node::of(&host, port, &self.node));
        Ok((connection, master))
    }
}

/// The server with the most votes.
fn most(votes: &BTreeMap<Node, usize>) -> Option<(&Node, usize)> {
    let most = votes.iter().max_by_key(|(_, votes)| **votes);
    most.map(|(node, votes)| (node, *votes))
}
