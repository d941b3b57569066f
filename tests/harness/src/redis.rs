//! Redis 7: `redis-server` on `PATH`, else Debian's program. It keeps nothing on disk, so a restart is a loss
//! of all counters, which is what tests want to see survived.

mod cluster;
mod sentinels;
mod tls;

use std::net::SocketAddr;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

pub use cluster::RedisCluster;
pub use sentinels::SentinelRedis;
pub use tls::Certificate;

use crate::clock::MovedClock;
use crate::error::{Error, Result};
use crate::net::{free_port, loopback, start_twice};
use crate::process::{Process, command, output_of};
use crate::sources::{debian, on_path, version_after};
use crate::store::{self, run_folder};

const OLDEST: (u32, u32) = (7, 0);
const READY: Duration = Duration::from_secs(10);
const GRACE: Duration = Duration::from_secs(1);

/// A running Redis on a free port of loopback.
pub struct Redis {
    program: PathBuf,
    environment: Vec<(&'static str, String)>,
    options: Vec<String>,
    folder: PathBuf,
    port: u16,
    process: Mutex<Option<Process>>,
}

impl Redis {
    /// Starts one with default settings and no persistence.
    ///
    /// # Errors
    /// When it cannot be had or does not start.
    pub async fn start() -> Result<Self> {
        Self::start_with(&[]).await
    }

    /// Starts one with further settings that goes by `clock`.
    ///
    /// # Errors
    /// When it cannot be had or does not start.
    pub async fn start_by(clock: &MovedClock, options: &[&str]) -> Result<Self> {
        Self::start_in(clock.environment().to_vec(), options).await
    }

    /// Starts one with further settings, as on the command line: `["--maxmemory-policy", "allkeys-lru"]`.
    ///
    /// # Errors
    /// When it cannot be had or does not start.
    pub async fn start_with(options: &[&str]) -> Result<Self> {
        Self::start_in(Vec::new(), options).await
    }

    async fn start_in(environment: Vec<(&'static str, String)>, options: &[&str]) -> Result<Self> {
        let program = store::blocking(ensure).await?;
        start_twice(async || {
            let redis = Self {
                program: program.clone(),
                environment: environment.clone(),
                options: options.iter().map(ToString::to_string).collect(),
                folder: run_folder("redis")?,
                port: free_port()?,
                process: Mutex::new(None),
            };
            redis.start_again().await?;
            Ok(redis)
        })
        .await
    }

    /// Its URL, `redis://127.0.0.1:…`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://{}", loopback(self.port))
    }

    /// Its port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Kills it: connections break, the port refuses, all data is lost.
    pub fn stop(&self) {
        drop(self.process().take());
    }

    /// Starts it, empty, on the same port after [`Redis::stop`].
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start_again(&self) -> Result<()> {
        let process = Process::start(
            "Redis",
            self.command(),
            self.folder.join("redis.log"),
            GRACE,
        )?;
        process
            .ready(READY, async || {
                self.command_line("PING")
                    .await
                    .is_ok_and(|said| said == "+PONG")
            })
            .await?;
        *self.process() = Some(process);
        Ok(())
    }

    /// [`Redis::stop`], then [`Redis::start_again`].
    ///
    /// # Errors
    /// When it does not start.
    pub async fn restart(&self) -> Result<()> {
        self.stop();
        self.start_again().await
    }

    /// SIGSTOP: connections stay open and nothing answers.
    pub fn pause(&self) {
        self.signal(Signal::SIGSTOP);
    }

    /// SIGCONT after [`Redis::pause`].
    pub fn resume(&self) {
        self.signal(Signal::SIGCONT);
    }

    /// Empties it (`FLUSHALL`).
    ///
    /// # Errors
    /// When it does not say OK.
    pub async fn flush(&self) -> Result<()> {
        match self.command_line("FLUSHALL").await? {
            said if said == "+OK" => Ok(()),
            said => Err(Error::answer("flush Redis", said)),
        }
    }

