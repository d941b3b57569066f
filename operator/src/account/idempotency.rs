//! `Idempotency-Key`: the same key asks for the same thing once, and for another thing not at all. What a key was used for
//! stands on the resource that it made, so that every replica knows, for as long as the resource holds it.

use axum::extract::FromRequestParts;
use glyph_operator_core::account::names::digest;
use http::HeaderName;
use http::request::Parts;
use kube::{Resource, ResourceExt as _};
use serde::Serialize;

use super::problem::{Answer, Problem, ProblemCode};

pub(super) const HEADER: HeaderName = HeaderName::from_static("idempotency-key");
/// Annotation: which key a resource was last asked for under, as a digest.
const ASKED_UNDER: &str = "glyphapi.ai/asked-under";
/// Annotation: what was asked for then, as a digest.
const ASKED_FOR: &str = "glyphapi.ai/asked-for";
/// Longest key.
const LONGEST: usize = 255;

/// The `Idempotency-Key` of a request, if it has one.
pub(super) struct IdempotencyKey(pub(super) Option<String>);

impl<S: Send + Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Answer<Self> {
        let mut values = parts.headers.get_all(HEADER).iter();
        let (first, second) = (values.next(), values.next());
        let Some(value) = first else {
            return Ok(Self(None));
        };
        let text = value.to_str().ok().filter(|_| second.is_none());
        let sane = |text: &&str| {
            (1..=LONGEST).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
        };
        match text.filter(sane) {
            Some(text) => Ok(Self(Some(text.to_owned()))),
            None => Err(Problem::new(
                ProblemCode::InvalidRequest,
                "An Idempotency-Key is one text of 1 to 255 visible ASCII characters, such as a UUID.",
            )),
        }
    }
}

/// A request under a key, as it is remembered.
pub(super) struct Asked {
    under: Option<String>,
    request: String,
}

impl Asked {
    /// `request` by `customer` (its UID) under `key`.
    pub(super) fn new(customer: &str, key: &IdempotencyKey, request: &impl Serialize) -> Self {
        let request = serde_json::to_string(request).unwrap_or_default();
        Self {
            under: key.0.as_deref().map(|key| digest(&[customer, key])),
            request: digest(&[&request]),
        }
    }

    /// Whether a resource was asked for under this key; refused when it was for something else.
    pub(super) fn made<K: Resource<DynamicType = ()>>(&self, resource: &K) -> Answer<bool> {
        let annotations = resource.annotations();
        if self.under.is_none() || annotations.get(ASKED_UNDER) != self.under.as_ref() {
            return Ok(false);
        }
        if annotations.get(ASKED_FOR) == Some(&self.request) {
            return Ok(true);
        }
        let detail = "This Idempotency-Key was used with other parameters; use another key for another request.";
        Err(Problem::new(ProblemCode::IdempotencyKeyReused, detail))
    }

    /// The annotations that remember it.
    pub(super) fn annotations(&self) -> Vec<(&'static str, String)> {
        match &self.under {
            Some(under) => vec![
                (ASKED_UNDER, under.clone()),
                (ASKED_FOR, self.request.clone()),
            ],
            None => Vec::new(),
        }
    }
}
