//! A Redis Cluster: a `Link` to each master, and which of them holds which slot.
//!
//! All counters of a customer are in one slot, so one node decides a request. Each node has its own connection and breaker:
//! one that hangs costs its own customers' requests and nobody else's. `MOVED`, `ASK` and `TRYAGAIN` are obeyed within the
//! request's deadline: a node that answers with one of them has counted nothing. Whatever else happens, nothing is sent twice.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{RedisResult, Value, cmd};
use tokio::sync::Notify;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::EvictingRedis;
use super::link::{Line, Link, Server};
use super::slots::{SLOTS, Slots, masters, slot_of, tag_in};
use super::trouble::{Failure, Redirect, advice};
use super::url::{Dial, Node};
use crate::Unavailable;

/// How long a node may take to say who holds which slot. No request waits for it.
const MAP_DEADLINE: Duration = Duration::from_secs(1);

/// How old what is known of the slots may be, when all is well.
const REFRESH: Duration = Duration::from_secs(5);

/// The pause between two looks at the slots when all is not.
const REFRESH_SOON: Duration = Duration::from_millis(200);

/// The pause before a request whose keys are between two nodes is sent again.
const BETWEEN_NODES: Duration = Duration::from_millis(1);

/// So many redirects are followed; a cluster that is settled needs one.
const REDIRECTS: usize = 5;

/// How long a node that holds no slot is kept connected after a request was sent there: it is being given some.
const KEPT: Duration = Duration::from_secs(60);

pub(super) struct Cluster {
    dial: Dial,
    /// Those of the URL.
    seeds: Vec<Node>,
    source: &'static str,
    deadline: Duration,
    map: Mutex<Map>,
    /// Told when what is known of the slots seems to be old, or a node is to be connected.
    stale: Notify,
    /// Cancelled when every node was tried for the first time.
    tried: CancellationToken,
}

/// What is known of the cluster.
#[derive(Default)]
struct Map {
    /// Who holds each slot; empty until the cluster has told it.
    holders: Vec<Option<Node>>,
    members: BTreeMap<Node, Member>,
}

struct Member {
    link: Arc<Link>,
    /// When a request was last sent there by a redirect, or the node last held a slot.
    wanted: Instant,
}

/// The tasks that keep the nodes connected.
#[derive(Default)]
struct Keepers {
    tasks: JoinSet<Result<(), EvictingRedis>>,
    by_node: HashMap<Node, AbortHandle>,
}

impl Cluster {
    pub(super) fn new(
        dial: Dial,
        seeds: Vec<Node>,
        source: &'static str,
        deadline: Duration,
    ) -> Self {
        Self {
            dial,
            seeds,
            source,
            deadline,
            map: Mutex::default(),
            stale: Notify::new(),
            tried: CancellationToken::new(),
        }
    }

    /// Waits until every node was tried for the first time, or the cluster was found to be away.
    pub(super) async fn tried(&self) {
        self.tried.cancelled().await;
    }

    /// Whether every slot has a node that is connected.
    pub(super) fn is_available(&self) -> bool {
        let map = self.map();
        let is_connected = |node: &Node| {
            map.members
                .get(node)
                .is_some_and(|it| it.link.is_available())
        };
        // Slots of one node mostly stand in a row: it is asked once.
        let mut last = None;
        !map.holders.is_empty()
            && map.holders.iter().all(|holder| {
                let same = last == Some(holder);
                last = Some(holder);
                same || holder.as_ref().is_some_and(is_connected)
            })
    }

    /// Asks the node that holds the counters of `customer`, and waits for the answer until the deadline.
    pub(super) async fn ask<T, A: Future<Output = RedisResult<T>>>(
        &self,
        customer: &str,
        question: impl Fn(Line) -> A,
    ) -> Result<T, Failure> {
        let until = Instant::now() + self.deadline;
        let answer = self.ask_slot(slot_of(customer), until, question).await;
        if let Err(Failure::Away(_)) = answer {
            self.stale.notify_one();
        }
        answer
    }

    async fn ask_slot<T, A: Future<Output = RedisResult<T>>>(
        &self,
        slot: u16,
        until: Instant,
        question: impl Fn(Line) -> A,
    ) -> Result<T, Failure> {
        let holder = self.map().holders.get(usize::from(slot)).cloned().flatten();
        let mut node = holder.ok_or(Failure::Away(Unavailable::NotConnected))?;
        let (mut is_asking, mut redirects) = (false, 0);
        loop {
            let link = self.link_to(&node);
            if redirects > 0 && !link.is_available() {
                self.stale.notify_one();
                link.connected(until).await;
            }
            let error = match link.ask(until, is_asking, &question).await {
                Err(Failure::Answer(error)) => error,
                answer => return answer,
            };
            match Redirect::of(&error, &node) {
                Some(Redirect::TryAgain) if Instant::now() + BETWEEN_NODES < until => {
                    sleep(BETWEEN_NODES).await;
                }
                Some(Redirect::Moved(to)) if redirects < REDIRECTS => {
                    self.moved(slot, &to);
                    (node, is_asking) = (to, false);
                    redirects += 1;
                }
                Some(Redirect::Ask(to)) if redirects < REDIRECTS => {
                    (node, is_asking) = (to, true);
                    redirects += 1;
                }
                _ => return Err(Failure::Answer(error)),
            }
        }
    }

    /// Takes note that `slot` is held by `node`.
    fn moved(&self, slot: u16, node: &Node) {
        if let Some(holder) = self.map().holders.get_mut(usize::from(slot)) {
            *holder = Some(node.clone());
        }
        self.stale.notify_one();
    }

