//! The operator as a program, on a real API server, a real Cognito protocol and the strict Stripe simulator.
//! Tests are named after what they show; CASES' numbers stand beside them.

mod stage;

mod conditions;
mod keys;
mod leading;
mod main_job;
mod once;
mod quiet;
mod webhooks;
