//! Why a request is not done: a problem document (RFC 9457) with a stable `code` and one sentence that helps. The same
//! form as the gateway's refusals.

use std::borrow::Cow;

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use utoipa::ToSchema;

use super::ports::PoolError;
use crate::ports::CallError;

/// Seconds after which what is not available may be tried again.
const SOON: u64 = 5;
/// `WWW-Authenticate` where no credential came (RFC 6750, section 3), and where one is not good.
const CHALLENGE: &str = r#"Bearer realm="glyph""#;
const CHALLENGE_INVALID: &str = r#"Bearer realm="glyph", error="invalid_token""#;

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $status:literal, $title:literal;)*) => {
        /// The stable name of a problem.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
        #[serde(rename_all = "snake_case")]
        pub(super) enum ProblemCode { $($(#[$doc])* $name,)* }

        impl ProblemCode {
            fn status(self) -> u16 {
                match self { $(Self::$name => $status,)* }
            }

            fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)* }
            }
        }
    };
}

codes! {
    /// The request cannot be read, or holds a field that is not known.
    InvalidRequest = 400, "The request cannot be taken";
    /// No access token.
    MissingCredential = 401, "A login is needed";
    /// An access token that is not, or no longer, good.
    InvalidCredential = 401, "The access token is not valid";
    /// No such user, or another password.
    InvalidLogin = 401, "The login is not valid";
    /// Something has to be paid first.
    PaymentRequired = 402, "Payment is required";
    /// The e-mail address was not confirmed.
    NotConfirmed = 403, "The e-mail address is not confirmed";
    /// The customer is suspended.
    Suspended = 403, "The account is suspended";
    /// A web page that may not.
    ForeignOrigin = 403, "This web page may not call the account API";
    /// There is none, or it is somebody else's.
    NotFound = 404, "There is no such thing";
    /// The path has no such method.
    MethodNotAllowed = 405, "The path has no such method";
    /// The tier is in force already.
    AlreadySubscribed = 409, "The subscription exists already";
    /// No more keys.
    KeyLimitReached = 409, "There are as many keys as may be";
    /// The key was revoked or has expired.
    KeyNotActive = 409, "The key is not active";
    /// Something else stands in the way.
    Conflict = 409, "Something stands in the way";
    /// The body is too large.
    BodyTooLarge = 413, "The body is too large";
    /// The body is not JSON.
    UnsupportedMediaType = 415, "The body is not JSON";
    /// A value that cannot be.
    InvalidValue = 422, "A value is not valid";
    /// A code that was not sent, or not lately.
    InvalidCode = 422, "The code is not valid";
    /// The key was used for another request.
    IdempotencyKeyReused = 422, "The idempotency key was used for another request";
    /// What is asked for cannot be bought.
    NotForSale = 422, "This cannot be bought";
    /// Tried too often.
    TooManyAttempts = 429, "Too many attempts";
    /// Asked too often.
    RateLimited = 429, "Too many requests";
    /// This installation has no logins.
    NotConfigured = 501, "This is not set up";
    /// Something that is needed does not answer.
    Unavailable = 503, "This is not possible now";
}

/// Why a request is not done.
#[derive(Clone, Debug)]
pub(super) struct Problem {
    pub(super) code: ProblemCode,
    detail: Cow<'static, str>,
    field: Option<&'static str>,
    pay_at: Option<String>,
    retry_after: Option<u64>,
}

/// Result of a handler.
pub(super) type Answer<T> = Result<T, Problem>;

/// A problem document (RFC 9457).
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub(super) struct ProblemDocument {
    /// A page about this kind of problem.
    r#type: String,
    /// What kind of problem it is.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// One sentence on what is wrong and what to do.
    detail: Cow<'static, str>,
    /// The kind of problem, for programs: it stays as it is.
    code: ProblemCode,
    /// The field that is wrong, where it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'static str>,
    /// Where to pay, where that would help.
    #[serde(skip_serializing_if = "Option::is_none")]
    pay_at: Option<String>,
    /// Seconds until it may be tried again.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after: Option<u64>,
}

