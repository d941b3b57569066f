//! The business figures: revenue, who pays, who left, trials, signups. Pure, from the resources and the time alone, so
//! that they are the same after a restart and on every replica. `docs/metrics.md` says what each means, with an
//! example worked by hand.

use std::collections::{BTreeMap, BTreeSet};

use glyph_crds::common::BilledPrice;
use glyph_crds::entitlement::{Standing, is_final};
use glyph_crds::{
    GlyphCustomer, Subscription, SubscriptionState as State, SubscriptionStatus, Tier,
};
use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;

/// How far figures look back that are about a span of time.
pub const WINDOW: SignedDuration = SignedDuration::from_hours(30 * 24);
/// A trial whose subscription ends no later than this after it was not paid for: news of its end, and a first charge that
/// fails at once, take a moment.
const MOMENT: SignedDuration = SignedDuration::from_hours(1);
/// The currency of a price that cannot be told.
const UNKNOWN: &str = "unknown";

/// All of them, at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// By name of the tier, and currency.
    pub revenue: BTreeMap<(String, String), Revenue>,
    /// By name of the tier.
    pub turnover: BTreeMap<String, Turnover>,
    /// Subscriptions that have not ended, by name of the tier and Stripe's state.
    pub subscriptions: BTreeMap<(String, &'static str), u64>,
    /// All customers there are.
    pub customers: u64,
    /// Those made within the [`WINDOW`].
    pub signups: u64,
}

/// What those who pay now bring.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Revenue {
    /// Minor units a year.
    pub a_year: i64,
    /// How many pay it.
    pub customers: u64,
}

impl Revenue {
    /// Minor units a month.
    #[must_use]
    pub fn monthly(&self) -> f64 {
        // Money of this world fits: a double holds 2^53 minor units.
        self.a_year as f64 / 12.0
    }
}

/// What happened within the [`WINDOW`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Turnover {
    /// Customers who paid at its beginning.
    pub paid_before: u64,
    /// Those of them who do not now.
    pub churned: u64,
    /// Trials that began.
    pub trials_started: u64,
    /// Trials that were over, by their end or before.
    pub trials_ended: u64,
    /// Those of them that were paid for then.
    pub trials_converted: u64,
}

/// A customer, by namespace and name.
type Whose = (String, String);

impl Figures {
    /// The figures at `now`. Tiers of one name in several namespaces are one.
    pub fn of<'a>(
        customers: impl IntoIterator<Item = &'a GlyphCustomer>,
        subscriptions: impl IntoIterator<Item = &'a Subscription>,
        tiers: impl IntoIterator<Item = &'a Tier>,
        now: Timestamp,
    ) -> Self {
        let since = now.saturating_sub(WINDOW).unwrap_or(Timestamp::MIN);
        let mut figures = Self::default();
        for customer in customers {
            let made = customer.metadata.creation_timestamp.as_ref();
            figures.customers += 1;
            figures.signups += u64::from(made.is_some_and(|made| made.0 > since));
        }
        let tiers = figures.offer(tiers);
        let (mut before, mut paying) = (BTreeMap::<Whose, String>::new(), BTreeSet::<Whose>::new());
        for life in subscriptions.into_iter().filter_map(|s| Life::of(s, now)) {
            figures.count(&life, since, now);
            if let Some(price) = life.billed(&tiers) {
                figures.earn(&life.tier, price);
                paying.insert(life.whose.clone());
            }
            if life.paid_at(since) {
                before.insert(life.whose, life.tier);
            }
        }
        for (whose, tier) in before {
            let turnover = figures.turnover.entry(tier).or_default();
            turnover.paid_before += 1;
            turnover.churned += u64::from(!paying.contains(&whose));
        }
        figures
    }

    /// Puts in every tier that is sold, also if nobody pays for it: a series of zeros is not a gap.
    fn offer<'a>(
        &mut self,
        tiers: impl IntoIterator<Item = &'a Tier>,
    ) -> BTreeMap<(String, String), BilledPrice> {
        let mut sold = BTreeMap::new();
        for tier in tiers {
            let (namespace, name) = (tier.namespace().unwrap_or_default(), tier.name_any());
            let Some(price) = &tier.spec.price else {
                continue;
            };
            let place = (name.clone(), price.currency.clone());
            self.revenue.entry(place).or_default();
            self.turnover.entry(name.clone()).or_default();
            let price = BilledPrice {
                currency: price.currency.clone(),
                amount: price.amount,
                interval: price.interval,
            };
            sold.insert((namespace, name), price);
        }
        sold
    }

    fn earn(&mut self, tier: &str, price: Option<BilledPrice>) {
        let currency = price.as_ref().map_or(UNKNOWN, |price| &price.currency);
        let place = (tier.to_owned(), currency.to_owned());
        let revenue = self.revenue.entry(place).or_default();
        let a_year = price.map_or(0, |price| price.a_year());
        revenue.a_year = revenue.a_year.saturating_add(a_year);
        revenue.customers += 1;
    }

    fn count(&mut self, life: &Life<'_>, since: Timestamp, now: Timestamp) {
        if !is_final(Some(life.state)) {
            let place = (life.tier.clone(), name_of(life.state));
            *self.subscriptions.entry(place).or_default() += 1;
        }
        let turnover = self.turnover.entry(life.tier.clone()).or_default();
        let within = |at: Timestamp| since < at && at <= now;
        if let Some((begun, over)) = life.trial() {
            turnover.trials_started += u64::from(begun.is_some_and(within));
            turnover.trials_ended += u64::from(within(over));
            turnover.trials_converted += u64::from(within(over) && life.converted());
        }
    }
}

