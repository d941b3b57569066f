//! What Stripe answered to one attempt, and what it means: the class of a failure, by Stripe's documented rules
//! (<https://docs.stripe.com/error-low-level>). Pure.

use std::time::Duration;

use bytes::Bytes;
use glyph_operator_core::billing::FailureClass;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;

use super::SECRET_KEY;

/// Longest wait that Stripe can ask of a caller; what it names beyond that is cut.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(300);

/// Most characters of a sentence that is passed on.
const LONGEST_MESSAGE: usize = 500;

/// A whole answer.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    /// `Request-Id`, for Stripe's support.
    pub(super) request_id: Option<String>,
    /// `Stripe-Should-Retry`, where Stripe says so.
    pub(super) should_retry: Option<bool>,
    /// `Retry-After`.
    pub(super) retry_after: Option<Duration>,
    /// The answer is a stored one, given again under the same idempotency key.
    pub(super) replayed: bool,
    pub(super) body: Bytes,
}

impl Answer {
    pub(super) fn new(status: StatusCode, headers: &HeaderMap, body: Bytes) -> Self {
        let text = |name: &str| headers.get(name)?.to_str().ok();
        Self {
            status,
            request_id: text("request-id").map(str::to_owned),
            should_retry: text("stripe-should-retry").and_then(|text| text.parse().ok()),
            retry_after: text("retry-after")
                .and_then(|text| text.parse().ok())
                .map(|seconds| Duration::from_secs(seconds).min(LONGEST_RETRY_AFTER)),
            replayed: text("idempotent-replayed") == Some("true"),
            body,
        }
    }
}

/// Why a call failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) class: FailureClass,
    pub(super) message: String,
    pub(super) request_id: Option<String>,
    /// Stripe says that the object itself does not exist. An empty 404 of something in between never counts as that.
    pub(super) missing: bool,
}

impl Failure {
    pub(super) fn new(class: FailureClass, message: impl ToString) -> Self {
        Self {
            class,
            message: message.to_string(),
            request_id: None,
            missing: false,
        }
    }

    /// Nobody knows whether the call had an effect.
    pub(super) fn transient(message: &impl ToString) -> Self {
        Self::new(FailureClass::Transient, message.to_string())
    }

    /// The label of this class in metrics and spans.
    pub(super) fn outcome(&self) -> &'static str {
        match self.class {
            _ if self.missing => "missing",
            FailureClass::Invalid => "invalid",
            FailureClass::Credential(_) => "credential",
            FailureClass::Throttled(_) => "throttled",
            FailureClass::IdempotencyMismatch => "idempotency_mismatch",
            FailureClass::Transient => "transient",
            FailureClass::StoredFailure => "stored_failure",
        }
    }
}

/// Stripe's error object (<https://docs.stripe.com/api/errors>).
#[derive(Deserialize)]
struct Body {
    error: Error,
}

#[derive(Default, Deserialize)]
struct Error {
    #[serde(rename = "type", default)]
    error_type: String,
    code: Option<String>,
    message: Option<String>,
    param: Option<String>,
}

/// The failure that an answer other than 2xx tells of. `secret` never stands in its message.
pub(super) fn failure(answer: &Answer, secret: &str) -> Failure {
    let body: Option<Body> = serde_json::from_slice(&answer.body).ok();
    let from_stripe = body.is_some();
    let error = body.map(|body| body.error).unwrap_or_default();
    let status = answer.status;
    let class = match status.as_u16() {
        500.. if answer.replayed => FailureClass::StoredFailure,
        401 | 403 => FailureClass::Credential(SECRET_KEY),
        429 => FailureClass::Throttled(answer.retry_after),
        400 if error.error_type == "idempotency_error" => FailureClass::IdempotencyMismatch,
        // In flight under the same key, a lock that was not had in time, a dependency of Stripe's that failed.
        408 | 409 | 424 | 500.. => FailureClass::Transient,
        _ => FailureClass::Invalid,
    };
    let message = match (error.message, error.param) {
        (Some(message), Some(param)) if !message.contains(&param) => {
            format!("{message} (parameter {param})")
        }
        (Some(message), _) => message,
        (None, _) if from_stripe => format!("Stripe answered {status} without a word"),
        (None, _) => format!("{status} that is not Stripe's; is STRIPE_API_BASE right?"),
    };
    Failure {
        missing: status == StatusCode::NOT_FOUND
            && error.code.as_deref() == Some("resource_missing"),
        class,
        message: redacted(&message, secret),
        request_id: answer.request_id.clone(),
    }
}

