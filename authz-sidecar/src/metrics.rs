//! What the sidecar counts of itself. Labels are bounded: codes are few, and of tiers and endpoints only the first
//! [`MOST_TIERS`] and [`MOST_ENDPOINTS`] have their own name. Never a customer, a key or a path.

mod redis;

use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use glyph_authz_core::index::Kind;
use glyph_authz_core::{Identity, Permit, Verdict};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeGaugeValue, EncodeLabelSet, EncodeMetric,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::histogram::Histogram;

use crate::counters::ReloadingRedis;
use crate::gate::Gate;
use crate::watch::Standing;
use redis::RedisMetrics;

/// How many tiers are told apart.
pub const MOST_TIERS: usize = 50;

/// How many endpoints are told apart.
pub const MOST_ENDPOINTS: usize = 500;

/// Requests that no endpoint of a GlyphApi is for.
const UNMATCHED: &str = "unmatched";

/// Upper bounds of the latency histogram, in seconds: from what memory takes to what the Redis deadline allows.
const SECONDS: [f64; 9] = [
    0.000_025, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025,
];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Decision {
    code: &'static str,
    tier: Arc<str>,
    endpoint: Arc<str>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfTier {
    tier: Arc<str>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfKind {
    kind: &'static str,
}

/// What is counted as it happens.
pub struct Metrics {
    decisions: Family<Decision, Counter>,
    credits: Family<OfTier, Counter>,
    seconds: Histogram,
    malformed: Family<OfKind, Counter>,
    /// How long Redis took.
    pub redis: RedisMetrics,
    /// Which watches stand.
    pub standing: Standing,
    tiers: Names<MOST_TIERS>,
    endpoints: Names<MOST_ENDPOINTS>,
}

impl Default for Metrics {
    /// Of what is rare, the zeros as well: the first of its kind is an increase too.
    fn default() -> Self {
        let malformed = Family::<OfKind, Counter>::default();
        for kind in Kind::ALL {
            let kind = kind.as_str();
            drop(malformed.get_or_create_owned(&OfKind { kind }));
        }
        Self {
            decisions: Family::default(),
            credits: Family::default(),
            seconds: Histogram::new(SECONDS),
            malformed,
            redis: RedisMetrics::default(),
            standing: Standing::default(),
            tiers: Names::default(),
            endpoints: Names::default(),
        }
    }
}

impl Metrics {
    /// Shows them, and the state of `gate` and `redis`, on the admin port.
    pub fn register<C, K>(
        &self,
        admin: &glyph_runtime::admin::Metrics,
        gate: Arc<Gate<C, K>>,
        redis: ReloadingRedis,
    ) where
        Gate<C, K>: Send + Sync + 'static,
    {
        let shown = Arc::clone(&gate);
        let state = State(Box::new(move || Seen {
            kinds: Kind::ALL
                .map(|kind| gate.look(|index| (kind, index.len(kind), index.is_kind_synced(kind)))),
            ages: Kind::ALL.map(|kind| (kind, gate.metrics.standing.age(kind).as_secs_f64())),
            redis: redis.is_available(),
        }));
        admin.register(|registry| {
            let registry = registry.sub_registry_with_prefix("authz");
            registry.register(
                "decisions",
                "Checks answered, by code, tier in force and endpoint",
                self.decisions.clone(),
            );
            let help = "Credits taken by requests, by tier in force";
            registry.register("credits_spent", help, self.credits.clone());
            let help = "Seconds from a check read to its answer, Redis included";
            registry.register("decision_seconds", help, self.seconds.clone());
            let help = "Resources seen that could not be read and are not in force";
            registry.register("malformed_resources", help, self.malformed.clone());
            self.redis.register(registry);
            registry.register_collector(Box::new(state));
            shown.usage.metrics.register(registry);
        });
    }

    /// A check was answered.
    pub fn decided(&self, verdict: &Verdict, took: Duration) {
        let (code, tier, endpoint) = match verdict {
            Ok(permit) => (
                "ok",
                permit.identity().map(Identity::tier),
                permit.endpoint(),
            ),
            Err(denial) => (denial.code().as_str(), denial.tier(), denial.endpoint()),
        };
        let tier = tier.map_or_else(|| "".into(), |tier| self.tiers.known(tier.name()));
        let endpoint = self.endpoints.known(endpoint.unwrap_or(UNMATCHED));
        let credits = verdict.as_ref().map_or(0, Permit::credits_taken);
        if credits > 0 {
            let tier = Arc::clone(&tier);
            self.credits.get_or_create(&OfTier { tier }).inc_by(credits);
        }
        let decision = Decision {
            code,
            tier,
            endpoint,
        };
        self.decisions.get_or_create(&decision).inc();
        self.seconds.observe(took.as_secs_f64());
    }

    /// A resource was seen that could not be read.
    pub fn malformed(&self, kind: Kind) {
        self.malformed
            .get_or_create(&OfKind {
                kind: kind.as_str(),
            })
            .inc();
    }
}

/// The first `MOST` names that came.
#[derive(Default)]
pub(crate) struct Names<const MOST: usize>(RwLock<HashSet<Arc<str>>>);

impl<const MOST: usize> Names<MOST> {
    /// `name`, or `other` where there are too many to tell apart.
    pub(crate) fn known(&self, name: &str) -> Arc<str> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known.get(name) {
            return Arc::clone(known);
        }
        drop(known);
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let name: Arc<str> = if all.len() < MOST { name } else { "other" }.into();
        all.insert(Arc::clone(&name));
        name
    }
}

/// What is looked up when somebody asks.
struct State(Box<dyn Fn() -> Seen + Send + Sync>);

struct Seen {
    kinds: [(Kind, usize, bool); Kind::ALL.len()],
    ages: [(Kind, f64); Kind::ALL.len()],
    redis: bool,
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("State")
    }
}

impl Collector for State {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let seen = (self.0)();
        let sizes = seen
            .kinds
            .map(|(kind, size, _)| (kind, i64::try_from(size).unwrap_or(i64::MAX)));
        by_kind(&mut encoder, "index_resources", "Resources in force", sizes)?;
        let synced = seen
            .kinds
            .map(|(kind, _, synced)| (kind, i64::from(synced)));
        by_kind(
            &mut encoder,
            "index_synced",
            "1 once all resources of the kind have been listed",
            synced,
        )?;
        let help = "Seconds since the API server was last heard of the kind; 0 while it is watched";
        by_kind(&mut encoder, "index_age_seconds", help, seen.ages)?;
        let redis = ConstGauge::new(i64::from(seen.redis));
        let help = "1 while checks are sent to Redis";
        redis.encode(encoder.encode_descriptor(
            "redis_available",
            help,
            None,
            redis.metric_type(),
        )?)
    }
}

fn by_kind<V: EncodeGaugeValue>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    values: [(Kind, V); Kind::ALL.len()],
) -> Result<(), fmt::Error> {
    let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for (kind, value) in values {
        let labels = OfKind {
            kind: kind.as_str(),
        };
        ConstGauge::new(value).encode(metric.encode_family(&labels)?)?;
    }
    Ok(())
}
