//! Kubernetes: a control plane of real processes on loopback (etcd, kube-apiserver,
//! kube-controller-manager), kubectl and Helm, and a namespace for each test.
//!
//! There is no node ([`crate::Node`] has one), so no pod runs; everything up to scheduling is real: validation, RBAC, watches, server-side
//! apply, garbage collection, the namespace lifecycle.

mod binaries;
pub(crate) mod credentials;
mod kubectl;
mod namespace;
mod plane;
mod processes;

pub use binaries::KUBERNETES_VERSION;
pub use kubectl::{CommandOutput, Tools};
pub use namespace::Namespace;
pub use plane::ControlPlane;

pub(crate) use binaries::{Binaries, ensure as ensure_binaries, modules, version_flags};
pub(crate) use kubectl::run_tool;
pub(crate) use plane::{Retry, client};
pub(crate) use processes::answers;
