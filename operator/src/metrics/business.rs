//! The business figures and the state of the resources, worked out from what is watched whenever somebody asks. Only the
//! leader shows them, so that a sum over all replicas is right.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use glyph_operator_core::figures::{Figures, Revenue, Turnover};
use glyph_runtime::admin::Metrics;
use glyph_runtime::clock::Clock;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeGaugeValue, EncodeLabelSet, EncodeMetric,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;

use super::{Leading, QuotaUse, resources};
use crate::watches::{Stores, readable};

/// How many tiers are told apart, in the order of their names.
pub const MOST_TIERS: usize = 50;
/// All other tiers.
const OTHER: &str = "other";

/// What the figures are worked out from.
pub struct Business {
    /// The resources, of every scope.
    pub stores: Vec<Stores>,
    /// Whether they are shown here.
    pub leading: Leading,
    /// What the counters said last.
    pub quota_use: QuotaUse,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
}

impl fmt::Debug for Business {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Business")
    }
}

impl Business {
    /// Shows them on the admin port.
    pub fn register(self, metrics: &Metrics) {
        metrics.register(|registry| registry.register_collector(Box::new(self)));
    }

    fn figures(&self) -> Figures {
        let mut state = (Vec::new(), Vec::new(), Vec::new());
        for stores in &self.stores {
            state.0.extend(stores.customers.state());
            state.1.extend(stores.subscriptions.state());
            state.2.extend(stores.tiers.state());
        }
        let now = self.clock.now();
        Figures::of(
            readable(&state.0),
            readable(&state.1),
            readable(&state.2),
            now,
        )
    }
}

impl Collector for Business {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        if !self.leading.get() || !self.stores.iter().all(Stores::are_listed) {
            return Ok(());
        }
        let mut writer = Writer(encoder);
        let figures = self.figures();
        let names = Names::of(&figures);
        money(&mut writer, &figures, &names)?;
        turnover(&mut writer, &figures, &names)?;
        resources::write(&mut writer, &self.stores)?;
        self.quota_use.write(&mut writer)
    }
}

fn money(writer: &mut Writer<'_>, figures: &Figures, names: &Names<'_>) -> fmt::Result {
    let by_price = |amount: fn(&Revenue) -> f64| {
        let all = figures.revenue.iter();
        let all = all.map(move |((tier, currency), revenue)| {
            let labels = [("tier", names.known(tier)), ("currency", currency.as_str())];
            (labels, amount(revenue))
        });
        summed(all)
    };
    let help = "Monthly recurring revenue in minor units of the currency";
    writer.gauges("mrr_minor_units", help, by_price(Revenue::monthly))?;
    let help = "Customers whose subscription is counted in glyph_mrr_minor_units";
    writer.gauges(
        "paying_customers",
        help,
        by_price(|revenue| revenue.customers as f64),
    )?;
    let states = figures.subscriptions.iter().map(|((tier, state), count)| {
        (
            [("tier", names.known(tier)), ("state", *state)],
            *count as f64,
        )
    });
    let help = "Subscriptions in Stripe that have not ended, by Stripe's state";
    writer.gauges("subscriptions", help, summed(states))?;
    writer.gauges(
        "customers",
        "Customers there are",
        [([], figures.customers as f64)],
    )?;
    let help = "Customers made within the last 30 days";
    writer.gauges("signups_30_days", help, [([], figures.signups as f64)])
}

fn turnover(writer: &mut Writer<'_>, figures: &Figures, names: &Names<'_>) -> fmt::Result {
    type Of = fn(&Turnover) -> u64;
    let all: [(&str, &str, Of); 5] = [
        (
            "paying_customers_30_days_ago",
            "Customers who paid 30 days ago",
            |turnover| turnover.paid_before,
        ),
        (
            "churned_customers_30_days",
            "Customers who paid 30 days ago and do not pay now",
            |turnover| turnover.churned,
        ),
        (
            "trials_started_30_days",
            "Trials that began within the last 30 days",
            |turnover| turnover.trials_started,
        ),
        (
            "trials_ended_30_days",
            "Trials that were over within the last 30 days",
            |turnover| turnover.trials_ended,
        ),
        (
            "trials_converted_30_days",
            "Trials that were over within the last 30 days and were paid for then",
            |turnover| turnover.trials_converted,
        ),
    ];
    for (name, help, of) in all {
        let by_tier = figures
            .turnover
            .iter()
            .map(|(tier, turnover)| ([("tier", names.known(tier))], of(turnover) as f64));
        writer.gauges(name, help, summed(by_tier))?;
    }
    Ok(())
}

/// Those tiers that have their own name.
struct Names<'a>(BTreeSet<&'a str>);

impl<'a> Names<'a> {
    fn of(figures: &'a Figures) -> Self {
        let billed = figures.revenue.keys().map(|(tier, _)| tier);
        let counted = figures.subscriptions.keys().map(|(tier, _)| tier);
        let all = figures.turnover.keys().chain(billed).chain(counted);
        let all: BTreeSet<_> = all.map(String::as_str).collect();
        Self(all.into_iter().take(MOST_TIERS).collect())
    }

    fn known<'b>(&self, tier: &'b str) -> &'b str {
        if self.0.contains(tier) { tier } else { OTHER }
    }
}

/// One value for each set of labels: tiers beyond the most share theirs.
fn summed<L: Ord>(all: impl Iterator<Item = (L, f64)>) -> Vec<(L, f64)> {
    let mut sums = std::collections::BTreeMap::new();
    for (labels, value) in all {
        *sums.entry(labels).or_insert(0.0) += value;
    }
    sums.into_iter().collect()
}

/// Writes gauges that were just worked out.
pub(super) struct Writer<'a>(DescriptorEncoder<'a>);

impl Writer<'_> {
    /// One gauge, by its labels.
    pub(super) fn gauges<'b, const N: usize, V: EncodeGaugeValue>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = ([(&'b str, &'b str); N], V)>,
    ) -> fmt::Result
    where
        [(&'b str, &'b str); N]: EncodeLabelSet,
    {
        let mut values = values.into_iter().peekable();
        if values.peek().is_none() {
            return Ok(());
        }
        let mut metric = self
            .0
            .encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (labels, value) in values {
            let gauge = ConstGauge::new(value);
            if N == 0 {
                return gauge.encode(metric);
            }
            gauge.encode(metric.encode_family(&labels)?)?;
        }
        Ok(())
    }
}
