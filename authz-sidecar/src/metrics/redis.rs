//! How long checks waited for Redis, and how that ended.

use std::time::Duration;

use glyph_usage::{CountersError, Outcome};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// Upper bounds, in seconds: from what a Redis next door takes to what the longest deadline allows.
const SECONDS: [f64; 10] = [
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.1, 0.5,
];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Ended {
    outcome: &'static str,
}

/// The histograms, each at hand: they are asked for with every check.
pub struct RedisMetrics {
    all: Family<Ended, Histogram, fn() -> Histogram>,
    ok: Histogram,
    unavailable: Histogram,
    failed: Histogram,
}

impl Default for RedisMetrics {
    fn default() -> Self {
        let all: Family<_, _, fn() -> Histogram> =
            Family::new_with_constructor(|| Histogram::new(SECONDS));
        let of = |outcome| all.get_or_create_owned(&Ended { outcome });
        Self {
            ok: of("ok"),
            unavailable: of("unavailable"),
            failed: of("failed"),
            all,
        }
    }
}

impl RedisMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        let help = "Seconds that a check waited for Redis, by outcome; those not sent there are unavailable at once";
        registry.register("redis_duration_seconds", help, self.all.clone());
    }

    /// A check was counted, or was not.
    pub fn asked(&self, answer: &Result<Outcome, CountersError>, took: Duration) {
        let histogram = match answer {
            Ok(_) => &self.ok,
            Err(CountersError::Unavailable(_)) => &self.unavailable,
            Err(CountersError::Failed(_) | CountersError::Invalid(_)) => &self.failed,
        };
        histogram.observe(took.as_secs_f64());
    }
}
