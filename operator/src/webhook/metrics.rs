//! What is counted of Stripe's events: by type, of a bounded list, and outcome.

use glyph_operator_core::event::known_type;
use glyph_runtime::admin::Metrics;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;

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
        // Whoever sends an event chooses its type, so those that we do not act on are all one.
        let event_type = event_type.map_or("unknown", |sent| known_type(sent).unwrap_or("other"));
        self.0
            .get_or_create(&Labels {
                event_type,
                outcome,
            })
            .inc();
    }
}
