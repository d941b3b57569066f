//! The vocabulary of giving back: what a call has taken, so that it can be given back if the call failed. Pure.
//!
//! Nothing is ever counted down. What is given back is a count of its own beside what is used, and what counts is their
//! difference: each of the two only grows, so that a floor ([`Counters`]) never undoes the other.
//!
//! [`Counters`]: crate::Counters

use std::sync::Arc;

use crate::credits::{self, MAX_GRANTS};
use crate::spend::{MAX_COUNT, is_word, validate_counter};
use crate::{CountersError, Period};

/// A charge is given back at most so many seconds after it was made. Its id is remembered for longer.
pub const GIVE_BACK_WITHIN: i64 = 60 * 60;

/// Charges of one customer that are given back in one hour. Each takes some memory in Redis for three hours.
pub const MOST_GIVEN_BACK: u64 = 100_000;

/// Seconds of an hour: ids of charges are kept by the hour of the charge.
pub(crate) const HOUR: i64 = 60 * 60;

/// What an admitted call has taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Charge {
    /// The customer's UID.
    pub customer: Arc<str>,
    /// A name that no other charge of the customer has: letters and digits.
    pub id: String,
    /// When it was made, seconds since 1970.
    pub at: i64,
    /// The month it counts in.
    pub period: Period,
    /// Calls of the quota.
    pub calls: u64,
    /// Credits, of each grant that was drawn on.
    pub credits: Vec<Drawn>,
}

/// Credits that were taken of one grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drawn {
    /// The grant's UID.
    pub grant: Arc<str>,
    /// How many.
    pub credits: u64,
}

/// What became of a charge that was to be given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GivenBack {
    /// It is given back.
    Now,
    /// It had been before: nothing was done.
    Before,
    /// It was made more than [`GIVE_BACK_WITHIN`] ago, or in the future: nothing was done.
    TooLate,
    /// [`MOST_GIVEN_BACK`] of this hour have been given back: nothing was done.
    TooMany,
}

/// What is counted of a grant's credits. Both only grow; what counts as used is their difference.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CreditsUsed {
    /// Credits taken by requests.
    pub used: i64,
    /// Credits given back of these.
    pub returned: i64,
}

impl Charge {
    /// The hour it was made in, by which its id is kept.
    pub(crate) fn hour(&self) -> i64 {
        self.at - self.at.rem_euclid(HOUR)
    }

    /// Refuses what could not be given back exactly.
    pub(crate) fn validate(&self) -> Result<(), CountersError> {
        validate_counter(&self.customer, self.period)?;
        let drawn = |drawn: &Drawn| drawn.credits <= MAX_COUNT && credits::is_grant(&drawn.grant);
        if !is_word(&self.id) || !self.id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            Err(CountersError::Invalid(
                "the id of a charge must be letters and digits",
            ))
        } else if !(0..=MAX_COUNT as i64).contains(&self.at) {
            Err(CountersError::Invalid(
                "a charge must be made at a second since 1970",
            ))
        } else if self.calls > MAX_COUNT || self.credits.len() > MAX_GRANTS {
            Err(CountersError::Invalid(
                "a charge must be of at most 2^53 - 1 calls and 256 grants",
            ))
        } else if !self.credits.iter().all(drawn) {
            Err(CountersError::Invalid(
                "a charge must name its grants, with at most 2^53 - 1 credits of each",
            ))
        } else {
            Ok(())
        }
    }
}
