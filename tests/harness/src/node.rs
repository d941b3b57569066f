//! A real Kubernetes node: control plane, kubelet, containerd, kube-proxy and CoreDNS, so that pods run. For the tests
//! that need pods; all others are quicker with a [`crate::ControlPlane`].
//!
//! All of it is in network, mount, process and host-name namespaces of its own: nothing listens on this machine's
//! interfaces, ordinary ports and addresses are used, several nodes can run side by side. What talks to it must be in
//! its network as well: [`Node::kubectl`], [`Node::helm`], [`Network::run`], [`Network::command`].
//!
//! It takes root. Not there: pulls from registries ([`Node::import_image`] brings images, `imagePullPolicy` must not be
//! `Always`), a way out to other networks, enforcement of NetworkPolicies, metrics-server (so no autoscaling), storage
//! classes, guarded access to the kubelet's own port.

mod cgroups;
mod network;
mod part;
mod processes;
mod settings;

use std::net::Ipv4Addr;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use kube::Client;

pub use network::{Guest, Network};

use self::cgroups::Cgroups;
use self::network::Namespaces;
use self::part::Part;
use self::processes::Processes;
use crate::error::{Error, Result};
use crate::kubernetes::{CommandOutput, Retry, client, run_tool};
use crate::store::{self, run_folder};

/// The node's name.
const NAME: &str = "glyph-node";
/// Nothing on a node for tests is worth a graceful end.
const AT_ONCE: Duration = Duration::ZERO;
const COREDNS: &str = "deployment/coredns";

/// A running node, ready for pods. All of it ends when it is dropped, or when its owner does.
pub struct Node {
    part: Part,
    folder: PathBuf,
    kubeconfig: PathBuf,
    // Below is the order in which they end: cgroups go once nothing is left in them.
    network: Network,
    processes: Processes,
    namespaces: Namespaces,
    _cgroups: Cgroups,
}

impl Node {
    /// Where the node is in its network: pods reach here what listens there.
    pub const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);

    /// Starts one and waits until it is ready and resolves names.
    ///
    /// # Errors
    /// When we are not root, a part cannot be had, or it does not start: then with the end of the log of what failed.
    pub async fn start() -> Result<Self> {
        let part = store::blocking(Part::get).await?;
        let folder = run_folder("node")?;
        let cgroups = Cgroups::create(&folder)?;
        settings::write(&part, &folder, cgroups.name())
            .map_err(Error::io("write the settings of a node"))?;
        let namespaces = Namespaces::enter(&part, &folder).await?;
        let network = namespaces.network()?;
        let processes = Processes::start(&part, &folder, &namespaces, &network).await?;
        let node = Self {
            kubeconfig: folder.join("kubeconfig"),
            part,
            folder,
            network,
            processes,
            namespaces,
            _cgroups: cgroups,
        };
        let names = include_str!("../parts/node/dns.yaml");
        node.kubectl_with_input(&["apply", "-f", "-"], names)
            .await?
            .ok()?;
        node.processes
            .ready(&node.network, &node.kubeconfig)
            .await?;
        let rolled_out = [
            "-n",
            "kube-system",
            "rollout",
            "status",
            "--timeout=60s",
            COREDNS,
        ];
        node.kubectl(&rolled_out).await?.ok()?;
        Ok(node)
    }

    /// The administrator's kubeconfig, good inside the node's network.
    #[must_use]
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// The node's network, to run things in.
    #[must_use]
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// A client as administrator, good inside [`Network::run`] only, which is where it must be made: connections are opened
    /// by who asks.
    ///
    /// # Errors
    /// When the kubeconfig cannot be used.
    pub async fn client(&self) -> Result<Client> {
        let kubeconfig = self.kubeconfig.clone();
        let client = async move { client(&kubeconfig, None, Retry::AsKube).await };
        self.network.run(client).await?
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
        let kubectl = self.network.command(&self.part.tools.kubectl);
        run_tool(kubectl, &self.kubeconfig, &self.folder, args, input).await
    }

    /// Runs Helm as administrator.
    ///
    /// # Errors
    /// When Helm cannot be run; how it ended is in the output.
    pub async fn helm(&self, args: &[&str]) -> Result<CommandOutput> {
        let helm = self.network.command(&self.part.tools.helm);
        run_tool(helm, &self.kubeconfig, &self.folder, args, "").await
    }

    /// Starts kubectl as administrator and lets it run: `port-forward`, `logs --follow`.
    ///
    /// # Errors
    /// When it cannot be run.
    pub fn kubectl_in_background(&self, args: &[&str]) -> Result<Guest> {
        let environment = [("KUBECONFIG", &self.kubeconfig), ("HOME", &self.folder)];
        self.network
            .start("kubectl", &self.part.tools.kubectl, |kubectl| {
                kubectl.args(args).envs(environment);
            })
    }

    /// Brings the image in an OCI archive (`glyph-image` writes such) to the node, under the name it has in there.
    ///
    /// # Errors
    /// With containerd's words when it refuses the archive.
    pub async fn import_image(&self, archive: &Path) -> Result<()> {
        processes::import(&self.part, &self.namespaces, archive).await
    }

    /// The words before a command that bring it into the node's network, for people: `nsenter --net=…`.
    #[must_use]
    pub fn way_in(&self) -> String {
        self.namespaces.way_in().join(" ")
    }
}

impl Drop for Node {
    /// Others may hold the network still.
    fn drop(&mut self) {
        self.network.close();
    }
}

/// Whether this process may start a node.
pub(crate) fn is_allowed() -> bool {
    Path::new("/proc/self")
        .metadata()
        .is_ok_and(|this| this.uid() == 0)
}

/// Gets all that a node is made of.
pub(crate) fn ensure() -> Result<()> {
    Part::get().map(drop)
}
