//! Which resources of ours a Stripe id belongs to, by what their status records.

use glyph_operator_core::billing::Owner;

use crate::watches::Stores;

/// Somebody who knows the resources.
pub trait OwnerLookup: Send + Sync + 'static {
    /// The resources whose status names this Stripe id; `None` while not all are known.
    fn by_stripe_id(&self, id: &str) -> Option<Vec<Owner>>;
    /// Whether this operator looks after the resources of a namespace.
    fn watches(&self, namespace: &str) -> bool;
}

/// [`OwnerLookup`] by what is watched.
#[derive(Clone)]
pub struct WatchedOwners {
    /// The resources.
    pub stores: Stores,
    /// The one namespace that is watched, or all.
    pub namespace: Option<String>,
}

impl OwnerLookup for WatchedOwners {
    fn by_stripe_id(&self, id: &str) -> Option<Vec<Owner>> {
        self.stores.are_listed().then(|| self.stores.ids.owners(id))
    }

    fn watches(&self, namespace: &str) -> bool {
        self.namespace
            .as_deref()
            .is_none_or(|only| only == namespace)
    }
}
