//! How a delivery ends, and what Stripe is answered: 2xx ends its tries, anything else makes it try again for three
//! days (<https://docs.stripe.com/webhooks#retries>).

use axum::extract::rejection::BytesRejection;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use glyph_operator_core::signature::SignatureError;
use serde_json::json;

/// How a delivery ends.
pub(super) enum Outcome {
    /// Kubernetes holds the event.
    Accepted,
    /// It is about no resource of ours.
    Unowned,
    /// It names a resource that is gone, is another one by now, or is another operator's.
    Foreign,
    /// The body is too large, or was broken off.
    Unreadable(BytesRejection),
    /// Stripe did not sign it.
    NotBelieved(SignatureError),
    /// Stripe signed it, and it is no event.
    NoEvent(String),
    /// A test event to a live operator, or the other way round.
    OtherMode,
    /// A setting is missing.
    NotConfigured(String),
    /// Kubernetes does not hold it.
    KubernetesFailed(String),
    /// Stripe did not say what a thin event is about.
    StripeFailed(String),
}

impl Outcome {
    /// In audit lines and metrics.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Unowned => "unowned",
            Self::Foreign => "foreign",
            Self::Unreadable(_) => "unreadable",
            Self::NotBelieved(_) => "bad_signature",
            Self::NoEvent(_) => "no_event",
            Self::OtherMode => "other_mode",
            Self::NotConfigured(_) => "not_configured",
            Self::KubernetesFailed(_) => "kubernetes_failed",
            Self::StripeFailed(_) => "stripe_failed",
        }
    }

    /// Why, where it did not go well.
    pub(super) fn detail(&self) -> Option<String> {
        match self {
            Self::Accepted | Self::Unowned | Self::Foreign => None,
            Self::Unreadable(refused) => Some(refused.body_text()),
            Self::NotBelieved(error) => Some(error.to_string()),
            Self::NoEvent(error) => Some(format!("the body is not a Stripe event: {error}")),
            Self::OtherMode => Some(
                "the event's livemode differs from that of STRIPE_SECRET_KEY: a webhook of the other mode leads here"
                    .to_owned(),
            ),
            Self::NotConfigured(missing) => Some(missing.clone()),
            Self::StripeFailed(error) => Some(error.clone()),
            Self::KubernetesFailed(error) => Some(format!("failed to record the event in Kubernetes: {error}")),
        }
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::Accepted | Self::Unowned | Self::Foreign => StatusCode::OK,
            Self::Unreadable(refused) => refused.status(),
            Self::NotBelieved(_) | Self::NoEvent(_) | Self::OtherMode => StatusCode::BAD_REQUEST,
            Self::NotConfigured(_) | Self::KubernetesFailed(_) | Self::StripeFailed(_) => {
                StatusCode::SERVICE_UNAVAILABLE
            }
        }
    }
}

impl IntoResponse for Outcome {
    fn into_response(self) -> Response {
        let status = self.status();
        let Some(detail) = self.detail() else {
            return (status, self.name()).into_response();
        };
        let problem = json!({
            "type": "about:blank",
            "title": status.canonical_reason(),
            "status": status.as_u16(),
            "code": self.name(),
            "detail": detail,
        });
        (
            status,
            [(CONTENT_TYPE, "application/problem+json")],
            problem.to_string(),
        )
            .into_response()
    }
}
