//! From an event of Stripe's to the resource it is about: finds its owners and puts its id on them, whose change wakes
//! the controllers. The one way in for webhooks and for the sweep of the event list. It calls Kubernetes, never Stripe.

use glyph_operator_core::billing::Owner;
use glyph_operator_core::event::{About, known_type};
use kube::Client;

pub use mark::Marked;
pub use owners::{OwnerLookup, WatchedOwners};

mod mark;
mod owners;

/// Whoever puts events on resources.
pub struct Marker<O> {
    client: Client,
    owners: O,
}

/// What putting an event on its owners came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// There is no owner.
    Nobody,
    /// No owner is a resource of ours by now.
    Foreign,
    /// Kubernetes holds it on one or more.
    Held,
}

impl<O: OwnerLookup> Marker<O> {
    /// Whoever writes with `client` to the resources that `owners` knows.
    pub fn new(client: Client, owners: O) -> Self {
        Self { client, owners }
    }

    /// Whom an event is about: the owner its object names, and those whose status names its object. Only when there is
    /// nobody, and the type is one that matters, its customer. `None` while not all resources are known.
    pub fn owners_of(&self, event_type: &str, about: &About) -> Option<Vec<Owner>> {
        let mut owners: Vec<Owner> = about.owner.iter().cloned().collect();
        for id in &about.ids {
            owners.extend(self.owners.by_stripe_id(id)?);
        }
        if let (true, Some(_), Some(customer)) =
            (owners.is_empty(), known_type(event_type), &about.customer)
        {
            owners.extend(self.owners.by_stripe_id(customer)?);
        }
        owners.sort_by(|one, other| one.uid.cmp(&other.uid));
        owners.dedup_by(|one, other| one.uid == other.uid);
        Some(owners)
    }

    /// Puts the event on every resource it is about: one that refuses it does not keep it from the others.
    ///
    /// # Errors
    /// When Kubernetes does not hold it on one of them.
    pub async fn tell(&self, owners: &[Owner], event: &str) -> kube::Result<Told> {
        let mut told = if owners.is_empty() {
            Told::Nobody
        } else {
            Told::Foreign
        };
        let mut failed = None;
        for owner in owners {
            match self.mark(owner, event).await {
                Ok(Marked::Foreign) => {}
                Ok(Marked::Marked | Marked::Known) => told = Told::Held,
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        failed.map_or(Ok(told), Err)
    }

    /// Puts the event on one resource.
    ///
    /// # Errors
    /// When Kubernetes does not hold it.
    pub async fn mark(&self, owner: &Owner, event: &str) -> kube::Result<Marked> {
        if !self.owners.watches(&owner.namespace) {
            return Ok(Marked::Foreign);
        }
        mark::mark(&self.client, owner, event).await
    }
}

// The tests of the receiver look at each of the two steps.
#[cfg(test)]
pub(crate) use mark::{mark, patch};
