//! What the controllers count.

use glyph_runtime::admin::Metrics;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;

/// Labels of a pass. Never an object's name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Pass {
    kind: String,
    outcome: &'static str,
}

/// Passes, by kind and outcome.
#[derive(Clone, Default)]
pub struct Reconciles(Family<Pass, Counter>);

impl Reconciles {
    /// Counts one: `changed`, `unchanged` or `failed`.
    pub fn count(&self, kind: &str, outcome: &'static str) {
        let kind = kind.to_owned();
        self.0.get_or_create(&Pass { kind, outcome }).inc();
    }
}

/// Whether this replica leads.
#[derive(Clone, Default)]
pub struct Leading(Gauge);

impl Leading {
    /// 1 or 0.
    pub fn set(&self, leads: bool) {
        self.0.set(i64::from(leads));
    }
}

/// Puts both among what the admin port shows.
pub fn register(metrics: &Metrics) -> (Reconciles, Leading) {
    let (reconciles, leading) = (Reconciles::default(), Leading::default());
    metrics.register(|registry| {
        let help = "Passes over a resource, by kind and outcome";
        registry.register("reconciles", help, reconciles.0.clone());
        registry.register("leader", "Whether this replica leads", leading.0.clone());
    });
    (reconciles, leading)
}
