//! A Redis with a replica, watched by three Sentinels.

use std::fs;
use std::time::Duration;

use nix::sys::signal::Signal;

use super::{GRACE, READY, Redis, ensure};
use crate::error::{Error, Result};
use crate::net::{free_port, loopback, poll_until};
use crate::process::{Process, command};
use crate::store::{self, run_folder};

/// What the Sentinels call it.
const NAME: &str = "main";
const SENTINELS: usize = 3;
const FAILOVER: Duration = Duration::from_secs(60);

/// A running master with its replica and its Sentinels, on free ports of loopback.
pub struct SentinelRedis {
    master: Redis,
    replica: Redis,
    sentinels: Vec<(u16, Process)>,
}

impl SentinelRedis {
    /// Starts all of it and waits until the Sentinels know each other and the replica.
    ///
    /// # Errors
    /// When it cannot be had or does not start.
    pub async fn start() -> Result<Self> {
        Self::start_with(&[]).await
    }

    /// The same with further settings for master and replica, as on the command line.
    ///
    /// # Errors
    /// When it cannot be had or does not start.
    pub async fn start_with(further: &[&str]) -> Result<Self> {
        let master = Redis::start_with(further).await?;
        let of = format!("127.0.0.1 {}", master.port());
        let replica = Redis::start_with(&[&["--replicaof", &of], further].concat()).await?;
        let program = store::blocking(ensure).await?;
        let mut sentinels = Vec::new();
        for _ in 0..SENTINELS {
            let folder = run_folder("sentinel")?;
            let port = free_port()?;
            let file = folder.join("sentinel.conf");
            let settings = format!(
                "bind 127.0.0.1\nport {port}\ndir {}\nsentinel monitor {NAME} {of} 2\n\
                 sentinel down-after-milliseconds {NAME} 500\nsentinel failover-timeout {NAME} 3000\n",
                folder.display()
            );
            fs::write(&file, settings).map_err(Error::io("write a Sentinel's settings"))?;
            let mut sentinel = command(&program);
            sentinel.arg(&file).arg("--sentinel");
            let process = Process::start("Sentinel", sentinel, folder.join("log"), GRACE)?;
            let answers = async || tokio::net::TcpStream::connect(loopback(port)).await.is_ok();
            process.ready(READY, answers).await?;
            sentinels.push((port, process));
        }
        let all = Self {
            master,
            replica,
            sentinels,
        };
        all.settle().await?;
        Ok(all)
    }

    async fn settle(&self) -> Result<()> {
        for (port, _) in &self.sentinels {
            let knows = async || {
                let line = format!("SENTINEL MASTER {NAME}");
                let said = Redis::answer_at(loopback(*port), &line).await.ok()?;
                let fields: Vec<_> = said.lines().filter(|line| !line.starts_with('$')).collect();
                let field = |name: &str| {
                    let at = fields.iter().position(|field| *field == name)?;
                    fields.get(at + 1).copied()
                };
                let settled = (field("num-slaves"), field("num-other-sentinels"));
                (settled == (Some("1"), Some("2"))).then_some(())
            };
            poll_until("the Sentinels to know each other", FAILOVER, knows).await?;
        }
        Ok(())
    }

    /// Its URL, `redis+sentinel://127.0.0.1:…,…/main`.
    #[must_use]
    pub fn url(&self) -> String {
        let sentinels: Vec<_> = self
            .sentinels
            .iter()
            .map(|(port, _)| format!("127.0.0.1:{port}"))
            .collect();
        format!("redis+sentinel://{}/{NAME}", sentinels.join(","))
    }

    /// The server that was the master at the start.
    #[must_use]
    pub fn first_master(&self) -> &Redis {
        &self.master
    }

    /// SIGSTOP for one of the Sentinels: it takes connections and does not answer.
    pub fn pause_sentinel(&self, number: usize) {
        self.sentinels[number].1.signal(Signal::SIGSTOP);
    }

    /// Has the Sentinels make the replica the master while the master is well, and waits for it.
    ///
    /// # Errors
    /// When it does not come to be.
    pub async fn hand_over(&self) -> Result<()> {
        let port = self.sentinels[SENTINELS - 1].0;
        let line = format!("SENTINEL FAILOVER {NAME}");
        Redis::answer_at(loopback(port), &line).await?;
        self.promoted().await
    }

    /// Kills the master and waits until the replica is the master.
    ///
    /// # Errors
    /// When it does not come to be.
    pub async fn fail_over(&self) -> Result<()> {
        self.master.stop();
        self.promoted().await
    }

    async fn promoted(&self) -> Result<()> {
        let took = async || {
            let info = self.replica.answer("INFO replication").await.ok()?;
            info.contains("role:master").then_some(())
        };
        poll_until("the replica to be made the master", FAILOVER, took).await
    }
}
