//! `ApiKey`: made once its customer is entitled, delivered once in a Secret, hashed into status.
//!
//! The Secret is written first and the hash second: after a crash in between, the key is taken over from
//! the Secret. No key passes through here, only its hash and the part that may be shown.

use std::time::Duration;

use glyph_crds::entitlement::KeyEntitlement;
use glyph_crds::{ApiKeySpec, ApiKeyStatus, HashedKey};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::condition::Findings;
use crate::status::Status;
use crate::{Blocker, Meta, Next, Settled, reason};

/// The Secret of the name that the key is delivered under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// There is none.
    None,
    /// There is one, and it is not this key's: it is never touched.
    Foreign,
    /// It is this key's.
    Ours {
        /// Revision that it was made for.
        revision: Option<i64>,
        /// When it was made.
        made: Timestamp,
        /// The key in it; absent when it holds none that can be read.
        key: Option<Delivered>,
    },
}

/// What may be known of a delivered key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivered {
    /// HMAC-SHA-256 under the newest pepper, as hexadecimal digits.
    pub hash: String,
    /// Version of that pepper.
    pub pepper_version: u32,
    /// Beginning of the key.
    pub prefix: String,
}

/// What is known of a key.
#[derive(Clone, Debug)]
pub struct Observed {
    /// The resource.
    pub meta: Meta,
    /// Its spec.
    pub spec: ApiKeySpec,
    /// The status as it stands.
    pub status: ApiKeyStatus,
    /// Whether its GlyphCustomer exists.
    pub customer_exists: bool,
    /// Whether that customer may get a new key.
    pub entitlement: KeyEntitlement,
    /// The Secret.
    pub delivery: Delivery,
}

/// What to do for a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Draw a key and write it into a new Secret, for this revision.
    CreateSecret(i64),
    /// Delete our Secret.
    DeleteSecret,
}

/// Name of the Secret that a key is delivered in.
#[must_use]
pub fn secret_name(spec: &ApiKeySpec, name: &str) -> String {
    spec.secret_name.clone().unwrap_or_else(|| name.to_owned())
}

/// The next thing to do.
#[must_use]
pub fn plan(observed: &Observed) -> Next<Action> {
    let Observed {
        meta,
        spec,
        status,
        customer_exists,
        entitlement,
        delivery,
    } = observed;
    let ours = matches!(delivery, Delivery::Ours { .. });
    if meta.deleting {
        // The Secret names this resource as its owner and goes with it.
        return Next::Done;
    }
    if spec.revoked || is_expired(spec, meta.now) {
        return if ours {
            Next::Do(Action::DeleteSecret)
        } else {
            Next::Done
        };
    }
    if !is_due(spec, status) {
        let revealed = status
            .reveal_until
            .as_ref()
            .is_some_and(|until| until.0 <= meta.now);
        return if ours && revealed {
            Next::Do(Action::DeleteSecret)
        } else {
            Next::Done
        };
    }
    let first = status.hashes.is_empty();
    if let Some(blocker) = unentitled(spec, *customer_exists, entitlement).filter(|_| first) {
        return blocker.into();
    }
    match delivery {
        Delivery::None => Next::Do(Action::CreateSecret(spec.rotation.revision)),
        Delivery::Foreign => {
            let name = secret_name(spec, &meta.owner.name);
            let message = format!(
                "Secret {name} exists and is not this key's: delete it, or set another spec.secretName"
            );
            Blocker::person(reason::SECRET_TAKEN, message).into()
        }
        Delivery::Ours {
            revision,
            made: _,
            key,
        } => {
            if key.is_some() && *revision == Some(spec.rotation.revision) {
                Next::Done
            } else {
                Next::Do(Action::DeleteSecret)
            }
        }
    }
}

/// Whether a key has to be made: none is, or the revision has changed.
fn is_due(spec: &ApiKeySpec, status: &ApiKeyStatus) -> bool {
    status.hashes.is_empty() || status.revision != Some(spec.rotation.revision)
}

fn is_expired(spec: &ApiKeySpec, now: Timestamp) -> bool {
    spec.expires_at.as_ref().is_some_and(|at| at.0 <= now)
}

fn unentitled(
    spec: &ApiKeySpec,
    customer_exists: bool,
    entitlement: &KeyEntitlement,
) -> Option<Blocker> {
    let customer = &spec.customer_ref.name;
    if !customer_exists {
        let message =
            format!("create GlyphCustomer {customer} in this namespace; the key is made then");
        return Some(Blocker::wait(reason::CUSTOMER_NOT_FOUND, message));
    }
    match entitlement {
        KeyEntitlement::Granted => None,
        KeyEntitlement::AfterPayment { tier, pay_at } => {
            let at = pay_at
                .as_ref()
                .map_or(String::new(), |url| format!(": pay at {url}"));
            let message = format!("waiting for payment of tier {tier} by customer {customer}{at}");
            Some(Blocker::customer(reason::AWAITING_PAYMENT, message))
        }
        KeyEntitlement::UnknownTier { tier } => {
            let message = format!(
                "create Tier {tier} in this namespace: it decides whether customer {customer} gets a key"
            );
            Some(Blocker::wait(reason::TIER_NOT_FOUND, message))
        }
    }
}

