//! One kind's part of the index, and the one way it changes. Generic: what differs between kinds is in `entries`.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;

use glyph_crds::malformed::without_values;
use kube::core::DynamicObject;
use serde::de::DeserializeOwned;

use super::{Change, Kind, Malformed, ObjectName, Scope, Updated};

/// What is kept of a resource.
pub(super) trait Entry: PartialEq + Sized {
    /// The resource it is read from.
    type Resource: DeserializeOwned;
    /// What else than its name it is found by.
    type Claim: Hash + Eq;

    const KIND: Kind;

    /// What to keep; `None` when the resource is well but can change no answer.
    ///
    /// # Errors
    /// With what is wrong, without quoting any value.
    fn read(name: &ObjectName, resource: Self::Resource) -> Result<Option<Self>, String>;

    /// What to keep of a resource that cannot be read: nothing, where that can only take something away.
    fn of_malformed(_name: &ObjectName, _object: &DynamicObject) -> Option<Self> {
        None
    }

    fn claims(&self) -> impl Iterator<Item = Self::Claim>;
}

/// All entries of one kind. Each name and each claim is changed by `set` only, so they cannot fall apart.
pub(super) struct Table<E: Entry> {
    entries: HashMap<ObjectName, E>,
    claims: HashMap<E::Claim, Vec<ObjectName>>,
    /// What has been listed, or has changed meanwhile, by the watches that are listing.
    listing: HashMap<Scope, HashSet<ObjectName>>,
    /// The watches that have not listed all yet.
    unsynced: HashSet<Scope>,
}

impl<E: Entry> Table<E> {
    pub(super) fn new(scopes: &[Scope]) -> Self {
        Self {
            entries: HashMap::new(),
            claims: HashMap::new(),
            listing: HashMap::new(),
            unsynced: scopes.iter().cloned().collect(),
        }
    }

    pub(super) fn is_synced(&self) -> bool {
        self.unsynced.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = &E> {
        self.entries.values()
    }

    pub(super) fn get(&self, name: &ObjectName) -> Option<&E> {
        self.entries.get(name)
    }

    /// The names of all entries with this claim.
    pub(super) fn claiming(&self, claim: &E::Claim) -> &[ObjectName] {
        self.claims.get(claim).map_or(&[], Vec::as_slice)
    }

    pub(super) fn update(&mut self, scope: &Scope, change: Change) -> Updated {
        match change {
            Change::ListBegins => {
                self.listing.insert(scope.clone(), HashSet::new());
                Updated::default()
            }
            Change::Listed(object) => {
                if self.settle(scope, &object) {
                    self.apply(object)
                } else {
                    Updated::default()
                }
            }
            Change::ListEnds => Updated {
                changed: self.end_list(scope),
                malformed: None,
            },
            Change::Applied(object) => {
                self.settle(scope, &object);
                self.apply(object)
            }
            Change::Deleted(object) => {
                self.settle(scope, &object);
                Updated {
                    changed: self.set(name_of(&object), None),
                    malformed: None,
                }
            }
        }
    }

    /// Notes, while a list is read, that `object` need not be looked for in it any more: it was listed, or it changed
    /// since the moment that the list is of. False when that had been noted before.
    fn settle(&mut self, scope: &Scope, object: &DynamicObject) -> bool {
        let listing = self.listing.get_mut(scope);
        listing.is_none_or(|settled| settled.insert(name_of(object)))
    }

    fn apply(&mut self, object: DynamicObject) -> Updated {
        let name = name_of(&object);
        let (entry, malformed) = match read::<E>(&name, &object) {
            Ok(entry) => (entry, None),
            Err(reason) => (
                E::of_malformed(&name, &object),
                Some(Malformed {
                    kind: E::KIND,
                    name: name.clone(),
                    reason,
                }),
            ),
        };
        Updated {
            changed: self.set(name, entry),
            malformed,
        }
    }

    /// What was neither listed nor changed meanwhile is gone. An end without a beginning is no list, and nothing is known to be gone.
    fn end_list(&mut self, scope: &Scope) -> bool {
        let Some(settled) = self.listing.remove(scope) else {
            return false;
        };
        let in_scope = |name: &ObjectName| {
            scope
                .as_deref()
                .is_none_or(|namespace| namespace == name.namespace())
        };
        let gone: Vec<_> = self
            .entries
            .keys()
            .filter(|name| in_scope(name) && !settled.contains(*name))
            .cloned()
            .collect();
        let synced = self.unsynced.remove(scope);
        gone.into_iter()
            .fold(synced, |changed, name| self.set(name, None) || changed)
    }

    /// Puts `entry` in the place of what is there under `name`. Tells whether anything is different now.
    fn set(&mut self, name: ObjectName, entry: Option<E>) -> bool {
        if self.entries.get(&name) == entry.as_ref() {
            return false;
        }
        if let Some(old) = self.entries.remove(&name) {
            for claim in old.claims() {
                self.withdraw(claim, &name);
            }
        }
        if let Some(new) = entry {
            for claim in new.claims() {
                self.claims.entry(claim).or_default().push(name.clone());
            }
            self.entries.insert(name, new);
        }
        true
    }

    fn withdraw(&mut self, claim: E::Claim, name: &ObjectName) {
        if let Some(names) = self.claims.get_mut(&claim) {
            names.retain(|other| other != name);
            if names.is_empty() {
                self.claims.remove(&claim);
            }
        }
    }
}

fn name_of(object: &DynamicObject) -> ObjectName {
    let part = |text: &Option<String>| text.clone().unwrap_or_default();
    ObjectName::new(
        &part(&object.metadata.namespace),
        &part(&object.metadata.name),
    )
}

fn read<E: Entry>(name: &ObjectName, object: &DynamicObject) -> Result<Option<E>, String> {
    let resource = serde_json::to_value(object).and_then(serde_json::from_value::<E::Resource>);
    E::read(
        name,
        resource.map_err(|error| without_values(&error.to_string()))?,
    )
}
