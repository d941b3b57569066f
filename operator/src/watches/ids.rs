//! Whose a Stripe id is, by what the resources' status records: kept beside the stores, so that an event finds its owner
//! without looking through every resource.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use glyph_operator_core::billing::Owner;

/// The index; clones share it.
#[derive(Clone, Default)]
pub struct StripeIds(Arc<RwLock<Index>>);

#[derive(Default)]
struct Index {
    by_id: HashMap<String, Vec<Owner>>,
    /// Ids of a resource, by UID.
    of: HashMap<String, Vec<String>>,
}

impl StripeIds {
    /// The resources that record an id.
    #[must_use]
    pub fn owners(&self, id: &str) -> Vec<Owner> {
        let index = self.0.read().unwrap_or_else(PoisonError::into_inner);
        index.by_id.get(id).cloned().unwrap_or_default()
    }

    /// Takes in which ids a resource records now; none when it is gone.
    pub(super) fn set(&self, owner: &Owner, ids: Vec<String>) {
        let mut index = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if index.of.get(&owner.uid).map_or(&[][..], Vec::as_slice) == ids {
            return;
        }
        for id in index.of.remove(&owner.uid).unwrap_or_default() {
            if let Some(owners) = index.by_id.get_mut(&id) {
                owners.retain(|known| known.uid != owner.uid);
                if owners.is_empty() {
                    index.by_id.remove(&id);
                }
            }
        }
        for id in &ids {
            let owners = index.by_id.entry(id.clone()).or_default();
            if owners.iter().all(|known| known.uid != owner.uid) {
                owners.push(owner.clone());
            }
        }
        if !ids.is_empty() {
            index.of.insert(owner.uid.clone(), ids);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(uid: &str) -> Owner {
        let [kind, namespace, name] = ["Tier", "shop", "starter"].map(str::to_owned);
        let uid = uid.to_owned();
        Owner {
            kind,
            namespace,
            name,
            uid,
        }
    }

    fn ids(ids: &[&str]) -> Vec<String> {
        ids.iter().map(|id| (*id).to_owned()).collect()
    }

    #[test]
    fn an_id_leads_to_all_who_record_it_now_and_to_nobody_else() {
        let index = StripeIds::default();
        let (one, two) = (owner("1"), owner("2"));
        index.set(&one, ids(&["prod_1", "price_1"]));
        index.set(&two, ids(&["prod_1"]));
        assert_eq!(index.owners("prod_1"), [one.clone(), two.clone()]);
        index.set(&one, ids(&["price_2"]));
        assert_eq!(index.owners("prod_1"), [two]);
        assert_eq!(index.owners("price_1"), []);
        assert_eq!(index.owners("price_2"), std::slice::from_ref(&one));
        index.set(&one, Vec::new());
        assert_eq!(index.owners("price_2"), []);
    }
}
