//! Kubernetes: a control plane of real processes on loopback (etcd, kube-apiserver,
//! kube-controller-manager), kubectl and Helm, and a namespace for each test.
//!
//! There is no node, so no pod runs; everything up to scheduling is real: validation, RBAC, watches, server-side
//! apply, garbage collection, the namespace lifecycle.

mod binaries;
mod kubectl;
mod namespace;
mod plane;
mod processes;

pub use binaries::KUBERNETES_VERSION;
pub use kubectl::{CommandOutput, Tools};
pub use namespace::Namespace;
pub use plane::ControlPlane;

pub(crate) use binaries::ensure as ensure_binaries;
