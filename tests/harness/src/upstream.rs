//! The API that is sold, as a sample: it answers the published client, and echoes what reached it to everyone else. It runs
//! in this process, or in a pod as the program `upstream`. At some paths it fails: see `failing`.

mod failing;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Map, Value, json};
use tokio::task::JoinHandle;

use crate::error::{Error, Result};
use crate::net::{free_port, loopback};

/// A running sample API; it ends when dropped.
pub struct Upstream {
    address: SocketAddr,
    requests: Arc<AtomicU64>,
    asked: failing::Asked,
    serving: JoinHandle<()>,
}

impl Upstream {
    /// Starts it on a free port of loopback, on the async runtime this is called on.
    ///
    /// # Errors
    /// When the port cannot be had.
    pub async fn start() -> Result<Self> {
        Self::start_at(loopback(free_port()?)).await
    }

    /// Starts it at `address`, on the async runtime this is called on.
    ///
    /// # Errors
    /// When the address cannot be had.
    pub async fn start_at(address: SocketAddr) -> Result<Self> {
        let listener = tokio::net::TcpListener::bind(address)
            .await
            .map_err(Error::io(format!("listen on {address}")))?;
        let requests = Arc::new(AtomicU64::new(0));
        let asked = failing::Asked::default();
        let app = Router::new()
            .route("/glyph_agent/ask", post(ask))
            .merge(failing::routes(asked.clone()))
            .fallback(echo)
            .layer(middleware::from_fn_with_state(Arc::clone(&requests), count));
        let serving = tokio::spawn(async move {
            // It serves until it is aborted; there is no error to see.
            let _ = axum::serve(listener, app).await;
        });
        Ok(Self {
            address,
            requests,
            asked,
            serving,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether a request for `/silent/{id}` reached it, by its id.
    pub fn asked_for(&self) -> impl Fn(&str) -> bool + Send + Sync + use<> {
        let asked = self.asked.clone();
        move |id| asked.contains(id)
    }

    /// How many requests reached it.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::SeqCst)
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn count(State(requests): State<Arc<AtomicU64>>, request: Request, next: Next) -> Response {
    requests.fetch_add(1, Ordering::SeqCst);
    next.run(request).await
}

/// What the published client calls (`ForgeClient.ask`): it reads `response`, `usage` and `metadata`.
async fn ask(headers: HeaderMap, Json(asked): Json<Value>) -> Json<Value> {
    let message = asked["message"].as_str().unwrap_or_default();
    let tokens = message.split_whitespace().count();
    Json(json!({
        "response": format!("You asked: {message}"),
        "conversation_id": asked["conversation_id"],
        "metadata": {"headers": as_json(&headers)},
        "usage": {"prompt_tokens": tokens, "completion_tokens": tokens + 2, "total_tokens": 2 * tokens + 2},
    }))
}

/// Method, path with query, and header fields as they arrived, and who answers: a pod knows its name as `HOSTNAME`.
async fn echo(request: Request) -> Json<Value> {
    Json(json!({
        "method": request.method().as_str(),
        "path": request.uri().to_string(),
        "headers": as_json(request.headers()),
        "host": std::env::var("HOSTNAME").unwrap_or_default(),
    }))
}

/// `{name: [value, …]}`, so that a doubled field shows; bytes that are not UTF-8 are replaced.
fn as_json(headers: &HeaderMap) -> Map<String, Value> {
    let values = |name| {
        headers
            .get_all(name)
            .iter()
            .map(|value| String::from_utf8_lossy(value.as_bytes()))
            .collect()
    };
    headers
        .keys()
        .map(|name| (name.to_string(), values(name)))
        .collect()
}
