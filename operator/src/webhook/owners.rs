//! Which resources of ours a Stripe id belongs to, by what their status records.

use std::iter::once;

use futures::FutureExt;
use glyph_crds::{CreditPack, GlyphCustomer, Subscription, Tier};
use glyph_operator_core::billing::Owner;
use kube::ResourceExt;
use kube::runtime::reflector::Store;

use crate::watches::{Guarded, Stores, Watched};

/// Somebody who knows the resources.
pub trait OwnerLookup: Send + Sync + 'static {
    /// The resources whose status names this Stripe id; `None` while not all are known.
    fn by_stripe_id(&self, id: &str) -> Option<Vec<Owner>>;
    /// Whether this operator looks after the resources of a namespace.
    fn watches(&self, namespace: &str) -> bool;
}

/// [`OwnerLookup`] by what is watched.
pub struct WatchedOwners {
    /// The resources.
    pub stores: Stores,
    /// The one namespace that is watched, or all.
    pub namespace: Option<String>,
}

impl OwnerLookup for WatchedOwners {
    fn by_stripe_id(&self, id: &str) -> Option<Vec<Owner>> {
        let stores = &self.stores;
        match id.split_once('_').map(|(prefix, _)| prefix) {
            Some("cus") => recorded(&stores.customers, |customer: &GlyphCustomer| {
                let status = customer.status.as_ref();
                status.is_some_and(|status| status.stripe_customer_id.as_deref() == Some(id))
            }),
            Some("sub" | "cs") => recorded(&stores.subscriptions, |subscription: &Subscription| {
                subscription.status.as_ref().is_some_and(|status| {
                    status.stripe_subscription_id.as_deref() == Some(id)
                        || status.checkout_session_id.as_deref() == Some(id)
                })
            }),
            Some("prod" | "price") => {
                let mut found = recorded(&stores.tiers, |tier: &Tier| {
                    tier.status.as_ref().is_some_and(|status| {
                        once(&status.stripe_product_id)
                            .chain(once(&status.stripe_price_id))
                            .any(|known| known.as_deref() == Some(id))
                    })
                })?;
                found.extend(recorded(&stores.packs, |pack: &CreditPack| {
                    pack.status.as_ref().is_some_and(|status| {
                        once(&status.stripe_product_id)
                            .chain(once(&status.stripe_price_id))
                            .any(|known| known.as_deref() == Some(id))
                    })
                })?);
                Some(found)
            }
            _ => Some(Vec::new()),
        }
    }

    fn watches(&self, namespace: &str) -> bool {
        self.namespace
            .as_deref()
            .is_none_or(|only| only == namespace)
    }
}

/// Those of a kind that pass, once the kind was listed.
fn recorded<K: Watched>(
    store: &Store<Guarded<K>>,
    pass: impl Fn(&K) -> bool,
) -> Option<Vec<Owner>> {
    store.wait_until_ready().now_or_never()?.ok()?;
    let state = store.state();
    let readable = state.iter().filter_map(|guarded| guarded.0.as_ref().ok());
    Some(readable.filter(|object| pass(object)).map(owner).collect())
}

fn owner<K: Watched>(object: &K) -> Owner {
    Owner {
        kind: K::kind(&()).into_owned(),
        namespace: object.namespace().unwrap_or_default(),
        name: object.name_any(),
        uid: object.uid().unwrap_or_default(),
    }
}
