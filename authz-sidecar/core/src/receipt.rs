//! The receipt of a check: whose request it is, for which endpoint, and what it has taken. Our answer puts it into the
//! request's metadata at Envoy, whose access log brings it back when the request has ended, to whichever sidecar.
//!
//! It is sealed with the newest pepper (HMAC-SHA-256), which all sidecars share and nobody else has: whoever reaches the
//! access log's port can neither invent usage nor have anything given back. It holds nothing that came with the request.

use std::sync::Arc;

use glyph_crds::api_key_format::{KeyHash, Peppers};
use glyph_usage::{Charge, Drawn, Period};
use jiff::Timestamp;

use crate::verdict::{Identity, Taken, Verdict, Whose};

/// What every receipt begins with; no API key does, so that no seal is the hash of one.
const FORM: &str = "receipt1";
/// In the place of what is not there.
const NONE: &str = "-";
/// The endpoint of requests that no GlyphApi has one for. No endpoint has this name.
pub const UNMATCHED: &str = "unmatched";

/// A receipt that was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Whether the request was refused.
    pub refused: bool,
    /// The customer's UID and the key's id; absent for a request of nobody's.
    pub whose: Option<(String, String)>,
    /// Name of the endpoint.
    pub endpoint: String,
    /// What is given back if the API fails.
    pub charge: Option<Charge>,
}

/// The receipt of `verdict`, sealed. `charge_id` is called where something may be given back; each id must be another.
#[must_use]
pub fn sealed(
    verdict: &Verdict,
    peppers: &Peppers,
    now: Timestamp,
    charge_id: impl FnOnce() -> String,
) -> String {
    let (refused, whose, endpoint, taken) = match verdict {
        Ok(permit) => (
            "passed",
            permit.identity().map(Identity::whose),
            permit.endpoint(),
            permit.returnable.as_ref(),
        ),
        Err(denial) => ("refused", denial.whose(), denial.endpoint(), None),
    };
    let uid = whose.map_or(NONE, Whose::uid);
    let key_id = whose.map_or(NONE, Whose::counted_by);
    let endpoint = endpoint.unwrap_or(UNMATCHED);
    let mut text = format!("{FORM} {refused} {uid} {key_id} {endpoint}");
    if let Some(taken) = taken {
        text.push(' ');
        text.push_str(&charge(taken, &charge_id(), now.as_second()));
    }
    let seal = peppers.newest().hash(&text);
    format!("{text} {seal}")
}

fn charge(taken: &Taken, id: &str, at: i64) -> String {
    let Taken {
        period,
        calls,
        credits,
    } = taken;
    let Period { start, end } = period;
    let drawn = |drawn: &Drawn| format!("{}={}", drawn.grant, drawn.credits);
    let credits = match credits.as_slice() {
        [] => NONE.to_owned(),
        credits => credits.iter().map(drawn).collect::<Vec<_>>().join(","),
    };
    format!("{id} {at} {start} {end} {calls} {credits}")
}

/// The receipt in `text`, if a sidecar with one of these peppers has sealed it.
#[must_use]
pub fn opened(text: &str, peppers: &Peppers) -> Option<Receipt> {
    let (said, seal) = text.rsplit_once(' ')?;
    let seal = KeyHash::parse(seal).ok()?;
    if !peppers.iter().any(|pepper| pepper.hash(said) == seal) {
        return None;
    }
    let words: Vec<&str> = said.split(' ').collect();
    let (&[form, verdict, uid, key_id, endpoint], rest) = words.split_first_chunk()?;
    let refused = match verdict {
        "passed" => false,
        "refused" => true,
        _ => return None,
    };
    let charge = match rest {
        [] => None,
        rest => Some(read_charge(uid, rest)?),
    };
    (form == FORM).then(|| Receipt {
        refused,
        whose: (uid != NONE).then(|| (uid.to_owned(), key_id.to_owned())),
        endpoint: endpoint.to_owned(),
        charge,
    })
}

fn read_charge(uid: &str, words: &[&str]) -> Option<Charge> {
    let &[id, at, start, end, calls, credits] = words else {
        return None;
    };
    let drawn = |text: &str| {
        let (grant, credits) = text.split_once('=')?;
        Some(Drawn {
            grant: grant.into(),
            credits: credits.parse().ok()?,
        })
    };
    let credits = match credits {
        NONE => Some(Vec::new()),
        credits => credits.split(',').map(drawn).collect(),
    };
    Some(Charge {
        customer: Arc::from(uid),
        id: id.to_owned(),
        at: at.parse().ok()?,
        period: Period {
            start: start.parse().ok()?,
            end: end.parse().ok()?,
        },
        calls: calls.parse().ok()?,
        credits: credits?,
    })
}

/// Whose a request is, and what it was for, in the words of a receipt: for those whose end no access log tells.
#[must_use]
pub fn counted(verdict: &Verdict) -> Option<(&Whose, &str)> {
    let (whose, endpoint) = match verdict {
        Ok(permit) => (permit.identity().map(Identity::whose), permit.endpoint()),
        Err(denial) => (denial.whose(), denial.endpoint()),
    };
    Some((whose?, endpoint.unwrap_or(UNMATCHED)))
}

#[cfg(test)]
mod tests;
