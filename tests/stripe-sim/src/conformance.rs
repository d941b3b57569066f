//! Stripe's own word on the simulator: every answer fits Stripe's OpenAPI, every request passes `stripe-mock`.
//!
//! The OpenAPI is of version 2026-08-26.dahlia, the simulator of 2026-09-30.endive. What differs by intent is in
//! `DIFFERENCES`, and nowhere else.

use std::path::Path;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use serde_json::Value;
use thiserror::Error;

use crate::deliver::{HttpClient, http_client};
use crate::journal::RecordedRequest;
use crate::objects::{RESOURCES, find_route};

mod schema;

pub use schema::{DIFFERENCES, Difference, Spec};

/// What keeps a check from being made at all.
#[derive(Debug, Error)]
pub enum ConformanceError {
    /// The OpenAPI file.
    #[error("failed to read Stripe's OpenAPI at {path}")]
    Spec {
        /// Where it was looked for.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The OpenAPI file is not JSON.
    #[error("failed to parse Stripe's OpenAPI")]
    Json(#[from] serde_json::Error),
    /// `stripe-mock` is not there.
    #[error("failed to ask stripe-mock: {0}")]
    Mock(String),
}

/// What was checked and what does not conform.
#[derive(Debug, Default)]
pub struct Report {
    /// Requests sent to `stripe-mock`.
    pub requests: usize,
    /// Answers held against the OpenAPI.
    pub answers: usize,
    /// One sentence for each thing that does not conform.
    pub problems: Vec<String>,
}

/// Sends every recorded request to `stripe-mock` and holds every recorded answer against the OpenAPI.
///
/// What the simulator took must pass `stripe-mock`. A parameter that the simulator did not know must be unknown to
/// Stripe too. Requests with a refused key, and answers made by a fault, are left out.
///
/// # Errors
/// The OpenAPI cannot be read, or `stripe-mock` does not answer.
pub async fn conforms(
    log: &[RecordedRequest],
    stripe_mock_url: &str,
    spec_path: &Path,
) -> Result<Report, ConformanceError> {
    let spec = Spec::load(spec_path)?;
    let client = http_client();
    let mut report = Report::default();
    // Stripe publishes no OpenAPI of its v2 paths.
    let known = |recorded: &&RecordedRequest| recorded.path.starts_with("/v1/");
    for recorded in log
        .iter()
        .filter(|recorded| recorded.status != 401)
        .filter(known)
    {
        let what = format!(
            "{} {} ({})",
            recorded.method, recorded.path, recorded.request_id
        );
        if !recorded.faulted && !recorded.answer.is_null() {
            report.answers += 1;
            let found = spec.check_answer(
                &recorded.method,
                &recorded.path,
                recorded.status,
                &recorded.answer,
            );
            report.problems.extend(
                found
                    .into_iter()
                    .map(|problem| format!("answer of {what}: {problem}")),
            );
        }
        let unknown = recorded.answer["error"]["code"] == "parameter_unknown";
        if recorded.status == 400 && !unknown {
            continue;
        }
        report.requests += 1;
        match (ask_mock(&client, recorded, stripe_mock_url).await?, unknown) {
            (Ok(()), true) => report.problems.push(format!(
                "request {what}: {} is known to Stripe",
                recorded.answer["error"]["param"]
            )),
            (Err(refusal), false) => report
                .problems
                .push(format!("request {what}: refused by stripe-mock: {refusal}")),
            _ => {}
        }
    }
    Ok(report)
}

/// The endpoints that the simulator serves and no recorded request has used with success.
pub fn unused_endpoints(log: &[RecordedRequest]) -> Vec<String> {
    let used: Vec<String> = log
        .iter()
        .filter(|recorded| recorded.status == 200)
        .filter_map(|recorded| find_route(&recorded.method, &recorded.path))
        .map(|(route, _)| format!("{} {}", route.method, route.path))
        .collect();
    let all = RESOURCES.iter().flat_map(|resource| resource.routes);
    all.filter(|route| route.path.starts_with("/v1/"))
        .map(|route| format!("{} {}", route.method, route.path))
        .filter(|name| !used.contains(name))
        .collect()
}

/// What `stripe-mock` says of a request: fine, or its sentence.
async fn ask_mock(
    client: &HttpClient,
    recorded: &RecordedRequest,
    url: &str,
) -> Result<Result<(), String>, ConformanceError> {
    let failed = |error: &dyn std::fmt::Display| ConformanceError::Mock(error.to_string());
    let query = if recorded.query.is_empty() {
        String::new()
    } else {
        format!("?{}", recorded.query)
    };
    let request = Request::builder()
        .method(recorded.method.as_str())
        .uri(format!("{url}{}{query}", recorded.path))
        .header("authorization", "Bearer sk_test_123")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Full::new(Bytes::from(recorded.body.clone())))
        .map_err(|error| failed(&error))?;
    let response = client
        .request(request)
        .await
        .map_err(|error| failed(&error))?;
    let accepted = response.status().is_success();
    let body = response
        .into_body()
        .collect()
        .await
        .map_err(|error| failed(&error))?
        .to_bytes();
    let answer: Value = serde_json::from_slice(&body).unwrap_or_default();
    Ok(if accepted {
        Ok(())
    } else {
        Err(answer["error"]["message"]
            .as_str()
            .unwrap_or("no reason given")
            .to_owned())
    })
}
