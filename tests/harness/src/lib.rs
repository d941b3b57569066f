//! The real parts that Glyph's tests and the demo run on: one module a part, one way to say "give me a
//! running X".
//!
//! A part is taken from `PATH` where it is new enough, else built or fetched, pinned, into `target/parts`
//! (see `README.md`). It listens on free ports of loopback, writes its log below `target/parts/run`, and dies
//! with the process that started it. Nothing in here knows what Glyph decides; it must not depend on the
//! operator or the sidecar, which it runs as programs.

pub mod cargo;
pub mod chart;
pub mod clock;
pub mod cognito;
pub mod envoy;
pub mod error;
pub mod forge;
pub mod images;
pub mod kubernetes;
pub mod net;
pub mod nginx;
pub mod node;
pub mod pool;
mod process;
mod progress;
pub mod prometheus;
pub mod proxy;
pub mod redis;
pub mod service;
mod sources;
mod store;
pub mod stripe_mock;
pub mod upstream;

pub use clock::MovedClock;
pub use cognito::Cognito;
pub use envoy::{Envoy, EnvoyConfig};
pub use error::{Error, Result};
pub use kubernetes::{CommandOutput, ControlPlane, Namespace, Tools};
pub use net::poll_until;
pub use nginx::{Nginx, NginxConfig};
pub use node::{Network, Node};
pub use progress::say;
pub use prometheus::{Prometheus, promtool};
pub use redis::Redis;
pub use service::{Program, Service, Settings};
pub use store::{run_folder, workspace_root};
pub use upstream::Upstream;

/// Gets every part there is (a node only as root, who alone can run one), those that do not need the processor beside those that do.
///
/// # Errors
/// When one cannot be had; the error says which and why.
pub async fn get_all() -> Result<()> {
    let built = store::blocking(|| {
        kubernetes::ensure_binaries()?;
        if node::is_allowed() {
            node::ensure()?;
        } else {
            say("node: left out, since it takes root");
        }
        stripe_mock::ensure()?;
        chart::ensure_docs()?;
        chart::ensure_kinds()
    });
    let fetched = store::blocking(|| {
        envoy::ensure()?;
        Tools::ensure()?;
        cognito::ensure()?;
        forge::ensure()
    });
    let installed = store::blocking(|| {
        redis::ensure()?;
        clock::ensure()?;
        prometheus::ensure()?;
        nginx::ensure()
    });
    tokio::try_join!(built, fetched, installed).map(drop)
}
