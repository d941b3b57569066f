//! The settings of a node's programs, as files in its run folder.

use std::path::Path;
use std::{fs, io};

use serde_json::{Value, json};

use super::part::Part;
use super::{NAME, Node};
use crate::kubernetes::credentials::{self, ADMIN, User};

pub(super) const SCHEDULER: User = User {
    file: "scheduler.kubeconfig",
    name: "system:kube-scheduler",
    group: "",
};
pub(super) const MANAGER: User = User {
    file: "controllers.kubeconfig",
    name: "system:kube-controller-manager",
    group: "",
};
pub(super) const KUBELET: User = User {
    file: "kubelet.kubeconfig",
    name: "system:node:glyph-node",
    group: "system:nodes",
};
const PROXY: User = User {
    file: "proxy.kubeconfig",
    name: "system:kube-proxy",
    group: "",
};

/// Writes all of them. `cgroup` is below which pods are accounted.
pub(super) fn write(part: &Part, folder: &Path, cgroup: &str) -> io::Result<()> {
    let server = format!("https://{}:6443", Node::ADDRESS);
    credentials::write(
        folder,
        &server,
        &[ADMIN, SCHEDULER, MANAGER, KUBELET, PROXY],
    )?;
    fs::create_dir_all(folder.join("data"))?;
    fs::create_dir_all(folder.join("cni"))?;
    let write = |name: &str, content: String| fs::write(folder.join(name), content);
    write("resolv.conf", "nameserver 10.0.0.10\n".to_owned())?;
    write("kubelet.json", kubelet(folder, cgroup).to_string())?;
    write("proxy.json", proxy(folder).to_string())?;
    write("cni/10-glyph.conflist", pod_network(folder).to_string())?;
    write("containerd.toml", containerd(part, folder))
}

fn kubelet(folder: &Path, cgroup: &str) -> Value {
    json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": Node::ADDRESS,
        "healthzBindAddress": "127.0.0.1",
        // The API server comes without a certificate of its own. Only pods could reach this port as well.
        "authentication": {"anonymous": {"enabled": true}, "webhook": {"enabled": false}},
        "authorization": {"mode": "AlwaysAllow"},
        "failCgroupV1": false,
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": format!("/{cgroup}"),
        "failSwapOn": false,
        "containerRuntimeEndpoint": "unix:///run/containerd/containerd.sock",
        "clusterDNS": ["10.0.0.10"],
        "clusterDomain": "cluster.local",
        "resolvConf": folder.join("resolv.conf"),
        "podLogsDir": "/var/log/pods",
        "volumePluginDir": folder.join("data/plugins"),
        "staticPodPath": "",
        "syncFrequency": "10s",
        "configMapAndSecretChangeDetectionStrategy": "Watch",
        // A full disk of the machine is no reason to evict a test's pods, nor to remove images that cannot be pulled.
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        "imageGCHighThresholdPercent": 99,
    })
}

fn proxy(folder: &Path) -> Value {
    json!({
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "hostnameOverride": NAME,
        "clusterCIDR": "10.244.0.0/24",
        "clientConnection": {"kubeconfig": folder.join(PROXY.file)},
        "bindAddress": Node::ADDRESS,
        "healthzBindAddress": "127.0.0.1:10256",
        "metricsBindAddress": "127.0.0.1:10249",
        // The machine's own, which are not ours to change.
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
    })
}

fn pod_network(folder: &Path) -> Value {
    json!({
        "cniVersion": "0.4.0",
        "name": "glyph",
        "plugins": [
            {
                "type": "bridge",
                "bridge": "cni0",
                "isGateway": true,
                "hairpinMode": true,
                "ipam": {
                    "type": "host-local",
                    "dataDir": folder.join("data/cni"),
                    "ranges": [[{"subnet": "10.244.0.0/24"}]],
                    "routes": [{"dst": "0.0.0.0/0"}],
                },
            },
            {"type": "portmap", "capabilities": {"portMappings": true}},
        ],
    })
}

/// containerd's own words for its settings; its socket and state are at their usual places in `/run`, which is the node's own.
fn containerd(part: &Part, folder: &Path) -> String {
    let data = folder.join("data/containerd");
    let [root, optional] =
        [data.join("root"), data.join("opt")].map(|path| path.display().to_string());
    let [plugins, runc] =
        ["usr/lib/cni", "usr/sbin/runc"].map(|file| part.debian(file).display().to_string());
    let networks = folder.join("cni").display().to_string();
    // Root without CAP_SYS_RESOURCE cannot lower what decides whom the kernel kills when memory runs out.
    format!(
        r#"version = 2
root = "{root}"
[plugins."io.containerd.internal.v1.opt"]
  path = "{optional}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "glyph.local/pause:1"
  netns_mounts_under_state_dir = true
  enable_selinux = false
  disable_apparmor = true
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{plugins}"
    conf_dir = "{networks}"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      BinaryName = "{runc}"
      SystemdCgroup = false
"#
    )
}
