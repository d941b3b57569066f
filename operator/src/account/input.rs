//! What comes in: JSON bodies and queries, of which every field is known, or the request is refused with a sentence.

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::response::IntoResponse as _;
use glyph_crds::malformed::without_values;
use http::request::Parts;
use http::{HeaderMap, StatusCode, header};
use serde::de::DeserializeOwned;

use super::problem::{Answer, Problem, ProblemCode};

/// Longest e-mail address (RFC 5321, section 4.5.3.1.3).
const LONGEST_EMAIL: usize = 254;
/// Longest code, session or token in a body.
const LONGEST_CREDENTIAL: usize = 8 << 10;
/// Longest name of a key.
const LONGEST_NAME: usize = 100;

/// A JSON body.
pub(super) struct Input<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Input<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Answer<Self> {
        let json = is_json(request.headers());
        let body = Bytes::from_request(request, state)
            .await
            .map_err(unreadable)?;
        if !json {
            let detail = "Send the body as JSON, with the header content-type: application/json.";
            return Err(Problem::new(ProblemCode::UnsupportedMediaType, detail));
        }
        serde_json::from_slice(&body).map(Self).map_err(|error| {
            let error = without_values(&error.to_string());
            Problem::new(
                ProblemCode::InvalidRequest,
                format!("The body cannot be taken: {error}."),
            )
        })
    }
}

/// A JSON body that may be left out.
pub(super) struct OptionalInput<T>(pub(super) T);

impl<T: DeserializeOwned + Default, S: Send + Sync> FromRequest<S> for OptionalInput<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Answer<Self> {
        let (parts, body) = request.into_parts();
        let whole = Request::from_parts(parts.clone(), body);
        let body = Bytes::from_request(whole, state)
            .await
            .map_err(unreadable)?;
        if body.is_empty() {
            return Ok(Self(T::default()));
        }
        let again = Request::from_parts(parts, body.into());
        Input::from_request(again, state)
            .await
            .map(|Input(read)| Self(read))
    }
}

/// A body that says nothing: none, or `{}`.
#[derive(Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Nothing {}

fn is_json(headers: &HeaderMap) -> bool {
    let value = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let media_type = value.and_then(|value| value.split(';').next());
    media_type.is_some_and(|media_type| media_type.trim().eq_ignore_ascii_case("application/json"))
}

fn unreadable(rejection: BytesRejection) -> Problem {
    if rejection.into_response().status() == StatusCode::PAYLOAD_TOO_LARGE {
        let detail = "The body is larger than 32 KiB; nothing here needs as much.";
        return Problem::new(ProblemCode::BodyTooLarge, detail);
    }
    Problem::new(
        ProblemCode::InvalidRequest,
        "The body could not be read to its end.",
    )
}

/// A query.
pub(super) struct Parameters<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Parameters<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Answer<Self> {
        let read = Query::<T>::try_from_uri(&parts.uri);
        read.map(|Query(query)| Self(query)).map_err(|error| {
            let error = without_values(&error.body_text());
            Problem::new(
                ProblemCode::InvalidRequest,
                format!("The query cannot be taken: {error}."),
            )
        })
    }
}

/// The id in a path. One that cannot be read is nobody's.
pub(super) struct Id(pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Answer<Self> {
        let read = Path::<String>::from_request_parts(parts, state).await;
        read.map(|Path(id)| Self(id))
            .map_err(|_| Problem::not_found())
    }
}

/// An answer with a status of its own.
pub(super) type With<T> = (StatusCode, Json<T>);

/// An e-mail address as it is kept: without case, as pools of today compare them.
pub(super) fn email(text: &str) -> Answer<String> {
    let wrong = || {
        Problem::value(
            "email",
            "Write one e-mail address, such as ada@example.com.",
        )
    };
    let text = text.trim();
    let (local, domain) = text.rsplit_once('@').ok_or_else(wrong)?;
    let labels = domain.split('.');
    let plain = |letter: char| letter.is_ascii_graphic() && !"@,;:<>()[]\"\\`{}".contains(letter);
    let holds = text.len() <= LONGEST_EMAIL
        && !local.is_empty()
        && local.chars().all(plain)
        && domain.contains('.')
        && labels
            .into_iter()
            .all(|label| !label.is_empty() && label.chars().all(plain));
    if holds {
        Ok(text.to_ascii_lowercase())
    } else {
        Err(wrong())
    }
}

/// Something secret that is handed on: of a sane length, and of visible ASCII.
pub(super) fn credential<'a>(field: &'static str, text: &'a str) -> Answer<&'a str> {
    let sane = !text.is_empty()
        && text.len() <= LONGEST_CREDENTIAL
        && text.bytes().all(|byte| byte.is_ascii_graphic());
    if sane {
        Ok(text)
    } else {
        Err(Problem::value(
            field,
            "Send it exactly as it was given to you.",
        ))
    }
}

/// The name of a key.
pub(super) fn name(text: &str) -> Answer<String> {
    let text = text.trim();
    let length = text.chars().count();
    if length == 0 || length > LONGEST_NAME || text.chars().any(char::is_control) {
        return Err(Problem::value(
            "name",
            "A name has 1 to 100 characters, on one line.",
        ));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_kept_without_case_and_any_other_text_is_refused() {
        assert_eq!(email(" Ada@Example.COM ").unwrap(), "ada@example.com");
        for bad in [
            "", "ada", "ada@", "@x.y", "a b@x.y", "ada@x", "ada@x..y", "a@b@c.d", "a{}@x.y",
        ] {
            assert!(email(bad).is_err(), "{bad}");
        }
        assert!(email(&format!("{}@example.com", "a".repeat(250))).is_err());
    }

    #[test]
    fn a_name_is_a_line() {
        assert_eq!(name("  laptop ").unwrap(), "laptop");
        for bad in ["", "   ", "a\nb", &"x".repeat(101)] {
            assert!(name(bad).is_err(), "{bad}");
        }
    }
}
