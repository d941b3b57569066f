//! What the operator decides: pure functions of observed values. No client, no clock, no randomness
//! and no `.await`: time, ids and random characters are arguments.
//!
//! Each kind has one module of the same shape: `Observed` in, [`Next`] out of `plan`, [`Settled`] out of
//! `status`. What they share stands beside them, once.

pub mod account;
pub mod api_key;
pub mod billing;
pub mod condition;
pub mod customer;
pub mod event;
pub mod figures;
pub mod glyph_api;
pub mod grant;
pub mod happening;
pub mod intent;
pub mod meta;
pub mod offer;
pub mod openapi;
mod polling;
pub mod purchase;
pub mod quota;
pub mod reason;
pub mod settled;
pub mod signature;
pub mod status;
pub mod step;
pub mod subscription;
pub mod tier;

pub use meta::Meta;
pub use step::{Blocker, Next, Settled};
