//! `CreditGrant`: written down once its customer exists. Its money is not this module's.

use glyph_crds::CreditGrantStatus;
use jiff::Timestamp;

use crate::condition::Findings;
use crate::status::Status;
use crate::{Blocker, Next, Settled, reason};

/// What is known of a grant.
#[derive(Clone, Debug)]
pub struct Observed {
    /// The present moment.
    pub now: Timestamp,
    /// `metadata.generation`.
    pub generation: Option<i64>,
    /// The status as it stands.
    pub status: CreditGrantStatus,
    /// Name of the customer.
    pub customer: String,
    /// Whether that customer exists.
    pub customer_exists: bool,
}

/// A grant needs no action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {}

/// Waits for the customer; that is all.
#[must_use]
pub fn plan(observed: &Observed) -> Next<Action> {
    if observed.customer_exists {
        return Next::Done;
    }
    let name = &observed.customer;
    Blocker::wait(
        reason::CUSTOMER_NOT_FOUND,
        format!("create GlyphCustomer {name} in this namespace; the grant is recorded then"),
    )
    .into()
}

/// The status that says how far it came.
#[must_use]
pub fn status(observed: &Observed, next: &Next<Action>) -> Settled<CreditGrantStatus> {
    let Observed {
        now,
        generation,
        status,
        customer,
        customer_exists: _,
    } = observed;
    let mut status = status.clone();
    status.observed_generation = *generation;
    let findings = match next {
        Next::Wait(blocker) => Findings::blocked(blocker),
        Next::Done => {
            status.state = Some(reason::RECORDED.to_owned());
            Findings::ready(
                reason::RECORDED,
                format!("the grant to {customer} is recorded"),
            )
        }
        Next::Do(action) => match *action {},
    };
    status.find(findings, *generation, *now);
    Settled::until_told(status)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn observed(customer_exists: bool, status: CreditGrantStatus) -> Observed {
        Observed {
            now: "2026-01-01T00:00:00Z".parse().unwrap(),
            generation: Some(1),
            status,
            customer: "ada".into(),
            customer_exists,
        }
    }

    #[test]
    fn a_grant_is_recorded_once_its_customer_exists() {
        let early = observed(false, CreditGrantStatus::default());
        let waiting = status(&early, &plan(&early)).status;
        assert_eq!(waiting.state, None);
        assert_eq!(waiting.conditions[0].reason, reason::CUSTOMER_NOT_FOUND);
        let later = observed(true, waiting);
        let recorded = status(&later, &plan(&later)).status;
        assert_eq!(recorded.state.as_deref(), Some("Recorded"));
        assert_eq!(recorded.conditions[0].status, "True");
    }
}
