//! Child processes that never outlive their owner.
//!
//! A child gets SIGKILL from the kernel when its owner dies, however the owner dies: `setpriv --pdeathsig`
//! sets that before it becomes the part. The kernel ties it to the *thread* that forked, so one thread that
//! lives as long as the process does all forking. A dropped [`Process`] is ended as well.

use std::fs::{self, File};
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;

use crate::error::{Error, Result};
use crate::progress::Progress;

/// How often a process or an answer is looked at while it is waited for.
pub(crate) const POLL: Duration = Duration::from_millis(20);
const LOG_TAIL_LINES: usize = 25;

/// A command that will die with its owner, in a process group of its own (Ctrl-C reaches the owner only).
pub(crate) fn command(program: impl AsRef<Path>) -> Command {
    let mut command = Command::new("setpriv");
    command
        .args(["--pdeathsig", "KILL", "--"])
        .arg(program.as_ref())
        .process_group(0)
        .stdin(Stdio::null());
    command
}

type Order = (Command, mpsc::Sender<io::Result<Child>>);

static FORKING: LazyLock<mpsc::Sender<Order>> = LazyLock::new(|| {
    let (orders, inbox) = mpsc::channel::<Order>();
    std::thread::spawn(move || {
        for (mut command, answer) in inbox {
            // A caller that went away drops its child's handle; the child then ends with this process.
            let _ = answer.send(command.spawn());
        }
    });
    orders
});

/// Spawns from the one thread that lives as long as the process.
pub(crate) fn spawn(command: Command) -> io::Result<Child> {
    let (answer, child) = mpsc::channel();
    let gone = || io::Error::other("the forking thread ended");
    FORKING.send((command, answer)).map_err(|_| gone())?;
    child.recv().map_err(|_| gone())?
}

/// A running part: its process and its log file.
pub(crate) struct Process {
    name: String,
    pid: Pid,
    child: Mutex<Child>,
    log: PathBuf,
    grace: Duration,
}

impl Process {
    /// Starts `command`, whose standard output and error go to the end of `log`. On drop it is asked to end
    /// and, after `grace`, killed.
    pub(crate) fn start(
        name: &str,
        mut command: Command,
        log: PathBuf,
        grace: Duration,
    ) -> Result<Self> {
        let out = append_to(&log)?;
        let err = out
            .try_clone()
            .map_err(Error::io(format!("open {}", log.display())))?;
        command.stdout(out).stderr(err);
        let child = spawn(command).map_err(Error::io(format!("start {name}")))?;
        Ok(Self {
            name: name.to_owned(),
            pid: Pid::from_raw(child.id().cast_signed()),
            child: Mutex::new(child),
            log,
            grace,
        })
    }

    fn child(&self) -> MutexGuard<'_, Child> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> Pid {
        self.pid
    }

    /// How it ended, or nothing while it runs.
    pub(crate) fn exit_status(&self) -> Option<ExitStatus> {
        self.child().try_wait().ok().flatten()
    }

    /// Sends a signal; a process that is gone already is left in peace. After SIGSTOP it has stopped, all threads of it.
    pub(crate) fn signal(&self, signal: Signal) {
        let mut child = self.child();
        if matches!(child.try_wait(), Ok(None)) {
            // It is our child and not waited for yet, so the id is still its own.
            let _ = nix::sys::signal::kill(self.pid, signal);
            if signal == Signal::SIGSTOP {
                let stopped = WaitPidFlag::WSTOPPED | WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT;
                let _ = waitid(Id::Pid(self.pid), stopped);
            }
        }
    }

    /// SIGKILL, and waits until it is gone.
    pub(crate) fn kill(&self) {
        let mut child = self.child();
        let _ = child.kill();
        let _ = child.wait();
    }

    /// SIGTERM (which a stopped process gets too), SIGKILL after `grace`, and waits until it is gone. True if it
    /// went by itself.
    pub(crate) fn terminate(&self, grace: Duration) -> bool {
        self.signal(Signal::SIGTERM);
        self.signal(Signal::SIGCONT);
        let begun = Instant::now();
        while begun.elapsed() < grace {
            if self.exit_status().is_some() {
                return true;
            }
            std::thread::sleep(POLL);
        }
        self.kill();
        false
    }

    /// Everything it wrote so far.
    pub(crate) fn log_text(&self) -> String {
        fs::read(&self.log).map_or_else(
            |error| format!("(no log: {error})"),
            |bytes| String::from_utf8_lossy(&bytes).into_owned(),
        )
    }

    /// Polls `probe` until it says yes.
    ///
    /// # Errors
    /// [`Error::Exited`] when the process ends first, [`Error::NotReady`] after `deadline`; both with the end
    /// of its log.
    pub(crate) async fn ready(
        &self,
        deadline: Duration,
        mut probe: impl AsyncFnMut() -> bool,
    ) -> Result<()> {
        let begun = Instant::now();
        loop {
            if probe().await {
                return Ok(());
            }
            let (part, log) = (self.name.clone(), || tail(&self.log_text()));
            if self.exit_status().is_some() {
                return Err(Error::Exited { part, log: log() });
            }
            if begun.elapsed() > deadline {
                return Err(Error::NotReady {
                    part,
                    waited: deadline,
                    log: log(),
                });
            }
            tokio::time::sleep(POLL).await;
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.terminate(self.grace);
    }
}

