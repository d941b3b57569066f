//! A node's processes: their flags, the order in which they start, and when each is ready.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use k8s_openapi::api::core::v1 as core;
use kube::Api;

use super::network::{Namespaces, Network};
use super::part::Part;
use super::settings::{KUBELET, MANAGER, SCHEDULER};
use super::{AT_ONCE, NAME, Node};
use crate::error::{Error, Result};
use crate::kubernetes::credentials::{self, ADMIN};
use crate::kubernetes::{CommandOutput, Retry, answers, client};
use crate::process::Process;

const READY: Duration = Duration::from_secs(60);
const ETCD: &str = "http://127.0.0.1:2379";
const ETCD_PEER: &str = "http://127.0.0.1:2380";

/// All of them. They end in this order: kubelet and containerd first, that nothing is started again.
pub(super) struct Processes {
    kubelet: Process,
    _others: [Process; 6],
}

impl Processes {
    /// Starts them. The node registers itself soon after.
    pub(super) async fn start(
        part: &Part,
        folder: &Path,
        namespaces: &Namespaces,
        network: &Network,
    ) -> Result<Self> {
        let start = |name: &str, command: Command| {
            Process::start(name, command, folder.join(format!("{name}.log")), AT_ONCE)
        };
        let etcd = start("etcd", etcd(part, folder, network))?;
        let api_server = start("kube-apiserver", api_server(part, folder, network))?;
        let containerd = start("containerd", containerd(part, folder, namespaces))?;
        tokio::try_join!(
            api_server_ready(&api_server, folder, network),
            runtime_ready(&containerd, part, namespaces),
        )?;
        let manager = start("kube-controller-manager", manager(part, folder, network))?;
        let scheduler = start("kube-scheduler", scheduler(part, folder, network))?;
        let proxy = start("kube-proxy", proxy(part, folder, namespaces))?;
        let kubelet = start("kubelet", kubelet(part, folder, namespaces))?;
        Ok(Self {
            kubelet,
            _others: [containerd, proxy, scheduler, manager, api_server, etcd],
        })
    }

    /// Waits until the kubelet says that its node is ready.
    pub(super) async fn ready(&self, network: &Network, kubeconfig: &Path) -> Result<()> {
        let probe = async || {
            let kubeconfig = kubeconfig.to_path_buf();
            let asked = network.run(async move { is_ready(&kubeconfig).await });
            asked.await.unwrap_or_default()
        };
        self.kubelet.ready(READY, probe).await
    }
}

/// Gives the image in `archive` to containerd, for Kubernetes.
pub(super) async fn import(part: &Part, namespaces: &Namespaces, archive: &Path) -> Result<()> {
    let doing = format!("import the image {}", archive.display());
    // The command runs in another folder.
    let archive = archive.canonicalize().map_err(Error::io(&doing))?;
    let mut ctr = namespaces.command(part, part.debian("usr/bin/ctr"));
    ctr.args(["--namespace=k8s.io", "images", "import"])
        .arg(archive);
    let output = tokio::process::Command::from(ctr).output().await;
    let output = CommandOutput::from(output.map_err(Error::io(&doing))?);
    output.ok().map(drop)
}

async fn api_server_ready(server: &Process, folder: &Path, network: &Network) -> Result<()> {
    let kubeconfig = folder.join(ADMIN.file);
    let probe = async || {
        let kubeconfig = kubeconfig.clone();
        let asked = network.run(async move { answers(&kubeconfig).await });
        asked.await.unwrap_or_default()
    };
    server.ready(READY, probe).await
}

/// Waits for containerd, and brings it the images without which no pod runs.
async fn runtime_ready(containerd: &Process, part: &Part, namespaces: &Namespaces) -> Result<()> {
    let socket = namespaces.file("/run/containerd/containerd.sock");
    containerd.ready(READY, async || socket.exists()).await?;
    for image in part.images() {
        import(part, namespaces, &image).await?;
    }
    Ok(())
}

