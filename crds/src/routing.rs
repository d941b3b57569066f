//! Which endpoint a request is for, by all the GlyphApis there are: the one rule that the sidecar decides by and the
//! operator reports conflicts by. Pure; paths are matched by `matchit`, one router for each host and method.
//!
//! Of the hosts that are claimed, the most specific one that fits a request decides alone: a name before a wildcard,
//! a longer wildcard before a shorter one, all before "every host". Of two GlyphApis that claim the same host, method
//! and path, the older one wins; within one, the endpoint that stands first.

mod spelling;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use matchit::{InsertError, Router};

use crate::{Endpoint, GlyphApiSpec, Method, Unmatched};
pub use spelling::NotNormal;
use spelling::{Spelling, shape, spelling};

/// A GlyphApi among others.
#[derive(Clone, Debug, PartialEq)]
pub struct Claimant {
    /// When it was made: the oldest has its way.
    pub made: Timestamp,
    /// `namespace/name`, which settles a tie.
    pub name: String,
    /// What it says.
    pub claim: Claim,
}

/// What a GlyphApi says.
#[derive(Clone, Debug, PartialEq)]
pub enum Claim {
    /// These endpoints.
    Endpoints(Arc<GlyphApiSpec>),
    /// It cannot be read, but for its hosts, if those can be: nothing passes there, since it may protect what nothing
    /// else does.
    Unreadable(Option<Vec<String>>),
}

/// A claim that an older one stands before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// `namespace/name` of the GlyphApi that loses.
    pub loser: String,
    /// Name of its endpoint.
    pub endpoint: String,
    /// The host; absent: every host.
    pub host: Option<String>,
    /// The methods, as far as they are claimed already. Empty: all that are not named.
    pub methods: Vec<Method>,
    /// `namespace/name` of the GlyphApi that wins.
    pub winner: String,
    /// Path of its endpoint.
    pub winning_path: String,
}

/// What a request is.
#[derive(Clone, Debug, PartialEq)]
pub enum Found<'a> {
    /// No GlyphApi is there for this host.
    Unclaimed,
    /// One that is there for it cannot be read.
    Unreadable,
    /// The path can be read in more than one way.
    NotNormal(NotNormal),
    /// No endpoint is for it.
    Unmatched(Unmatched),
    /// An endpoint is for it.
    Endpoint {
        /// Which one.
        endpoint: &'a Arc<Endpoint>,
        /// The path is spelled as the endpoint's. Another spelling of it (escapes that need not be, a slash at its end)
        /// is as protected, but never public.
        exact: bool,
    },
}

/// All that is claimed, to be looked up.
#[derive(Default)]
pub struct Routes {
    names: HashMap<String, Host>,
    /// By what follows `*.`.
    wildcards: HashMap<String, Host>,
    every: Option<Host>,
    /// A GlyphApi cannot be read at all, and may be for any host.
    unreadable: bool,
}

/// What is claimed at one host.
#[derive(Default)]
struct Host {
    unreadable: bool,
    unmatched: Unmatched,
    methods: HashMap<Method, Table>,
    /// Methods that have no name here.
    others: Table,
}

/// The paths of one method.
#[derive(Default)]
struct Table {
    router: Router<Claimed>,
    /// Who claims a path, by its shape.
    winners: HashMap<String, Winner>,
}

struct Claimed {
    endpoint: Arc<Endpoint>,
    /// Only since `GET` is for `HEAD` too: an endpoint that names `HEAD` may take it.
    lent: bool,
}

#[derive(Clone)]
struct Winner {
    api: String,
    path: String,
}

impl Routes {
    /// Puts all claims in their order, and says which of them lose. One whose paths are no templates (older than the
    /// schema) counts as [`Claim::Unreadable`].
    pub fn of<'a>(claimants: impl IntoIterator<Item = &'a Claimant>) -> (Self, Vec<Conflict>) {
        let mut all: Vec<_> = claimants.into_iter().collect();
        all.sort_by(|one, other| (one.made, &one.name).cmp(&(other.made, &other.name)));
        let (mut routes, mut conflicts) = (Self::default(), Vec::new());
        for claimant in all {
            match &claimant.claim {
                Claim::Endpoints(spec) if first_that_is_no_template(spec).is_none() => {
                    routes.claim(&claimant.name, spec, &mut conflicts);
                }
                Claim::Endpoints(spec) => routes.close(Some(&spec.hosts)),
                Claim::Unreadable(hosts) => routes.close(hosts.as_deref()),
            }
        }
        (routes, conflicts)
    }

    /// What the request for `path` (with or without a query) at `host` (with or without a port) is.
    #[must_use]
    pub fn find(&self, host: &str, method: &str, path: &[u8]) -> Found<'_> {
        if self.unreadable {
            return Found::Unreadable;
        }
        let Some(host) = self.host(host) else {
            return Found::Unclaimed;
        };
        if host.unreadable {
            return Found::Unreadable;
        }
        let Spelling { path, exact } = match spelling(path) {
            Ok(spelling) => spelling,
            Err(error) => return Found::NotNormal(error),
        };
        let table = Method::ALL
            .into_iter()
            .find(|known| known.as_str() == method)
            .map_or(Some(&host.others), |known| host.methods.get(&known));
        let Some(table) = table else {
            return Found::Unmatched(host.unmatched);
        };
        if let Some(endpoint) = table.at(&path) {
            return Found::Endpoint { endpoint, exact };
        }
        let other = match path.strip_suffix('/') {
            Some("") => None,
            Some(without) => table.at(without),
            None => table.at(&format!("{path}/")),
        };
        other.map_or(Found::Unmatched(host.unmatched), |endpoint| {
            let exact = false;
            Found::Endpoint { endpoint, exact }
        })
    }

    /// Whether nothing is claimed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.unreadable
            && self.every.is_none()
            && self.names.is_empty()
            && self.wildcards.is_empty()
    }

    fn host(&self, asked: &str) -> Option<&Host> {
        let name = without_port(asked).to_ascii_lowercase();
        if let Some(host) = self.names.get(&name) {
            return Some(host);
        }
        let mut rest = name.as_str();
        while let Some((_, parent)) = rest.split_once('.') {
            if let Some(host) = self.wildcards.get(parent) {
                return Some(host);
            }
            rest = parent;
        }
        self.every.as_ref()
    }

    /// The place of a host as a GlyphApi writes it.
    fn place(&mut self, host: Option<&str>) -> &mut Host {
        match host.map(str::to_ascii_lowercase) {
            None => self.every.get_or_insert_default(),
            Some(name) => match name.strip_prefix("*.") {
                Some(parent) => self.wildcards.entry(parent.to_owned()).or_default(),
                None => self.names.entry(name).or_default(),
            },
        }
    }

    fn close(&mut self, hosts: Option<&[String]>) {
        let Some(hosts) = hosts else {
            self.unreadable = true;
            return;
        };
        for host in each(hosts) {
            self.place(host).unreadable = true;
        }
    }

    fn claim(&mut self, api: &str, spec: &GlyphApiSpec, conflicts: &mut Vec<Conflict>) {
        let endpoints: Vec<_> = spec.endpoints.iter().cloned().map(Arc::new).collect();
        for name in each(&spec.hosts) {
            let host = self.place(name);
            if spec.unmatched == Unmatched::Deny {
                host.unmatched = Unmatched::Deny;
            }
            for endpoint in &endpoints {
                for (winner, methods) in host.claim(api, endpoint) {
                    conflicts.push(Conflict {
                        loser: api.to_owned(),
                        endpoint: endpoint.name.clone(),
                        host: name.map(str::to_owned),
                        methods,
                        winner: winner.api,
                        winning_path: winner.path,
                    });
                }
            }
        }
    }
}

