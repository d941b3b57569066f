//! Checks over HTTP, from gateways that do not speak Envoy's gRPC. Names, values and bytes in and out: what they mean is
//! `glyph_authz_core::http`'s. Logs nothing of a request.

use std::io;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use futures::FutureExt as _;
use glyph_authz_core::Denial;
use glyph_authz_core::http::{HttpAnswer, read};
use glyph_runtime::clock::Clock;
use glyph_usage::Counters;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::gate::Gate;

/// How long idle connections are waited for after `stop`: gateways keep theirs open.
const LINGER: Duration = Duration::from_secs(5);

/// Serves checks on `listener` until `stop`; those under way are answered.
///
/// # Errors
/// When serving fails for good.
pub async fn serve<C: Counters, K: Clock>(
    listener: TcpListener,
    gate: Arc<Gate<C, K>>,
    stop: CancellationToken,
) -> io::Result<()> {
    let app = Router::new().fallback(check::<C, K>).with_state(gate);
    let serving = axum::serve(listener, app).with_graceful_shutdown(stop.clone().cancelled_owned());
    let patience = async {
        stop.cancelled().await;
        tokio::time::sleep(LINGER).await;
    };
    tokio::select! {
        ended = async { serving.await } => ended,
        () = patience => Ok(()),
    }
}

async fn check<C: Counters, K: Clock>(
    State(gate): State<Arc<Gate<C, K>>>,
    request: Request,
) -> Response {
    // The body is not read: no dialect sends one that matters.
    let (parts, _) = request.into_parts();
    let target = parts
        .uri
        .path_and_query()
        .map_or("", |target| target.as_str());
    let headers = parts.headers.iter();
    let headers = headers.map(|(name, value)| (name.as_str(), value.as_bytes()));
    let check = read(parts.method.as_str(), target, headers);
    let dialect = check.dialect;
    let answered = AssertUnwindSafe(gate.check_http(check)).catch_unwind();
    let answer = answered
        .await
        .unwrap_or_else(|_| HttpAnswer::of(dialect, &Err(Denial::unavailable("the check failed"))));
    response(answer)
}

/// An answer as it is sent. What cannot be sent refuses.
fn response(answer: HttpAnswer) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() =
        StatusCode::from_u16(answer.status()).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
    for (name, value) in answer.headers() {
        match HeaderValue::from_str(value) {
            Ok(value) => drop(response.headers_mut().insert(*name, value)),
            Err(_) => *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE,
        }
    }
    *response.body_mut() = Body::from(answer.into_body());
    response
}
