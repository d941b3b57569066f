//! One fetch of a key set over HTTP: with a deadline, a limit, and no way to anywhere else. What is answered is never
//! logged, only what is wrong with it.

use std::error::Error;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use glyph_authz_core::token::{KeySet, UnusableKeys};
use http::{StatusCode, Uri};
use http_body_util::{BodyExt as _, Empty, LengthLimitError, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use thiserror::Error;

/// How long a fetch may take, the connection included.
const DEADLINE: Duration = Duration::from_secs(5);
/// Largest answer that is read; Cognito's have 1 kB.
const LARGEST: usize = 256 * 1024;

/// The client. It holds no connection between fetches, which are minutes apart.
pub(super) struct Fetcher(Client<HttpsConnector<HttpConnector>, Empty<Bytes>>);

/// There are no keys to be had, and why.
#[derive(Debug, Error)]
pub(super) enum Failure {
    #[error("no whole answer within {} s", DEADLINE.as_secs())]
    Late,
    #[error("no connection, or it broke: {0}")]
    Broken(String),
    #[error(
        "it answers {0}, and redirects are not followed: give the address that it leads to, if that is the pool's own"
    )]
    Redirect(StatusCode),
    #[error("it answers {0}: check the address, and whether the pool still exists")]
    Status(StatusCode),
    #[error("the answer is longer than {} kB: check the address", LARGEST / 1024)]
    TooLong,
    #[error("what it answers cannot be used: {0}")]
    Unusable(#[from] UnusableKeys),
}

impl Failure {
    /// As in the metric's label `outcome`.
    pub(super) fn outcome(&self) -> &'static str {
        match self {
            Self::Late => "late",
            Self::Broken(_) => "broken",
            Self::Redirect(_) | Self::Status(_) => "status",
            Self::TooLong | Self::Unusable(_) => "unusable",
        }
    }
}

impl Fetcher {
    /// A client that trusts the system's certificates. Plain http is only for loopback (`settings`).
    pub(super) fn new() -> io::Result<Self> {
        let mut connector = HttpConnector::new();
        connector.enforce_http(false);
        let connector = HttpsConnectorBuilder::new()
            .with_native_roots()?
            .https_or_http()
            .enable_http1()
            .wrap_connector(connector);
        let client = Client::builder(TokioExecutor::new())
            .pool_max_idle_per_host(0)
            .build(connector);
        Ok(Self(client))
    }

    /// The keys at `address`.
    pub(super) async fn keys(&self, address: &Uri) -> Result<KeySet, Failure> {
        let fetch = tokio::time::timeout(DEADLINE, self.get(address));
        let text = fetch.await.map_err(|_| Failure::Late)??;
        Ok(KeySet::read(&text)?)
    }

    async fn get(&self, address: &Uri) -> Result<Bytes, Failure> {
        let answer = self.0.get(address.clone()).await;
        let answer = answer.map_err(|error| Failure::Broken(chain(&error)))?;
        match answer.status() {
            StatusCode::OK => {}
            status if status.is_redirection() => return Err(Failure::Redirect(status)),
            status => return Err(Failure::Status(status)),
        }
        let body = Limited::new(answer.into_body(), LARGEST).collect().await;
        let body = body.map_err(|error| match error.downcast::<LengthLimitError>() {
            Ok(_) => Failure::TooLong,
            Err(error) => Failure::Broken(chain(&*error)),
        })?;
        Ok(body.to_bytes())
    }
}

/// An error and what caused it, in one line.
fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.extend([": ", &error.to_string()]);
        cause = error.source();
    }
    text
}
