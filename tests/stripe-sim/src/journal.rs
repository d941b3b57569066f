//! The requests that came in and what was answered, for tests to count and to send on to `stripe-mock`.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The newest requests are kept; a demo that runs for days must not grow without end.
const KEPT: usize = 20_000;

/// Of older ones the answers are let go: a list of a hundred objects is not small.
const ANSWERS_KEPT: usize = 4_000;

/// One request to `/v1/…` and its answer. Credentials are not recorded.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct RecordedRequest {
    /// Simulated Unix seconds.
    pub at: i64,
    /// The `Request-Id` of the answer.
    pub request_id: String,
    /// `GET`, `POST` or `DELETE`.
    pub method: String,
    /// The path, without the query.
    pub path: String,
    /// The query as it came.
    pub query: String,
    /// The body as it came.
    pub body: String,
    /// `Idempotency-Key`, if one was sent.
    pub idempotency_key: Option<String>,
    /// Status of the answer; 0 when the connection was reset.
    pub status: u16,
    /// The answer's JSON; null for anything else.
    pub answer: Value,
    /// Whether the answer was an older one, given again.
    pub replayed: bool,
    /// Whether a fault made this answer.
    pub faulted: bool,
}

/// The recorded requests, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    pub(crate) requests: VecDeque<RecordedRequest>,
}

impl Journal {
    /// Adds the newest request.
    pub(crate) fn add(&mut self, request: RecordedRequest) {
        if self.requests.len() == KEPT {
            self.requests.pop_front();
        }
        if let Some(old) = self.requests.len().checked_sub(ANSWERS_KEPT)
            && let Some(old) = self.requests.get_mut(old)
        {
            old.answer = Value::Null;
        }
        self.requests.push_back(request);
    }
}
