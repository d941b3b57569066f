//! Idempotency keys as Stripe keeps them: <https://docs.stripe.com/api/idempotent_requests>.
//!
//! An answer is kept once the endpoint began to run, whatever it said, 500 included. Requests that failed validation,
//! met another in flight, or were turned away by the rate limiter leave nothing behind.

use std::collections::HashMap;

use crate::answer::Answer;
use crate::error::ApiError;

/// How long a key is remembered, in seconds of the simulator's clock.
const REMEMBERED: i64 = 24 * 3600;

/// How often forgotten keys are thrown away.
const SWEPT_EVERY: i64 = 3600;

/// What makes two requests the same: method, path and parameters in any order.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Fingerprint {
    endpoint: String,
    pairs: Vec<(String, String)>,
}

impl Fingerprint {
    /// Of a request with these decoded parameters.
    pub(crate) fn new(method: &str, path: &str, pairs: &[(String, String)]) -> Self {
        let mut pairs = pairs.to_vec();
        pairs.sort();
        Self {
            endpoint: format!("{method} {path}"),
            pairs,
        }
    }
}

#[derive(Debug)]
struct Entry {
    since: i64,
    request: Fingerprint,
    answer: Option<Answer>,
}

/// The keys in use.
#[derive(Debug, Default)]
pub(crate) struct Idempotency {
    swept_at: i64,
    entries: HashMap<String, Entry>,
}

impl Idempotency {
    /// Takes a key for a request. `Ok(Some)` is the answer to give again, `Ok(None)` means: go ahead.
    ///
    /// # Errors
    /// 400 when the key was used with other parameters or is too long, 409 while the first request is in flight.
    pub(crate) fn begin(
        &mut self,
        key: &str,
        request: Fingerprint,
        now: i64,
    ) -> Result<Option<Answer>, ApiError> {
        if key.chars().count() > 255 {
            return Err(ApiError::new(
                400,
                "idempotency_error",
                "Idempotency keys can be at most 255 characters long.",
            ));
        }
        let fresh = |entry: &Entry| entry.answer.is_none() || now - entry.since < REMEMBERED;
        if now - self.swept_at >= SWEPT_EVERY {
            self.entries.retain(|_, entry| fresh(entry));
            self.swept_at = now;
        }
        let Some(entry) = self.entries.get(key).filter(|entry| fresh(entry)) else {
            self.entries.insert(
                key.to_owned(),
                Entry {
                    since: now,
                    request,
                    answer: None,
                },
            );
            return Ok(None);
        };
        if entry.request.endpoint != request.endpoint {
            return Err(misused(format!(
                "Keys for idempotent requests can only be used for the same endpoint they were first used for ('{}' vs '{}'). Try \
                 using a key other than '{key}' if you meant to execute a different request.",
                request.endpoint, entry.request.endpoint
            )));
        }
        if entry.request != request {
            return Err(misused(format!(
                "Keys for idempotent requests can only be used with the same parameters they were first used with. Try using a key \
                 other than '{key}' if you meant to execute a different request."
            )));
        }
        match &entry.answer {
            Some(answer) => Ok(Some(answer.replayed())),
            None => Err(ApiError::new(
                409,
                "idempotency_error",
                format!(
                    "There is currently another in-progress request using this Stripe-Idempotency-Key (that probably means you submitted \
                     twice, and the other request is still going through): {key}. Please try again later."
                ),
            )
            .code("idempotency_key_in_use")),
        }
    }

    /// Keeps the answer of the request that took the key.
    pub(crate) fn finish(&mut self, key: &str, answer: &Answer) {
        if let Some(entry) = self.entries.get_mut(key) {
            entry.answer = Some(answer.clone());
        }
    }

    /// Lets go of a key whose request never ran.
    pub(crate) fn release(&mut self, key: &str) {
        self.entries.remove(key);
    }
}

fn misused(message: String) -> ApiError {
    ApiError::new(400, "idempotency_error", message)
}
