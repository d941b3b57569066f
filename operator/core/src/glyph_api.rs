//! `GlyphApi`: which of its endpoints are in force, and which are claimed by another. Nothing is made anywhere; the
//! sidecars read it themselves and judge alike (`glyph_crds::routing`).

use std::collections::BTreeSet;

use glyph_crds::routing::{Claim, Claimant, Conflict, Routes};
use glyph_crds::{GlyphApi, GlyphApiStatus, Method};
use jiff::Timestamp;
use kube::ResourceExt;

use crate::condition::Findings;
use crate::status::Status;
use crate::{Blocker, Next, Settled, reason};

/// Conflicts that a status tells of.
const MOST_TOLD: usize = 20;

/// What is known of an API.
#[derive(Clone, Debug)]
pub struct Observed {
    /// The present moment.
    pub now: Timestamp,
    /// `metadata.generation`.
    pub generation: Option<i64>,
    /// `namespace/name`.
    pub name: String,
    /// How many endpoints it has.
    pub endpoints: usize,
    /// The status as it stands.
    pub status: GlyphApiStatus,
    /// What others claim before it.
    pub conflicts: Vec<Conflict>,
}

/// An API needs no action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {}

/// An API as one of those who claim hosts and paths.
#[must_use]
pub fn claimant(api: &GlyphApi) -> Claimant {
    let namespace = api.namespace().unwrap_or_default();
    let made = api.creation_timestamp().map(|made| made.0);
    Claimant {
        made: made.unwrap_or(Timestamp::MAX),
        name: format!("{namespace}/{}", api.name_any()),
        claim: Claim::Endpoints(api.spec.clone().into()),
    }
}

/// What is known of `api` among `all`, itself too.
#[must_use]
pub fn observe(api: &GlyphApi, all: &[GlyphApi], now: Timestamp) -> Observed {
    let claimants: Vec<_> = all.iter().map(claimant).collect();
    let name = claimant(api).name;
    let (_, mut conflicts) = Routes::of(&claimants);
    conflicts.retain(|conflict| conflict.loser == name);
    Observed {
        now,
        generation: api.metadata.generation,
        endpoints: api.spec.endpoints.len(),
        status: api.status.clone().unwrap_or_default(),
        name,
        conflicts,
    }
}

/// Whether the two may claim the same.
#[must_use]
pub fn share_a_host(one: &GlyphApi, other: &GlyphApi) -> bool {
    let (one, other) = (&one.spec.hosts, &other.spec.hosts);
    (one.is_empty() && other.is_empty())
        || one
            .iter()
            .any(|host| other.iter().any(|others| host.eq_ignore_ascii_case(others)))
}

/// Waits for a person where something is claimed twice.
#[must_use]
pub fn plan(observed: &Observed) -> Next<Action> {
    let told: Vec<_> = told(observed).take(3).collect();
    if told.is_empty() {
        return Next::Done;
    }
    let rest = observed.conflicts.len().saturating_sub(told.len());
    let more = match rest {
        0 => String::new(),
        rest => format!("; and {rest} more"),
    };
    let message = format!(
        "claimed twice, and the older GlyphApi, or the endpoint that stands before, has its way: {}{more}; change one \
         of the two",
        told.join("; ")
    );
    Blocker::person(reason::CONFLICT, message).into()
}

/// The status that says what is in force.
#[must_use]
pub fn status(observed: &Observed, next: &Next<Action>) -> Settled<GlyphApiStatus> {
    let lost: BTreeSet<_> = observed
        .conflicts
        .iter()
        .map(|lost| &lost.endpoint)
        .collect();
    let whole = observed.endpoints.saturating_sub(lost.len());
    let mut status = observed.status.clone();
    status.observed_generation = observed.generation;
    status.endpoints = i64::try_from(whole).unwrap_or(i64::MAX);
    status.conflicts = told(observed).take(MOST_TOLD).collect();
    let findings = match next {
        Next::Wait(blocker) => Findings::blocked(blocker),
        Next::Done => Findings::ready(
            reason::ENFORCED,
            format!("{whole} endpoints are in force at every sidecar that watches this namespace"),
        ),
        Next::Do(action) => match *action {},
    };
    status.find(findings, observed.generation, observed.now);
    Settled::until_told(status)
}

