//! The measures: programs whose result is a figure. A new one is a module here and a line in [`Measure`].

mod chaos;
mod draw;
mod exact;
mod install;
mod jwt;
mod kill;
mod latency;
mod permutations;
mod quiet;
mod rollout;
mod usage;
mod year;

use clap::Subcommand;

use crate::report::Report;

pub use chaos::Chaos;
pub use exact::Exact;
pub use install::Install;
pub use jwt::Jwt;
pub use kill::Kill;
pub use latency::Latency;
pub use permutations::Permutations;
pub use quiet::Quiet;
pub use rollout::Rollout;
pub use usage::Usage;
pub use year::Year;

/// A measure, with its settings.
#[derive(Debug, Subcommand)]
pub enum Measure {
    /// Exactly the quota passes: many keys, many clients at once, two sidecars.
    Exact(Exact),
    /// How soon a key works after `kubectl apply`, and how soon it is refused after it is revoked.
    Latency(Latency),
    /// What a decision costs by access token, beside one by API key: built as releases are, some minutes the first time.
    Jwt(Jwt),
    /// The operator killed at every one of its outgoing calls: the same end state, nothing twice, nothing left.
    Kill(Kill),
    /// The events of a first purchase in every order, each one to three times: the same end, credits granted once.
    Permutations(Permutations),
    /// Drawn operations on everything, against a model: what may never be never is, and all comes to rest as it should.
    Chaos(Chaos),
    /// What a start with nothing to do costs, and the calls to Stripe after an outage: 1,000 customers, some 20 minutes.
    Quiet(Quiet),
    /// The commands of docs/install.md on a real node, from an empty namespace to upgrade, rollback and uninstall.
    Install(Install),
    /// Load through Envoy on a real node while the release is upgraded, rolled back and its pods are killed.
    Rollout(Rollout),
    /// 10,000 calls of a known mix, a sidecar killed among them: what was counted and given back, against what was sent.
    Usage(Usage),
    /// A year of a customer's life by Stripe's clock, checked at each step in four places.
    Year(Year),
}

impl Measure {
    /// Takes the measure.
    ///
    /// # Errors
    /// When it cannot be taken; a promise that is not kept is in the report.
    pub async fn take(self) -> anyhow::Result<Report> {
        match self {
            Self::Exact(settings) => settings.take().await,
            Self::Latency(settings) => settings.take().await,
            Self::Jwt(settings) => settings.take().await,
            Self::Kill(settings) => settings.take().await,
            Self::Permutations(settings) => settings.take().await,
            Self::Chaos(settings) => settings.take().await,
            Self::Quiet(settings) => settings.take().await,
            Self::Install(settings) => settings.take().await,
            Self::Rollout(settings) => settings.take().await,
            Self::Usage(settings) => settings.take().await,
            Self::Year(settings) => settings.take().await,
        }
    }
}
