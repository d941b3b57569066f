//! What is counted of Stripe's events: by type, of a bounded list, and outcome.

use glyph_operator_core::event::known_type;
use glyph_runtime::admin::Metrics;
use jiff::SignedDuration;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;

/// Upper bounds of the age, in seconds: Stripe delivers within some seconds, and tries again for three days.
const SECONDS: [f64; 11] = [
    1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 7200.0, 28_800.0, 86_400.0,
];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    event_type: &'static str,
    outcome: &'static str,
}

/// The families.
pub(super) struct EventMetrics {
    events: Family<Labels, Counter>,
    age: Histogram,
}

impl EventMetrics {
    pub(super) fn new(metrics: &Metrics) -> Self {
        let families = Self {
            events: Family::default(),
            age: Histogram::new(SECONDS),
        };
        metrics.register(|registry| {
            let about = "Deliveries of Stripe events by type and outcome";
            registry.register("webhook_events", about, families.events.clone());
            let about = "Seconds from when Stripe made an event to its delivery, by Stripe's clock and ours";
            registry.register("webhook_age_seconds", about, families.age.clone());
        });
        families
    }

    /// An event that Stripe signed came this long after it was made.
    pub(super) fn came(&self, age: SignedDuration) {
        // Clocks differ: what came before it was made came at once.
        self.age.observe(age.as_secs_f64().max(0.0));
    }

    /// One delivery has ended.
    pub(super) fn record(&self, event_type: Option<&str>, outcome: &'static str) {
        // Whoever sends an event chooses its type, so those that we do not act on are all one.
        let event_type = event_type.map_or("unknown", |sent| known_type(sent).unwrap_or("other"));
        self.events
            .get_or_create(&Labels {
                event_type,
                outcome,
            })
            .inc();
    }
}
