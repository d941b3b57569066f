//! What holds for every request: who may call from a browser, how long it may take, and what every answer says to
//! browsers. There are no cookies: who a request is from, its `Authorization` says and nothing else.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::header::{self, HeaderName};
use http::{HeaderMap, HeaderValue, Method};
use tokio::time::timeout;
use tower_http::cors::{AllowOrigin, CorsLayer};

use super::problem::{Problem, ProblemCode};
use super::settings::AccountArgs;
use super::{Account, idempotency};

/// How long a request may take beside what it waits for.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a browser may remember what is allowed.
const PREFLIGHT: Duration = Duration::from_secs(3600);

/// What each answer says, unless it says so already.
const HEADERS: [(HeaderName, &str); 7] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CACHE_CONTROL, "no-store"),
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    ),
    (header::STRICT_TRANSPORT_SECURITY, "max-age=63072000"),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-site",
    ),
];

pub(super) async fn headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    for (name, value) in HEADERS {
        let value = HeaderValue::from_static(value);
        response.headers_mut().entry(name).or_insert(value);
    }
    response
}

/// Browsers' rules for the pages of the allowed origins.
pub(super) fn cors(settings: &AccountArgs) -> CorsLayer {
    let exposed = ["ratelimit", "ratelimit-policy", "retry-after", "location"];
    CorsLayer::new()
        .allow_origin(AllowOrigin::list(settings.origins()))
        .allow_methods([Method::GET, Method::POST, Method::PATCH, Method::DELETE])
        .allow_headers([
            header::AUTHORIZATION,
            header::CONTENT_TYPE,
            idempotency::HEADER,
        ])
        .expose_headers(exposed.map(HeaderName::from_static))
        .max_age(PREFLIGHT)
}

/// Refuses what a web page of another origin sends that could change something (CASE 60).
pub(super) async fn own_origins(
    State(account): State<Arc<Account>>,
    request: Request,
    next: Next,
) -> Response {
    let safe = [Method::GET, Method::HEAD, Method::OPTIONS].contains(request.method());
    if safe || is_own(request.headers(), &account.settings.origins()) {
        return next.run(request).await;
    }
    let detail =
        "Web pages of this origin may not call the account API; its owner lists those that may.";
    Problem::new(ProblemCode::ForeignOrigin, detail).into_response()
}

fn is_own(headers: &HeaderMap, allowed: &[HeaderValue]) -> bool {
    let Some(origin) = headers.get(header::ORIGIN) else {
        return true;
    };
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    let of_origin = origin
        .to_str()
        .ok()
        .and_then(|origin| origin.split_once("://"));
    let same =
        host.is_some_and(|host| of_origin.is_some_and(|(_, of)| of.eq_ignore_ascii_case(host)));
    same || allowed.contains(origin)
}

pub(super) async fn in_time(
    State(account): State<Arc<Account>>,
    request: Request,
    next: Next,
) -> Response {
    let most = PATIENCE + account.settings.wait();
    match timeout(most, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::unavailable(&"a request was not done in time").into_response(),
    }
}

pub(super) async fn no_such_path() -> Problem {
    let detail = "There is no such path; /docs has them all.";
    Problem::new(ProblemCode::NotFound, detail)
}

pub(super) async fn wrong_method() -> Problem {
    let detail = "The path exists, and not with this method; /docs has them all.";
    Problem::new(ProblemCode::MethodNotAllowed, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(origin: Option<&'static str>) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, HeaderValue::from_static("accounts.example"));
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, HeaderValue::from_static(origin));
        }
        is_own(
            &headers,
            &[HeaderValue::from_static("https://shop.example")],
        )
    }

    #[test]
    fn own_pages_and_allowed_ones_may_and_others_may_not() {
        assert!(own(None));
        assert!(own(Some("https://accounts.example")));
        assert!(own(Some("https://shop.example")));
        for foreign in [
            "https://evil.example",
            "null",
            "https://shop.example.evil",
            "https://accounts.example:8",
        ] {
            assert!(!own(Some(foreign)), "{foreign}");
        }
    }
}