/// What a subscription in Stripe was and is.
struct Life<'a> {
    whose: Whose,
    status: &'a SubscriptionStatus,
    state: State,
    tier: String,
    /// Whether full service is paid for now.
    pays: bool,
    /// When it stopped paying, if it did.
    left: Option<Timestamp>,
}

impl<'a> Life<'a> {
    /// Of a subscription that Stripe has.
    fn of(subscription: &'a Subscription, now: Timestamp) -> Option<Self> {
        let status = subscription.status.as_ref()?;
        let state = status.state?;
        let standing = Standing::of(Some(subscription), now);
        let (in_force, lapsed) = match &standing {
            Standing::Subscribed { tier, .. } => (Some(tier), false),
            Standing::Lapsed { .. } => (None, true),
            Standing::Default => (None, false),
        };
        let billed = in_force.or(status.tier.as_ref());
        let namespace = subscription.namespace().unwrap_or_default();
        let pays = in_force.is_some() && state != State::Trialing;
        let ends = status.ends_at.as_ref().filter(|ends| ends.0 <= now);
        let unpaid = status.unpaid_since.as_ref().filter(|_| lapsed);
        let deleted = subscription.metadata.deletion_timestamp.as_ref();
        let left = [status.ended_at.as_ref(), ends, unpaid, deleted];
        let left = left.into_iter().flatten().map(|at| at.0).min();
        Some(Self {
            whose: (namespace, subscription.spec.customer_ref.name.clone()),
            status,
            state,
            tier: billed.unwrap_or(&subscription.spec.tier).clone(),
            pays,
            left: left.filter(|_| !pays),
        })
    }

    /// What is billed, if full service is paid for now: by a tier that has just taken over, that one's price.
    fn billed(
        &self,
        sold: &BTreeMap<(String, String), BilledPrice>,
    ) -> Option<Option<BilledPrice>> {
        let took_over = self.status.tier.as_ref() != Some(&self.tier);
        let tier = (self.whose.0.clone(), self.tier.clone());
        let price = if took_over {
            sold.get(&tier)
        } else {
            self.status.price.as_ref()
        };
        self.pays.then(|| price.cloned())
    }

    /// Whether it was paid for at `then`.
    fn paid_at(&self, then: Timestamp) -> bool {
        let here = self.pays || self.left.is_some_and(|left| then < left);
        here && self.paid_since().is_some_and(|since| since <= then)
    }

    /// Since when it was paid for, if ever.
    fn paid_since(&self) -> Option<Timestamp> {
        let never = [
            State::Incomplete,
            State::IncompleteExpired,
            State::Paused,
            State::Trialing,
        ];
        let trial = self.status.trial_ends_at.as_ref().map(|at| at.0);
        let ended = self.status.ended_at.as_ref().map(|at| at.0);
        let with_trial = trial
            .zip(ended)
            .is_some_and(|(trial, ended)| ended <= trial + MOMENT);
        if never.contains(&self.state) || with_trial {
            return None;
        }
        trial.max(self.status.started_at.as_ref().map(|at| at.0))
    }

    /// When its trial began, and when that was or will be over.
    fn trial(&self) -> Option<(Option<Timestamp>, Timestamp)> {
        let end = self.status.trial_ends_at.as_ref()?.0;
        let over = self.left.map_or(end, |left| left.min(end));
        Some((self.status.started_at.as_ref().map(|at| at.0), over))
    }

    /// Whether its trial was paid for.
    fn converted(&self) -> bool {
        let trial = self.status.trial_ends_at.as_ref().map(|at| at.0);
        let unpaid = self.status.unpaid_since.as_ref().map(|at| at.0);
        // The first charge comes an hour after the trial, and may be noticed late.
        let at_once = trial
            .zip(unpaid)
            .is_some_and(|(trial, unpaid)| unpaid <= trial + MOMENT * 24);
        self.paid_since().is_some() && !at_once
    }
}

/// Stripe's word for a state.
#[must_use]
pub fn name_of(state: State) -> &'static str {
    match state {
        State::Incomplete => "incomplete",
        State::IncompleteExpired => "incomplete_expired",
        State::Trialing => "trialing",
        State::Active => "active",
        State::PastDue => "past_due",
        State::Canceled => "canceled",
        State::Unpaid => "unpaid",
        State::Paused => "paused",
    }
}

#[cfg(test)]
mod tests;
