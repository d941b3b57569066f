//! Free ports, a plain HTTP client, and waiting for what will come: what every part and every test needs.

use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;
use serde::de::DeserializeOwned;

use crate::error::{Error, Result};
use crate::process::POLL;

/// Ports handed out: below the kernel's own range for outgoing connections (32768 and up), so that a part
/// which is stopped for a while finds its port free when it comes back.
const FIRST_PORT: u16 = 15_000;
const PORTS: u16 = 17_000;
const REQUEST_DEADLINE: Duration = Duration::from_secs(30);

/// One byte for each port, locked by the process that handed it out for as long as it lives.
static RESERVATIONS: LazyLock<io::Result<File>> = LazyLock::new(|| {
    let path = std::env::temp_dir().join("glyph-ports.lock");
    File::options().create(true).append(true).open(path)
});

/// A port on 127.0.0.1 that nothing listens on; each is handed out once, also among processes that run side by side.
///
/// # Errors
/// When none of the range is free, or the reservations cannot be kept.
pub fn free_port() -> Result<u16> {
    let reservations = RESERVATIONS
        .as_ref()
        .map_err(|error| Error::answer("open the reservations of ports", error))?;
    static HANDED_OUT: AtomicU16 = AtomicU16::new(0);
    // Scattered, so that processes that begin together do not hand out the same ports.
    let offset = std::process::id().wrapping_mul(2_654_435_761) % u32::from(PORTS);
    for _ in 0..PORTS {
        let turn = u32::from(HANDED_OUT.fetch_add(1, Ordering::Relaxed) % PORTS);
        let step = u16::try_from((offset + turn) % u32::from(PORTS)).unwrap_or_default();
        let port = FIRST_PORT + step;
        if reserve(reservations, port) && TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    Err(Error::answer("find a free port", "all are taken"))
}

/// Locks a port's byte; false when another process holds it.
fn reserve(reservations: &File, port: u16) -> bool {
    let lock = libc::flock {
        l_type: libc::F_WRLCK as i16,
        l_whence: libc::SEEK_SET as i16,
        l_start: port.into(),
        l_len: 1,
        l_pid: 0,
    };
    fcntl(reservations, FcntlArg::F_OFD_SETLK(&lock)).is_ok()
}

/// The loopback address with `port`.
#[must_use]
pub fn loopback(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

/// Starts a part; once more when its process ended at once, which is what a port taken by someone else in
/// the meantime looks like.
pub(crate) async fn start_twice<T>(mut start: impl AsyncFnMut() -> Result<T>) -> Result<T> {
    match start().await {
        Err(Error::Exited { .. }) => start().await,
        result => result,
    }
}

/// Polls `probe` every 20 ms until it gives something.
///
/// # Errors
/// [`Error::Deadline`] with `what` after `deadline`.
pub async fn poll_until<T>(
    what: &str,
    deadline: Duration,
    mut probe: impl AsyncFnMut() -> Option<T>,
) -> Result<T> {
    let polling = async {
        loop {
            if let Some(found) = probe().await {
                return found;
            }
            tokio::time::sleep(POLL).await;
        }
    };
    let in_vain = |_| Error::Deadline {
        what: what.to_owned(),
        waited: deadline,
    };
    tokio::time::timeout(deadline, polling)
        .await
        .map_err(in_vain)
}

/// An HTTP answer, read to its end.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The header fields.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Answer {
    /// The body as text; what is not UTF-8 is replaced.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// When it is not what is asked for; the error shows status and body.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_slice(&self.body).map_err(|error| {
            Error::answer(
                "read an answer",
                format!("{error} in {} {}", self.status, self.text()),
            )
        })
    }

    /// A header field's value as text; empty when absent.
    #[must_use]
    pub fn header(&self, name: &str) -> String {
        let value = self
            .headers
            .get(name)
            .map(|value| String::from_utf8_lossy(value.as_bytes()));
        value.unwrap_or_default().into_owned()
    }
}

/// Sends one plain HTTP request on a connection of its own.
///
/// # Errors
/// When there is no answer within 30 s.
pub async fn send(request: Request<impl Into<Bytes>>) -> Result<Answer> {
    let doing = format!("{} {}", request.method(), request.uri());
    let failed = |error: &dyn std::fmt::Display| Error::answer(&doing, error);
    let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    let exchange = async {
        let answer = client
            .request(request.map(|body| Full::new(body.into())))
            .await;
        let (head, body) = answer.map_err(|error| failed(&Chain(&error)))?.into_parts();
        let body = body
            .collect()
            .await
            .map_err(|error| failed(&Chain(&error)))?
            .to_bytes();
        Ok(Answer {
            status: head.status.as_u16(),
            headers: head.headers,
            body,
        })
    };
    tokio::time::timeout(REQUEST_DEADLINE, exchange)
        .await
        .unwrap_or_else(|_| Err(failed(&"no answer in 30 s")))
}

/// `GET` of a plain HTTP URL.
///
/// # Errors
/// As [`send`], and when `url` is none.
pub async fn get(url: &str) -> Result<Answer> {
    let request = Request::get(url).body(Bytes::new());
    send(request.map_err(|error| Error::answer(format!("GET {url}"), error))?).await
}

/// An error with its causes on one line.
struct Chain<'a>(&'a dyn std::error::Error);

impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}
