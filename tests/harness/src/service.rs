//! Glyph's own two programs, built by cargo and run as users run them: settings from the environment, ready
//! when `/readyz` says so, killed and stopped at will.

mod settings;

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::sync::OnceCell;

pub use settings::Settings;

use crate::cargo;
use crate::error::{Error, Result};
use crate::net::{get, start_twice};
use crate::node::Network;
use crate::process::{Process, command, run};
use crate::progress::Progress;
use crate::store::{self, run_folder, target, workspace_root};

const READY: Duration = Duration::from_secs(30);
/// How long a program may take to end well after SIGTERM: longer than it takes to drain by itself (25 s).
const GRACE: Duration = Duration::from_secs(30);

/// Which of the two programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// `glyph-operator`: its own listener takes webhooks.
    Operator,
    /// `glyph-authz`, the sidecar: its own listener takes Envoy's checks over gRPC.
    Authz,
}

impl Program {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Operator => "glyph-operator",
            Self::Authz => "glyph-authz",
        }
    }
}

/// Builds both programs with cargo, once in a process.
///
/// # Errors
/// With the compiler's last words when the build fails.
pub async fn binaries() -> Result<()> {
    static BUILT: OnceCell<()> = OnceCell::const_new();
    let build = || {
        let mut build = command(PathBuf::from(cargo::program()));
        cargo::forget_package(&mut build);
        build
            .current_dir(workspace_root())
            .args(["build", "--quiet"]);
        build.args(
            [Program::Operator, Program::Authz]
                .map(|program| ["--bin", program.name()])
                .concat(),
        );
        let mut progress = Progress::begin(
            "building glyph-operator and glyph-authz",
            "minutes when cold",
        );
        let log = run_folder("cargo")?.join("cargo.log");
        run("glyph-operator and glyph-authz", build, &log, &mut progress)?;
        progress.done();
        Ok(())
    };
    BUILT
        .get_or_try_init(|| store::blocking(build))
        .await
        .copied()
}

/// Where `program` is, built.
///
/// # Errors
/// With the compiler's last words when the build fails.
pub async fn program(program: Program) -> Result<PathBuf> {
    binaries().await?;
    Ok(target().join("debug").join(program.name()))
}

/// A running `glyph-operator` or `glyph-authz`.
pub struct Service {
    program: Program,
    settings: Settings,
    listen: SocketAddr,
    admin: SocketAddr,
    log: PathBuf,
    process: Mutex<Option<Arc<Process>>>,
    network: Option<Network>,
}

impl Service {
    /// Starts `program` and waits until it is ready. Its ports are free ones unless `settings` name them
    /// (`GLYPH_LISTEN`, `GLYPH_ADMIN_LISTEN`). It sees no environment but `settings`.
    ///
    /// # Errors
    /// When it cannot be built or does not become ready, with the end of its log.
    pub async fn start(program: Program, settings: Settings) -> Result<Self> {
        start_twice(async || {
            let service = Self::spawn(program, settings.clone()).await?;
            service.ready().await?;
            Ok(service)
        })
        .await
    }

    /// Starts `program` and does not wait.
    ///
    /// # Errors
    /// When it cannot be built or run.
    pub async fn spawn(program: Program, settings: Settings) -> Result<Self> {
        Self::spawn_in(None, program, settings).await
    }

    /// Starts `program` inside a node's network, where pods reach it and it reaches pods, and waits until it is ready.
    ///
    /// # Errors
    /// As [`Service::start`].
    pub async fn start_inside(
        network: &Network,
        program: Program,
        settings: Settings,
    ) -> Result<Self> {
        let service = Self::spawn_in(Some(network.clone()), program, settings).await?;
        service.ready().await?;
        Ok(service)
    }

    async fn spawn_in(
        network: Option<Network>,
        program: Program,
        mut settings: Settings,
    ) -> Result<Self> {
        binaries().await?;
        let listen = settings.address("GLYPH_LISTEN")?;
        let admin = settings.address("GLYPH_ADMIN_LISTEN")?;
        let log = run_folder(program.name())?.join("log");
        let service = Self {
            program,
            settings,
            listen,
            admin,
            log,
            process: Mutex::new(None),
            network,
        };
        service.spawn_again()?;
        Ok(service)
    }

    /// Waits until `/readyz` says 200.
    ///
    /// # Errors
    /// When it ends first or takes longer than 30 s, with the end of its log; when it is not running.
    pub async fn ready(&self) -> Result<()> {
        let process = self.process().clone();
        let process =
            process.ok_or_else(|| Error::answer("wait for a program", "it is not running"))?;
        process.ready(READY, async || self.is_ready().await).await
    }

    async fn is_ready(&self) -> bool {
        let url = format!("{}/readyz", self.admin_url());
        let answer = match &self.network {
            Some(network) => network.get(&url).await,
            None => get(&url).await,
        };
        answer.is_ok_and(|answer| answer.status == 200)
    }

    /// Where its own listener is: webhooks over HTTP, or checks over gRPC.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.listen
    }

    /// Its admin listener, `http://127.0.0.1:…` (`/livez`, `/readyz`, `/metrics`).
    #[must_use]
    pub fn admin_url(&self) -> String {
        format!("http://{}", self.admin)
    }

    /// Everything it logged, over all restarts.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// SIGKILL: no destructor runs, no lease is given back.
    pub fn kill(&self) {
        if let Some(process) = self.process().take() {
            process.kill();
        }
    }

    /// SIGTERM, as Kubernetes ends a pod. True if it went by itself within 10 s.
    #[must_use]
    pub fn stop(&self) -> bool {
        let process = self.process().take();
        process.is_some_and(|process| process.terminate(GRACE))
    }

    /// SIGSTOP: it holds everything and does nothing.
    pub fn pause(&self) {
        self.signal(Signal::SIGSTOP);
    }

    /// SIGCONT after [`Service::pause`].
    pub fn resume(&self) {
        self.signal(Signal::SIGCONT);
    }

    /// Starts it again after [`Service::kill`] or [`Service::stop`], with the same settings and ports, and
    /// waits until it is ready.
    ///
    /// # Errors
    /// As [`Service::start`].
    pub async fn start_again(&self) -> Result<()> {
        self.spawn_again()?;
        self.ready().await
    }

    /// True while its process runs.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.process()
            .as_ref()
            .is_some_and(|process| process.exit_status().is_none())
    }

    fn spawn_again(&self) -> Result<()> {
        let mut command = self.command();
        command.env_clear().envs(self.settings.iter());
        let process = Process::start(self.program.name(), command, self.log.clone(), GRACE)?;
        *self.process() = Some(Arc::new(process));
        Ok(())
    }

    fn command(&self) -> Command {
        let program = target().join("debug").join(self.program.name());
        match &self.network {
            Some(network) => network.owned_command(program),
            None => command(program),
        }
    }

    fn signal(&self, signal: Signal) {
        if let Some(process) = self.process().as_ref() {
            process.signal(signal);
        }
    }

    fn process(&self) -> MutexGuard<'_, Option<Arc<Process>>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
