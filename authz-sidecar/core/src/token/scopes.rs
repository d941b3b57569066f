//! What a token may be used for.
//!
//! Two kinds of token come from one pool. A user who signs in with a password gets one that may do all the user may, with
//! Cognito's own scope `aws.cognito.signin.user.admin` and no other: it can never name a scope of the API. One that a user
//! has agreed to give a program (OAuth) names what it is for. So a token is limited to its scopes, unless it has that scope
//! and none of a resource server.

use super::Pool;
use super::compact::Object;

/// What stands for the user itself: whoever has it may change the user's password and attributes.
const WHOLE_USER: &str = "aws.cognito.signin.user.admin";
/// Cognito's own scopes, which are about the user and not about any API.
const OF_COGNITO: [&str; 5] = [WHOLE_USER, "openid", "email", "phone", "profile"];

/// The scopes of a token.
pub(super) struct Scopes {
    /// `None` is not limited. Those of the pool's resource server stand in it with and without its name.
    granted: Option<Box<[Box<str>]>>,
}

impl Scopes {
    /// Reads `scope` (RFC 8693 section 4.2: words between spaces). `None` if it is no text.
    pub(super) fn read(claims: &Object, pool: &Pool) -> Option<Self> {
        let text = match claims.get("scope") {
            None => "",
            Some(scope) => scope.as_str()?,
        };
        let words = || text.split(' ').filter(|word| !word.is_empty());
        let is_whole_user = words().any(|word| word == WHOLE_USER);
        if is_whole_user && words().all(|word| OF_COGNITO.contains(&word)) {
            return Some(Self { granted: None });
        }
        let server = pool.resource_server.as_deref();
        let named = |word: &'_ str| {
            let short = server.and_then(|server| word.strip_prefix(server)?.strip_prefix('/'));
            [Some(word.into()), short.map(Into::into)]
        };
        Some(Self {
            granted: Some(words().flat_map(named).flatten().collect()),
        })
    }

    pub(super) fn is_limited(&self) -> bool {
        self.granted.is_some()
    }

    /// Whether `scope` is among them by its own name; a `*` is a letter like any other here.
    pub(super) fn has(&self, scope: &str) -> bool {
        let granted = self.granted.as_ref();
        granted.is_none_or(|granted| granted.iter().any(|known| **known == *scope))
    }
}