fn redacted(message: &str, secret: &str) -> String {
    let message = message.replace(secret, "[redacted]");
    message.chars().take(LONGEST_MESSAGE).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "sk_test_canary";

    fn answer(status: u16, headers: &[(&'static str, &'static str)], body: &str) -> Answer {
        let headers = headers
            .iter()
            .map(|&(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect();
        let status = StatusCode::from_u16(status).unwrap();
        Answer::new(status, &headers, Bytes::from(body.to_owned()))
    }

    fn of(status: u16, body: &str) -> Failure {
        failure(&answer(status, &[("request-id", "req_1")], body), SECRET)
    }

    fn error(rest: &str) -> String {
        format!(r#"{{"error":{{{rest}}}}}"#)
    }

    #[test]
    fn every_documented_status_has_its_class() {
        let invalid = error(r#""type":"invalid_request_error","message":"No.""#);
        for (status, class) in [
            (400, FailureClass::Invalid),
            (401, FailureClass::Credential("STRIPE_SECRET_KEY")),
            (402, FailureClass::Invalid),
            (403, FailureClass::Credential("STRIPE_SECRET_KEY")),
            (404, FailureClass::Invalid),
            (409, FailureClass::Transient),
            (424, FailureClass::Transient),
            (429, FailureClass::Throttled(None)),
            (500, FailureClass::Transient),
            (503, FailureClass::Transient),
        ] {
            assert_eq!(of(status, &invalid).class, class, "{status}");
        }
    }

    #[test]
    fn the_same_key_with_other_parameters_is_a_mismatch_but_one_in_flight_is_not() {
        let body = error(r#""type":"idempotency_error","message":"Keys for idempotent requests…""#);
        assert_eq!(of(400, &body).class, FailureClass::IdempotencyMismatch);
        assert_eq!(of(409, &body).class, FailureClass::Transient);
    }

    #[test]
    fn a_replayed_500_is_stored_for_ever_and_a_replayed_402_is_what_it_was() {
        let replayed = [("idempotent-replayed", "true")];
        let of = |status| failure(&answer(status, &replayed, "{}"), SECRET).class;
        assert_eq!(of(500), FailureClass::StoredFailure);
        assert_eq!(of(402), FailureClass::Invalid);
    }

    #[test]
    fn only_stripes_own_word_makes_an_object_missing() {
        let missing = error(r#""code":"resource_missing","message":"No such customer""#);
        assert!(of(404, &missing).missing);
        assert!(!of(404, "<html>nginx</html>").missing);
        assert!(!of(404, &error(r#""message":"Unrecognized request URL""#)).missing);
        assert!(!of(400, &missing).missing);
    }

    #[test]
    fn retry_after_is_obeyed_up_to_five_minutes() {
        let after = |text| answer(429, &[("retry-after", text)], "").retry_after;
        assert_eq!(after("7"), Some(Duration::from_secs(7)));
        assert_eq!(after("86400"), Some(Duration::from_secs(300)));
        assert_eq!(after("Wed, 21 Oct 2026 07:28:00 GMT"), None);
    }

    #[test]
    fn a_sentence_names_the_parameter_and_the_request_and_never_the_key() {
        let body = error(r#""message":"Invalid key sk_test_canary","param":"email""#);
        let failure = of(400, &body);
        assert_eq!(failure.message, "Invalid key [redacted] (parameter email)");
        assert_eq!(failure.request_id.as_deref(), Some("req_1"));
        let html = of(502, "<html>sk_test_canary</html>");
        assert_eq!(
            html.message,
            "502 Bad Gateway that is not Stripe's; is STRIPE_API_BASE right?"
        );
    }
}
