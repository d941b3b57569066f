//! How much of its month's quota a customer has used, and how many customers have used how much. Pure.

use glyph_crds::entitlement::Standing;
use glyph_crds::period::{Period, calendar_month};
use glyph_crds::{Subscription, Tier};
use jiff::Timestamp;

/// Upper bounds of the shares by which customers are counted; whoever is past the last has gone over the quota.
pub const SHARES: [f64; 7] = [0.0, 0.25, 0.5, 0.75, 0.9, 0.99, 1.0];

/// What a customer may use in the month that now is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// The month.
    pub period: Period,
    /// Requests.
    pub requests: u64,
}

/// The allowance of a customer whose subscription in charge is `subscription`; none where there is no quota, or service
/// is refused.
#[must_use]
pub fn allowance<'a>(
    subscription: Option<&Subscription>,
    default_tier: &str,
    tier_named: impl Fn(&str) -> Option<&'a Tier>,
    now: Timestamp,
) -> Option<Allowance> {
    let (name, cycle) = match Standing::of(subscription, now) {
        Standing::Subscribed { tier, cycle } => (tier, cycle),
        Standing::Default => (default_tier.to_owned(), None),
        Standing::Lapsed { tier } => {
            let grace = tier_named(&tier)?.spec.grace.as_ref()?;
            (grace.degrade_to.as_ref()?.name.clone(), None)
        }
    };
    let requests = tier_named(&name)?.spec.quota.as_ref()?.requests;
    let period = cycle.map_or_else(|| calendar_month(now), |cycle| cycle.month(now));
    Some(Allowance { period, requests })
}

/// How many customers have used up to each of [`SHARES`] of their quota, and how many there are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Use {
    /// By the bounds, each with those below it.
    pub up_to: [u64; SHARES.len()],
    /// All.
    pub customers: u64,
}

impl Use {
    /// Counts a customer who has used so many of the requests allowed.
    pub fn add(&mut self, used: u64, allowed: u64) {
        // A quota of nothing is used up.
        let share = if allowed == 0 {
            1.0
        } else {
            used as f64 / allowed as f64
        };
        for (count, bound) in self.up_to.iter_mut().zip(SHARES) {
            *count += u64::from(share <= bound);
        }
        self.customers += 1;
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const NOW: &str = "2028-04-10T12:00:00Z";

    fn from<T: serde::de::DeserializeOwned>(
        kind: &str,
        name: &str,
        spec: Value,
        status: Value,
    ) -> T {
        let resource = json!({"apiVersion": "glyphapi.ai/v1alpha1", "kind": kind,
            "metadata": {"name": name}, "spec": spec, "status": status});
        serde_json::from_value(resource).unwrap()
    }

    fn tiers() -> Vec<Tier> {
        let tier = |name: &str, more: Value| {
            let mut spec = json!({"displayName": name});
            for (field, value) in more.as_object().unwrap() {
                spec[field] = value.clone();
            }
            from("Tier", name, spec, json!({}))
        };
        let grace = json!({"days": 7, "degradeTo": {"name": "free"}});
        vec![
            tier("free", json!({"quota": {"requests": 10}})),
            tier(
                "starter",
                json!({"quota": {"requests": 20}, "grace": grace}),
            ),
            tier("enterprise", json!({})),
        ]
    }

    fn allowed(status: Option<Value>) -> Option<(u64, String)> {
        let tiers = tiers();
        let named = |name: &str| {
            tiers
                .iter()
                .find(|t| t.metadata.name.as_deref() == Some(name))
        };
        let spec = json!({"customerRef": {"name": "ada"}, "tier": "starter"});
        let subscription: Option<Subscription> =
            status.map(|status| from("Subscription", "ada", spec.clone(), status));
        let found = allowance(subscription.as_ref(), "free", named, NOW.parse().unwrap())?;
        Some((found.requests, found.period.start.to_string()))
    }

    #[test]
    fn the_allowance_is_that_of_the_tier_in_force_in_its_own_month() {
        let period = json!({"start": "2028-04-03T00:00:00Z", "end": "2028-05-03T00:00:00Z"});
        let status = |state: &str, tier: &str| json!({"state": state, "tier": tier, "currentPeriod": period});
        let april = "2028-04-01T00:00:00Z".to_owned();
        assert_eq!(allowed(None), Some((10, april.clone())));
        let own = "2028-04-03T00:00:00Z".to_owned();
        assert_eq!(allowed(Some(status("active", "starter"))), Some((20, own)));
        assert_eq!(
            allowed(Some(status("unpaid", "starter"))),
            Some((10, april))
        );
        assert_eq!(allowed(Some(status("active", "enterprise"))), None);
        assert_eq!(allowed(Some(status("active", "gone"))), None);
    }

    #[test]
    fn customers_are_counted_below_each_share_that_they_have_not_passed() {
        let mut all = Use::default();
        for (used, allowed) in [(0, 10), (5, 10), (10, 10), (12, 10), (0, 0)] {
            all.add(used, allowed);
        }
        assert_eq!(all.up_to, [1, 1, 2, 2, 2, 2, 4]);
        assert_eq!(all.customers, 5);
    }
}
