//! The real parts that Glyph's tests and the demo run on: one module a part, one way to say "give me a
//! running X".
//!
//! A part is taken from `PATH` where it is new enough, else built or fetched, pinned, into `target/parts`
//! (see `README.md`). It listens on free ports of loopback, writes its log below `target/parts/run`, and dies
//! with the process that started it. Nothing in here knows what Glyph decides; it must not depend on the
//! operator or the sidecar, which it runs as programs.

pub mod envoy;
pub mod error;
pub mod kubernetes;
pub mod net;
mod process;
mod progress;
pub mod redis;
mod sources;
mod store;

pub use envoy::{Envoy, EnvoyConfig};
pub use error::{Error, Result};
pub use kubernetes::{CommandOutput, ControlPlane, Namespace, Tools};
pub use net::poll_until;
pub use progress::say;
pub use redis::Redis;
pub use store::workspace_root;