/// Each conflict as a person reads it.
fn told(observed: &Observed) -> impl Iterator<Item = String> {
    observed.conflicts.iter().map(|conflict| {
        let Conflict {
            loser: _,
            endpoint,
            host,
            methods,
            winner,
            winning_path,
        } = conflict;
        let methods = match methods.as_slice() {
            all if all.len() == Method::ALL.len() => "all methods".to_owned(),
            some => {
                let names: Vec<_> = some.iter().map(|method| method.as_str()).collect();
                names.join(", ")
            }
        };
        let host = host.as_deref().unwrap_or("every host");
        let owner = match *winner == observed.name {
            true => "an endpoint before it".to_owned(),
            false => format!("GlyphApi {winner}"),
        };
        format!("endpoint {endpoint} ({methods} at {host}) by {winning_path} of {owner}")
    })
}

#[cfg(test)]
mod tests {
    use glyph_crds::common::condition::READY;
    use serde_json::json;

    use super::*;

    fn api(namespace: &str, name: &str, made: &str, hosts: &[&str], paths: &[&str]) -> GlyphApi {
        let endpoints: Vec<_> = paths
            .iter()
            .map(|path| json!({"name": path.trim_matches('/'), "path": path, "methods": ["GET"]}))
            .collect();
        serde_json::from_value(json!({
            "apiVersion": "glyphapi.ai/v1alpha1", "kind": "GlyphApi",
            "metadata": {"namespace": namespace, "name": name, "creationTimestamp": made, "generation": 2},
            "spec": {"hosts": hosts, "endpoints": endpoints},
        }))
        .unwrap()
    }

    fn found(api: &GlyphApi, all: &[GlyphApi]) -> (GlyphApiStatus, String, String) {
        let observed = observe(api, all, Timestamp::UNIX_EPOCH);
        let status = status(&observed, &plan(&observed)).status;
        let ready = status.conditions.iter().find(|c| c.type_ == READY).unwrap();
        let (reason, message) = (ready.reason.clone(), ready.message.clone());
        (status, reason, message)
    }

    #[test]
    fn the_younger_of_two_says_conflict_and_which_of_its_endpoints_are_in_force() {
        let old = api(
            "shop",
            "old",
            "2026-01-01T00:00:00Z",
            &["a.example"],
            &["/x", "/z"],
        );
        let young = api(
            "other",
            "young",
            "2026-01-02T00:00:00Z",
            &["A.example"],
            &["/x", "/y"],
        );
        let all = [young.clone(), old.clone()];
        let (status, reason, _) = found(&old, &all);
        assert_eq!((status.endpoints, reason.as_str()), (2, "Enforced"));
        let (status, reason, message) = found(&young, &all);
        assert_eq!((status.endpoints, reason.as_str()), (1, "Conflict"));
        assert_eq!(status.observed_generation, Some(2));
        let told = "endpoint x (GET at A.example) by /x of GlyphApi shop/old";
        assert_eq!(status.conflicts, [told]);
        assert!(message.contains(told), "{message}");
        let (_, reason, _) = found(&young, std::slice::from_ref(&young));
        assert_eq!(reason, "Enforced");
    }

    #[test]
    fn two_endpoints_of_one_api_for_the_same_path_are_a_conflict_too() {
        let mut one = api("shop", "api", "2026-01-01T00:00:00Z", &[], &["/x/{a}"]);
        let mut again = one.spec.endpoints[0].clone();
        (again.name, again.path) = ("again".to_owned(), "/x/{b}".to_owned());
        again.methods.clear();
        one.spec.endpoints.push(again);
        let (_, reason, message) = found(&one, std::slice::from_ref(&one));
        assert_eq!(reason, "Conflict");
        let told = "endpoint again (GET at every host) by /x/{a} of an endpoint before it; change";
        assert!(message.contains(told), "{message}");
    }

    #[test]
    fn who_shares_no_host_is_not_concerned() {
        let at = |hosts: &[&str]| api("shop", "api", "2026-01-01T00:00:00Z", hosts, &[]);
        assert!(share_a_host(&at(&[]), &at(&[])) && share_a_host(&at(&["a", "b"]), &at(&["B"])));
        assert!(!share_a_host(&at(&[]), &at(&["a"])) && !share_a_host(&at(&["a"]), &at(&["*.a"])));
    }
}
