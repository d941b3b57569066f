//! What the counters are asked for a request, and what becomes of it by their word.

use glyph_crds::{ChargeOn, OverQuota};
use glyph_usage::{Decision, Drawn, Outcome, Period, Spend};
use jiff::Timestamp;

use super::{Admission, Counted};
use crate::index::ObjectName;
use crate::limits::{Limits, Window};
use crate::verdict::{Code, Denial, Permit, Taken, Verdict};

impl Admission {
    /// Whose request it is.
    #[must_use]
    pub fn customer(&self) -> &ObjectName {
        &self.identity.whose.customer
    }

    /// What the request takes of the quota.
    #[must_use]
    pub fn cost(&self) -> u64 {
        self.cost
    }

    /// What to ask the counters.
    #[must_use]
    pub fn spend(&self) -> Spend<'_> {
        Spend {
            customer: &self.identity.whose.uid,
            key_id: &self.identity.whose.counted_by,
            cost: self.cost,
            period: self.period,
            limit: match self.over_quota {
                OverQuota::Meter => None,
                OverQuota::Deny | OverQuota::Credits => self.quota,
            },
            floor: 0,
            rate: self.rate,
            grants: &self.grants,
        }
    }

    /// The verdict.
    ///
    /// # Errors
    /// The [`Denial`], when the counters or the policy say no.
    pub fn settle(self, counted: Counted) -> Verdict {
        let outcome = match counted {
            Counted::Judged(outcome) => outcome,
            Counted::AwayAdmitted => return Ok(self.permit(Limits::default(), 0, None)),
            Counted::AwayRefused => {
                return Err(self.told(Denial::unavailable("the counters are away")));
            }
        };
        let limits = self.limits(&outcome);
        let denial = match outcome.decision {
            Decision::Admitted => {
                let taken = outcome.credits.map_or(0, |credits| credits.taken);
                let returnable = self.returnable(taken, outcome.drawn);
                return Ok(self.permit(limits, taken, returnable));
            }
            Decision::RateLimited { retry_after } => {
                let detail = match self.identity.key_id {
                    Some(_) => "This API key is used too fast; wait as long as Retry-After says.",
                    None => {
                        "This user's access tokens are used too fast; wait as long as Retry-After says."
                    }
                };
                Denial::new(Code::RateLimited, detail)
                    .retry_after(retry_after.as_millis().div_ceil(1000) as u64)
            }
            Decision::QuotaExceeded => self.over_quota(&limits),
        };
        Err(self.told(denial.limits(limits)))
    }

    /// What is given back if the API fails, where the endpoint says so.
    fn returnable(&self, credits_taken: u64, drawn: Vec<Drawn>) -> Option<Taken> {
        let endpoint = self.endpoint.as_ref()?;
        (endpoint.charge_on == ChargeOn::Success && self.cost > 0).then(|| Taken {
            period: self.period,
            calls: self.cost.saturating_sub(credits_taken),
            credits: drawn,
        })
    }

    fn permit(self, limits: Limits, credits_taken: u64, returnable: Option<Taken>) -> Permit {
        Permit {
            identity: Some(self.identity),
            endpoint: self.endpoint,
            inbound_headers: self.inbound_headers,
            limits,
            credits_taken,
            returnable,
        }
    }

    /// A denial that knows whose request, and what it was for.
    fn told(&self, denial: Denial) -> Denial {
        denial
            .of(&self.identity.whose)
            .on_tier(&self.identity.tier)
            .at(self.endpoint.as_ref())
    }

    fn over_quota(&self, limits: &Limits) -> Denial {
        let month = limits.month.unwrap_or(Window {
            quota: 0,
            window: 0,
            remaining: 0,
            reset: 0,
        });
        let said = match (month.remaining, limits.credits) {
            (0, None) => format!("All {} calls of this month are used", month.quota),
            (0, Some(0)) => format!(
                "All {} calls of this month and all credits are used",
                month.quota
            ),
            (left, None) => format!(
                "This request takes {} calls and {left} are left of this month",
                self.cost
            ),
            (left, Some(credits)) => format!(
                "This request takes {} calls; {left} of this month and {credits} credits are left",
                self.cost
            ),
        };
        let end = Timestamp::from_second(self.period.end).unwrap_or(Timestamp::MAX);
        let at_once = match self.over_quota {
            OverQuota::Credits => "by buying credits or upgrading",
            OverQuota::Deny | OverQuota::Meter => "by upgrading",
        };
        let detail = match &self.upgrade_at {
            Some(url) => format!("{said}; more come at {end}, or at once {at_once} at {url}."),
            None => format!("{said}; more come at {end}."),
        };
        let denial = Denial::new(Code::QuotaExceeded, detail).retry_after(month.reset);
        denial.link("upgrade_at", self.upgrade_at.clone())
    }

    fn limits(&self, outcome: &Outcome) -> Limits {
        let Period { start, end } = self.period;
        let seconds = |from: i64| u64::try_from(end - from).unwrap_or(0);
        let month = self.quota.map(|quota| Window {
            quota,
            window: seconds(start),
            remaining: quota.saturating_sub(outcome.used),
            reset: seconds(self.now.as_second()),
        });
        let rate = self.rate.zip(outcome.rate).map(|(rate, state)| Window {
            quota: rate.burst.into(),
            window: u64::from(rate.burst.div_ceil(rate.requests_per_second.max(1))),
            remaining: state.remaining.into(),
            reset: state.full_after.as_millis().div_ceil(1000) as u64,
        });
        Limits {
            month,
            rate,
            credits: outcome.credits.map(|credits| credits.left),
        }
    }
}
