//! What is counted of Stripe's events: by type, of a bounded list, and outcome.

use glyph_runtime::admin::Metrics;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;

/// The types that are counted by name. Whoever sends an event chooses its type, so the rest is `other`.
const TYPES: [&str; 24] = [
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
    "invoice.paid",
    "invoice.payment_action_required",
    "invoice.payment_failed",
    "invoice.payment_succeeded",
    "price.deleted",
    "price.updated",
    "product.created",
    "product.deleted",
    "product.updated",
];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    event_type: &'static str,
    outcome: &'static str,
}

/// The family.
pub(super) struct EventMetrics(Family<Labels, Counter>);

impl EventMetrics {
    pub(super) fn new(metrics: &Metrics) -> Self {
        let events = Family::default();
        metrics.register(|registry| {
            let about = "Deliveries of Stripe events by type and outcome";
            registry.register("webhook_events", about, Clone::clone(&events));
        });
        Self(events)
    }

    /// One delivery has ended.
    pub(super) fn record(&self, event_type: Option<&str>, outcome: &'static str) {
        let known = |known: &&&'static str| Some(**known) == event_type;
        let event_type = match TYPES.iter().find(known) {
            Some(known) => known,
            None if event_type.is_none() => "unknown",
            None => "other",
        };
        self.0
            .get_or_create(&Labels {
                event_type,
                outcome,
            })
            .inc();
    }
}
