//! An answer before it becomes HTTP.

use axum::body::Body;
use axum::response::Response;
use http::{HeaderName, HeaderValue, header};
use serde_json::Value;

use crate::error::ApiError;

/// Marks a response that must not be sent: the connection is reset in its place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ResetConnection;

/// Status, body and the headers that depend on what happened.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Content,
    pub(crate) headers: Vec<(&'static str, String)>,
}

/// What an answer carries.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Content {
    Json(Value),
    Html(String),
    /// No answer at all: the connection is reset.
    Reset,
}

impl Answer {
    /// An answer of the API.
    pub(crate) fn json(status: u16, body: Value) -> Self {
        Self {
            status,
            body: Content::Json(body),
            headers: Vec::new(),
        }
    }

    /// A page.
    pub(crate) fn html(status: u16, page: String) -> Self {
        Self {
            status,
            body: Content::Html(page),
            headers: Vec::new(),
        }
    }

    /// A redirect after a form was sent.
    pub(crate) fn see_other(url: &str) -> Self {
        Self {
            status: 303,
            body: Content::Html(String::new()),
            headers: vec![("location", url.to_owned())],
        }
    }

    /// No answer: the connection is reset.
    pub(crate) fn reset() -> Self {
        Self {
            status: 0,
            body: Content::Reset,
            headers: Vec::new(),
        }
    }

    /// The same answer with one header more.
    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The same answer, given again for the same idempotency key.
    pub(crate) fn replayed(&self) -> Self {
        self.clone().header("idempotent-replayed", "true")
    }

    /// Whether it was given before, for the same idempotency key.
    pub(crate) fn is_replay(&self) -> bool {
        self.headers
            .iter()
            .any(|(name, _)| *name == "idempotent-replayed")
    }

    /// As HTTP. JSON is indented, as Stripe sends it.
    pub(crate) fn into_response(self) -> Response {
        let (content_type, bytes) = match self.body {
            Content::Json(value) => (
                "application/json",
                serde_json::to_vec_pretty(&value).unwrap_or_default(),
            ),
            Content::Html(page) => ("text/html; charset=utf-8", page.into_bytes()),
            Content::Reset => {
                let mut response = Response::new(Body::empty());
                response.extensions_mut().insert(ResetConnection);
                return response;
            }
        };
        let mut response = Response::new(Body::from(bytes));
        *response.status_mut() = http::StatusCode::from_u16(self.status)
            .unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        for (name, value) in self.headers {
            if let Ok(value) = HeaderValue::from_str(&value) {
                response
                    .headers_mut()
                    .append(HeaderName::from_static(name), value);
            }
        }
        response
    }
}

impl From<ApiError> for Answer {
    fn from(error: ApiError) -> Self {
        Self::json(error.status, error.body())
    }
}
