//! What the operator decides: pure functions of observed values. No client, no clock, no randomness
//! and no `.await`: time, ids and random characters are arguments.

pub mod billing;
pub mod signature;
