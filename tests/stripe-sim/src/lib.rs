//! A Stripe to test against: stateful, strict, with its own clock, signed webhooks and faults on demand.
//!
//! It speaks API version `2026-09-30.endive` for the objects in `objects`, refuses what Stripe refuses, and keeps
//! idempotency keys as Stripe keeps them. It depends on nothing of Glyph and knows nothing of it.

mod admin;
mod answer;
mod clock;
pub mod conformance;
mod control;
mod deliver;
mod dispatch;
mod doc;
mod error;
mod expand;
mod faults;
mod form;
mod idempotency;
mod ids;
mod journal;
mod objects;
mod options;
mod pages;
mod params;
mod search;
mod server;
mod sim;
mod store;
mod timers;
mod webhooks;
mod world;

pub use control::{Control, Count, Payment};
pub use faults::{Fault, FaultKind, When};
pub use journal::RecordedRequest;
pub use options::{InitialWebhook, Options};
pub use sim::StripeSim;
pub use webhooks::{DeliveryRecord, WebhookMode, signature};
pub use world::{API_VERSION, AfterRetries};
