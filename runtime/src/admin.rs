//! The admin port: `/livez`, `/readyz` and `/metrics`, for kubelet and Prometheus. It carries no traffic of the API.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::{fmt, io};

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::{Router, routing::get};
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{COMMIT, VERSION};

/// The media type of [OpenMetrics 1.0](https://prometheus.io/docs/specs/om/open_metrics_spec/#overall-structure).
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What the admin port shows. Clones share one state.
#[derive(Clone, Default)]
pub struct Admin {
    /// Whether this process may be sent work.
    pub readiness: Readiness,
    /// What it counts.
    pub metrics: Metrics,
}

impl Admin {
    /// The three routes, to be served or driven by a test.
    pub fn router(&self) -> Router {
        Router::new()
            .route("/livez", get("ok\n"))
            .route("/readyz", get(readyz))
            .route("/metrics", get(metrics))
            .with_state(self.clone())
    }

    /// Serves the routes on `listener` until `stop`.
    pub async fn serve(self, listener: TcpListener, stop: CancellationToken) -> io::Result<()> {
        axum::serve(listener, self.router())
            .with_graceful_shutdown(stop.cancelled_owned())
            .await
    }
}

async fn readyz(State(admin): State<Admin>) -> Response {
    match admin.readiness.verdict() {
        Ok(()) => "ok\n".into_response(),
        Err(reasons) => (StatusCode::SERVICE_UNAVAILABLE, reasons).into_response(),
    }
}

async fn metrics(State(admin): State<Admin>) -> Response {
    match admin.metrics.encode() {
        Ok(text) => ([(CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
        Err(error) => (
            StatusCode::INTERNAL_SERVER_ERROR,
            format!("failed to encode metrics: {error}\n"),
        )
            .into_response(),
    }
}

/// Named conditions that must all hold before this process may be sent work. Clones share one state.
#[derive(Clone, Default)]
pub struct Readiness(Arc<Mutex<BTreeMap<&'static str, Option<String>>>>);

impl Readiness {
    /// Adds the condition `name`, not yet met for `reason`. The same name again is the same condition.
    pub fn register(&self, name: &'static str, reason: impl Into<String>) -> ReadinessCheck {
        let check = ReadinessCheck {
            name,
            all: self.clone(),
        };
        check.not_ready(reason);
        check
    }

    /// `Err` with one line for each condition that is not met.
    pub fn verdict(&self) -> Result<(), String> {
        let checks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut reasons = String::new();
        for (name, reason) in checks.iter() {
            if let Some(reason) = reason {
                reasons.extend([name, ": ", reason, "\n"]);
            }
        }
        if reasons.is_empty() {
            Ok(())
        } else {
            Err(reasons)
        }
    }
}

/// One condition of [`Readiness`], held by the part that knows whether it is met.
#[derive(Clone)]
pub struct ReadinessCheck {
    name: &'static str,
    all: Readiness,
}

impl ReadinessCheck {
    /// The condition is met.
    pub fn ready(&self) {
        self.set(None);
    }

    /// The condition is not met (any more), and why: one short sentence, without secrets.
    pub fn not_ready(&self, reason: impl Into<String>) {
        self.set(Some(reason.into()));
    }

    fn set(&self, reason: Option<String>) {
        self.all
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(self.name, reason);
    }
}

/// The metrics of this process. Names start with `glyph_`, which is put before each. Never label by customer or key.
#[derive(Clone)]
pub struct Metrics(Arc<Mutex<Registry>>);

impl Default for Metrics {
    /// A registry that holds `glyph_build_info` alone.
    fn default() -> Self {
        let mut registry = Registry::with_prefix("glyph");
        let build = Info::new(
            [
                ("version", VERSION),
                ("commit", COMMIT.unwrap_or("unknown")),
            ]
            .to_vec(),
        );
        registry.register("build", "The build that is running", build);
        Self(Arc::new(Mutex::new(registry)))
    }
}

impl Metrics {
    /// Registers metrics: `metrics.register(|registry| registry.register("decisions", "…", decisions.clone()))`.
    pub fn register<T>(&self, add: impl FnOnce(&mut Registry) -> T) -> T {
        add(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// All metrics in the OpenMetrics text format.
    pub fn encode(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        encode(
            &mut text,
            &self.0.lock().unwrap_or_else(PoisonError::into_inner),
        )?;
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::Request;
    use http_body_util::BodyExt;
    use prometheus_client::metrics::counter::Counter;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;
    use tower::ServiceExt;

    use super::*;

    async fn answer(admin: &Admin, path: &str) -> (StatusCode, String, String) {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = admin.router().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let media_type = parts.headers[CONTENT_TYPE].to_str().unwrap().to_owned();
        (
            parts.status,
            media_type,
            String::from_utf8(body.to_vec()).unwrap(),
        )
    }

    #[tokio::test]
    async fn readyz_lists_what_is_not_ready_until_all_is() {
        let admin = Admin::default();
        let index = admin.readiness.register("index", "has not synced");
        let redis = admin.readiness.register("redis", "not connected");
        let (status, _, body) = answer(&admin, "/readyz").await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(body, "index: has not synced\nredis: not connected\n");

        redis.ready();
        assert_eq!(answer(&admin, "/readyz").await.2, "index: has not synced\n");
        index.ready();
        assert_eq!(answer(&admin, "/readyz").await.0, StatusCode::OK);

        index.not_ready("lost its watch");
        assert_eq!(answer(&admin, "/readyz").await.2, "index: lost its watch\n");
    }

    #[tokio::test]
    async fn livez_is_ok_also_while_not_ready() {
        let admin = Admin::default();
        admin.readiness.register("index", "has not synced");
        assert_eq!(answer(&admin, "/livez").await.0, StatusCode::OK);
    }

    #[tokio::test]
    async fn metrics_are_open_metrics_text_with_the_build_and_what_was_registered() {
        let admin = Admin::default();
        let made: Counter = Counter::default();
        admin
            .metrics
            .register(|registry| registry.register("things_made", "Things made", made.clone()));
        made.inc();
        let (status, media_type, body) = answer(&admin, "/metrics").await;
        assert_eq!(
            (status, media_type.as_str()),
            (StatusCode::OK, OPEN_METRICS)
        );
        assert!(
            body.contains(&format!("glyph_build_info{{version=\"{VERSION}\"")),
            "{body}"
        );
        assert!(
            body.contains("glyph_things_made_total 1\n") && body.ends_with("# EOF\n"),
            "{body}"
        );
    }

    #[tokio::test]
    async fn the_port_answers_until_it_is_told_to_stop() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let server = tokio::spawn(Admin::default().serve(listener, stop.clone()));
        let mut connection = TcpStream::connect(address).await.unwrap();
        connection
            .write_all(b"GET /livez HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
            .await
            .unwrap();
        let mut text = String::new();
        connection.read_to_string(&mut text).await.unwrap();
        assert!(text.starts_with("HTTP/1.1 200 OK"), "{text}");
        stop.cancel();
        server.await.unwrap().unwrap();
        assert!(TcpStream::connect(address).await.is_err());
    }
}
