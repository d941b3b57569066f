//! What is decided: a [`Permit`] that carries what upstream and caller are told, or a typed [`Denial`].
//!
//! Nothing outside this crate can make a permit. A denial for want of a decision can be made by anyone: refusing is
//! always safe.

use std::borrow::Cow;
use std::sync::Arc;

use glyph_crds::Endpoint;
use glyph_usage::{Drawn, Period};
use serde_json::json;

use crate::index::ObjectName;
use crate::limits::Limits;

/// The decision on a request.
pub type Verdict = Result<Permit, Denial>;

/// How long to wait for what is not available, in seconds. Short: an index syncs and Redis comes back by themselves.
const SOON: u64 = 1;

/// A request may pass: as somebody, or as nobody where no credential is needed.
#[derive(Clone, Debug)]
pub struct Permit {
    pub(crate) identity: Option<Identity>,
    pub(crate) endpoint: Option<Arc<Endpoint>>,
    pub(crate) inbound_headers: Vec<String>,
    pub(crate) limits: Limits,
    pub(crate) credits_taken: u64,
    pub(crate) returnable: Option<Taken>,
}

/// What a request has taken that is given back if the API fails.
#[derive(Clone, Debug)]
pub(crate) struct Taken {
    pub(crate) period: Period,
    /// Calls of the quota.
    pub(crate) calls: u64,
    pub(crate) credits: Vec<Drawn>,
}

/// Whose request it is, as far as it is counted.
#[derive(Clone, Debug)]
pub struct Whose {
    pub(crate) uid: Arc<str>,
    pub(crate) customer: ObjectName,
    pub(crate) counted_by: Arc<str>,
}

impl Whose {
    /// The customer's UID, which its counters belong to.
    #[must_use]
    pub fn uid(&self) -> &str {
        &self.uid
    }

    /// What rate and usage are counted by: the key's public id, or for access tokens their user, `sub:…`.
    #[must_use]
    pub fn counted_by(&self) -> &str {
        &self.counted_by
    }
}

/// Whose request passes.
#[derive(Clone, Debug)]
pub struct Identity {
    pub(crate) whose: Whose,
    pub(crate) subject: Option<Arc<str>>,
    pub(crate) tier: ObjectName,
    pub(crate) key_id: Option<Arc<str>>,
}

impl Identity {
    /// Whose request it is.
    #[must_use]
    pub fn customer(&self) -> &ObjectName {
        &self.whose.customer
    }

    /// The customer's Cognito `sub`, where there is one.
    #[must_use]
    pub fn subject(&self) -> Option<&str> {
        self.subject.as_deref()
    }

    /// The tier in force.
    #[must_use]
    pub fn tier(&self) -> &ObjectName {
        &self.tier
    }

    /// Public id of the key; none where the request came with an access token.
    #[must_use]
    pub fn key_id(&self) -> Option<&str> {
        self.key_id.as_deref()
    }

    /// Whose it is, as far as it is counted.
    #[must_use]
    pub fn whose(&self) -> &Whose {
        &self.whose
    }
}

impl Permit {
    /// Whose request it is; nobody's where no credential was needed.
    #[must_use]
    pub fn identity(&self) -> Option<&Identity> {
        self.identity.as_ref()
    }

    /// Name of the endpoint, where a GlyphApi has one for the request.
    #[must_use]
    pub fn endpoint(&self) -> Option<&str> {
        self.endpoint
            .as_ref()
            .map(|endpoint| endpoint.name.as_str())
    }

    /// Names of the header fields that came in and look like ours: none may reach upstream as it was sent.
    #[must_use]
    pub fn inbound_headers(&self) -> &[String] {
        &self.inbound_headers
    }

    /// How many credits the request has taken.
    #[must_use]
    pub fn credits_taken(&self) -> u64 {
        self.credits_taken
    }

    /// What the caller is told of its limits.
    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }
}

