//! The vocabulary of credits: what is left of each grant, and what a request took. Pure.
//!
//! Credits are spent after the quota, in the same step: a request that the quota holds only in part takes the rest
//! from credits, and one that both together do not hold takes nothing of either. Where grants come from, and what is
//! taken back of them, is the operator's business.

use std::sync::Arc;

use crate::CountersError;
use crate::spend::{MAX_COUNT, is_name};

/// The most grants that one request can draw on.
pub const MAX_GRANTS: usize = 256;

/// Credits given to a customer, as they may be spent by a request. Grants are spent in the order they are given in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The grant's UID: the name under which its use is counted.
    pub id: Arc<str>,
    /// How many of it may be used in all: those granted without those taken back.
    pub available: u64,
    /// How many are known to be used, from a checkpoint; 0 when nothing is known. The count is raised to it, so that a
    /// Redis that lost its data gives no spent credit back.
    pub floor: u64,
    /// How many of these are known to be given back, from a checkpoint; 0 when nothing is known. That count is raised
    /// to it, too.
    pub returned: u64,
    /// The first second, since 1970 UTC, in which it cannot be spent any more. The counters' clock decides.
    pub expires_at: Option<i64>,
}

/// What a request that could draw on grants came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Credits {
    /// Credits this request has taken: 0 when it was refused, or the quota held it.
    pub taken: u64,
    /// Credits left in all the grants given that have not expired. At most [`MAX_COUNT`].
    pub left: u64,
}

/// What stands before a grant's id where it is counted how many credits were given back.
pub(crate) const RETURNED: &str = "returned:";

pub(crate) fn is_grant(id: &str) -> bool {
    is_name(id) && !id.starts_with(RETURNED)
}

/// Refuses grants that could not be counted exactly.
pub(crate) fn validate(grants: &[Grant]) -> Result<(), CountersError> {
    let fits = |grant: &Grant| {
        [grant.available, grant.floor, grant.returned]
            .into_iter()
            .all(|count| count <= MAX_COUNT)
    };
    if grants.len() > MAX_GRANTS {
        Err(CountersError::Invalid("there must be at most 256 grants"))
    } else if !grants.iter().all(|grant| is_grant(&grant.id)) {
        Err(CountersError::Invalid(
            "a grant's id must not be empty or hold braces",
        ))
    } else if !grants.iter().all(fits) {
        Err(CountersError::Invalid(
            "the credits of a grant must be at most 2^53 - 1",
        ))
    } else {
        Ok(())
    }
}
