//! The HTTP server: routes, connections, and resets where a fault asks for one.

use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use hyper::body::Incoming as HyperBody;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::Service;

use crate::answer::{Answer, ResetConnection};
use crate::dispatch::{self, Incoming};
use crate::error::ApiError;
use crate::world::World;
use crate::{admin, pages};

/// More than any form that Stripe's API takes.
const BODY_LIMIT: usize = 1024 * 1024;

/// What every task of a simulator shares.
pub(crate) struct Shared {
    world: Mutex<World>,
    /// Rings when there may be something to deliver.
    pub(crate) wake: Notify,
    pub(crate) stopped: CancellationToken,
    /// Requests at work; a caller that goes away does not stop its request.
    requests: TaskTracker,
}

impl Shared {
    /// Nothing runs yet.
    pub(crate) fn new(world: World) -> Self {
        Self {
            world: Mutex::new(world),
            wake: Notify::new(),
            stopped: CancellationToken::new(),
            requests: TaskTracker::new(),
        }
    }

    /// The one lock. A panic elsewhere does not make the state unusable for the tests that come after.
    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Everything the simulator serves: API, payment pages, admin.
pub(crate) fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .nest("/_sim", admin::routes())
        .merge(pages::routes())
        .fallback(api)
        .with_state(shared)
}

async fn api(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let Ok(bytes) = to_bytes(body, BODY_LIMIT).await else {
        return Answer::from(ApiError::new(
            413,
            "invalid_request_error",
            "Request body too large.",
        ))
        .into_response();
    };
    let incoming = Incoming {
        method: head.method.to_string(),
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        headers: head.headers,
        body: String::from_utf8_lossy(&bytes).into_owned(),
    };
    let answered = shared
        .requests
        .spawn(dispatch::answer(shared.clone(), incoming))
        .await;
    answered
        .unwrap_or_else(|_| {
            Answer::from(ApiError::new(
                500,
                "api_error",
                "The simulator failed; see its log.",
            ))
        })
        .into_response()
}

/// Accepts connections until the simulator stops.
pub(crate) async fn serve(listener: TcpListener, router: Router, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => drop(connections.spawn(connection(stream, router.clone()))),
                Err(error) => tracing::warn!(%error, "failed to accept a connection"),
            },
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            () = shared.stopped.cancelled() => break,
        }
    }
    connections.shutdown().await;
    shared.requests.close();
    shared.requests.wait().await;
}

async fn connection(stream: TcpStream, router: Router) {
    let service = service_fn(move |request: http::Request<HyperBody>| {
        let mut router = router.clone();
        Box::pin(async move {
            let response: Result<Response, Infallible> = router.call(request.map(Body::new)).await;
            match response {
                Ok(response) if response.extensions().get::<ResetConnection>().is_some() => {
                    Err(io::Error::from(io::ErrorKind::ConnectionReset))
                }
                Ok(response) => Ok(response),
                Err(never) => match never {},
            }
        })
    });
    let mut connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    let ended = poll_fn(|context| connection.poll_without_shutdown(context)).await;
    let stream = connection.into_parts().io.into_inner();
    if ended.is_err() {
        // Without lingering, closing sends RST and not FIN. If the option cannot be set, the peer still sees an end.
        let _ = stream.set_zero_linger();
    }
}