/// Why a request is refused: the `code` of its problem document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Code {
    /// No credential.
    MissingCredential,
    /// A malformed, unknown or doubled credential, or one for other gateways.
    InvalidCredential,
    /// The key was revoked.
    KeyRevoked,
    /// The key has expired, or a newer one took over.
    KeyExpired,
    /// A renewal stayed unpaid past its grace.
    PaymentRequired,
    /// The customer is suspended.
    Suspended,
    /// The key may not be used from this address.
    AddressDenied,
    /// The key or token is limited to other scopes.
    ScopeDenied,
    /// The path can be read in more than one way.
    MalformedPath,
    /// No endpoint is for the request, and its GlyphApi denies what it does not name.
    NoSuchEndpoint,
    /// The key is used too fast.
    RateLimited,
    /// The monthly quota is used up.
    QuotaExceeded,
    /// No decision is possible now.
    Unavailable,
}

impl Code {
    /// The HTTP status the caller sees.
    #[must_use]
    pub fn status(self) -> u16 {
        match self {
            Self::MissingCredential
            | Self::InvalidCredential
            | Self::KeyRevoked
            | Self::KeyExpired => 401,
            Self::PaymentRequired => 402,
            Self::Suspended | Self::AddressDenied | Self::ScopeDenied => 403,
            Self::MalformedPath => 400,
            Self::NoSuchEndpoint => 404,
            Self::RateLimited | Self::QuotaExceeded => 429,
            Self::Unavailable => 503,
        }
    }