/// The status that says how far it came.
#[must_use]
pub fn status(observed: &Observed, next: &Next<Action>) -> Settled<ApiKeyStatus> {
    let Observed {
        meta,
        spec,
        status,
        customer_exists: _,
        entitlement: _,
        delivery,
    } = observed;
    let now = meta.now;
    let mut status = status.clone();
    status.observed_generation = meta.generation;
    status.key_id = Some(key_id(&meta.owner.uid));
    status.revoked_at = match (spec.revoked, status.revoked_at) {
        (true, seen) => seen.or(Some(Time(now))),
        (false, _) => None,
    };
    let stopped = spec.revoked || is_expired(spec, now) || meta.deleting;
    if let (
        false,
        true,
        Delivery::Ours {
            revision: _,
            made,
            key: Some(key),
        },
        Next::Done,
    ) = (stopped, is_due(spec, &status), delivery, next)
    {
        take_over(&mut status, spec, key, *made, now);
    }
    // A revoked or expired key stays listed: the gateway then says so instead of "unknown".
    if !stopped {
        status
            .hashes
            .retain(|h| h.not_after.as_ref().is_none_or(|end| now < end.0));
    }
    let findings = findings(observed, next, &status);
    status.find(findings, meta.generation, now);
    let look_again = look_again(spec, &status, now);
    Settled { status, look_again }
}

/// Puts the hash of a delivered key first; older ones work on for the overlap.
fn take_over(
    status: &mut ApiKeyStatus,
    spec: &ApiKeySpec,
    key: &Delivered,
    made: Timestamp,
    now: Timestamp,
) {
    let Delivered {
        hash,
        pepper_version,
        prefix,
    } = key;
    let overlap_ends = after(now, spec.rotation.overlap.into());
    for older in &mut status.hashes {
        if older
            .not_after
            .as_ref()
            .is_none_or(|end| overlap_ends.0 < end.0)
        {
            older.not_after = Some(overlap_ends.clone());
        }
    }
    let newest = HashedKey {
        value: hash.clone(),
        pepper_version: *pepper_version,
        not_after: None,
    };
    status.hashes.insert(0, newest);
    status.prefix = Some(prefix.clone());
    status.revision = Some(spec.rotation.revision);
    status.created_at = Some(Time(made));
    status.reveal_until = Some(after(made, spec.reveal_ttl.into()));
}

/// The public id of a key: it stays the same over rotations.
#[must_use]
pub fn key_id(uid: &str) -> String {
    format!("key_{}", uid.replace('-', ""))
}

fn after(at: Timestamp, duration: Duration) -> Time {
    let duration = SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX);
    Time(at.checked_add(duration).unwrap_or(Timestamp::MAX))
}

fn findings(observed: &Observed, next: &Next<Action>, status: &ApiKeyStatus) -> Findings {
    let Observed {
        meta,
        spec,
        status: _,
        customer_exists: _,
        entitlement: _,
        delivery,
    } = observed;
    if spec.revoked {
        return Findings::blocked(&Blocker::customer(
            reason::REVOKED,
            "the key was revoked, for good: create another ApiKey for a new one",
        ));
    }
    if is_expired(spec, meta.now) {
        return Findings::blocked(&Blocker::customer(
            reason::EXPIRED,
            "the key is past spec.expiresAt: move it, or create another ApiKey",
        ));
    }
    match next {
        Next::Wait(blocker) => Findings::blocked(blocker),
        Next::Do(_) => {
            Findings::blocked(&Blocker::wait(reason::PROGRESSING, "the key is being made"))
        }
        Next::Done => {
            let prefix = status.prefix.as_deref().unwrap_or_default();
            let name = secret_name(spec, &meta.owner.name);
            let until = status.reveal_until.as_ref();
            let message = match (delivery, until) {
                (Delivery::Ours { .. }, Some(until)) => format!(
                    "key {prefix}… works; take it from Secret {name} before {}",
                    until.0.strftime("%Y-%m-%d %H:%M UTC")
                ),
                _ => format!(
                    "key {prefix}… works; its Secret is gone: raise spec.rotation.revision for a new key"
                ),
            };
            Findings::ready(reason::KEY_DELIVERED, message)
        }
    }
}

/// The next instant at which something ends by itself.
fn look_again(spec: &ApiKeySpec, status: &ApiKeyStatus, now: Timestamp) -> Option<Duration> {
    let overlaps = status.hashes.iter().filter_map(|h| h.not_after.as_ref());
    let ends = [status.reveal_until.as_ref(), spec.expires_at.as_ref()];
    let next = ends
        .into_iter()
        .flatten()
        .chain(overlaps)
        .map(|t| t.0)
        .filter(|t| now < *t)
        .min()?;
    Duration::try_from(next.duration_since(now)).ok()
}

#[cfg(test)]
mod tests;
