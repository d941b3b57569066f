//! A counting HTTP proxy between the operator and the world it acts on: Stripe, Cognito, the Kubernetes API.
//!
//! All proxies of one [`Calls`] count together, in order of arrival, so that "the k-th outgoing call" means
//! something; a [`Trap`] set for one call runs an action (kill the operator) either before that call is
//! forwarded or after it took effect, and breaks the connection. Bodies of answers are passed on as they come,
//! watches included.

mod calls;
mod relay;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

pub use calls::{Call, CallKind, Calls, Moment, Trap};

use crate::error::{Error, Result};
use crate::kubernetes::ControlPlane;
use crate::net::{free_port, loopback};
use crate::store::run_folder;
use relay::{Relay, Upstream};

/// Who is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Callee {
    /// Stripe, or the simulator.
    Stripe,
    /// Cognito.
    Cognito,
    /// The Kubernetes API.
    Kubernetes,
}

/// A running proxy; it ends, with all connections through it, when dropped.
pub struct Proxy {
    address: SocketAddr,
    serving: JoinHandle<()>,
}

impl Proxy {
    /// A proxy before a plain HTTP address such as `http://127.0.0.1:4242`; the path of each request is kept.
    ///
    /// # Errors
    /// When `base` is no such address, or no port can be had.
    pub async fn http(calls: &Calls, callee: Callee, base: &str) -> Result<Self> {
        let doing = || format!("put a proxy before {base}");
        let uri: http::Uri = base
            .parse()
            .map_err(|error| Error::answer(doing(), error))?;
        let authority = uri
            .authority()
            .cloned()
            .ok_or_else(|| Error::answer(doing(), "it names no host"))?;
        let client = Box::new(Client::builder(TokioExecutor::new()).build_http());
        Self::serve(Relay::new(
            calls.clone(),
            callee,
            Upstream::Http { client, authority },
        ))
        .await
    }

    /// A proxy before a control plane, and the kubeconfig of an administrator who goes through it.
    ///
    /// # Errors
    /// When the control plane's kubeconfig cannot be used, or no port can be had.
    pub async fn kubernetes(calls: &Calls, plane: &ControlPlane) -> Result<(Self, PathBuf)> {
        let upstream = Upstream::Kubernetes(plane.client_without_retries().await?);
        let proxy = Self::serve(Relay::new(calls.clone(), Callee::Kubernetes, upstream)).await?;
        let kubeconfig = run_folder("proxy")?.join("kubeconfig");
        let config = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "proxy", "cluster": {"server": proxy.url()}}],
            "users": [{"name": "proxy", "user": {}}],
            "contexts": [{"name": "proxy", "context": {"cluster": "proxy", "user": "proxy"}}],
            "current-context": "proxy",
        });
        std::fs::write(&kubeconfig, config.to_string()).map_err(Error::io("write a kubeconfig"))?;
        Ok((proxy, kubeconfig))
    }

    /// Where it listens, `http://127.0.0.1:…`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    async fn serve(relay: Relay) -> Result<Self> {
        let address = loopback(free_port()?);
        let listener = TcpListener::bind(address)
            .await
            .map_err(Error::io("listen for the proxy"))?;
        let serving = tokio::spawn(accept(listener, Arc::new(relay)));
        Ok(Self { address, serving })
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// Serves each connection in a task that ends with this one.
async fn accept(listener: TcpListener, relay: Arc<Relay>) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        let relay = Arc::clone(&relay);
        connections.spawn(async move {
            let service = hyper::service::service_fn(|request| Arc::clone(&relay).pass(request));
            // A broken connection is the caller's business, and what a trap is for.
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
        while connections.try_join_next().is_some() {}
    }
}
