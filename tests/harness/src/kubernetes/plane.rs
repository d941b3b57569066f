//! A control plane to talk to: our own processes, or an existing cluster when it is asked for by name.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use tokio::sync::OnceCell;

use super::kubectl::run_tool;
use super::processes::Processes;
use super::{CommandOutput, Namespace, Tools};
use crate::error::{Error, Result};
use crate::net::start_twice;
use crate::store::{run_folder, workspace_root};

/// A Kubernetes API server with what belongs to it. Its processes end when it is dropped.
pub struct ControlPlane {
    kubeconfig: PathBuf,
    /// Where kubectl and Helm keep their caches.
    home: PathBuf,
    tools: Tools,
    processes: Option<Processes>,
}

static SHARED: OnceCell<ControlPlane> = OnceCell::const_new();

impl ControlPlane {
    /// The control plane of this process, with Glyph's kinds installed; started when first asked for. Take a
    /// [`ControlPlane::namespace`] each.
    ///
    /// # Errors
    /// When a part cannot be had or does not start.
    pub async fn shared() -> Result<&'static Self> {
        SHARED.get_or_try_init(Self::start_with_kinds).await
    }

    async fn start_with_kinds() -> Result<Self> {
        let plane = Self::start().await?;
        plane.apply_kinds().await?;
        Ok(plane)
    }

    /// A control plane of one's own, bare. With `USE_EXISTING_CLUSTER=true` the cluster of `KUBECONFIG` (or
    /// `~/.kube/config`) is taken instead; a `KUBECONFIG` alone is never touched.
    ///
    /// # Errors
    /// When a part cannot be had or does not start.
    pub async fn start() -> Result<Self> {
        let tools = Tools::get().await?;
        if std::env::var("USE_EXISTING_CLUSTER").is_ok_and(|value| value == "true") {
            return Self::existing(tools);
        }
        let processes = start_twice(Processes::start).await?;
        Ok(Self {
            kubeconfig: processes.kubeconfig.clone(),
            home: processes.folder.clone(),
            tools,
            processes: Some(processes),
        })
    }

    fn existing(tools: Tools) -> Result<Self> {
        let default = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".kube/config"));
        let kubeconfig = std::env::var_os("KUBECONFIG")
            .map(PathBuf::from)
            .or_else(default);
        let kubeconfig = kubeconfig.filter(|file| file.exists()).ok_or_else(|| {
            Error::unavailable(
                "the existing cluster",
                "USE_EXISTING_CLUSTER=true needs KUBECONFIG to name a file",
            )
        })?;
        Ok(Self {
            kubeconfig,
            home: run_folder("kubectl")?,
            tools,
            processes: None,
        })
    }

    /// Installs the kinds of `crds/yaml` and waits until the API server serves them.
    ///
    /// # Errors
    /// When the API server refuses one.
    pub async fn apply_kinds(&self) -> Result<()> {
        let kinds = workspace_root().join("crds/yaml");
        let kinds = kinds.to_string_lossy();
        self.kubectl(&["apply", "--server-side", "-f", &kinds])
            .await?
            .ok()?;
        let wait = [
            "wait",
            "--for=condition=Established",
            "--timeout=30s",
            "-f",
            &kinds,
        ];
        self.kubectl(&wait).await?.ok()?;
        // kubectl remembers for hours what kinds there are, and does not look again for a category.
        let remembered = self.home.join(".kube/cache/discovery");
        match std::fs::remove_dir_all(&remembered) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::io(format!("remove {}", remembered.display()))(error))
            }
            _ => Ok(()),
        }
    }

    /// A fresh namespace, `prefix-` and some random letters.
    ///
    /// # Errors
    /// When the API server refuses it.
    pub async fn namespace(&self, prefix: &str) -> Result<Namespace<'_>> {
        Namespace::create(self, prefix).await
    }

    /// The administrator's kubeconfig.
    #[must_use]
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// kubectl and Helm, as this control plane uses them.
    #[must_use]
    pub fn tools(&self) -> &Tools {
        &self.tools
    }

    /// A client as administrator. It belongs to the async runtime this is called on.
    ///
    /// # Errors
    /// When the kubeconfig cannot be used.
    pub async fn client(&self) -> Result<Client> {
        client(&self.kubeconfig, None, Retry::AsKube).await
    }

    /// A client that hands on what the server says, refusals too.
    pub(crate) async fn client_without_retries(&self) -> Result<Client> {
        client(&self.kubeconfig, None, Retry::Never).await
    }

    pub(super) async fn client_for(&self, namespace: &str) -> Result<Client> {
        client(&self.kubeconfig, Some(namespace), Retry::AsKube).await
    }

    /// Runs kubectl as administrator.
    ///
    /// # Errors
    /// When kubectl cannot be run; how it ended is in the output.
    pub async fn kubectl(&self, args: &[&str]) -> Result<CommandOutput> {
        self.kubectl_with_input(args, "").await
    }

    /// Runs kubectl as administrator with `input` on its standard input.
    ///
    /// # Errors
    /// When kubectl cannot be run; how it ended is in the output.
    pub async fn kubectl_with_input(&self, args: &[&str], input: &str) -> Result<CommandOutput> {
        let kubectl = Command::new(&self.tools.kubectl);
        run_tool(kubectl, &self.kubeconfig, &self.home, args, input).await
    }

    /// Runs Helm as administrator.
    ///
    /// # Errors
    /// When Helm cannot be run; how it ended is in the output.
    pub async fn helm(&self, args: &[&str]) -> Result<CommandOutput> {
        let helm = Command::new(&self.tools.helm);
        run_tool(helm, &self.kubeconfig, &self.home, args, "").await
    }

    /// Kills the API server: connections break, the port refuses. For a plane of one's own.
    ///
    /// # Errors
    /// When the cluster is not ours to stop.
    pub fn stop_api_server(&self) -> Result<()> {
        self.processes()?.stop_api_server();
        Ok(())
    }

    /// Starts the API server again on the same port and data, and waits until it is ready.
    ///
    /// # Errors
    /// When the cluster is not ours, or it does not start.
    pub async fn start_api_server(&self) -> Result<()> {
        self.processes()?.start_api_server().await
    }

    fn processes(&self) -> Result<&Processes> {
        let refused = || {
            Error::unavailable(
                "control over the API server",
                "the existing cluster is not ours to stop",
            )
        };
        self.processes.as_ref().ok_or_else(refused)
    }

    pub(super) fn is_ours(&self) -> bool {
        self.processes.is_some()
    }

    pub(super) fn delete_namespace_in_background(&self, name: &str) {
        let mut kubectl = Command::new(&self.tools.kubectl);
        kubectl
            .args(["delete", "namespace", name, "--wait=false"])
            .env("KUBECONFIG", &self.kubeconfig);
        // Best effort: it runs while a test ends, and nobody is left to read an error.
        let _ = kubectl.stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
}

/// Whether a client asks again when the server is overloaded or not there yet.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Retry {
    AsKube,
    Never,
}

/// A client from a kubeconfig, in `namespace` or the default one.
pub(crate) async fn client(
    kubeconfig: &Path,
    namespace: Option<&str>,
    retry: Retry,
) -> Result<Client> {
    let doing = || format!("use the kubeconfig {}", kubeconfig.display());
    let read = Kubeconfig::read_from(kubeconfig).map_err(|error| Error::answer(doing(), error))?;
    let config = Config::from_custom_kubeconfig(read, &KubeConfigOptions::default()).await;
    let mut config = config.map_err(|error| Error::answer(doing(), error))?;
    config.default_retry = retry == Retry::AsKube;
    if let Some(namespace) = namespace {
        namespace.clone_into(&mut config.default_namespace);
    }
    Client::try_from(config).map_err(Error::kube(doing()))
}