    /// Sends one inline command and gives the first line of the answer as Redis writes it (`+OK`, `:3`,
    /// `$-1`, `-ERR …`).
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn command_line(&self, line: &str) -> Result<String> {
        let exchange = async {
            let mut connection = tokio::net::TcpStream::connect(loopback(self.port)).await?;
            connection
                .write_all(format!("{line}\r\n").as_bytes())
                .await?;
            let mut said = Vec::new();
            while !said.ends_with(b"\r\n") && connection.read_buf(&mut said).await? > 0 {}
            Ok(said)
        };
        let said = exchange
            .await
            .map_err(Error::io(format!("send {line} to Redis")))?;
        Ok(String::from_utf8_lossy(&said)
            .lines()
            .next()
            .unwrap_or_default()
            .to_owned())
    }

    /// Sends one inline command and gives the whole of the answer, without the heads of strings: for what is long
    /// (`INFO`, `CLUSTER INFO`).
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn answer(&self, line: &str) -> Result<String> {
        Self::answer_at(loopback(self.port), line).await
    }

    /// As [`Redis::answer`], of whoever listens at `address`.
    pub(crate) async fn answer_at(address: SocketAddr, line: &str) -> Result<String> {
        let exchange = async {
            let mut connection = tokio::net::TcpStream::connect(address).await?;
            connection
                .write_all(format!("{line}\r\n").as_bytes())
                .await?;
            // It answers what it was asked before it sees that no more will come.
            connection.shutdown().await?;
            let mut said = Vec::new();
            connection.read_to_end(&mut said).await?;
            Ok(said)
        };
        let said = exchange
            .await
            .map_err(Error::io(format!("send {line} to {address}")))?;
        let said = String::from_utf8_lossy(&said);
        let lines = said.lines().filter(|line| !line.starts_with('$'));
        Ok(lines.collect::<Vec<_>>().join("\n"))
    }

    fn command(&self) -> Command {
        let mut redis = command(&self.program);
        redis.args([
            "--bind",
            "127.0.0.1",
            "--port",
            &self.port.to_string(),
            "--save",
            "",
            "--appendonly",
            "no",
        ]);
        redis.arg("--dir").arg(&self.folder).args(&self.options);
        redis.envs(self.environment.iter().cloned());
        redis
    }

    fn process(&self) -> MutexGuard<'_, Option<Process>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn signal(&self, signal: Signal) {
        if let Some(process) = self.process().as_ref() {
            process.signal(signal);
        }
    }
}

/// Gets `redis-server`.
///
/// Debian's `redis-tools` holds the very program as `redis-check-rdb`: it is one program that goes by the name
/// it is called with. Taking it from there leaves no Redis service behind on the machine.
pub(crate) fn ensure() -> Result<PathBuf> {
    let new_enough = |program: &PathBuf| {
        output_of(program, &["--version"])
            .and_then(|said| version_after(&said, "v="))
            .is_some_and(|v| v >= OLDEST)
    };
    if let Some(program) = on_path("redis-server").filter(new_enough) {
        return Ok(program);
    }
    let folder = store::ensure(
        "redis",
        "redis-tools",
        "Redis 7 from Debian, some seconds",
        |workshop| {
            if on_path("redis-check-rdb").is_none() {
                debian::install(
                    "Redis",
                    &["redis-tools"],
                    &workshop.log,
                    &mut workshop.progress,
                )?;
            }
            let program = on_path("redis-check-rdb").ok_or_else(|| {
                Error::unavailable("Redis", "Debian's redis-tools holds no redis-check-rdb")
            })?;
            symlink(program, workshop.folder.join("redis-server"))
                .map_err(Error::io("link redis-server"))
        },
    )?;
    let program = folder.join("redis-server");
    if new_enough(&program) {
        return Ok(program);
    }
    Err(Error::unavailable(
        "Redis",
        "what Debian has is older than 7; put redis-server 7 on PATH",
    ))
}
