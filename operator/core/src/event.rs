//! What is read of Stripe's events: which types matter, and whom one is about. An event is a hint: nothing else of it
//! counts, and whoever it wakes reads the latest object.

use jiff::Timestamp;

use crate::billing::Owner;

/// The types that the controllers act on (<https://docs.stripe.com/api/events/types>): those that a webhook endpoint of
/// ours is registered for, and that are counted by name.
///
/// | types | about | found by |
/// |---|---|---|
/// | `checkout.session.*` | Subscription or CreditPurchase | metadata, else the session's id |
/// | `customer.*` | GlyphCustomer | metadata, else id |
/// | `customer.subscription.*`, `subscription_schedule.*` | Subscription | metadata, else the subscription's id |
/// | `invoice.*` | Subscription | its subscription's metadata or id, under `parent` |
/// | `charge.*` | CreditPurchase, or the customer | ids of charge and payment, else the customer |
/// | `price.*`, `product.*` | Tier or CreditPack | metadata, else id |
pub const TYPES: [&str; 46] = [
    "charge.dispute.closed",
    "charge.dispute.created",
    "charge.dispute.funds_reinstated",
    "charge.dispute.funds_withdrawn",
    "charge.dispute.updated",
    "charge.refunded",
    "checkout.session.async_payment_failed",
    "checkout.session.async_payment_succeeded",
    "checkout.session.completed",
    "checkout.session.expired",
    "customer.created",
    "customer.deleted",
    "customer.subscription.created",
    "customer.subscription.deleted",
    "customer.subscription.paused",
    "customer.subscription.pending_update_applied",
    "customer.subscription.pending_update_expired",
    "customer.subscription.resumed",
    "customer.subscription.trial_will_end",
    "customer.subscription.updated",
    "customer.updated",
    "invoice.created",
    "invoice.finalization_failed",
    "invoice.finalized",
    "invoice.marked_uncollectible",
    "invoice.overdue",
    "invoice.paid",
    "invoice.payment_action_required",
    "invoice.payment_failed",
    "invoice.payment_succeeded",
    "invoice.updated",
    "invoice.voided",
    "price.created",
    "price.deleted",
    "price.updated",
    "product.created",
    "product.deleted",
    "product.updated",
    "refund.failed",
    "subscription_schedule.aborted",
    "subscription_schedule.canceled",
    "subscription_schedule.completed",
    "subscription_schedule.created",
    "subscription_schedule.expiring",
    "subscription_schedule.released",
    "subscription_schedule.updated",
];

/// The type of [`TYPES`] that `event_type` is; a thin event says `v1.` before it.
#[must_use]
pub fn known_type(event_type: &str) -> Option<&'static str> {
    let plain = event_type.strip_prefix("v1.").unwrap_or(event_type);
    let at = TYPES.binary_search(&plain).ok()?;
    TYPES.get(at).copied()
}

/// An event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// `evt_…`
    pub id: String,
    /// e.g. `customer.subscription.updated`
    pub event_type: String,
    /// Whether real money moved.
    pub livemode: bool,
    /// When Stripe made it; absent in a thin event.
    pub created: Option<Timestamp>,
    /// What it tells of the object it is about.
    pub about: About,
    /// Where a thin event says that its object is (`/v1/invoices/in_…`).
    pub url: Option<String>,
}

/// What tells the owner of an object of Stripe's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct About {
    /// The owner that its metadata name.
    pub owner: Option<Owner>,
    /// Ids of the object itself, and of what it belongs to.
    pub ids: Vec<String>,
    /// The customer whose object it is.
    pub customer: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_types_are_sorted_and_each_stands_there_once() {
        assert!(TYPES.is_sorted_by(|one, next| one < next));
    }

    #[test]
    fn a_type_is_known_in_both_forms_and_no_other_is() {
        assert_eq!(known_type("invoice.paid"), Some("invoice.paid"));
        assert_eq!(known_type("v1.invoice.paid"), Some("invoice.paid"));
        for other in ["v2.core.account.updated", "payment_intent.created", ""] {
            assert_eq!(known_type(other), None);
        }
    }
}
