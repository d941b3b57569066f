//! The Glyph operator: controllers that reconcile resources against Stripe and Cognito, and the
//! receiver of Stripe's webhooks. Decisions are `glyph_operator_core`'s; this crate acts on them.

pub mod account;
mod app;
#[cfg(test)]
mod captured;
pub mod cognito;
mod command;
mod controllers;
mod credits;
pub mod endpoint;
pub mod events;
pub mod failure;
mod kinds;
pub mod leader;
mod making;
pub mod metrics;
mod openapi;
pub mod ports;
mod quotas;
mod reconcile;
mod runner;
mod seats;
mod settings;
pub mod setup;
pub mod stripe;
pub mod sweep;
pub mod watches;
pub mod webhook;
mod world;
mod writer;

pub use app::run;
pub use command::{Asked, Command};
pub use settings::Settings;
