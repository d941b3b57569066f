//! Whose request it is: somebody with a good access token of the pool, and their GlyphCustomer.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use glyph_crds::GlyphCustomer;
use glyph_crds::common::condition::STALLED;
use glyph_operator_core::reason;
use glyph_runtime::Secret;
use http::header::AUTHORIZATION;
use http::request::Parts;
use kube::ResourceExt as _;

use super::Account;
use super::attempts::Address;
use super::ports::{Person, PoolError, Refusal};
use super::problem::{Answer, Problem, ProblemCode};

/// Somebody with a good access token. It has no Debug: it holds the token.
pub(super) struct LoggedIn {
    pub(super) person: Person,
    pub(super) token: Secret,
}

/// Somebody with a good access token, and their customer.
pub(super) struct Caller {
    pub(super) person: Person,
    pub(super) customer: GlyphCustomer,
}

impl Caller {
    /// The customer's name.
    pub(super) fn name(&self) -> String {
        self.customer.name_any()
    }

    /// The customer's UID, which what was used is counted by.
    pub(super) fn uid(&self) -> String {
        self.customer.uid().unwrap_or_default()
    }

    /// Refused while the customer is suspended, or in conflict with an older one.
    pub(super) fn may_act(&self) -> Answer<()> {
        if self.customer.spec.suspended {
            let detail = "This account is suspended; ask the support of this API why.";
            return Err(Problem::new(ProblemCode::Suspended, detail));
        }
        let conditions = self
            .customer
            .status
            .iter()
            .flat_map(|status| &status.conditions);
        let mut stalled = conditions.filter(|c| c.type_ == STALLED && c.status == "True");
        if stalled.any(|condition| condition.reason == reason::CONFLICT) {
            let detail = "An older account has this e-mail address or this user; ask the support of this API to join the two.";
            return Err(Problem::new(ProblemCode::Conflict, detail));
        }
        Ok(())
    }
}

impl FromRequestParts<Arc<Account>> for LoggedIn {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, account: &Arc<Account>) -> Answer<Self> {
        account.configured()?;
        let token = bearer(parts)?;
        let person = account.pool.person(token.expose()).await;
        let person = person.map_err(|error| match error {
            PoolError::Refused(Refusal::NotAuthorized | Refusal::NotConfirmed) => invalid(),
            other => other.into(),
        })?;
        Ok(Self { person, token })
    }
}

impl FromRequestParts<Arc<Account>> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, account: &Arc<Account>) -> Answer<Self> {
        let LoggedIn { person, .. } = LoggedIn::from_request_parts(parts, account).await?;
        let customer = account.customer_of(&person).await?;
        Ok(Self { person, customer })
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Address {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Answer<Self> {
        let address = parts.extensions.get::<Self>().cloned();
        address.ok_or_else(|| Problem::unavailable(&"a request came without an address"))
    }
}

impl Account {
    /// Refuses with what is to be said of an installation without logins.
    pub(super) fn configured(&self) -> Answer<()> {
        self.pool.configured().map_err(|missing| {
            tracing::debug!(%missing, "the account API was asked for a login");
            let detail = "This installation has no logins: its operator needs AWS_COGNITO_USER_POOL_ID and \
                          AWS_COGNITO_CLIENT_ID. API keys work without.";
            Problem::new(ProblemCode::NotConfigured, detail)
        })
    }
}

fn invalid() -> Problem {
    let detail =
        "The access token is not one of this API, or no longer good; log in or refresh it.";
    Problem::new(ProblemCode::InvalidCredential, detail)
}

/// The one bearer token of a request.
fn bearer(parts: &Parts) -> Answer<Secret> {
    let mut values = parts.headers.get_all(AUTHORIZATION).iter();
    let (first, second) = (values.next(), values.next());
    let Some(value) = first else {
        let detail = "Send the access token of POST /auth/login as Authorization: Bearer <token>.";
        return Err(Problem::new(ProblemCode::MissingCredential, detail));
    };
    let text = value.to_str().ok().filter(|_| second.is_none());
    let (scheme, token) = text
        .and_then(|text| text.split_once(' '))
        .ok_or_else(invalid)?;
    let token = token.trim();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
    if scheme.eq_ignore_ascii_case("bearer") && !token.is_empty() && token.bytes().all(plain) {
        Ok(Secret::new(token))
    } else {
        Err(invalid())
    }
}