impl Host {
    /// Puts `endpoint` in for each of its methods. Returns who has some of them already.
    fn claim(&mut self, api: &str, endpoint: &Arc<Endpoint>) -> Vec<(Winner, Vec<Method>)> {
        let mut lost: Vec<(Winner, Vec<Method>)> = Vec::new();
        let named = match endpoint.methods.as_slice() {
            [] => &Method::ALL,
            named => named,
        };
        for method in named {
            let table = self.methods.entry(*method).or_default();
            if let Some(winner) = table.claim(api, endpoint, false) {
                match lost
                    .iter_mut()
                    .find(|(one, _)| one.api == winner.api && one.path == winner.path)
                {
                    Some((_, methods)) => methods.push(*method),
                    None => lost.push((winner, vec![*method])),
                }
            }
        }
        if endpoint.methods.is_empty() {
            // Who has all named methods has the others, and is in the list already.
            let _ = self.others.claim(api, endpoint, false);
        } else if named.contains(&Method::Get) && !named.contains(&Method::Head) {
            let _ = self
                .methods
                .entry(Method::Head)
                .or_default()
                .claim(api, endpoint, true);
        }
        lost
    }
}

impl Table {
    fn at(&self, path: &str) -> Option<&Arc<Endpoint>> {
        self.router.at(path).ok().map(|found| &found.value.endpoint)
    }

    /// Puts `endpoint` in, unless its path is claimed: then by whom.
    fn claim(&mut self, api: &str, endpoint: &Arc<Endpoint>, lent: bool) -> Option<Winner> {
        // The paths were looked at before (`first_that_is_no_template`).
        let shape = shape(&endpoint.path)?;
        let claimed = Claimed {
            endpoint: Arc::clone(endpoint),
            lent,
        };
        let winner = Winner {
            api: api.to_owned(),
            path: endpoint.path.clone(),
        };
        // A shape is a path that its own node is the first to match.
        if self.winners.contains_key(&shape)
            && let Ok(found) = self.router.at_mut(&shape)
            && found.value.lent
            && !lent
        {
            *found.value = claimed;
            self.winners.insert(shape, winner);
            return None;
        }
        match self.router.insert(shape.clone(), claimed) {
            Ok(()) => {
                self.winners.insert(shape, winner);
                None
            }
            Err(InsertError::Conflict { with }) => {
                Some(self.winners.get(&with).cloned().unwrap_or(Winner {
                    api: api.to_owned(),
                    path: with,
                }))
            }
            Err(_) => None,
        }
    }
}

/// The place of the first endpoint whose path is no template, counted from 0. The schema lets none in.
#[must_use]
pub fn first_that_is_no_template(spec: &GlyphApiSpec) -> Option<usize> {
    spec.endpoints
        .iter()
        .position(|endpoint| shape(&endpoint.path).is_none())
}

/// Whether `path` is a template, as the schema says what one is.
#[must_use]
pub fn is_template(path: &str) -> bool {
    shape(path).is_some()
}

/// The hosts that a GlyphApi is for, where none stands for every one.
fn each(hosts: &[String]) -> impl Iterator<Item = Option<&str>> {
    let every = hosts.is_empty().then_some(None);
    every
        .into_iter()
        .chain(hosts.iter().map(|host| Some(host.as_str())))
}

/// A host as in the Host field or `:authority`, without its port and without the dot of the root.
fn without_port(host: &str) -> &str {
    let end = match host.rfind(']') {
        Some(bracket) => bracket + 1,
        None => host.find(':').unwrap_or(host.len()),
    };
    let name = host.get(..end).unwrap_or(host);
    name.strip_suffix('.').unwrap_or(name)
}
