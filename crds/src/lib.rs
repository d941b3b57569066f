//! The vocabulary of Glyph: the resource kinds of `glyphapi.ai/v1alpha1`, the API-key format and its
//! hash, and the pure rules that every program must judge alike (what a subscription entitles to,
//! which period a quota counts in, which endpoint a request is for). No client, no clock, no randomness: they are arguments.
//!
//! A stored object can be older than its schema: whoever lists or watches a kind reads it through
//! [`kube::core::DeserializeGuard`], so that one that does not parse is known by name, stops working, and
//! spoils no other (`tests/malformed.rs`). What parses may still break a rule.

pub mod api_key_format;
pub mod common;
pub mod definitions;
pub mod entitlement;
pub mod malformed;
pub mod period;
mod resources;
pub mod routing;
mod rules;

pub use resources::*;
pub use rules::MOST_CREDITS;

/// The API group of every kind.
pub const GROUP: &str = "glyphapi.ai";
/// The served version of every kind.
pub const VERSION: &str = "v1alpha1";
