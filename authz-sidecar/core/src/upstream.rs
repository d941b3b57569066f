//! What the API behind the gateway is told of a request that passes, and what must not reach it. For every front alike.

use crate::request::{CREDENTIAL_HEADERS, CUSTOMER, KEY_ID, SUBJECT, TIER};
use crate::verdict::{Identity, Permit};

/// The header fields that say whose a request is, and their values where they have one.
pub(crate) fn identity(permit: &Permit) -> [(&'static str, Option<&str>); 4] {
    let known = permit.identity();
    [
        (CUSTOMER, known.map(|known| known.customer().as_str())),
        (SUBJECT, known.and_then(Identity::subject)),
        (TIER, known.map(|known| known.tier().name())),
        (KEY_ID, known.and_then(Identity::key_id)),
    ]
}

/// Names of the header fields to take away: the credential, ours without a value, and whatever came in that looks like
/// ours. Never one that is set: Envoy sets first and removes last.
pub(crate) fn removed(permit: &Permit) -> impl Iterator<Item = &str> {
    let identity = identity(permit);
    let absent = identity
        .into_iter()
        .filter(|(_, value)| value.is_none())
        .map(|(name, _)| name);
    let set = move |name: &str| {
        identity
            .iter()
            .any(|(ours, value)| value.is_some() && *ours == name)
    };
    let inbound = permit.inbound_headers().iter().map(String::as_str);
    CREDENTIAL_HEADERS
        .into_iter()
        .chain(absent)
        .chain(inbound.filter(move |name| !set(name)))
}
