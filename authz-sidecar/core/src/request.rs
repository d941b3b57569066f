//! A request as the decision sees it, whichever adapter it came through. Borrowed, and without Debug: it holds the
//! caller's credential.

use std::net::IpAddr;

use glyph_crds::Environment;
use glyph_crds::api_key_format::marker;

/// Upstream header that names the customer, `namespace/name`.
pub const CUSTOMER: &str = "x-glyph-customer";
/// Upstream header with the customer's Cognito `sub`, where there is one.
pub const SUBJECT: &str = "x-glyph-subject";
/// Upstream header that names the tier in force.
pub const TIER: &str = "x-glyph-tier";
/// Upstream header with the public id of the key; none for an access token.
pub const KEY_ID: &str = "x-glyph-key-id";

/// The two header fields a credential is read from; neither is passed on.
pub const CREDENTIAL_HEADERS: [&str; 2] = ["authorization", "x-api-key"];

/// A header field that must come once to count.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub enum Field<'a> {
    /// The request does not have it.
    #[default]
    Absent,
    /// Its value, as it came: bytes, not text.
    Once(&'a [u8]),
    /// It came more than once.
    Repeated,
}

impl<'a> Field<'a> {
    pub(crate) fn add(&mut self, value: &'a [u8]) {
        *self = match self {
            Self::Absent => Self::Once(value),
            Self::Once(_) | Self::Repeated => Self::Repeated,
        };
    }
}

/// What a decision needs to know of a request.
#[derive(Clone, Default)]
pub struct RequestView<'a> {
    /// `Authorization`.
    pub authorization: Field<'a>,
    /// `X-Api-Key`.
    pub x_api_key: Field<'a>,
    /// Names of the header fields that look like ours, in any spelling.
    pub ours: Vec<&'a str>,
    /// Method, as it came.
    pub method: &'a str,
    /// Host, with or without a port.
    pub host: &'a str,
    /// Path and query.
    pub path: &'a [u8],
    /// Address of the caller, as the gateway trusts it.
    pub client: Option<IpAddr>,
    /// Calls of the quota that the gateway's route says a request costs (`glyph.cost`). Absent: 1.
    pub cost: Option<&'a [u8]>,
    /// Scopes that the gateway's route asks a key for (`glyph.scopes`), separated by commas or spaces.
    pub scopes: Option<&'a [u8]>,
}

impl<'a> RequestView<'a> {
    /// Whether a header field of a credential came, whatever is in it.
    #[must_use]
    pub fn has_credential(&self) -> bool {
        self.authorization != Field::Absent || self.x_api_key != Field::Absent
    }

    /// Whether there is an API key in the query.
    pub(crate) fn has_key_in_url(&self) -> bool {
        holds_key(self.path)
    }

    /// Takes a header field in: the one place where they are sorted.
    pub fn add_header(&mut self, name: &'a str, value: &'a [u8]) {
        let [authorization, x_api_key] = CREDENTIAL_HEADERS;
        if name.eq_ignore_ascii_case(authorization) {
            self.authorization.add(value);
        } else if name.eq_ignore_ascii_case(x_api_key) {
            self.x_api_key.add(value);
        } else if looks_like_ours(name) {
            self.ours.push(name);
        }
    }
}

fn holds_key(path: &[u8]) -> bool {
    let query = path
        .splitn(2, |&byte| byte == b'?')
        .nth(1)
        .unwrap_or_default();
    [Environment::Live, Environment::Dev]
        .into_iter()
        .any(|environment| {
            let marker = marker(environment).as_bytes();
            query.windows(marker.len()).any(|window| window == marker)
        })
}

/// Whether upstream may take `name` for an `x-glyph-…` header. Servers that hand headers on as variables (CGI, WSGI)
/// do not tell `-` from `_`.
fn looks_like_ours(name: &str) -> bool {
    const OURS: &[u8] = b"x-glyph-";
    let plain = |byte: u8| match byte {
        b'_' => b'-',
        other => other.to_ascii_lowercase(),
    };
    let beginning = name.bytes().take(OURS.len()).map(plain);
    beginning.eq(OURS.iter().copied())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_that_upstream_may_take_for_ours_are_known_in_any_spelling() {
        for ours in [
            "x-glyph-customer",
            "X_Glyph_Customer",
            "x-glyph_tier",
            "x_glyph-",
            "X-GLYPH-ANYTHING",
        ] {
            assert!(looks_like_ours(ours), "{ours}");
        }
        for other in [
            "",
            "x-glyph",
            "x-glyphs-a",
            "glyph-customer",
            "y-glyph-customer",
        ] {
            assert!(!looks_like_ours(other), "{other}");
        }
    }

    #[test]
    fn a_credential_header_that_comes_twice_is_repeated_whatever_its_spelling() {
        let mut view = RequestView::default();
        view.add_header("authorization", b"a");
        assert!(view.authorization == Field::Once(b"a"));
        view.add_header("Authorization", b"a");
        view.add_header("X-Api-Key", b"");
        assert!(view.authorization == Field::Repeated && view.x_api_key == Field::Once(b""));
        assert!(view.ours.is_empty());
    }
}
