//! Somebody who calls the API that is sold, through Envoy: an HTTP client that keeps its connections, and what
//! came back.

use std::time::Duration;

use anyhow::{Context as _, Result};
use glyph_harness::net::Answer;
use http_body_util::{BodyExt as _, Full};
use hyper::Request;
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

/// Longer than Envoy itself waits for anything.
const DEADLINE: Duration = Duration::from_secs(30);
/// What is asked for when the path does not matter.
pub const PATH: &str = "/v1/anything";

/// A caller at one gateway. Clones share its connections.
#[derive(Clone)]
pub struct Caller {
    base: String,
    client: Client<HttpConnector, Full<Bytes>>,
}

impl Caller {
    /// A caller of the gateway at `base` (`http://127.0.0.1:…`).
    #[must_use]
    pub fn new(base: &str) -> Self {
        let client = Client::builder(TokioExecutor::new()).build_http();
        Self {
            base: base.to_owned(),
            client,
        }
    }

    /// `GET` with an API key as bearer token.
    ///
    /// # Errors
    /// When there is no HTTP answer.
    pub async fn ask(&self, key: &str) -> Result<Answer> {
        self.get(PATH, &[("authorization", &format!("Bearer {key}"))])
            .await
    }

    /// `GET` with header fields as given; a name may come twice.
    ///
    /// # Errors
    /// When there is no HTTP answer, or the path or a field cannot be sent.
    pub async fn get(&self, path: &str, fields: &[(&str, &str)]) -> Result<Answer> {
        let mut request = Request::get(format!("{}{path}", self.base));
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let request = request
            .body(Full::default())
            .context("failed to write a request")?;
        tokio::time::timeout(DEADLINE, self.exchange(request))
            .await
            .with_context(|| format!("no answer from {} in {} s", self.base, DEADLINE.as_secs()))?
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<Answer> {
        let answer = self
            .client
            .request(request)
            .await
            .context("failed to ask through Envoy")?;
        let (head, body) = answer.into_parts();
        let body = body
            .collect()
            .await
            .context("failed to read Envoy's answer")?
            .to_bytes();
        Ok(Answer {
            status: head.status.as_u16(),
            headers: head.headers,
            body,
        })
    }
}

/// The `code` of a problem+json body; empty when there is none.
#[must_use]
pub fn code(answer: &Answer) -> String {
    let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    body["code"].as_str().unwrap_or_default().to_owned()
}

/// Status and body on one line, for people.
#[must_use]
pub fn said(answer: &Answer) -> String {
    format!("{} {}", answer.status, answer.text())
}
