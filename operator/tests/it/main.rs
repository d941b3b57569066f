//! The operator as a program, on a real API server, a real Cognito protocol and the strict Stripe simulator.
//! Tests are named after what they show; CASES' numbers stand beside them.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "all of it is tests, also what they share"
)]

mod stage;

mod account;
mod apis;
mod catalogue;
mod checkpoint;
mod conditions;
mod credits;
mod drifts;
mod endpoint;
mod gone;
mod healing;
mod keys;
mod leading;
mod main_job;
mod midway;
mod once;
mod paying;
mod plans;
mod quiet;
mod refunds;
mod views;
mod webhooks;
