//! What is counted of the calls to Stripe: by route and outcome, never by object.

use std::time::Duration;

use glyph_runtime::admin::Metrics;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Call {
    method: &'static str,
    route: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Route {
    method: &'static str,
    route: &'static str,
}

/// The families.
pub(super) struct CallMetrics {
    calls: Family<Call, Counter>,
    retries: Family<Route, Counter>,
    seconds: Family<Route, Histogram, fn() -> Histogram>,
    waits: Histogram,
}

impl CallMetrics {
    /// Registers the families.
    pub(super) fn new(metrics: &Metrics) -> Self {
        let buckets = || Histogram::new([0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0]);
        let families = Self {
            calls: Family::default(),
            retries: Family::default(),
            seconds: Family::new_with_constructor(buckets),
            waits: Histogram::new([0.001, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0]),
        };
        metrics.register(|registry| {
            let about = "Calls to Stripe by route and outcome";
            registry.register("stripe_calls", about, families.calls.clone());
            let about = "Attempts beyond the first of calls to Stripe";
            registry.register("stripe_retries", about, families.retries.clone());
            let about = "Seconds that calls to Stripe took, attempts and waits together";
            registry.register(
                "stripe_call_duration_seconds",
                about,
                families.seconds.clone(),
            );
            let about = "Seconds that a call to Stripe waited for STRIPE_MAX_REQUESTS_PER_SECOND";
            registry.register("stripe_limit_wait_seconds", about, families.waits.clone());
        });
        families
    }

    /// An attempt waited so long for the limit of calls a second.
    pub(super) fn waited(&self, time: Duration) {
        self.waits.observe(time.as_secs_f64());
    }

    /// One call has ended.
    pub(super) fn record(
        &self,
        method: &'static str,
        route: &'static str,
        outcome: &'static str,
        tries: u32,
        took: Duration,
    ) {
        let call = Call {
            method,
            route,
            outcome,
        };
        self.calls.get_or_create(&call).inc();
        let route = Route { method, route };
        if tries > 1 {
            self.retries
                .get_or_create(&route)
                .inc_by(u64::from(tries - 1));
        }
        self.seconds
            .get_or_create(&route)
            .observe(took.as_secs_f64());
    }
}
