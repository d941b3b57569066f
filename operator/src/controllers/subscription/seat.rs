//! Who of several Subscriptions of a customer may have a first payment made: by the watches, by the API server just
//! before it is made, and by what Stripe has already.

use glyph_crds::Subscription;
use glyph_crds::entitlement::{in_charge, is_final};
use glyph_operator_core::billing::{Owner, StripeSubscription};
use glyph_operator_core::{Blocker, Meta, reason, subscription};
use kube::api::ListParams;
use kube::{Api, ResourceExt};

use crate::failure::Failure;
use crate::seats::Seat;
use crate::watches::{Guarded, select};
use crate::world::World;

/// Another Subscription that speaks for the same customer.
pub fn other_in_charge<B, I>(
    world: &World<B, I>,
    object: &Subscription,
    namespace: &str,
) -> Option<String> {
    let all = select(&world.stores, namespace, |s: &Subscription| {
        s.spec.customer_ref == object.spec.customer_ref
    });
    let first = in_charge(&all)?;
    (first.uid() != object.uid()).then(|| first.name_any())
}

/// Of a customer's Stripe subscriptions, one that has not ended and is another Subscription's.
pub fn rival(listed: &[StripeSubscription], meta: &Meta) -> Option<StripeSubscription> {
    let another = |owner: &Owner| owner.kind == meta.owner.kind && owner.uid != meta.owner.uid;
    let mut live = listed.iter().filter(|s| !is_final(s.state));
    live.find(|s| s.owner.as_ref().is_some_and(another))
        .cloned()
}

/// The right to have a first payment made for the customer of `object`, while it is held. The watches lag, and to be
/// charged twice cannot be taken back: the API server says who is in charge, and what it says holds until the intent is
/// written, because nobody else of this customer gets here meanwhile.
///
/// # Errors
/// [`Failure::Blocked`] while another holds it, whose status wakes this one, and where another is in charge or may be.
pub async fn take<B, I>(world: &World<B, I>, object: &Subscription) -> Result<Seat, Failure> {
    let namespace = object.namespace().unwrap_or_default();
    let customer = &object.spec.customer_ref.name;
    let seat = world.seats.take(&namespace, customer);
    let seat = seat.ok_or_else(|| Failure::Blocked(taken(customer)))?;
    let all = latest_subscriptions(world, &namespace, customer).await?;
    let (readable, unreadable): (Vec<_>, Vec<_>) = all.iter().partition(|s| s.0.is_ok());
    if let Some(other) = unreadable.first() {
        let message = format!(
            "Subscription {} of customer {customer} cannot be read, and may be in charge: correct it, or delete one of the two",
            other.name_any()
        );
        let conflict = Blocker::person(reason::CONFLICT, message);
        return Err(Failure::Blocked(conflict));
    }
    let readable = readable.into_iter().filter_map(|s| s.0.as_ref().ok());
    match in_charge(readable) {
        Some(first) if first.uid() == object.uid() => Ok(seat),
        Some(first) => Err(Failure::Blocked(subscription::in_charge(
            &first.name_any(),
            customer,
        ))),
        None => Err(Failure::Outdated),
    }
}

fn taken(customer: &str) -> Blocker {
    let message = format!("another Subscription of customer {customer} is being made in Stripe");
    Blocker::wait(reason::PROGRESSING, message)
}

/// The subscriptions of a customer as the API server has them now.
pub async fn latest_subscriptions<B, I>(
    world: &World<B, I>,
    namespace: &str,
    customer: &str,
) -> Result<Vec<Guarded<Subscription>>, Failure> {
    let api = Api::<Guarded<Subscription>>::namespaced(world.shared.client.clone(), namespace);
    let of_customer = ListParams::default().fields(&format!("spec.customerRef.name={customer}"));
    let found = api
        .list(&of_customer)
        .await
        .map_err(Failure::kubernetes("list the customer's subscriptions"))?;
    Ok(found.items)
}
