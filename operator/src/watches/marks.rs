//! What was last seen of each resource, and whom a change of it wakes. It calls nobody.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use glyph_operator_core::billing::Owner;
use glyph_operator_core::customer::RECREATE;
use kube::runtime::reflector::ObjectRef;
use kube::runtime::watcher::Event;
use kube::{Resource, ResourceExt};

use super::{Guarded, STRIPE_EVENT, Stores, Wake, Watched};

/// What was last seen of each resource of a kind.
pub(super) struct Marks<K: 'static> {
    known: HashMap<(String, String), Mark<K>>,
    listed: Vec<Guarded<K>>,
}

/// What was last seen of a resource.
struct Mark<K: 'static> {
    own: u64,
    shown: u64,
    /// Whom its last change concerned.
    dependents: Vec<Wake>,
    /// It, as the store has it: whom its end concerns may have come since.
    object: Option<Arc<Guarded<K>>>,
}

impl<K: 'static> Default for Marks<K> {
    fn default() -> Self {
        Self {
            known: HashMap::new(),
            listed: Vec::new(),
        }
    }
}

impl<K: Watched> Marks<K> {
    /// Takes an event in that the store already has; returns whom to wake.
    pub(super) fn take(&mut self, event: Event<Guarded<K>>, stores: &Stores) -> Vec<Wake> {
        match event {
            Event::Init => {
                self.listed.clear();
                Vec::new()
            }
            Event::InitApply(object) => {
                self.listed.push(object);
                Vec::new()
            }
            Event::InitDone => self.relisted(stores),
            Event::Apply(object) => self.changed(&object, stores),
            Event::Delete(object) => {
                stores.ids.set(&owner(&object), Vec::new());
                self.gone(&key(&object), stores)
            }
        }
    }

    /// Keeps the index of Stripe's ids.
    fn index(&mut self, object: &Guarded<K>, stores: &Stores) {
        let ids = object.0.as_ref().map_or(Vec::new(), |o| o.stripe_ids());
        let ids = ids.into_iter().map(str::to_owned).collect();
        stores.ids.set(&owner(object), ids);
    }

    fn relisted(&mut self, stores: &Stores) -> Vec<Wake> {
        let listed = std::mem::take(&mut self.listed);
        let present: HashSet<_> = listed.iter().map(key).collect();
        let absent: Vec<_> = self
            .known
            .keys()
            .filter(|k| !present.contains(k))
            .cloned()
            .collect();
        let gone = absent
            .iter()
            .flat_map(|key| self.gone(key, stores))
            .collect::<Vec<_>>();
        let changed = listed
            .iter()
            .flat_map(|object| self.changed(object, stores));
        gone.into_iter()
            .chain(changed.collect::<Vec<_>>())
            .collect()
    }

    fn changed(&mut self, object: &Guarded<K>, stores: &Stores) -> Vec<Wake> {
        let (key, own, shown) = (key(object), own_mark(object), shown_mark(object));
        self.index(object, stores);
        let stored = K::store(stores).get(&ObjectRef::from_obj(object));
        let before = self.known.get(&key);
        let own_changed = before.is_none_or(|mark| mark.own != own);
        let shown_changed = before.is_none_or(|mark| mark.shown != shown);
        if let (Err(error), true) = (&object.0, own_changed || shown_changed) {
            tracing::warn!(kind = %K::kind(&()), namespace = key.0, name = key.1, %error,
                "the resource cannot be read; it counts as absent until it is corrected");
        }
        let mut wakes = Vec::new();
        if own_changed {
            wakes.push(Wake::One(K::KIND, key.0.clone(), key.1.clone()));
        }
        if shown_changed {
            let dependents = object
                .0
                .as_ref()
                .map_or(Vec::new(), |o| o.dependents(stores));
            let former = before.map_or(Vec::new(), |mark| mark.dependents.clone());
            wakes.extend(former.into_iter().filter(|wake| !dependents.contains(wake)));
            wakes.extend(dependents.iter().cloned());
            self.known.insert(
                key,
                Mark {
                    own,
                    shown,
                    dependents,
                    object: stored,
                },
            );
        } else if let Some(mark) = self.known.get_mut(&key) {
            (mark.own, mark.object) = (own, stored);
        }
        wakes
    }

    /// Those whom its last change concerned, and those who have come since.
    fn gone(&mut self, key: &(String, String), stores: &Stores) -> Vec<Wake> {
        let Some(mark) = self.known.remove(key) else {
            return Vec::new();
        };
        let object = mark.object.as_ref().and_then(|o| o.0.as_ref().ok());
        let mut wakes = mark.dependents;
        for wake in object.map_or(Vec::new(), |o| o.dependents(stores)) {
            if !wakes.contains(&wake) {
                wakes.push(wake);
            }
        }
        wakes
    }
}

fn owner<K: Watched>(object: &Guarded<K>) -> Owner {
    let (namespace, name) = key(object);
    Owner {
        kind: K::kind(&()).into_owned(),
        namespace,
        name,
        uid: object.uid().unwrap_or_default(),
    }
}

fn key<K: Watched>(object: &Guarded<K>) -> (String, String) {
    (object.namespace().unwrap_or_default(), object.name_any())
}

/// Changes with what a person or a webhook writes, not with what we write.
fn own_mark<K: Watched>(object: &Guarded<K>) -> u64 {
    let meta = object.meta();
    let annotation = |key| meta.annotations.as_ref().and_then(|all| all.get(key));
    let told = [STRIPE_EVENT, RECREATE].map(annotation);
    let deleting = meta.deletion_timestamp.is_some();
    hash(&(&meta.uid, meta.generation, deleting, told))
}

/// Changes with what others can see.
fn shown_mark<K: Watched>(object: &Guarded<K>) -> u64 {
    match &object.0 {
        Ok(object) => {
            let deleting = object.meta().deletion_timestamp.is_some();
            hash(&(object.uid(), deleting, object.shown().to_string()))
        }
        Err(error) => hash(&error.error),
    }
}

fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}
