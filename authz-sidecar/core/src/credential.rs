//! Which credential a request carries. Decides only on its form: whether it is known is the index' business.

use glyph_crds::Environment;
use glyph_crds::api_key_format;

use crate::request::{Field, RequestView};

/// A credential of the right form.
pub enum Credential<'a> {
    /// An API key.
    ApiKey {
        /// The whole key.
        key: &'a str,
        /// Which gateways accept it, as its marker says.
        environment: Environment,
    },
    /// What may be an access token: it has a dot, which no key has.
    Token(&'a str),
}

/// Why a request carries no credential that can be looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unusable {
    /// There is none.
    Missing,
    /// There is none but for a key in the URL, where it is not looked for: URLs end up in logs.
    InUrl,
    /// More than one.
    Doubled,
    /// `Authorization` with another scheme than `Bearer`.
    NotBearer,
    /// Neither the form of an API key nor, behind `Bearer`, anything like a token.
    Malformed,
}

/// Reads the one credential of `request`. Two header fields, or one twice, are never chosen between.
///
/// # Errors
/// [`Unusable`].
pub fn read<'a>(request: &RequestView<'a>) -> Result<Credential<'a>, Unusable> {
    match (request.authorization, request.x_api_key) {
        (Field::Once(value), Field::Absent) => of_bearer(bearer(value)?),
        (Field::Absent, Field::Once(value)) => of_key(value),
        (Field::Absent, Field::Absent) if request.has_key_in_url() => Err(Unusable::InUrl),
        (Field::Absent, Field::Absent) => Err(Unusable::Missing),
        _ => Err(Unusable::Doubled),
    }
}

/// What stands behind `Bearer ` (RFC 6750 section 2.1; the scheme in any case, RFC 9110 section 11.1).
fn bearer(value: &[u8]) -> Result<&[u8], Unusable> {
    const SCHEME: &[u8] = b"Bearer ";
    match value.split_at_checked(SCHEME.len()) {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case(SCHEME) => Ok(rest),
        _ => Err(Unusable::NotBearer),
    }
}

/// A bearer credential: the one place where a token is told from a key.
fn of_bearer(value: &[u8]) -> Result<Credential<'_>, Unusable> {
    match std::str::from_utf8(value) {
        Ok(text) if text.contains('.') => Ok(Credential::Token(text)),
        _ => of_key(value),
    }
}

fn of_key(value: &[u8]) -> Result<Credential<'_>, Unusable> {
    let key = std::str::from_utf8(value).map_err(|_| Unusable::Malformed)?;
    let environment = api_key_format::environment_of(key).map_err(|_| Unusable::Malformed)?;
    Ok(Credential::ApiKey { key, environment })
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "glyph_sk_live_0123456789abcdefghijABCDEFGHIJxy";

    fn refused(headers: &[(&str, &[u8])]) -> Option<Unusable> {
        let mut view = RequestView::default();
        for (name, value) in headers {
            view.add_header(name, value);
        }
        read(&view).err()
    }

    #[test]
    fn a_key_is_read_from_either_header_and_the_scheme_in_any_case() {
        for (name, value) in [
            ("authorization", format!("Bearer {KEY}")),
            ("authorization", format!("bEARER {KEY}")),
            ("x-api-key", KEY.to_owned()),
        ] {
            let mut view = RequestView::default();
            view.add_header(name, value.as_bytes());
            let Ok(Credential::ApiKey { key, environment }) = read(&view) else {
                panic!("{name}: {value}");
            };
            assert_eq!((key, environment), (KEY, Environment::Live));
        }
    }

    #[test]
    fn two_credentials_are_never_chosen_between() {
        let bearer = format!("Bearer {KEY}");
        let (bearer, key) = (bearer.as_bytes(), KEY.as_bytes());
        let (a, x) = ("authorization", "x-api-key");
        for both in [
            [(a, bearer), (a, bearer)],
            [(x, key), (x, key)],
            [(a, bearer), (x, key)],
            [(a, b"".as_slice()), (x, key)],
            [
                (a, b"Bearer eyJhbGciOiJSUzI1NiJ9.e30.c2ln".as_slice()),
                (x, key),
            ],
        ] {
            assert_eq!(refused(&both), Some(Unusable::Doubled));
        }
        let joined = format!("Bearer {KEY},Bearer {KEY}");
        assert_eq!(
            refused(&[(a, joined.as_bytes())]),
            Some(Unusable::Malformed)
        );
        let joined = format!("{KEY},{KEY}");
        assert_eq!(
            refused(&[(x, joined.as_bytes())]),
            Some(Unusable::Malformed)
        );
    }

    #[test]
    fn what_only_resembles_a_key_is_refused() {
        let random = &KEY["glyph_sk_live_".len()..];
        let mut bad = vec![
            Vec::new(),
            b" ".to_vec(),
            b"!!".to_vec(),
            b"\xff\xfe".to_vec(),
            format!("{KEY} ").into_bytes(),
            format!(" {KEY}").into_bytes(),
            format!("\"{KEY}\"").into_bytes(),
            format!("{KEY}0").into_bytes(),
            KEY.as_bytes()[..KEY.len() - 1].to_vec(),
            format!("glyph_sk_live_{}", random.replace('a', "а")).into_bytes(),
            vec![b'a'; 1 << 20],
        ];
        bad.push([KEY.as_bytes(), b"\0"].concat());
        for value in bad {
            assert_eq!(refused(&[("x-api-key", &value)]), Some(Unusable::Malformed));
            let bearer = [b"Bearer ".as_slice(), &value].concat();
            assert_eq!(
                refused(&[("authorization", &bearer)]),
                Some(Unusable::Malformed)
            );
        }
        for value in ["", "Bearer", KEY, "Basic YTpi", "Bearer\tx"] {
            let found = refused(&[("authorization", value.as_bytes())]);
            assert_eq!(found, Some(Unusable::NotBearer), "{value}");
        }
    }

    #[test]
    fn a_bearer_with_a_dot_is_read_as_a_token_and_nowhere_else_is_one() {
        let token = "eyJhbGciOiJSUzI1NiJ9.e30.c2ln";
        let bearer = format!("Bearer {token}");
        let mut view = RequestView::default();
        view.add_header("authorization", bearer.as_bytes());
        let Ok(Credential::Token(read)) = read(&view) else {
            panic!("no token");
        };
        assert_eq!(read, token);
        assert_eq!(
            refused(&[("x-api-key", token.as_bytes())]),
            Some(Unusable::Malformed)
        );
        assert_eq!(
            refused(&[("authorization", b"Bearer a.b.\xff")]),
            Some(Unusable::Malformed)
        );
        assert_eq!(
            refused(&[("authorization", token.as_bytes())]),
            Some(Unusable::NotBearer)
        );
    }

    #[test]
    fn a_key_in_the_url_is_no_credential_and_is_told_apart() {
        let path = format!("/v1/items?api_key={KEY}");
        let mut view = RequestView {
            path: path.as_bytes(),
            ..RequestView::default()
        };
        assert_eq!(read(&view).err(), Some(Unusable::InUrl));
        view.add_header("x-api-key", b"");
        assert_eq!(read(&view).err(), Some(Unusable::Malformed));
        assert_eq!(refused(&[]), Some(Unusable::Missing));
    }
}
