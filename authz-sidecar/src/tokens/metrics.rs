//! What is counted of tokens and of the keys they are verified by. Labelled by pool, of which there are as many as the
//! settings name; never by user or client.

use std::fmt;
use std::sync::Arc;

use glyph_runtime::clock::Clock;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;

use super::Tokens;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Fetch {
    pool: String,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfPool {
    pool: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct By {
    by: &'static str,
}

/// The fetches of keys.
#[derive(Clone, Default)]
pub(super) struct Fetches(Family<Fetch, Counter>);

impl Fetches {
    /// A fetch has ended.
    pub(super) fn ended(&self, pool: &str, outcome: &'static str) {
        let pool = pool.to_owned();
        self.0.get_or_create(&Fetch { pool, outcome }).inc();
    }
}

impl Tokens {
    /// Shows them on the admin port.
    pub fn register(self: &Arc<Self>, admin: &glyph_runtime::admin::Metrics, clock: impl Clock) {
        let tokens = Arc::clone(self);
        let state = State(Box::new(move || Seen::of(&tokens, &clock)));
        admin.register(|registry| {
            let registry = registry.sub_registry_with_prefix("authz");
            let help = "Fetches of user pools' keys, by how they ended";
            registry.register("jwks_fetches", help, self.fetches.0.clone());
            registry.register_collector(Box::new(state));
        });
    }
}

/// What is looked up when somebody asks.
struct State(Box<dyn Fn() -> Seen + Send + Sync>);

struct Seen {
    /// Pools that have keys, and how old those are, in seconds.
    ages: Vec<(OfPool, f64)>,
    remembered: u64,
    verified: u64,
}

impl Seen {
    fn of(tokens: &Tokens, clock: &impl Clock) -> Self {
        let (trust, now) = (tokens.trust.load(), clock.now());
        let pools = trust.pools().iter().enumerate();
        let ages = pools.filter_map(|(number, pool)| {
            let label = OfPool {
                pool: pool.id.to_string(),
            };
            Some((label, trust.age(number, now)?.as_secs_f64()))
        });
        let seen = tokens.remembered.seen();
        Self {
            ages: ages.collect(),
            remembered: seen.remembered,
            verified: seen.verified,
        }
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("State")
    }
}

impl Collector for State {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let seen = (self.0)();
        let help = "Seconds since the keys in force were fetched";
        let mut ages =
            encoder.encode_descriptor("jwks_age_seconds", help, None, MetricType::Gauge)?;
        for (label, age) in seen.ages {
            ConstGauge::new(age).encode(ages.encode_family(&label)?)?;
        }
        let help = "Tokens found genuine, by their signature or by having been seen before";
        let mut tokens = encoder.encode_descriptor("tokens", help, None, MetricType::Counter)?;
        for (by, count) in [("signature", seen.verified), ("memory", seen.remembered)] {
            ConstCounter::new(count).encode(tokens.encode_family(&By { by })?)?;
        }
        Ok(())
    }
}