    /// As in `code`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MissingCredential => "missing_credential",
            Self::InvalidCredential => "invalid_credential",
            Self::KeyRevoked => "key_revoked",
            Self::KeyExpired => "key_expired",
            Self::PaymentRequired => "payment_required",
            Self::Suspended => "suspended",
            Self::AddressDenied => "address_denied",
            Self::ScopeDenied => "scope_denied",
            Self::MalformedPath => "malformed_path",
            Self::NoSuchEndpoint => "no_such_endpoint",
            Self::RateLimited => "rate_limited",
            Self::QuotaExceeded => "quota_exceeded",
            Self::Unavailable => "unavailable",
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::MissingCredential => "A credential is needed",
            Self::InvalidCredential => "The credential is not valid",
            Self::KeyRevoked => "The API key was revoked",
            Self::KeyExpired => "The API key has expired",
            Self::PaymentRequired => "Payment is required",
            Self::Suspended => "The customer is suspended",
            Self::AddressDenied => "The address is not allowed",
            Self::ScopeDenied => "The credential is not for this",
            Self::MalformedPath => "The path is ambiguous",
            Self::NoSuchEndpoint => "There is no such endpoint",
            Self::RateLimited => "Too many requests",
            Self::QuotaExceeded => "The monthly quota is used up",
            Self::Unavailable => "No decision is possible now",
        }
    }

    /// `WWW-Authenticate` (RFC 6750 section 3): without an error code when no credential was sent.
    fn challenge(self) -> Option<&'static str> {
        match self {
            Self::MissingCredential => Some(r#"Bearer realm="glyph""#),
            Self::ScopeDenied => Some(r#"Bearer realm="glyph", error="insufficient_scope""#),
            _ if self.status() == 401 => Some(r#"Bearer realm="glyph", error="invalid_token""#),
            _ => None,
        }
    }
}

/// A request is refused, and why.
#[derive(Clone, Debug)]
pub struct Denial(Box<Refusal>);

/// What a denial says; behind a pointer, because verdicts are passed around and most are permits.
#[derive(Clone, Debug)]
struct Refusal {
    code: Code,
    detail: Cow<'static, str>,
    retry_after: Option<u64>,
    link: Option<(&'static str, Arc<str>)>,
    limits: Limits,
    tier: Option<ObjectName>,
    endpoint: Option<Arc<Endpoint>>,
    whose: Option<Whose>,
    cause: Option<Cow<'static, str>>,
    wanting_key_of: Option<usize>,
}

impl Denial {
    /// A refusal that says `detail`: one sentence that helps the caller. It must hold nothing that came with the
    /// request.
    pub(crate) fn new(code: Code, detail: impl Into<Cow<'static, str>>) -> Self {
        let detail = detail.into();
        let (retry_after, link, limits, tier, endpoint, whose, cause, wanting_key_of) =
            Default::default();
        Self(Box::new(Refusal {
            code,
            detail,
            retry_after,
            link,
            limits,
            tier,
            endpoint,
            whose,
            cause,
            wanting_key_of,
        }))
    }

    /// No decision is possible, because of `cause`: that goes to the operator's log, not to the caller.
    pub fn unavailable(cause: impl Into<Cow<'static, str>>) -> Self {
        let detail = "The request could not be checked; try again in a moment.";
        let mut denial = Self::new(Code::Unavailable, detail).retry_after(SOON);
        denial.0.cause = Some(cause.into());
        denial
    }

    pub(crate) fn retry_after(mut self, seconds: u64) -> Self {
        self.0.retry_after = Some(seconds.max(1));
        self
    }

    /// Where the caller can do something about it, under the member `name`.
    pub(crate) fn link(mut self, name: &'static str, url: Option<Arc<str>>) -> Self {
        self.0.link = url.map(|url| (name, url));
        self
    }

    pub(crate) fn limits(mut self, limits: Limits) -> Self {
        self.0.limits = limits;
        self
    }

    pub(crate) fn on_tier(mut self, tier: &ObjectName) -> Self {
        self.0.tier = Some(tier.clone());
        self
    }

    pub(crate) fn of(mut self, whose: &Whose) -> Self {
        self.0.whose = Some(whose.clone());
        self
    }

    pub(crate) fn at(mut self, endpoint: Option<&Arc<Endpoint>>) -> Self {
        self.0.endpoint = endpoint.cloned();
        self
    }

    /// It is for want of a key of the user pool of this number.
    pub(crate) fn for_want_of_key(mut self, pool: usize) -> Self {
        self.0.wanting_key_of = Some(pool);
        self
    }

    /// The number of the user pool whose keys, fetched anew, might make another verdict of it.
    #[must_use]
    pub fn wanting_key_of(&self) -> Option<usize> {
        self.0.wanting_key_of
    }

    /// Why.
    #[must_use]
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// The sentence the caller reads.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.0.detail
    }

    /// The tier in force, where it came to that.
    #[must_use]
    pub fn tier(&self) -> Option<&ObjectName> {
        self.0.tier.as_ref()
    }

    /// Name of the endpoint, where a GlyphApi has one for the request.
    #[must_use]
    pub fn endpoint(&self) -> Option<&str> {
        self.0
            .endpoint
            .as_ref()
            .map(|endpoint| endpoint.name.as_str())
    }

    /// Whose request is refused, where it came to that.
    #[must_use]
    pub fn whose(&self) -> Option<&Whose> {
        self.0.whose.as_ref()
    }

    /// What the operator's log should say, where the fault is not the caller's. Never holds a secret.
    #[must_use]
    pub fn cause(&self) -> Option<&str> {
        self.0.cause.as_deref()
    }

    /// Calls `set` with each response field and its value.
    pub(crate) fn fields(&self, mut set: impl FnMut(&'static str, &str)) {
        set("content-type", "application/problem+json");
        set("cache-control", "no-store");
        if let Some(challenge) = self.0.code.challenge() {
            set("www-authenticate", challenge);
        }
        if let Some(seconds) = self.0.retry_after {
            set("retry-after", &seconds.to_string());
        }
        self.0.limits.fields(set);
    }

    /// The problem document (RFC 9457).
    pub(crate) fn body(&self) -> String {
        let mut problem = json!({
            "type": format!("https://glyphapi.ai/problems/{}", self.0.code.as_str()),
            "title": self.0.code.title(),
            "status": self.0.code.status(),
            "detail": self.0.detail,
            "code": self.0.code.as_str(),
        });
        if let Some(seconds) = self.0.retry_after {
            problem["retry_after"] = seconds.into();
        }
        if let Some((name, url)) = &self.0.link {
            problem[name] = (**url).into();
        }
        problem.to_string()
    }
}
