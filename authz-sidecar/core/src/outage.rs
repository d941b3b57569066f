//! What may pass while the counters are away: nothing, or a stated budget. Pure: the time is an argument.

use std::collections::HashMap;
use std::str::FromStr;

use jiff::{SignedDuration, Timestamp};
use thiserror::Error;

use crate::index::ObjectName;

/// An outage is over when the counters have answered for this long without a failure. A Redis that fails now and then
/// is one outage, not many with a budget each.
const QUIET: SignedDuration = SignedDuration::from_secs(60);

/// What to do while the counters are away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenAway {
    /// Refuse with 503.
    #[default]
    Deny,
    /// Admit calls of that cost in all for each customer, by each process, during one outage. They are not counted.
    Allow(u64),
}

/// Not a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "expected `deny`, or `allow:N` with the calls that each customer may make during one outage, e.g. allow:100"
)]
pub struct MalformedPolicy;

impl FromStr for WhenAway {
    type Err = MalformedPolicy;

    fn from_str(text: &str) -> Result<Self, MalformedPolicy> {
        match text.split_once(':') {
            None if text == "deny" => Ok(Self::Deny),
            Some(("allow", budget)) => budget.parse().map(Self::Allow).map_err(|_| MalformedPolicy),
            _ => Err(MalformedPolicy),
        }
    }
}

/// What has been spent of the budget in the present outage.
#[derive(Default)]
pub struct Outage {
    last_failure: Option<Timestamp>,
    spent: HashMap<ObjectName, u64>,
}

impl Outage {
    /// Whether a request that the counters could not judge may pass by `policy`; if so, its cost is spent.
    pub fn admits(
        &mut self,
        policy: WhenAway,
        customer: &ObjectName,
        cost: u64,
        now: Timestamp,
    ) -> bool {
        let WhenAway::Allow(budget) = policy else {
            return false;
        };
        if self
            .last_failure
            .is_none_or(|last| now.duration_since(last) > QUIET)
        {
            self.spent.clear();
        }
        self.last_failure = Some(now);
        let spent = self.spent.entry(customer.clone()).or_default();
        let Some(after) = spent.checked_add(cost).filter(|after| *after <= budget) else {
            return false;
        };
        *spent = after;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    #[test]
    fn a_policy_is_deny_or_a_stated_budget() {
        assert_eq!("deny".parse(), Ok(WhenAway::Deny));
        assert_eq!("allow:100".parse(), Ok(WhenAway::Allow(100)));
        for bad in [
            "",
            "allow",
            "allow:",
            "allow:-1",
            "allow:all",
            "deny:1",
            "Deny",
        ] {
            assert_eq!(bad.parse::<WhenAway>(), Err(MalformedPolicy), "{bad}");
        }
    }

    #[test]
    fn each_customer_has_the_budget_once_an_outage_and_a_dear_request_takes_its_cost() {
        let (ada, bob) = (
            ObjectName::new("shop", "ada"),
            ObjectName::new("shop", "bob"),
        );
        let mut outage = Outage::default();
        let mut admits = |who, cost, time| outage.admits(WhenAway::Allow(3), who, cost, at(time));
        assert!(admits(&ada, 1, 0) && !admits(&ada, 3, 1) && admits(&ada, 2, 2));
        assert!(!admits(&ada, 1, 3) && admits(&bob, 3, 3));
        assert!(
            !admits(&ada, 1, 63),
            "failures a minute apart are one outage"
        );
        assert!(admits(&ada, 3, 124), "a quiet minute ends it");
        assert!(!admits(&ada, u64::MAX, 124));
    }

    #[test]
    fn deny_admits_nothing() {
        let ada = ObjectName::new("shop", "ada");
        assert!(!Outage::default().admits(WhenAway::Deny, &ada, 0, at(0)));
    }
}
