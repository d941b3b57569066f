//! `envoy.service.auth.v3`: a check as Envoy sends it, and the answer as Envoy takes it; and of
//! `envoy.service.accesslog.v3`, how requests ended.
//!
//! A check is read by need, over the bytes it came in. Answers are written by hand, by one constructor that demands a
//! verdict: to Envoy an empty `CheckResponse`, or a denial without a status, means ALLOW, so neither can be made here.
//! Checked against `envoy-types`, which is Envoy's own description of the messages.

mod access_log;
mod answer;
mod check;

pub use access_log::{Logged, read_access_log};
pub use answer::Answer;
pub use check::read_check;

pub use crate::protobuf::Malformed;

#[cfg(test)]
mod tests;
