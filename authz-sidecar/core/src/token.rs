//! Access tokens of Cognito as credentials: what one must be, and what it then says of who asks.
//!
//! Pure: the time, the pools and their keys are arguments. What comes in is a text that anyone may have written, and
//! nothing in it counts before its signature is known to be of a key of the pool that it names. Of what a token says,
//! only `sub` tells whose it is: attributes that users can write are never read.
//!
//! After RFC 7515 (compact form), RFC 7519 (claims), RFC 8725 (what goes wrong with them), and Cognito's
//! <https://docs.aws.amazon.com/cognito/latest/developerguide/amazon-cognito-user-pools-using-tokens-verifying-a-jwt.html>.

mod compact;
mod keys;
mod remembered;
mod schedule;
mod scopes;
mod trust;

use std::sync::Arc;

use jiff::Timestamp;

use compact::{Compact, Object};
pub use keys::{KeySet, UnusableKeys};
pub use remembered::{Remembered, Seen};
pub use schedule::Schedule;
use scopes::Scopes;
pub use trust::{Rules, Trust};

/// The one algorithm: what Cognito signs by. No other is ever looked at, whatever a token asks for.
const RS256: &str = "RS256";

/// A user pool whose tokens are taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pool {
    /// Its id, for logs and metrics.
    pub id: Arc<str>,
    /// What its tokens have in `iss`.
    pub issuer: String,
    /// The app clients whose tokens are taken, and no others.
    pub clients: Vec<String>,
    /// Whether ID tokens are taken beside access tokens.
    pub id_tokens: bool,
    /// The resource server whose scopes are named without it: of `https://api/items:write`, `https://api`.
    pub resource_server: Option<String>,
}

/// What a genuine token says. Only [`Verifier::verify`] makes one.
pub(crate) struct Verified {
    /// The user.
    pub(crate) subject: Arc<str>,
    /// What the rate limit of the user's tokens belongs to: no key's id has a colon.
    pub(crate) rate_key: Arc<str>,
    scopes: Scopes,
    /// The second of `exp`.
    expires: i64,
    pool: usize,
    /// Of the keys it was verified by.
    generation: u64,
}

impl Verified {
    /// Whether the token may do less than its user.
    pub(crate) fn is_limited(&self) -> bool {
        self.scopes.is_limited()
    }

    /// Whether the token has `scope`, or is not limited to any.
    pub(crate) fn has_scope(&self, scope: &str) -> bool {
        self.scopes.has(scope)
    }
}

/// Why a token is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rejected {
    /// Not three parts of base64url with a JSON object in the first two, a name twice in one, or extensions that must
    /// be understood (`crit`).
    Malformed,
    /// Another algorithm than RS256, or none.
    Algorithm,
    /// Of none of the pools.
    Issuer,
    /// The pool has keys, but not this one.
    UnknownKey { pool: usize },
    /// The pool's keys have not been fetched yet, or too long ago.
    NoKeys { pool: usize },
    /// Not signed by the key that it names.
    Signature,
    /// Another kind of token than is taken.
    Use,
    /// For another app client.
    Client,
    /// Over.
    Expired,
    /// Not valid yet.
    NotYet,
    /// A claim is missing, or not of its type.
    Claim(&'static str),
}

/// By what tokens are verified.
#[derive(Clone, Copy)]
pub struct Verifier<'a> {
    /// The pools, and their keys as last fetched.
    pub trust: &'a Trust,
    /// What was verified before.
    pub remembered: &'a Remembered,
}

impl Verifier<'_> {
    /// What `token` says, from memory where it was verified before by the same keys.
    pub(crate) fn verify(self, token: &str, now: Timestamp) -> Result<Arc<Verified>, Rejected> {
        if let Some(known) = self.remembered.find(token, self.trust, now) {
            return Ok(known);
        }
        let verified = Arc::new(verify(token, self.trust, now)?);
        self.remembered.put(token, &verified, self.trust, now);
        Ok(verified)
    }
}

/// What `token` says, if a key of its pool has signed it and it is good at `now`.
fn verify(token: &str, trust: &Trust, now: Timestamp) -> Result<Verified, Rejected> {
    let compact = Compact::read(token).ok_or(Rejected::Malformed)?;
    if compact.header.text("alg") != Some(RS256) {
        return Err(Rejected::Algorithm);
    }
    // Whoever cannot do what `crit` names must refuse (RFC 7515 section 4.1.11); there is nothing of it we can do.
    if compact.header.get("crit").is_some() {
        return Err(Rejected::Malformed);
    }
    // `jku`, `jwk` and `x5u` would let a token bring its own key: the pool that it names is the one place for keys.
    let claims = &compact.claims;
    let issuer = claims.text("iss").ok_or(Rejected::Issuer)?;
    let (pool, known) = trust.pool(issuer).ok_or(Rejected::Issuer)?;
    let keys = trust.keys(pool, now).ok_or(Rejected::NoKeys { pool })?;
    let key_id = compact.header.text("kid").ok_or(Rejected::Malformed)?;
    let key = keys.get(key_id).ok_or(Rejected::UnknownKey { pool })?;
    if !key.has_signed(compact.signed, &compact.signature) {
        return Err(Rejected::Signature);
    }
    is_for(claims, known)?;
    let expires = times(claims, trust, now)?;
    let subject = claims.text("sub").filter(|subject| is_subject(subject));
    let subject = subject.ok_or(Rejected::Claim("sub"))?;
    Ok(Verified {
        subject: subject.into(),
        rate_key: format!("sub:{subject}").into(),
        scopes: Scopes::read(claims, known).ok_or(Rejected::Claim("scope"))?,
        expires,
        pool,
        generation: trust.generation(pool),
    })
}

/// Whether the token is of a kind, and for a client, that `pool` takes. An access token has its client in `client_id`, an
/// ID token in `aud`.
fn is_for(claims: &Object, pool: &Pool) -> Result<(), Rejected> {
    let client = match claims.text("token_use") {
        Some("access") => claims.text("client_id"),
        Some("id") if pool.id_tokens => claims.text("aud"),
        _ => return Err(Rejected::Use),
    };
    let known = client.is_some_and(|client| pool.clients.iter().any(|known| known == client));
    if known { Ok(()) } else { Err(Rejected::Client) }
}

/// Judges `exp`, `nbf` and `iat`, and gives the first. Each may be off by the leeway, as clocks are.
fn times(claims: &Object, trust: &Trust, now: Timestamp) -> Result<i64, Rejected> {
    let expires = claims.whole("exp").ok_or(Rejected::Claim("exp"))?;
    if trust.is_over(expires, now) {
        return Err(Rejected::Expired);
    }
    for name in ["nbf", "iat"] {
        if claims.get(name).is_some() {
            let begins = claims.whole(name).ok_or(Rejected::Claim(name))?;
            if trust.is_ahead(begins, now) {
                return Err(Rejected::NotYet);
            }
        }
    }
    Ok(expires)
}

/// Cognito's are UUIDs. Nothing else gets into counters and headers.
fn is_subject(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    !text.is_empty() && text.len() <= 128 && text.bytes().all(plain)
}

#[cfg(test)]
mod tests;
