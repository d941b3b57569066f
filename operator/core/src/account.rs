//! What the account API decides: how its resources are named, so that Kubernetes' uniqueness is what makes requests
//! idempotent and limits exact; whose address a request comes from; which passwords a pool takes. Pure.

pub mod address;
pub mod names;
pub mod password;
pub mod slots;
