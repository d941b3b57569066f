//! Conditions: always the same four, with `lastTransitionTime` kept until a status flips.

use std::borrow::Cow;

use glyph_crds::common::condition::{DRIFTED, READY, STALLED, SYNCED};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use crate::billing::FailureClass;
use crate::reason;
use crate::step::{Blocker, WayOut};

/// The longest message the schema of a condition takes, in bytes.
const LONGEST_MESSAGE: usize = 2048;

/// One condition without its times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// True or False.
    pub status: bool,
    /// One word.
    pub reason: Cow<'static, str>,
    /// One sentence.
    pub message: String,
}

impl Finding {
    fn new(status: bool, reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            reason: reason.into(),
            message: message.into(),
        }
    }
}

/// All four conditions of a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Findings {
    /// The resource does what its spec asks for.
    pub ready: Finding,
    /// Stripe and Cognito hold what the spec asks for.
    pub synced: Finding,
    /// No progress is possible without a person.
    pub stalled: Finding,
    /// Somebody changed the external object behind our back.
    pub drifted: Finding,
}

impl Findings {
    /// All is well, and `reason` and `message` say in which way.
    pub fn ready(reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            ready: Finding::new(true, reason, message),
            synced: in_sync(),
            stalled: not_stalled(),
            drifted: not_drifted(),
        }
    }

    /// Not ready, for the reason of `blocker`.
    #[must_use]
    pub fn blocked(blocker: &Blocker) -> Self {
        let Blocker {
            reason,
            message,
            way_out,
        } = blocker;
        let finding = |status| Finding::new(status, reason, message.clone());
        let (stalled, drifted) = match way_out {
            WayOut::Wait | WayOut::Customer => (not_stalled(), not_drifted()),
            WayOut::Person => (finding(true), not_drifted()),
            WayOut::PersonAfterDrift => (finding(true), finding(true)),
        };
        let synced = match way_out {
            WayOut::Customer => in_sync(),
            WayOut::Wait | WayOut::Person | WayOut::PersonAfterDrift => finding(false),
        };
        Self {
            ready: finding(false),
            synced,
            stalled,
            drifted,
        }
    }

    /// A call failed: what was known stays, but is no longer vouched for.
    #[must_use]
    pub fn failed(old: &[Condition], class: &FailureClass, message: &str) -> Self {
        let (reason, message, stalled) = explain(class, message);
        let finding = |status| Finding::new(status, reason, message.clone());
        let never = || finding(false);
        Self {
            ready: kept(old, READY).unwrap_or_else(never),
            synced: finding(false),
            stalled: if stalled {
                finding(true)
            } else {
                not_stalled()
            },
            drifted: kept(old, DRIFTED).unwrap_or_else(not_drifted),
        }
    }

    /// These findings as conditions: `lastTransitionTime` is that of `old` unless the status flipped.
    #[must_use]
    pub fn into_conditions(
        self,
        old: &[Condition],
        generation: Option<i64>,
        now: Timestamp,
    ) -> Vec<Condition> {
        let Self {
            ready,
            synced,
            stalled,
            drifted,
        } = self;
        [
            (READY, ready),
            (SYNCED, synced),
            (STALLED, stalled),
            (DRIFTED, drifted),
        ]
        .map(|(type_, finding)| condition(type_, finding, old, generation, now))
        .into()
    }
}

fn in_sync() -> Finding {
    Finding::new(
        true,
        reason::IN_SYNC,
        "Stripe and Cognito hold what the spec asks for",
    )
}

fn not_stalled() -> Finding {
    Finding::new(false, reason::PROGRESSING, "nobody has to step in")
}

fn not_drifted() -> Finding {
    Finding::new(
        false,
        reason::AS_DECLARED,
        "nothing was changed outside Kubernetes",
    )
}

fn explain(class: &FailureClass, message: &str) -> (&'static str, String, bool) {
    match class {
        FailureClass::Invalid => (
            reason::REFUSED,
            format!("correct the spec: {message}"),
            true,
        ),
        FailureClass::Credential(setting) => (
            reason::CREDENTIAL_MISSING,
            format!("give the operator a valid {setting}: {message}"),
            true,
        ),
        FailureClass::Throttled(_) => (
            reason::THROTTLED,
            "the service asks for fewer calls; the operator goes on by itself".to_owned(),
            false,
        ),
        // The sentence stays the same from try to try, so that a long outage is one status write; the log has the rest.
        FailureClass::Transient
        | FailureClass::IdempotencyMismatch
        | FailureClass::StoredFailure => (
            reason::UNAVAILABLE,
            "a service does not answer as it should; the operator tries again by itself".to_owned(),
            false,
        ),
    }
}

fn kept(old: &[Condition], type_: &str) -> Option<Finding> {
    old.iter().find(|c| c.type_ == type_).map(|c| Finding {
        status: c.status == "True",
        reason: c.reason.clone().into(),
        message: c.message.clone(),
    })
}

fn condition(
    type_: &str,
    finding: Finding,
    old: &[Condition],
    generation: Option<i64>,
    now: Timestamp,
) -> Condition {
    let Finding {
        status,
        reason,
        mut message,
    } = finding;
    if message.len() > LONGEST_MESSAGE {
        message.truncate(message.floor_char_boundary(LONGEST_MESSAGE));
    }
    let status = if status { "True" } else { "False" };
    let last_transition_time = old
        .iter()
        .find(|c| c.type_ == type_ && c.status == status)
        .map_or(Time(now), |c| c.last_transition_time.clone());
    Condition {
        last_transition_time,
        message,
        observed_generation: generation,
        reason: reason.into_owned(),
        status: status.to_owned(),
        type_: type_.to_owned(),
    }
}

/// Something a person should know, said once: it becomes an Event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// One of [`crate::reason`].
    pub reason: String,
    /// One sentence.
    pub message: String,
    /// Worth a look.
    pub warning: bool,
}

/// What is new in `new`: `Ready` for another reason than before, and troubles that were not there.
#[must_use]
pub fn notes(old: &[Condition], new: &[Condition]) -> Vec<Note> {
    let mut notes: Vec<Note> = Vec::new();
    for condition in new {
        let trouble = condition.status
            != if matches!(condition.type_.as_str(), READY | SYNCED) {
                "True"
            } else {
                "False"
            };
        let said = notes.iter().any(|n| n.reason == condition.reason);
        let is_new = !old.iter().any(|c| {
            (&c.type_, &c.status, &c.reason)
                == (&condition.type_, &condition.status, &condition.reason)
        });
        if is_new && !said && (condition.type_ == READY || trouble) {
            notes.push(Note {
                reason: condition.reason.clone(),
                message: condition.message.clone(),
                warning: false,
            });
        }
    }
    let stalled = new
        .iter()
        .find(|c| c.type_ == STALLED && c.status == "True");
    for note in &mut notes {
        note.warning = note.reason == reason::UNAVAILABLE
            || stalled.is_some_and(|c| c.reason == note.reason)
            || note.reason == reason::TIER_CHANGED
            || note.reason == reason::PRICE_OF_NO_TIER
            || note.reason == reason::COLLECTION_PAUSED
            || note.reason == reason::IN_GRACE
            || note.reason == reason::PAYMENT_REQUIRED;
    }
    notes
}

#[cfg(test)]
mod tests;
