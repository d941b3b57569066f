//! What a request asks for: which endpoint, what that costs and who may. By the GlyphApis there are, and by what the
//! gateway's route says, which has the last word.

use std::borrow::Cow;
use std::sync::Arc;

use glyph_crds::routing::Found;
use glyph_crds::{Auth, Endpoint, Unmatched};
use glyph_usage::MAX_COUNT;

use super::asker::Asker;
use crate::index::Index;
use crate::request::RequestView;
use crate::verdict::{Code, Denial};

/// What a request asks for.
pub(super) struct Asked<'a> {
    pub(super) endpoint: Option<&'a Arc<Endpoint>>,
    /// Calls of the quota.
    pub(super) cost: u64,
    auth: Auth,
    scopes: Scopes<'a>,
}

/// What a limited credential must have.
enum Scopes<'a> {
    /// All of these.
    These(Vec<Cow<'a, str>>),
    /// More than any has: the request is for nothing that a scope is named for.
    Unlimited,
}

/// What `request` asks for.
///
/// # Errors
/// The [`Denial`], when it is refused whoever asks.
pub(super) fn of<'a>(request: &RequestView<'a>, index: &'a Index) -> Result<Asked<'a>, Denial> {
    let found = index
        .routes()
        .find(request.host, request.method, request.path);
    let asked = match found {
        Found::Unclaimed => Asked::unmatched(Scopes::These(Vec::new())),
        Found::Unmatched(Unmatched::Allow) => Asked::unmatched(Scopes::Unlimited),
        Found::Endpoint { endpoint, exact } => Asked::endpoint(endpoint, exact),
        Found::Unmatched(Unmatched::Deny) => {
            let detail =
                "This API has no such endpoint; check method and path against its documentation.";
            return Err(Denial::new(Code::NoSuchEndpoint, detail));
        }
        Found::NotNormal(why) => {
            let detail = format!("The path of the request cannot be taken: {why}.");
            return Err(Denial::new(Code::MalformedPath, detail));
        }
        Found::Unreadable => {
            return Err(Denial::unavailable(
                "a GlyphApi for the host cannot be read",
            ));
        }
    };
    asked.overruled_by(request)
}

impl<'a> Asked<'a> {
    fn unmatched(scopes: Scopes<'a>) -> Self {
        Self {
            endpoint: None,
            cost: 1,
            auth: Auth::Required,
            scopes,
        }
    }

    /// Another spelling than the endpoint's is never public: a server behind may take it for something else.
    fn endpoint(endpoint: &'a Arc<Endpoint>, exact: bool) -> Self {
        let scopes = endpoint.scopes.iter();
        Self {
            endpoint: Some(endpoint),
            cost: endpoint.cost.unwrap_or(1),
            auth: if exact { endpoint.auth } else { Auth::Required },
            scopes: Scopes::These(scopes.map(|scope| scope.as_str().into()).collect()),
        }
    }

    /// What the gateway says on its route stands before what a GlyphApi says.
    fn overruled_by(mut self, request: &RequestView<'a>) -> Result<Self, Denial> {
        if let Some(text) = request.cost {
            let cost = std::str::from_utf8(text)
                .ok()
                .and_then(|text| text.parse().ok());
            self.cost = cost.filter(|cost| *cost <= MAX_COUNT).ok_or_else(|| {
                Denial::unavailable("a route's glyph.cost is not a number from 0 to 2^53 - 1")
            })?;
        }
        if let Some(text) = request.scopes {
            let text = std::str::from_utf8(text)
                .map_err(|_| Denial::unavailable("a route's glyph.scopes is not UTF-8"))?;
            let words = text.split([',', ' ']).filter(|word| !word.is_empty());
            let scopes: Vec<_> = words.map(Cow::Borrowed).collect();
            if !scopes.is_empty() {
                self.auth = Auth::Required;
            }
            self.scopes = Scopes::These(scopes);
        }
        Ok(self)
    }

    /// Whether it passes as nobody's.
    pub(super) fn is_open(&self, request: &RequestView<'_>) -> bool {
        match self.auth {
            Auth::None => true,
            Auth::Optional => !request.has_credential() && !request.has_key_in_url(),
            Auth::Required => false,
        }
    }

    /// Whether `asker` may ask for it.
    pub(super) fn permits(&self, asker: &Asker<'_>) -> Result<(), Denial> {
        let noun = asker.noun();
        let detail = match &self.scopes {
            Scopes::Unlimited if asker.is_limited() => {
                format!(
                    "This {noun} is limited to scopes, and this request is for nothing that they cover."
                )
            }
            Scopes::These(scopes) => {
                let missing = scopes.iter().find(|scope| !asker.has_scope(scope));
                let Some(missing) = missing else {
                    return Ok(());
                };
                format!(
                    "This {noun} lacks the scope {missing}; use one that has it, or that is not limited to scopes."
                )
            }
            Scopes::Unlimited => return Ok(()),
        };
        Err(Denial::new(Code::ScopeDenied, detail))
    }
}