/// Runs a build or fetch step to its end, its output in `log`, a heartbeat on the terminal.
///
/// # Errors
/// [`Error::Unavailable`] with the end of the log when the command fails.
pub(crate) fn run(
    part: &str,
    mut command: Command,
    log: &Path,
    progress: &mut Progress,
) -> Result<()> {
    let out = append_to(log)?;
    let err = out
        .try_clone()
        .map_err(Error::io(format!("open {}", log.display())))?;
    command.stdout(out).stderr(err);
    let shown = format!("{command:?}");
    let mut child = spawn(command).map_err(Error::io(format!("run {shown}")))?;
    loop {
        match child
            .try_wait()
            .map_err(Error::io(format!("wait for {shown}")))?
        {
            Some(status) if status.success() => return Ok(()),
            Some(status) => {
                let end = tail(&fs::read_to_string(log).unwrap_or_default());
                return Err(Error::unavailable(
                    part,
                    format!("{shown} ended with {status}:\n{end}"),
                ));
            }
            None => progress.tick(),
        }
        std::thread::sleep(POLL * 5);
    }
}

/// The standard output of a short command, or nothing when it fails or is not there.
pub(crate) fn output_of(program: impl AsRef<Path>, args: &[&str]) -> Option<String> {
    output_of_command(
        Command::new(program.as_ref())
            .args(args)
            .stdin(Stdio::null()),
    )
}

/// As [`output_of`], for a command that is made already.
pub(crate) fn output_of_command(command: &mut Command) -> Option<String> {
    let output = command.output().ok()?;
    let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    output.status.success().then_some(said)
}

fn append_to(log: &Path) -> Result<File> {
    let open = || {
        if let Some(folder) = log.parent() {
            fs::create_dir_all(folder)?;
        }
        File::options().create(true).append(true).open(log)
    };
    open().map_err(Error::io(format!("open {}", log.display())))
}

fn tail(text: &str) -> String {
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(LOG_TAIL_LINES)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut shell = command("sh");
        shell.args(["-c", script]);
        shell
    }

    #[test]
    fn a_failing_step_is_told_with_the_end_of_what_it_said() {
        let folder = tempfile::tempdir().unwrap();
        let mut progress = Progress::begin("testing", "at once");
        let log = folder.path().join("log");
        run("nothing", shell("echo fine"), &log, &mut progress).unwrap();
        let error = run(
            "nothing",
            shell("echo no such mirror >&2; exit 3"),
            &log,
            &mut progress,
        )
        .unwrap_err();
        let said = error.to_string();
        assert!(said.starts_with("nothing cannot be had: "), "{said}");
        assert!(
            said.contains("exit status: 3") && said.contains("no such mirror"),
            "{said}"
        );
    }

    #[tokio::test]
    async fn a_part_that_ends_before_it_is_ready_is_told_from_one_that_is_slow() {
        let folder = tempfile::tempdir().unwrap();
        let start = |name: &str, script: &str| {
            Process::start(
                name,
                shell(script),
                folder.path().join(name),
                Duration::ZERO,
            )
            .unwrap()
        };
        let never = async || false;
        let ended = start("ended", "echo bad flag >&2; exit 1")
            .ready(Duration::from_secs(5), never)
            .await;
        assert!(matches!(ended, Err(Error::Exited { log, .. }) if log == "bad flag"));
        let slow = start("slow", "echo loading; sleep 60")
            .ready(Duration::from_millis(300), never)
            .await;
        assert!(matches!(slow, Err(Error::NotReady { log, .. }) if log == "loading"));
    }

    #[test]
    fn termination_reaches_a_stopped_process_and_ends_a_stubborn_one() {
        let folder = tempfile::tempdir().unwrap();
        let polite = Process::start(
            "polite",
            shell("sleep 60"),
            folder.path().join("a"),
            Duration::ZERO,
        )
        .unwrap();
        polite.signal(Signal::SIGSTOP);
        assert!(polite.terminate(Duration::from_secs(5)));
        let script = "trap '' TERM; echo deaf; while :; do sleep 0.1; done";
        let deaf = Process::start(
            "deaf",
            shell(script),
            folder.path().join("b"),
            Duration::ZERO,
        )
        .unwrap();
        while deaf.log_text().is_empty() {
            std::thread::sleep(POLL);
        }
        assert!(!deaf.terminate(Duration::from_millis(200)));
        assert!(deaf.exit_status().is_some());
    }
}
