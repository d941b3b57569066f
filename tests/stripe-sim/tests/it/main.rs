//! What the simulator promises, seen from outside: over HTTP, as any client of Stripe sees it.

mod balance;
mod billing;
mod checkout;
mod client;
mod conformance;
mod decoder;
mod dunning;
mod faults;
mod idempotency;
mod lists;
mod payments;
mod people;
mod schedules;
mod strictness;
mod test_clocks;
mod webhooks;
