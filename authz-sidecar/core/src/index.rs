//! What is known of tiers, customers, subscriptions, keys, credits and endpoints: only what can change an answer, in compact maps.
//!
//! Fed from watch events, one generic update for all kinds. A resource that cannot be read stops working: its old
//! state goes; a GlyphApi, which may protect what nothing else does, closes its hosts instead. Until every watch has listed all it watches, the index is not synced and decides nothing.

mod entries;
mod table;

use std::fmt;
use std::sync::Arc;

use glyph_crds::api_key_format::{KeyHash, Pepper};
use glyph_crds::routing::{Claimant, Routes};
use glyph_usage::{Grant, MAX_GRANTS};
use jiff::{SignedDuration, Timestamp};
use kube::core::DynamicObject;

use entries::GrantEntry;
pub(crate) use entries::{
    CustomerEntry, HashEntry, InForce, KeyEntry, SubscriptionEntry, TierEntry,
};
use table::Table;

/// Whether a grant has expired is the counters' to judge. What expired this long ago by our clock is not asked of them.
const SKEW: SignedDuration = SignedDuration::from_secs(60);

/// Namespace and name of a resource, as `namespace/name`. Neither can hold a slash. Clones share one text.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ObjectName(Arc<str>);

impl ObjectName {
    /// The resource `name` in `namespace`.
    #[must_use]
    pub fn new(namespace: &str, name: &str) -> Self {
        Self(format!("{namespace}/{name}").into())
    }

    /// The resource `name` in the namespace of this one.
    #[must_use]
    pub fn sibling(&self, name: &str) -> Self {
        Self::new(self.namespace(), name)
    }

    /// The namespace.
    #[must_use]
    pub fn namespace(&self) -> &str {
        self.0
            .split_once('/')
            .map_or("", |(namespace, _)| namespace)
    }

    /// The name alone.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.split_once('/').map_or(&*self.0, |(_, name)| name)
    }

    /// `namespace/name`
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The kinds that are watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `Tier`
    Tier,
    /// `GlyphCustomer`
    Customer,
    /// `Subscription`
    Subscription,
    /// `ApiKey`
    Key,
    /// `CreditGrant`
    Grant,
    /// `GlyphApi`
    Api,
}

impl Kind {
    /// Each of them.
    pub const ALL: [Self; 6] = [
        Self::Tier,
        Self::Customer,
        Self::Subscription,
        Self::Key,
        Self::Grant,
        Self::Api,
    ];

    /// The name of the kind in Kubernetes.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tier => "Tier",
            Self::Customer => "GlyphCustomer",
            Self::Subscription => "Subscription",
            Self::Key => "ApiKey",
            Self::Grant => "CreditGrant",
            Self::Api => "GlyphApi",
        }
    }
}

/// What one watch covers: a namespace, or all (`None`).
pub type Scope = Option<Arc<str>>;

/// What a watch tells. While a list is read, changes since the moment that the list is of may come in between: they
/// are newer than anything listed.
pub enum Change {
    /// All objects follow, each as [`Change::Listed`]. What is known stays in force meanwhile.
    ListBegins,
    /// An object, as it was at the moment that the list is of.
    Listed(DynamicObject),
    /// All have been listed: what was not is gone.
    ListEnds,
    /// An object was made or changed.
    Applied(DynamicObject),
    /// An object was deleted.
    Deleted(DynamicObject),
}

/// What an update came to.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Updated {
    /// Whether any answer may be another one now.
    pub changed: bool,
    /// The object that could not be read, and is not in force.
    pub malformed: Option<Malformed>,
}

/// A resource that cannot be read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} {name} cannot be used and is not in force: {reason}", .kind.as_str())]
pub struct Malformed {
    /// Its kind.
    pub kind: Kind,
    /// Its name.
    pub name: ObjectName,
    /// What is wrong with it. Quotes no value.
    pub reason: String,
}

/// The index.
pub struct Index {
    tiers: Table<TierEntry>,
    customers: Table<CustomerEntry>,
    subscriptions: Table<SubscriptionEntry>,
    keys: Table<KeyEntry>,
    grants: Table<GrantEntry>,
    apis: Table<Claimant>,
    /// What `apis` come to.
    routes: Routes,
}

impl Index {
    /// An empty index, not synced, that is to be fed by one watch of each kind and scope.
    #[must_use]
    pub fn new(scopes: &[Scope]) -> Self {
        Self {
            tiers: Table::new(scopes),
            customers: Table::new(scopes),
            subscriptions: Table::new(scopes),
            keys: Table::new(scopes),
            grants: Table::new(scopes),
            apis: Table::new(scopes),
            routes: Routes::default(),
        }
    }

