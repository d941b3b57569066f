//! Who asks: the customer's API key, or the customer's user by an access token. What differs between them is here.

use std::sync::Arc;

use glyph_usage::Rate;

use super::Basis;
use crate::index::{KeyEntry, ObjectName, TierEntry};
use crate::token::{Rejected, Verified};
use crate::verdict::{Code, Denial};

/// By what somebody asks.
pub(super) enum Asker<'a> {
    /// A key that is good now.
    Key(&'a KeyEntry),
    /// A genuine token, and the customer whose user it names.
    User(Arc<Verified>, &'a ObjectName),
}

impl<'a> Asker<'a> {
    /// Whose request it is.
    pub(super) fn customer(&self) -> &'a ObjectName {
        match self {
            Self::Key(key) => &key.customer,
            Self::User(_, customer) => customer,
        }
    }

    /// Public id of the key. Tokens have none.
    pub(super) fn key_id(&self) -> Option<&Arc<str>> {
        match self {
            Self::Key(key) => Some(&key.id),
            Self::User(..) => None,
        }
    }

    /// What the rate limit belongs to: the key, or all tokens of one user together.
    pub(super) fn rate_key(&self) -> &Arc<str> {
        match self {
            Self::Key(key) => &key.id,
            Self::User(token, _) => &token.rate_key,
        }
    }

    /// The rate limit on `tier`. A key may have one of its own.
    pub(super) fn rate(&self, tier: &TierEntry) -> Option<Rate> {
        match self {
            Self::Key(key) => key.rate.or(tier.rate),
            Self::User(..) => tier.rate,
        }
    }

    /// Whether it may do less than its customer.
    pub(super) fn is_limited(&self) -> bool {
        match self {
            Self::Key(key) => key.is_limited(),
            Self::User(token, _) => token.is_limited(),
        }
    }

    /// Whether it has `scope`, or is not limited to any.
    pub(super) fn has_scope(&self, scope: &str) -> bool {
        match self {
            Self::Key(key) => key.has_scope(scope),
            Self::User(token, _) => token.has_scope(scope),
        }
    }

    /// What it is called when a person is told.
    pub(super) fn noun(&self) -> &'static str {
        match self {
            Self::Key(_) => "API key",
            Self::User(..) => "access token",
        }
    }
}

/// The user that `token` names, if it is genuine and good now, as a customer.
pub(super) fn user_of<'a>(token: &str, basis: Basis<'a>) -> Result<Asker<'a>, Denial> {
    if basis.verifier.trust.is_empty() {
        let detail = "This gateway takes API keys only, and no access tokens: send one as `Authorization: Bearer glyph_sk_…`.";
        return Err(Denial::new(Code::InvalidCredential, detail));
    }
    let verified = basis.verifier.verify(token, basis.now);
    let verified = verified.map_err(|rejected| refusal(rejected, basis))?;
    let Some(customer) = basis.index.customer_of_user(&verified.subject) else {
        let detail = "The user of this access token is no customer of this API; sign up, or ask its provider.";
        return Err(Denial::new(Code::InvalidCredential, detail));
    };
    Ok(Asker::User(verified, customer))
}

/// Says what is wrong with a token, without a word of what is in it.
fn refusal(rejected: Rejected, basis: Basis<'_>) -> Denial {
    let detail = match rejected {
        Rejected::NoKeys { pool } => return no_keys(pool, basis),
        Rejected::UnknownKey { pool } => return unknown_key(pool, basis),
        Rejected::Malformed => {
            "The access token is none: it must be the three parts with dots between them that the user pool gave, whole."
        }
        Rejected::Algorithm => {
            "The access token must be signed with RS256, as those of Cognito are."
        }
        Rejected::Issuer => {
            "The access token is of another user pool than those that this API takes tokens of."
        }
        Rejected::Signature => {
            "The access token's signature is not right; send it as the user pool gave it."
        }
        Rejected::Use => {
            "This is no access token; send the `access_token` (`AccessToken`) that signing in gave, not another."
        }
        Rejected::Client => {
            "The access token is for another application; sign in by one that belongs to this API."
        }
        Rejected::Expired => "The access token has expired; refresh it, or sign in again.",
        Rejected::NotYet => {
            "The access token is not valid yet; check the clock of whoever made it."
        }
        Rejected::Claim(name) => {
            let detail = format!(
                "The access token's claim `{name}` is missing or not of its type; send one as the user pool gave it."
            );
            return Denial::new(Code::InvalidCredential, detail);
        }
    };
    Denial::new(Code::InvalidCredential, detail)
}

fn no_keys(pool: usize, basis: Basis<'_>) -> Denial {
    let id = pool_id(pool, basis);
    Denial::unavailable(format!(
        "the keys of the user pool {id} have not been fetched, or too long ago; API keys work all the same"
    ))
}

/// While the pool cannot be asked, the token may be as good as any: that is not the caller's fault.
fn unknown_key(pool: usize, basis: Basis<'_>) -> Denial {
    let denial = if basis.verifier.trust.is_failing(pool) {
        let id = pool_id(pool, basis);
        Denial::unavailable(format!(
            "a token names a key that the user pool {id} had not when it could last be asked"
        ))
    } else {
        let detail = "The access token is signed by a key that its user pool does not have (any more); sign in again.";
        Denial::new(Code::InvalidCredential, detail)
    };
    denial.for_want_of_key(pool)
}

fn pool_id<'a>(pool: usize, basis: Basis<'a>) -> &'a str {
    let pools = basis.verifier.trust.pools();
    pools.get(pool).map_or("", |pool| &pool.id)
}
