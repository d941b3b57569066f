//! Where is looked.

use std::fmt;

/// A place that says where the customer stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Stripe's subscriptions and charges.
    Stripe,
    /// The statuses of the resources.
    Kubernetes,
    /// The counters.
    Redis,
    /// What a request that costs nothing is told through Envoy.
    Envoy,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stripe => "Stripe",
            Self::Kubernetes => "Kubernetes",
            Self::Redis => "Redis",
            Self::Envoy => "Envoy",
        })
    }
}
