//! What the operator counts. Labels are bounded: kinds, outcomes, reasons, tiers; never an object's name.

use std::time::Duration;

use glyph_operator_core::happening::{Happening, Sold};
use glyph_runtime::admin::Metrics;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;

mod business;
mod quota;
mod resources;

pub use business::Business;
pub use quota::QuotaUse;

/// Upper bounds of the duration of a pass, in seconds: from one that changes nothing to one that waits for Stripe.
const SECONDS: [f64; 10] = [0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0];

/// Labels of a pass. Never an object's name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Pass {
    kind: String,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfKind {
    kind: String,
}

/// Passes, by kind and outcome.
#[derive(Clone)]
pub struct Reconciles {
    passes: Family<Pass, Counter>,
    seconds: Family<OfKind, Histogram, fn() -> Histogram>,
}

impl Default for Reconciles {
    fn default() -> Self {
        let buckets: fn() -> Histogram = || Histogram::new(SECONDS);
        Self {
            passes: Family::default(),
            seconds: Family::new_with_constructor(buckets),
        }
    }
}

impl Reconciles {
    /// Counts one: `changed`, `unchanged`, `settled` or `failed`.
    pub fn count(&self, kind: &str, outcome: &'static str) {
        let kind = kind.to_owned();
        self.passes.get_or_create(&Pass { kind, outcome }).inc();
    }

    /// One took so long.
    pub fn took(&self, kind: &str, time: Duration) {
        let kind = kind.to_owned();
        let seconds = self.seconds.get_or_create(&OfKind { kind });
        seconds.observe(time.as_secs_f64());
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

    /// Whether it does.
    #[must_use]
    pub fn get(&self) -> bool {
        self.0.get() == 1
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Change {
    change: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Checkout {
    of: &'static str,
    step: &'static str,
}

/// What happened to subscriptions and checkouts, counted as it is written down.
#[derive(Clone)]
pub struct Happenings {
    subscriptions: Family<Change, Counter>,
    checkouts: Family<Checkout, Counter>,
}

impl Default for Happenings {
    /// All of them, at zero: the first of its kind is an increase too.
    fn default() -> Self {
        let all = Self {
            subscriptions: Family::default(),
            checkouts: Family::default(),
        };
        let known = Happening::OF_SUBSCRIPTIONS
            .iter()
            .chain(&Happening::OF_CHECKOUTS);
        known.for_each(|happening| drop(all.counter(*happening)));
        all
    }
}

impl Happenings {
    /// Counts them.
    pub fn count(&self, all: &[Happening]) {
        for happening in all {
            self.counter(*happening).inc();
        }
    }

    fn counter(&self, happening: Happening) -> Counter {
        let checkout = |of: Sold, step| {
            let of = match of {
                Sold::Subscription => "subscription",
                Sold::Credits => "credits",
            };
            self.checkouts.get_or_create_owned(&Checkout { of, step })
        };
        let change = |change| self.subscriptions.get_or_create_owned(&Change { change });
        match happening {
            Happening::CheckoutStarted(of) => checkout(of, "started"),
            Happening::CheckoutPaid(of) => checkout(of, "paid"),
            Happening::TrialStarted => change("trial_started"),
            Happening::Started => change("started"),
            Happening::Converted => change("converted"),
            Happening::Upgraded => change("upgraded"),
            Happening::Downgraded => change("downgraded"),
            Happening::Ended => change("ended"),
        }
    }
}

/// What is counted by the controllers.
#[derive(Clone, Default)]
pub struct Counted {
    /// Passes.
    pub reconciles: Reconciles,
    /// Whether this replica leads.
    pub leading: Leading,
    /// What happened.
    pub happenings: Happenings,
    /// How much customers use of their quotas.
    pub quota_use: QuotaUse,
}

impl Counted {
    /// Puts them among what the admin port shows.
    #[must_use]
    pub fn register(metrics: &Metrics) -> Self {
        let all = Self::default();
        metrics.register(|registry| {
            let help = "Passes over a resource, by kind and outcome";
            registry.register("reconciles", help, all.reconciles.passes.clone());
            let help = "Seconds that a pass took, calls to Stripe and Cognito included";
            registry.register(
                "reconcile_duration_seconds",
                help,
                all.reconciles.seconds.clone(),
            );
            registry.register(
                "leader",
                "Whether this replica leads",
                all.leading.0.clone(),
            );
            let help = "Changes of subscriptions written down by this process";
            registry.register(
                "subscription_changes",
                help,
                all.happenings.subscriptions.clone(),
            );
            let help = "Checkouts started and paid, as written down by this process";
            registry.register("checkouts", help, all.happenings.checkouts.clone());
        });
        all
    }
}
