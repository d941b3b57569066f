//! The sidecar on real parts: the Kubernetes API server, Redis, and Envoy with the very file of `examples/envoy`.
//!
//! The resources are written as the operator would leave them, so these tests need no operator and no Stripe.

#![allow(
    clippy::panic,
    clippy::unwrap_in_result,
    clippy::unwrap_used,
    reason = "clippy takes only the test functions themselves for tests, not what they stand on"
)]

mod credits;
mod decisions;
mod endpoints;
mod fronts;
mod hygiene;
mod key_sets;
mod outages;
mod rpc;
mod stage;
mod startup;
mod usage;
mod users;
mod watches;
