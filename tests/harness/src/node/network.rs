//! The namespaces of a node, and ways to run something inside its network.

use std::fs::File;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, setns};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::runtime::{Builder, Handle, Runtime};

use super::AT_ONCE;
use super::part::Part;
use crate::error::{Error, Result};
use crate::net::{Answer, get};
use crate::process::{POLL, Process, command};
use crate::store::{recipe, run_folder};

const READY: Duration = Duration::from_secs(20);
/// How long the kernel may take to end all processes of a namespace whose first was killed.
const END: Duration = Duration::from_secs(10);
const THREADS: usize = 2;

/// The namespaces, held by their first process, with whom all others in them die.
pub(super) struct Namespaces {
    holder: Process,
    first: Pid,
}

impl Namespaces {
    /// Makes them.
    pub(super) async fn enter(part: &Part, folder: &Path) -> Result<Self> {
        let mut unshare = command("unshare");
        unshare.args([
            "--net",
            "--mount",
            "--uts",
            "--pid",
            "--fork",
            "--kill-child",
        ]);
        unshare.args(["--mount-proc", "--propagation", "private", "--", "sh"]);
        unshare.arg(recipe("node").join("init.sh")).arg(folder);
        unshare.envs(part.environment());
        let log = folder.join("init.log");
        let holder = Process::start("the node's first process", unshare, log, AT_ONCE)?;
        holder
            .ready(READY, async || holder.log_text().ends_with("ready\n"))
            .await?;
        let first = only_child(holder.pid())?;
        Ok(Self { holder, first })
    }

    /// A command in all namespaces, which dies with its owner.
    pub(super) fn command(&self, part: &Part, program: impl AsRef<Path>) -> Command {
        let mut nsenter = command("nsenter");
        nsenter.arg(format!("--target={}", self.first));
        nsenter.args(["--net", "--mount", "--uts", "--pid"]);
        // Entering a process namespace takes a fork, so the child has to be tied to nsenter in turn.
        nsenter.args(["--", "setpriv", "--pdeathsig", "KILL", "--"]);
        nsenter.arg(program.as_ref()).envs(part.environment());
        nsenter
    }

    /// A file of the node, as seen from here.
    pub(super) fn file(&self, inside: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{inside}", self.first))
    }

    /// The words that bring a command into the network.
    pub(super) fn way_in(&self) -> [String; 3] {
        way_into(self.first)
    }

    /// The network with threads of its own in it.
    pub(super) fn network(&self) -> Result<Network> {
        let namespace = format!("/proc/{}/ns/net", self.first);
        let namespace = File::open(&namespace).map_err(Error::io(format!("open {namespace}")))?;
        let outside = Arc::new(AtomicBool::new(false));
        let astray = Arc::clone(&outside);
        let runtime = Builder::new_multi_thread()
            .worker_threads(THREADS)
            .thread_name("node-network")
            .enable_all()
            .on_thread_start(move || {
                if setns(&namespace, CloneFlags::CLONE_NEWNET).is_err() {
                    astray.store(true, Ordering::SeqCst);
                }
            })
            .build()
            .map_err(Error::io("start threads in the node's network"))?;
        Ok(Network(Arc::new(Inside {
            first: self.first,
            handle: runtime.handle().clone(),
            runtime: Mutex::new(Some(runtime)),
            outside,
        })))
    }
}

impl Drop for Namespaces {
    /// Kills the first process and waits until all others are gone with it, which is when its parent ends.
    fn drop(&mut self) {
        if self.holder.exit_status().is_some() {
            return;
        }
        // Its parent runs and waits for it, so the id is still its own.
        let _ = kill(self.first, Signal::SIGKILL);
        let begun = Instant::now();
        while self.holder.exit_status().is_none() && begun.elapsed() < END {
            std::thread::sleep(POLL);
        }
    }
}

fn way_into(first: Pid) -> [String; 3] {
    let namespace = format!("--net=/proc/{first}/ns/net");
    ["nsenter".to_owned(), namespace, "--".to_owned()]
}

fn only_child(parent: Pid) -> Result<Pid> {
    let file = format!("/proc/{parent}/task/{parent}/children");
    let text = std::fs::read_to_string(&file).map_err(Error::io(format!("read {file}")))?;
    let child = text.trim().parse().map(Pid::from_raw);
    child.map_err(|_| Error::answer(format!("read a process id in {file}"), text))
}

/// The inside of a node's network: 10.77.0.1 is the node (and the API server at port 6443), 10.244.0.0/24 its pods,
/// 10.0.0.0/24 its Services. It is gone when the node is.
#[derive(Clone)]
pub struct Network(Arc<Inside>);

struct Inside {
    first: Pid,
    handle: Handle,
    runtime: Mutex<Option<Runtime>>,
    /// A thread could not enter the namespace.
    outside: Arc<AtomicBool>,
}

impl Network {
    /// Runs `work` on a thread inside the network: connections that it opens and listeners that it makes are in there. What it
    /// spawns stays inside, too, and ends with the node. A panic of `work` is the caller's.
    ///
    /// # Errors
    /// When the node is gone.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T> {
        let doing = "work inside the node's network";
        let outside = Arc::clone(&self.0.outside);
        let checked = async move {
            if outside.load(Ordering::SeqCst) {
                return Err(Error::answer(doing, "its threads could not enter it"));
            }
            Ok(work.await)
        };
        match self.0.handle.spawn(checked).await {
            Ok(result) => result,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(error) => Err(Error::answer(doing, error)),
        }
    }

    /// `GET` of a plain HTTP URL from inside the network.
    ///
    /// # Errors
    /// As [`crate::net::get`], and when the node is gone.
    pub async fn get(&self, url: &str) -> Result<Answer> {
        let url = url.to_owned();
        self.run(async move { get(&url).await }).await?
    }

    /// Ends what runs inside; for the end of the node.
    pub(super) fn close(&self) {
        self.0.close();
    }

    /// A command whose process will be inside the network, and otherwise as one of this machine.
    #[must_use]
    pub fn command(&self, program: impl AsRef<Path>) -> Command {
        let [nsenter, namespace, end] = way_into(self.0.first);
        let mut command = Command::new(nsenter);
        command.args([namespace, end]).arg(program.as_ref());
        command
    }

    /// As [`Network::command`], dying with its owner.
    pub(crate) fn owned_command(&self, program: impl AsRef<Path>) -> Command {
        let [nsenter, namespace, end] = way_into(self.0.first);
        let mut owned = command(nsenter);
        owned.args([namespace, end]).arg(program.as_ref());
        owned
    }

    /// Starts `program` inside the network, with what `prepare` adds to its command, and lets it run.
    ///
    /// # Errors
    /// When it cannot be run.
    pub fn start(
        &self,
        name: &str,
        program: impl AsRef<Path>,
        prepare: impl FnOnce(&mut Command),
    ) -> Result<Guest> {
        let mut command = self.owned_command(program);
        prepare(&mut command);
        let log = run_folder(name)?.join("log");
        Process::start(name, command, log, AT_ONCE).map(Guest)
    }
}

impl Inside {
    /// Ends all that runs on its threads. They are not waited for, which async code must not do.
    fn close(&self) {
        let runtime = self
            .runtime
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(runtime) = runtime {
            runtime.shutdown_background();
        }
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        self.close();
    }
}

/// A program inside a node's network; it is killed when dropped, and dies with its owner.
pub struct Guest(Process);

impl Guest {
    /// Everything it said so far.
    #[must_use]
    pub fn log(&self) -> String {
        self.0.log_text()
    }

    /// True while it runs.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.0.exit_status().is_none()
    }
}
