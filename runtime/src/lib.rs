//! What both binaries, `glyph-operator` and `glyph-authz`, stand on (see `docs/adr/0001-runtime-crate.md`).
//!
//! Clock, randomness, credentials, logs, admin port, shutdown, the settings of all these, and how a command line is read: once
//! instead of twice. Nothing here knows Kubernetes, Stripe, Cognito, Redis or Envoy.

pub mod admin;
pub mod clock;
pub mod command_line;
pub mod common;
pub mod credentials;
pub mod logs;
pub mod random;
pub mod secret;
pub mod shutdown;
mod version;

pub use secret::Secret;
pub use version::{COMMIT, VERSION, version};
