//! The three processes of a control plane: their flags, and when each is ready.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::binaries::Binaries;
use super::credentials::{self, ADMIN};
use super::plane::Retry;
use crate::error::{Error, Result};
use crate::net::{free_port, get, loopback};
use crate::process::{Process, command};
use crate::store::{self, run_folder};

const READY: Duration = Duration::from_secs(60);
/// Nothing in a control plane for tests is worth a graceful end, which takes the API server seconds.
const AT_ONCE: Duration = Duration::ZERO;

/// A control plane's processes. The API server can be stopped and started again on the same port and data.
pub(super) struct Processes {
    pub(super) folder: PathBuf,
    pub(super) kubeconfig: PathBuf,
    pub(super) address: SocketAddr,
    binaries: Binaries,
    etcd_url: String,
    api_server: Mutex<Option<Process>>,
    _etcd: Process,
    _controller_manager: Process,
}

impl Processes {
    /// Starts all three and waits until the API server is ready.
    pub(super) async fn start() -> Result<Self> {
        let binaries = store::blocking(super::ensure_binaries).await?;
        let folder = run_folder("kubernetes")?;
        let (client, peer, api) = (free_port()?, free_port()?, free_port()?);
        let etcd_url = format!("http://{}", loopback(client));
        let address = loopback(api);
        let server = format!("https://{address}");
        credentials::write(&folder, &server, &[ADMIN]).map_err(Error::io("write a kubeconfig"))?;
        let kubeconfig = folder.join(ADMIN.file);
        let etcd = Process::start(
            "etcd",
            etcd(&binaries, &folder, client, peer),
            folder.join("etcd.log"),
            AT_ONCE,
        )?;
        let etcd_healthy = async || {
            get(&format!("{etcd_url}/health"))
                .await
                .is_ok_and(|answer| answer.status == 200)
        };
        etcd.ready(READY, etcd_healthy).await?;
        let api_server = start_api_server(&binaries, &folder, address, &etcd_url)?;
        wait_for_api_server(&api_server, &kubeconfig).await?;
        let manager = controller_manager(&binaries, &folder, &kubeconfig);
        let manager = Process::start(
            "kube-controller-manager",
            manager,
            folder.join("controllers.log"),
            AT_ONCE,
        )?;
        Ok(Self {
            folder,
            kubeconfig,
            address,
            binaries,
            etcd_url,
            api_server: Mutex::new(Some(api_server)),
            _etcd: etcd,
            _controller_manager: manager,
        })
    }

    /// Kills the API server; its connections break, its port refuses.
    pub(super) fn stop_api_server(&self) {
        let server = self
            .api_server
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        drop(server);
    }

    /// Starts the API server on the same port and data, and waits until it is ready.
    pub(super) async fn start_api_server(&self) -> Result<()> {
        let server = start_api_server(&self.binaries, &self.folder, self.address, &self.etcd_url)?;
        wait_for_api_server(&server, &self.kubeconfig).await?;
        *self
            .api_server
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(server);
        Ok(())
    }
}

fn etcd(binaries: &Binaries, folder: &Path, client: u16, peer: u16) -> Command {
    let (client, peer) = (
        format!("http://{}", loopback(client)),
        format!("http://{}", loopback(peer)),
    );
    let mut etcd = command(&binaries.etcd);
    etcd.arg("--unsafe-no-fsync").arg("--log-level=warn");
    etcd.arg(format!("--data-dir={}", folder.join("data/etcd").display()));
    etcd.arg(format!("--listen-client-urls={client}"))
        .arg(format!("--advertise-client-urls={client}"));
    etcd.arg(format!("--listen-peer-urls={peer}"))
        .arg(format!("--initial-advertise-peer-urls={peer}"));
    etcd.arg(format!("--initial-cluster=default={peer}"));
    etcd
}

fn start_api_server(
    binaries: &Binaries,
    folder: &Path,
    address: SocketAddr,
    etcd_url: &str,
) -> Result<Process> {
    let mut server = command(&binaries.api_server);
    server.args([
        "--bind-address=127.0.0.1",
        "--authorization-mode=RBAC",
        "--service-cluster-ip-range=10.0.0.0/24",
    ]);
    // Without this it refuses to advertise a loopback address.
    server.arg("--endpoint-reconciler-type=none");
    server
        .arg(format!("--secure-port={}", address.port()))
        .arg(format!("--etcd-servers={etcd_url}"));
    server.args(credentials::server_flags(folder));
    Process::start(
        "kube-apiserver",
        server,
        folder.join("apiserver.log"),
        AT_ONCE,
    )
}

fn controller_manager(binaries: &Binaries, folder: &Path, kubeconfig: &Path) -> Command {
    let mut manager = command(&binaries.controller_manager);
    manager.args(["--leader-elect=false", "--secure-port=0"]);
    manager.arg(format!("--kubeconfig={}", kubeconfig.display()));
    manager.args(credentials::manager_flags(folder));
    manager
}

async fn wait_for_api_server(server: &Process, kubeconfig: &Path) -> Result<()> {
    server
        .ready(READY, async || answers(kubeconfig).await)
        .await
}

/// Whether the API server says that it is ready: asked as the administrator, whose rights come with its start-up hooks.
pub(crate) async fn answers(kubeconfig: &Path) -> bool {
    let Ok(client) = super::plane::client(kubeconfig, None, Retry::Never).await else {
        return false;
    };
    let Ok(request) = http::Request::get("/readyz").body(Vec::new()) else {
        return false;
    };
    client.request_text(request).await.is_ok()
}
