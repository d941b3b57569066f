//! The decision whether Envoy lets a request through, and the words it is asked and answered in.
//!
//! [`wire`] reads a check of Envoy's by need and writes its answer, [`http`] those of gateways that ask over HTTP; [`index`] holds what can change an answer, fed from watch
//! events; [`token`] knows a genuine access token; [`decide`] goes from one to the other by way of [`credential`]. No transport, no clock, no client, no
//! `.await`: the gRPC server, the HTTP one, and the tests are fronts of this same code.

pub mod class;
pub mod credential;
pub mod decide;
#[cfg(test)]
mod fixtures;
pub mod http;
pub mod index;
mod limits;
pub mod outage;
pub mod outbox;
mod protobuf;
pub mod receipt;
pub mod request;
pub mod token;
mod upstream;
pub mod verdict;
pub mod wire;

pub use decide::{Admission, Authorized, Counted, Policy, authorize};
pub use index::Index;
pub use request::RequestView;
pub use verdict::{Code, Denial, Identity, Permit, Verdict, Whose};