    /// The link to `node`. A new one is connected by `keep_connected`.
    fn link_to(&self, node: &Node) -> Arc<Link> {
        let mut map = self.map();
        let member = map.members.entry(node.clone()).or_insert_with(|| {
            let server = Server::Member(self.dial.clone(), node.clone());
            Member {
                link: Arc::new(Link::new(server, self.source, self.deadline)),
                wanted: Instant::now(),
            }
        });
        member.wanted = Instant::now();
        Arc::clone(&member.link)
    }

    /// Follows the cluster: who holds which slot, and a connection to each of them.
    ///
    /// # Errors
    /// When a node may evict counters and was found so at its first connection.
    pub(super) async fn keep_connected(&self) -> Result<(), EvictingRedis> {
        let mut keepers = Keepers::default();
        let (mut turn, mut said) = (0, String::new());
        loop {
            let is_told = self.refresh(turn, &mut said).await;
            turn += 1;
            let first = turn == 1;
            let looked = Instant::now();
            let is_well = is_told && self.is_available();
            let mut due = looked + if is_well { REFRESH } else { REFRESH_SOON };
            while Instant::now() < due {
                keepers.keep(&self.map());
                if first && !self.tried.is_cancelled() {
                    keepers.tasks.spawn(self.all_tried());
                }
                tokio::select! {
                    () = sleep_until(due) => {}
                    () = self.stale.notified() => due = due.min(looked + REFRESH_SOON),
                    Some(Ok(Err(evicting))) = keepers.tasks.join_next() => return Err(evicting),
                }
            }
        }
    }

    /// Cancels `tried` once every node that is known now was tried.
    fn all_tried(&self) -> impl Future<Output = Result<(), EvictingRedis>> + use<> {
        let map = self.map();
        let links: Vec<_> = map
            .members
            .values()
            .map(|member| Arc::clone(&member.link))
            .collect();
        let tried = self.tried.clone();
        async move {
            for link in links {
                link.tried().await;
            }
            tried.cancel();
            Ok(())
        }
    }

    /// Asks one node after the other who holds which slot, until one says. Each `turn` begins with another one.
    async fn refresh(&self, turn: usize, said: &mut String) -> bool {
        for (node, connection) in self.connections(turn) {
            if self.learn(&node, async { Ok(connection) }, said).await {
                return true;
            }
        }
        for node in &self.seeds {
            if self.learn(node, self.dial.connect(node), said).await {
                return true;
            }
        }
        false
    }

    fn connections(&self, turn: usize) -> Vec<(Node, MultiplexedConnection)> {
        let map = self.map();
        let members = map.members.iter();
        let mut connections: Vec<_> = members
            .filter_map(|(node, member)| Some((node.clone(), member.link.connection()?)))
            .collect();
        let first = turn % connections.len().max(1);
        connections.rotate_left(first);
        connections
    }

    /// Asks `node` who holds which slot. Why it could not be asked is said once.
    async fn learn(
        &self,
        node: &Node,
        connection: impl Future<Output = RedisResult<MultiplexedConnection>>,
        said: &mut String,
    ) -> bool {
        let mut slots = cmd("CLUSTER");
        slots.arg("SLOTS");
        let asked = timeout(MAP_DEADLINE, async {
            slots.query_async::<Value>(&mut connection.await?).await
        });
        let answer = asked
            .await
            .unwrap_or_else(|late| Err(io::Error::from(late).into()));
        match answer.map(|answer| masters(&answer, node)) {
            Ok(Some(masters)) => {
                said.clear();
                self.install(&masters);
                true
            }
            Ok(None) => false,
            Err(error) => {
                let (now, advice) = (error.to_string(), advice(&error));
                if *said != now {
                    tracing::error!(server = %node, error = %now, "failed to learn the slots of the Redis Cluster {advice}");
                    *said = now;
                }
                false
            }
        }
    }

    fn install(&self, masters: &[(Slots, Node)]) {
        let mut holders = vec![None; usize::from(SLOTS)];
        let mut by_node = BTreeMap::<&Node, Vec<Slots>>::new();
        for (slots, node) in masters {
            let range = usize::from(*slots.start())..=usize::from(*slots.end());
            if let Some(holders) = holders.get_mut(range) {
                holders.fill(Some(node.clone()));
            }
            by_node.entry(node).or_default().push(slots.clone());
        }
        for (node, slots) in &by_node {
            self.link_to(node).probe_under(tag_in(slots));
        }
        let mut map = self.map();
        map.holders = holders;
        map.members
            .retain(|_, member| member.wanted.elapsed() < KEPT);
        for (node, member) in &map.members {
            if !by_node.contains_key(node) {
                member.link.probe_under(None);
            }
        }
    }

    fn map(&self) -> MutexGuard<'_, Map> {
        self.map.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Keepers {
    /// Gives each member a task that keeps it connected, and ends those of members that are gone.
    fn keep(&mut self, map: &Map) {
        self.by_node.retain(|node, keeper| {
            let stays = map.members.contains_key(node);
            if !stays {
                keeper.abort();
            }
            stays
        });
        for (node, member) in &map.members {
            if !self.by_node.contains_key(node) {
                let link = Arc::clone(&member.link);
                let keeper = self.tasks.spawn(async move { link.keep_connected().await });
                self.by_node.insert(node.clone(), keeper);
            }
        }
    }
}
