//! A Redis Cluster: three masters that share the slots, and a replica of the first one.

use std::time::Duration;

use super::Redis;
use crate::error::{Error, Result};
use crate::net::{free_port, poll_until};

const FORMED: Duration = Duration::from_secs(30);
const SLOTS: [&str; 3] = ["0 5460", "5461 10922", "10923 16383"];

/// A running cluster on free ports of loopback.
pub struct RedisCluster {
    masters: Vec<Redis>,
    replica: Redis,
}

impl RedisCluster {
    /// Starts one and waits until every slot is served.
    ///
    /// # Errors
    /// When it cannot be had, or does not form.
    pub async fn start() -> Result<Self> {
        Self::start_with(&[]).await
    }

    /// The same with further settings for every node, as on the command line.
    ///
    /// # Errors
    /// When it cannot be had, or does not form.
    pub async fn start_with(further: &[&str]) -> Result<Self> {
        let mut buses = Vec::new();
        let mut nodes = Vec::new();
        for _ in 0..=SLOTS.len() {
            let bus = free_port()?;
            let bus_option = bus.to_string();
            let options = [
                "--cluster-enabled",
                "yes",
                "--cluster-node-timeout",
                "1000",
                "--cluster-port",
                &bus_option,
            ];
            let options = [&options, further].concat();
            nodes.push(Redis::start_with(&options).await?);
            buses.push(bus);
        }
        for (node, slots) in nodes.iter().zip(SLOTS) {
            ok(node, &format!("CLUSTER ADDSLOTSRANGE {slots}")).await?;
        }
        for (node, bus) in nodes.iter().zip(&buses).skip(1) {
            let meet = format!("CLUSTER MEET 127.0.0.1 {} {bus}", node.port());
            ok(&nodes[0], &meet).await?;
        }
        let replica = nodes
            .pop()
            .ok_or_else(|| Error::unavailable("a Redis Cluster", "it has no node for a replica"))?;
        let cluster = Self {
            masters: nodes,
            replica,
        };
        cluster.form().await?;
        Ok(cluster)
    }

    async fn form(&self) -> Result<()> {
        let first = self.masters[0].answer("CLUSTER MYID").await?;
        let replicate = format!("CLUSTER REPLICATE {}", first.trim());
        let follows = async || ok(&self.replica, &replicate).await.ok();
        poll_until("a replica to know its master", FORMED, follows).await?;
        for node in self.masters.iter().chain([&self.replica]) {
            let formed = async || {
                let info = node.answer("CLUSTER INFO").await.ok()?;
                let known = info.contains("cluster_known_nodes:4");
                (known && info.contains("cluster_state:ok")).then_some(())
            };
            poll_until("a cluster to form", FORMED, formed).await?;
        }
        let linked = async || {
            let info = self.replica.answer("INFO replication").await.ok()?;
            info.contains("master_link_status:up").then_some(())
        };
        poll_until("the replica to follow", FORMED, linked).await
    }

    /// Its URL, `redis+cluster://127.0.0.1:…,…`.
    #[must_use]
    pub fn url(&self) -> String {
        let nodes: Vec<_> = self
            .masters
            .iter()
            .map(|node| format!("127.0.0.1:{}", node.port()))
            .collect();
        format!("redis+cluster://{}", nodes.join(","))
    }

    /// One of its masters; the first has a replica.
    #[must_use]
    pub fn master(&self, number: usize) -> &Redis {
        &self.masters[number]
    }

    /// The number of the master that held `slot` at the start, or took it since by [`RedisCluster::end_move`].
    ///
    /// # Errors
    /// When no master says that it holds it.
    pub async fn holder(&self, slot: u16) -> Result<usize> {
        for (number, node) in self.masters.iter().enumerate() {
            // A count of the slot's keys is the answer of its holder, and of others too: the table is asked instead.
            let nodes = node.answer("CLUSTER NODES").await?;
            let mine = nodes.lines().find(|line| line.contains("myself"));
            let mut ranges = mine.into_iter().flat_map(|line| line.split(' ').skip(8));
            let holds = |range: &str| {
                let (first, last) = range.split_once('-').unwrap_or((range, range));
                let bounds = (first.parse::<u16>(), last.parse::<u16>());
                matches!(bounds, (Ok(first), Ok(last)) if (first..=last).contains(&slot))
            };
            if ranges.any(holds) {
                return Ok(number);
            }
        }
        Err(Error::answer(
            "find a slot",
            format!("no master holds {slot}"),
        ))
    }

    /// The slot of `key`.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn slot(&self, key: &str) -> Result<u16> {
        let said = self.masters[0]
            .command_line(&format!("CLUSTER KEYSLOT {key}"))
            .await?;
        let slot = said.trim_start_matches(':').parse();
        slot.map_err(|_| Error::answer("ask for a slot", said))
    }

    /// Begins to move `slot` from one master to another: its keys go by [`RedisCluster::move_key`].
    ///
    /// # Errors
    /// When a node refuses.
    pub async fn begin_move(&self, slot: u16, from: usize, to: usize) -> Result<()> {
        let id = async |node: usize| self.masters[node].answer("CLUSTER MYID").await;
        let (source, target) = (id(from).await?, id(to).await?);
        let importing = format!("CLUSTER SETSLOT {slot} IMPORTING {}", source.trim());
        ok(&self.masters[to], &importing).await?;
        let migrating = format!("CLUSTER SETSLOT {slot} MIGRATING {}", target.trim());
        ok(&self.masters[from], &migrating).await
    }

    /// Moves one key of such a slot, if it is there.
    ///
    /// # Errors
    /// When the node refuses.
    pub async fn move_key(&self, key: &str, from: usize, to: usize) -> Result<()> {
        let line = format!("MIGRATE 127.0.0.1 {} {key} 0 5000", self.masters[to].port());
        match self.masters[from].command_line(&line).await? {
            said if said == "+OK" || said == "+NOKEY" => Ok(()),
            said => Err(Error::answer("move a key", said)),
        }
    }

    /// Gives such a slot to its new master for good.
    ///
    /// # Errors
    /// When a node refuses.
    pub async fn end_move(&self, slot: u16, to: usize) -> Result<()> {
        let id = self.masters[to].answer("CLUSTER MYID").await?;
        let line = format!("CLUSTER SETSLOT {slot} NODE {}", id.trim());
        let target = [&self.masters[to]].into_iter();
        // The new master first, so that nobody is sent to one who does not know.
        for node in target.chain(&self.masters) {
            ok(node, &line).await?;
        }
        Ok(())
    }

    /// Kills the first master and waits until its replica has taken its slots.
    ///
    /// # Errors
    /// When it does not.
    pub async fn fail_over(&self) -> Result<()> {
        self.masters[0].stop();
        let took = async || {
            let info = self.replica.answer("INFO replication").await.ok()?;
            info.contains("role:master").then_some(())
        };
        poll_until("the replica to take over", FORMED, took).await
    }
}

async fn ok(node: &Redis, line: &str) -> Result<()> {
    match node.command_line(line).await? {
        said if said == "+OK" => Ok(()),
        said => Err(Error::answer(line, said)),
    }
}
