//! The counters: how much of a quota is used, how many credits past it, how fast a key is used, what is given back of
//! calls that failed, and the usage that people look up.
//!
//! One trait, [`Counters`]; [`RedisCounters`] in front of Redis, exact however many sidecars share it; its twin
//! [`MemoryCounters`] for tests and trials; and one conformance suite (feature `conformance`) that both pass. What to
//! do when the counters are not available (refuse, or allow a stated budget) is the caller's policy, not decided here.
//! Redis' own types stop at the module `redis`.

#[cfg(feature = "redis")]
mod breaker;
mod charge;
#[cfg(feature = "conformance")]
pub mod conformance;
mod counted;
#[cfg(feature = "redis")]
mod credit_marks;
mod credits;
#[cfg(feature = "redis")]
mod high_water;
mod memory;
#[cfg(feature = "redis")]
mod redis;
mod rows;
mod spend;

pub use charge::{Charge, CreditsUsed, Drawn, GIVE_BACK_WITHIN, GivenBack, MOST_GIVEN_BACK};
pub use credits::{Credits, Grant, MAX_GRANTS};
pub use memory::MemoryCounters;
#[cfg(feature = "redis")]
pub use redis::{Attempts, DEFAULT_DEADLINE, EvictingRedis, InvalidUrl, RedisCounters};
pub use rows::{Batch, KEEP_DAYS, KEEP_HOURS, KEEP_SOURCE, Line, MAX_ROWS, Step, UsageRow};
pub use spend::{
    Counters, CountersError, Decision, MAX_BURST, MAX_COUNT, MAX_REQUESTS_PER_SECOND, Outcome,
    Period, Rate, RateState, Spend, Unavailable,
};
