//! What only all parts together can show. One binary, so that its tests share one control plane and one Cognito;
//! each has a namespace, a Stripe, a Redis and programs of its own.
#![allow(clippy::unwrap_used, reason = "a helper of a test fails the test")]

mod account;
mod chart;
mod monitoring;
mod outages;
mod people;
mod quota;
mod releases;
mod secrecy;
mod setup;
mod support;
mod users;
mod webhooks;
