//! Where etcd, kube-apiserver and kube-controller-manager come from: `KUBEBUILDER_ASSETS`, else built from
//! the Go modules pinned in `parts/kubernetes`.

use std::path::{Path, PathBuf};

use crate::error::Result;
use crate::sources::go;
use crate::store;

/// The Kubernetes that is built; `parts/kubernetes/go.mod` pins the same.
pub const KUBERNETES_VERSION: &str = "1.37.2";

const HINT: &str = "Kubernetes 1.37.2 and etcd from Go modules: about 5 minutes, once";
/// Program name and Go package, in the order they are built.
const PROGRAMS: [(&str, &str); 3] = [
    ("etcd", "go.etcd.io/etcd/server/v3"),
    ("kube-apiserver", "k8s.io/kubernetes/cmd/kube-apiserver"),
    (
        "kube-controller-manager",
        "k8s.io/kubernetes/cmd/kube-controller-manager",
    ),
];

/// The three programs of the control plane.
pub(crate) struct Binaries {
    pub(crate) etcd: PathBuf,
    pub(crate) api_server: PathBuf,
    pub(crate) controller_manager: PathBuf,
}

/// Gets the three programs; builds only what `KUBEBUILDER_ASSETS` does not hold (it may lack the
/// controller manager).
pub(crate) fn ensure() -> Result<Binaries> {
    let assets = std::env::var_os("KUBEBUILDER_ASSETS").map(PathBuf::from);
    let given = |name: &str| {
        assets
            .as_ref()
            .map(|folder| folder.join(name))
            .filter(|file| file.exists())
    };
    let found = PROGRAMS.map(|(name, _)| given(name));
    if let [Some(etcd), Some(api_server), Some(controller_manager)] = found {
        return Ok(Binaries {
            etcd,
            api_server,
            controller_manager,
        });
    }
    let built = build()?;
    let [etcd, api_server, controller_manager] =
        PROGRAMS.map(|(name, _)| given(name).unwrap_or_else(|| built.join(name)));
    Ok(Binaries {
        etcd,
        api_server,
        controller_manager,
    })
}

fn build() -> Result<PathBuf> {
    let stamp = modules();
    store::ensure("kubernetes", &stamp, HINT, |workshop| {
        let go: &Path = &go::go()?;
        for (name, package) in PROGRAMS {
            workshop.progress.step(&format!("building {name}"));
            go::build(go, "kubernetes", package, name, &version_flags(), workshop)?;
        }
        Ok(())
    })
}

/// The pinned modules: what decides the content of all that is built from them.
pub(crate) fn modules() -> String {
    let sums = include_str!("../../parts/kubernetes/go.sum");
    format!("{}{sums}", include_str!("../../parts/kubernetes/go.mod"))
}

/// Without these the server calls itself v0.0.0-master, which kubectl and Helm cannot parse.
pub(crate) fn version_flags() -> String {
    let package = "k8s.io/component-base/version";
    let minor = KUBERNETES_VERSION.split('.').nth(1).unwrap_or_default();
    format!(
        "-s -w -X {package}.gitVersion=v{KUBERNETES_VERSION} -X {package}.gitMajor=1 \
         -X {package}.gitMinor={minor} -X {package}.gitTreeState=clean"
    )
}
