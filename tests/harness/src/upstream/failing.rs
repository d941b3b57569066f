//! Paths at which the sample API fails, each in its own way, for tests of what becomes of failures.
//!
//! | path | what comes |
//! |---|---|
//! | `/status/503`, `/status/503/…` | that status |
//! | `/broken` | half an answer, then the connection ends |
//! | `/silent`, `/silent/{id}` | nothing, ever; the id is known as one that was asked for |
//! | `/flaky/{id}` | 503 the first time for each id, 200 from then on |

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::any;
use futures::{StreamExt as _, stream};

/// Half of what `/broken` promises.
const HALF: &str = "half of it";

/// Ids of requests that reached `/silent/{id}`.
#[derive(Clone, Default)]
pub(super) struct Asked(Arc<Mutex<HashSet<String>>>);

impl Asked {
    pub(super) fn contains(&self, id: &str) -> bool {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .contains(id)
    }

    async fn note(self, Path(id): Path<String>) -> StatusCode {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(id);
        std::future::pending().await
    }
}

pub(super) fn routes<S: Clone + Send + Sync + 'static>(asked: Asked) -> Router<S> {
    let failed = Arc::new(Mutex::new(HashSet::<String>::new()));
    let flaky = move |Path(id): Path<String>| async move {
        let first = failed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(id);
        if first {
            StatusCode::SERVICE_UNAVAILABLE
        } else {
            StatusCode::OK
        }
    };
    Router::new()
        .route("/status/{status}", any(status))
        .route("/status/{status}/{*rest}", any(status_and_more))
        .route("/broken", any(broken))
        .route("/silent", any(std::future::pending::<StatusCode>))
        .route("/silent/{id}", any(move |id| asked.note(id)))
        .route("/flaky/{id}", any(flaky))
}

async fn status(Path(status): Path<u16>) -> StatusCode {
    StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST)
}

async fn status_and_more(Path((code, _)): Path<(u16, String)>) -> StatusCode {
    status(Path(code)).await
}

async fn broken() -> Response {
    let half = stream::once(async { Ok(Bytes::from_static(HALF.as_bytes())) });
    let end = async {
        // The half goes out first.
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        Err(std::io::Error::other("broken on purpose"))
    };
    let body = Body::from_stream(half.chain(stream::once(end)));
    let response = Response::builder().header("content-length", 2 * HALF.len());
    response.body(body).unwrap_or_default()
}
