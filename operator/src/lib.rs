//! The Glyph operator: controllers that reconcile resources against Stripe and Cognito, and the
//! receiver of Stripe's webhooks. Decisions are `glyph_operator_core`'s; this crate acts on them.

pub mod ports;
pub mod stripe;