async fn is_ready(kubeconfig: &Path) -> bool {
    let Ok(client) = client(kubeconfig, None, Retry::Never).await else {
        return false;
    };
    let node = Api::<core::Node>::all(client).get(NAME).await;
    let conditions = node
        .ok()
        .and_then(|node| node.status)
        .and_then(|status| status.conditions);
    conditions
        .unwrap_or_default()
        .iter()
        .any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

fn etcd(part: &Part, folder: &Path, network: &Network) -> Command {
    let mut etcd = network.owned_command(&part.binaries.etcd);
    etcd.args(["--unsafe-no-fsync", "--log-level=warn"]);
    etcd.arg(format!("--data-dir={}", folder.join("data/etcd").display()));
    etcd.arg(format!("--listen-client-urls={ETCD}"))
        .arg(format!("--advertise-client-urls={ETCD}"));
    etcd.arg(format!("--listen-peer-urls={ETCD_PEER}"))
        .arg(format!("--initial-advertise-peer-urls={ETCD_PEER}"));
    etcd.arg(format!("--initial-cluster=default={ETCD_PEER}"));
    etcd
}

fn api_server(part: &Part, folder: &Path, network: &Network) -> Command {
    let mut server = network.owned_command(&part.binaries.api_server);
    server.args([
        "--secure-port=6443",
        "--bind-address=0.0.0.0",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--service-cluster-ip-range=10.0.0.0/24",
        "--kubelet-preferred-address-types=InternalIP",
        "--allow-privileged=true",
    ]);
    server
        .arg(format!("--advertise-address={}", Node::ADDRESS))
        .arg(format!("--etcd-servers={ETCD}"));
    server.args(credentials::server_flags(folder));
    server
}

fn manager(part: &Part, folder: &Path, network: &Network) -> Command {
    let mut manager = network.owned_command(&part.binaries.controller_manager);
    manager.args([
        "--leader-elect=false",
        "--secure-port=0",
        "--use-service-account-credentials=true",
    ]);
    manager.arg(kubeconfig(folder, MANAGER.file));
    manager.args(credentials::manager_flags(folder));
    let plugins = folder.join("data/plugins");
    manager.arg(format!("--flex-volume-plugin-dir={}", plugins.display()));
    manager
}

fn scheduler(part: &Part, folder: &Path, network: &Network) -> Command {
    let mut scheduler = network.owned_command(part.program("kube-scheduler"));
    scheduler.args(["--leader-elect=false", "--bind-address=127.0.0.1"]);
    scheduler.arg(kubeconfig(folder, SCHEDULER.file));
    scheduler
}

fn containerd(part: &Part, folder: &Path, namespaces: &Namespaces) -> Command {
    let mut containerd = namespaces.command(part, part.debian("usr/bin/containerd"));
    containerd
        .arg("--config")
        .arg(folder.join("containerd.toml"));
    containerd
}

fn proxy(part: &Part, folder: &Path, namespaces: &Namespaces) -> Command {
    let mut proxy = namespaces.command(part, part.program("kube-proxy"));
    proxy.arg(format!("--config={}", folder.join("proxy.json").display()));
    proxy
}

fn kubelet(part: &Part, folder: &Path, namespaces: &Namespaces) -> Command {
    let mut kubelet = namespaces.command(part, part.program("kubelet"));
    let option = |name: &str, file: &str| format!("--{name}={}", folder.join(file).display());
    kubelet
        .arg(option("config", "kubelet.json"))
        .arg(option("root-dir", "data/kubelet"))
        .arg(option("cert-dir", "data/kubelet-pki"));
    kubelet.arg(kubeconfig(folder, KUBELET.file));
    kubelet.arg(format!("--hostname-override={NAME}"));
    kubelet.arg(format!("--node-ip={}", Node::ADDRESS));
    kubelet
}

fn kubeconfig(folder: &Path, file: &str) -> String {
    format!("--kubeconfig={}", folder.join(file).display())
}