    /// Takes in what the watch of `kind` over `scope` tells.
    pub fn update(&mut self, kind: Kind, scope: &Scope, change: Change) -> Updated {
        match kind {
            Kind::Tier => self.tiers.update(scope, change),
            Kind::Customer => self.customers.update(scope, change),
            Kind::Subscription => self.subscriptions.update(scope, change),
            Kind::Key => self.keys.update(scope, change),
            Kind::Grant => self.grants.update(scope, change),
            Kind::Api => {
                let updated = self.apis.update(scope, change);
                // Before all are listed nothing is decided by them.
                if updated.changed && self.apis.is_synced() {
                    (self.routes, _) = Routes::of(self.apis.entries());
                }
                updated
            }
        }
    }

    /// Whether every watch has listed all it watches, once.
    #[must_use]
    pub fn is_synced(&self) -> bool {
        Kind::ALL.into_iter().all(|kind| self.is_kind_synced(kind))
    }

    /// Whether every watch of `kind` has listed all it watches, once.
    #[must_use]
    pub fn is_kind_synced(&self, kind: Kind) -> bool {
        match kind {
            Kind::Tier => self.tiers.is_synced(),
            Kind::Customer => self.customers.is_synced(),
            Kind::Subscription => self.subscriptions.is_synced(),
            Kind::Key => self.keys.is_synced(),
            Kind::Grant => self.grants.is_synced(),
            Kind::Api => self.apis.is_synced(),
        }
    }

    /// How many resources of `kind` are in force.
    #[must_use]
    pub fn len(&self, kind: Kind) -> usize {
        match kind {
            Kind::Tier => self.tiers.len(),
            Kind::Customer => self.customers.len(),
            Kind::Subscription => self.subscriptions.len(),
            Kind::Key => self.keys.len(),
            Kind::Grant => self.grants.len(),
            Kind::Api => self.apis.len(),
        }
    }

    /// Which endpoint a request is for.
    pub(crate) fn routes(&self) -> &Routes {
        &self.routes
    }

    pub(crate) fn tier(&self, name: &ObjectName) -> Option<&TierEntry> {
        self.tiers.get(name)
    }

    pub(crate) fn customer(&self, name: &ObjectName) -> Option<&CustomerEntry> {
        self.customers.get(name)
    }

    /// The customer that the user with this `sub` is. A user that two customers claim is nobody's: it cannot be told
    /// whose the request would be.
    pub(crate) fn customer_of_user(&self, subject: &Arc<str>) -> Option<&ObjectName> {
        match self.customers.claiming(subject) {
            [name] => Some(name),
            _ => None,
        }
    }

    /// The subscription in charge of `customer`.
    pub(crate) fn subscription_of(&self, customer: &ObjectName) -> Option<&SubscriptionEntry> {
        let all = self.subscriptions.claiming(customer).iter();
        all.filter_map(|name| self.subscriptions.get(name))
            .min_by(|a, b| a.seniority.cmp(&b.seniority))
    }

    /// The credits that `customer` may have left, in the order they are spent; so many as one request can draw on.
    pub(crate) fn grants_of(&self, customer: &ObjectName, now: Timestamp) -> Box<[Grant]> {
        let names = self.grants.claiming(customer).iter();
        let mut grants: Vec<_> = names
            .filter_map(|name| self.grants.get(name))
            .filter(|entry| entry.end().duration_since(now) > -SKEW)
            .collect();
        grants.sort_unstable_by(|a, b| a.turn().cmp(&b.turn()));
        let first = grants.into_iter().take(MAX_GRANTS);
        first.map(|entry| entry.grant.clone()).collect()
    }

    /// The key whose hash under `pepper` is `hash`, and what is known of that hash. A hash that two resources claim
    /// is nobody's: it cannot be told whose the request would be.
    pub(crate) fn key(&self, pepper: &Pepper, hash: &KeyHash) -> Option<(&KeyEntry, &HashEntry)> {
        let [name] = self.keys.claiming(hash.bytes()) else {
            return None;
        };
        let key = self.keys.get(name)?;
        let known =
            |entry: &&HashEntry| entry.pepper_version == pepper.version() && entry.value == *hash;
        Some((key, key.hashes.iter().find(known)?))
    }
}

#[cfg(test)]
mod tests;