impl Problem {
    /// With one sentence that helps. It must hold nothing that came with the request.
    pub(super) fn new(code: ProblemCode, detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            detail: detail.into(),
            field: None,
            pay_at: None,
            retry_after: None,
        }
    }

    /// A field of the body or the query that cannot be so.
    pub(super) fn value(field: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        let problem = Self::new(ProblemCode::InvalidValue, detail);
        Self {
            field: Some(field),
            ..problem
        }
    }

    /// There is none of the caller's.
    pub(super) fn not_found() -> Self {
        let detail = "There is nothing of yours with this id; list what there is.";
        Self::new(ProblemCode::NotFound, detail)
    }

    /// Something that is needed does not answer; `cause` goes to the log.
    pub(super) fn unavailable(cause: &dyn std::fmt::Display) -> Self {
        tracing::warn!(%cause, "the account API cannot answer a request");
        let detail = "A service behind this one does not answer; try again in a moment.";
        Self::new(ProblemCode::Unavailable, detail).retry_after(SOON)
    }

    /// Something is not set; `setting` goes to the log.
    pub(super) fn misconfigured(setting: &dyn std::fmt::Display) -> Self {
        tracing::error!(%setting, "the account API needs a setting");
        let detail = "This is not set up completely yet; try again later.";
        Self::new(ProblemCode::Unavailable, detail).retry_after(SOON)
    }

    pub(super) fn pay_at(self, pay_at: Option<String>) -> Self {
        Self { pay_at, ..self }
    }

    pub(super) fn retry_after(self, seconds: u64) -> Self {
        Self {
            retry_after: Some(seconds.max(1)),
            ..self
        }
    }
}

impl From<kube::Error> for Problem {
    fn from(error: kube::Error) -> Self {
        match &error {
            kube::Error::Api(status) if status.code == 422 => Self::refused(status),
            _ => Self::unavailable(&error),
        }
    }
}

impl Problem {
    /// What the API server says of a resource that breaks a rule: the rules' sentences are for people.
    fn refused(status: &kube::core::Status) -> Self {
        let causes = status.details.iter().flat_map(|details| &details.causes);
        let sentence = causes.map(|cause| cause.message.as_str()).next();
        // `Invalid value: "…": sentence`; only the sentence is ours.
        let sentence =
            sentence.and_then(|message| message.rsplit_once("\": ").or(message.rsplit_once("]: ")));
        let sentence = sentence.map_or("a value is not taken", |(_, sentence)| sentence);
        let sentence = sentence.replace("allowedCidrs", "allowed_cidrs");
        let sentence = sentence
            .replace("expiresAt", "expires_at")
            .replace("displayName", "name");
        Self::new(
            ProblemCode::InvalidValue,
            format!("A value cannot be taken: {sentence}."),
        )
    }
}

impl From<CallError> for Problem {
    fn from(error: CallError) -> Self {
        Self::unavailable(&error)
    }
}

impl From<PoolError> for Problem {
    /// What a person is refused is the handler's to word.
    fn from(error: PoolError) -> Self {
        match error {
            PoolError::Refused(_) => Self::new(
                ProblemCode::InvalidValue,
                "The user pool does not take one of these values; check them.",
            ),
            PoolError::NotConfigured(sentence) => Self::misconfigured(&sentence),
            PoolError::Unavailable(sentence) => Self::unavailable(&sentence),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let code = self.code;
        let status =
            StatusCode::from_u16(code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let name = serde_json::to_value(code).unwrap_or_default();
        let name = name.as_str().unwrap_or_default().to_owned();
        let retry_after = self.retry_after;
        let document = ProblemDocument {
            r#type: format!("https://glyphapi.ai/problems/{name}"),
            title: code.title(),
            status: code.status(),
            detail: self.detail,
            code,
            field: self.field,
            pay_at: self.pay_at,
            retry_after,
        };
        let mut response = (status, Json(document)).into_response();
        let headers = response.headers_mut();
        let media_type = HeaderValue::from_static("application/problem+json");
        headers.insert(header::CONTENT_TYPE, media_type);
        if let Some(seconds) = retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        let challenge = match code {
            ProblemCode::MissingCredential => Some(CHALLENGE),
            ProblemCode::InvalidCredential => Some(CHALLENGE_INVALID),
            ProblemCode::InvalidLogin => Some(CHALLENGE),
            _ => None,
        };
        if let Some(challenge) = challenge {
            let challenge = HeaderValue::from_static(challenge);
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}
