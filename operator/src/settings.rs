//! The settings of `glyph-operator`: flags that are also environment variables. Secrets are none of them:
//! they come from the environment or mounted files only (`glyph_runtime::credentials`).

use std::net::SocketAddr;
use std::time::Duration;

use clap::Parser;
use glyph_operator_core::subscription::ReturnUrls;
use glyph_runtime::common::CommonArgs;

use crate::account::AccountArgs;
use crate::stripe::StripeArgs;

/// Where namespace and name of the pod's service account are mounted.
const POD_NAMESPACE: &str = "/var/run/secrets/kubernetes.io/serviceaccount/namespace";

/// The Glyph operator: keeps Stripe and Cognito as the resources of glyphapi.ai say.
///
/// The cluster is taken from KUBECONFIG, or from the pod's service account. Secrets are read from the environment
/// or from files in --credentials-dir, and never from flags: STRIPE_SECRET_KEY, STRIPE_WEBHOOK_SECRET,
/// GLYPH_KEY_PEPPERS, AWS_COGNITO_USER_POOL_ID, AWS_COGNITO_CLIENT_ID, AWS_COGNITO_CLIENT_SECRET, AWS_REGION,
/// AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, and REDIS_URL with REDIS_CA, from which the credits used are written down
/// (docs/redis.md).
#[derive(Clone, Debug, Parser)]
#[command(name = "glyph-operator", version = glyph_runtime::version())]
pub struct Settings {
    /// What the sidecar has too.
    #[command(flatten)]
    pub common: CommonArgs,

    /// Address that Stripe's webhooks are received at.
    #[arg(
        long,
        env = "GLYPH_LISTEN",
        default_value = "0.0.0.0:8080",
        value_name = "ADDRESS:PORT"
    )]
    pub listen: SocketAddr,

    /// Public address of those webhooks, such as https://glyph.example/webhooks/stripe. With it, the operator registers
    /// its endpoint with Stripe itself.
    #[arg(long, env = "GLYPH_WEBHOOK_URL", value_name = "URL")]
    pub webhook_url: Option<String>,

    /// Name of the Secret, in the namespace of the Lease, that the registered endpoint's signing key is kept in.
    #[arg(
        long,
        env = "GLYPH_WEBHOOK_KEPT_IN",
        default_value = "glyph-webhook",
        value_name = "NAME"
    )]
    pub webhook_kept_in: String,

    /// Address of the admin port, which serves /livez, /readyz and /metrics.
    #[arg(
        long,
        env = "GLYPH_ADMIN_LISTEN",
        default_value = "0.0.0.0:9090",
        value_name = "ADDRESS:PORT"
    )]
    pub admin_listen: SocketAddr,

    /// Seconds between full passes, which notice what no event told; each resource's is drawn between half of that and
    /// the whole.
    #[arg(long, env = "GLYPH_RESYNC", default_value_t = 43_200, value_name = "SECONDS",
        value_parser = clap::value_parser!(u64).range(1..))]
    pub resync: u64,

    /// Seconds between sweeps of Stripe's list of events, which notice what no webhook told.
    #[arg(long, env = "GLYPH_EVENT_SWEEP", default_value_t = 60, value_name = "SECONDS",
        value_parser = clap::value_parser!(u64).range(1..))]
    pub event_sweep: u64,

    /// Seconds between checkpoints of the credits used, and of customers' balances.
    #[arg(long, env = "GLYPH_CREDITS_CHECKPOINT", default_value_t = 10, value_name = "SECONDS",
        value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub credits_checkpoint: u64,

    /// Page of yours that Stripe sends a person to after paying.
    #[arg(long, env = "GLYPH_CHECKOUT_SUCCESS_URL", value_name = "URL")]
    pub checkout_success_url: String,

    /// Page of yours that Stripe sends a person to who gives up paying.
    #[arg(long, env = "GLYPH_CHECKOUT_CANCEL_URL", value_name = "URL")]
    pub checkout_cancel_url: String,

    /// The lease by which replicas agree on who leads.
    #[command(flatten)]
    pub lease: LeaseArgs,

    /// How Stripe is reached.
    #[command(flatten)]
    pub stripe: StripeArgs,

    /// How the account API behaves.
    #[command(flatten)]
    pub account: AccountArgs,
}

/// The lease by which replicas agree on who leads.
#[derive(Clone, Debug, clap::Args)]
pub struct LeaseArgs {
    /// Seconds after which a leader that is not heard of any more is replaced.
    #[arg(long, env = "GLYPH_LEASE_DURATION", default_value_t = 15, value_name = "SECONDS",
        value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub lease_duration: u64,

    /// Name of the Lease.
    #[arg(
        long,
        env = "GLYPH_LEASE_NAME",
        default_value = "glyph-operator",
        value_name = "NAME"
    )]
    pub lease_name: String,

    /// Namespace of the Lease; default: the first of --namespaces, else the pod's, else `default`.
    #[arg(long, env = "GLYPH_LEASE_NAMESPACE", value_name = "NAMESPACE")]
    pub lease_namespace: Option<String>,
}

impl Settings {
    /// Where the Lease is.
    #[must_use]
    pub fn lease_namespace(&self) -> String {
        let first = || self.common.scopes().into_iter().next().flatten();
        let pod = || {
            let text = std::fs::read_to_string(POD_NAMESPACE).ok()?;
            Some(text.trim().to_owned()).filter(|name| !name.is_empty())
        };
        let named = self.lease.lease_namespace.clone();
        named
            .or_else(first)
            .or_else(pod)
            .unwrap_or_else(|| "default".to_owned())
    }

    /// Where the account API makes its customers.
    #[must_use]
    pub fn account_namespace(&self) -> String {
        let named = self.account.account_namespace.clone();
        named.unwrap_or_else(|| self.lease_namespace())
    }

    /// Where Stripe's portal leads back to.
    #[must_use]
    pub fn portal_return_url(&self) -> String {
        let named = self.account.account_portal_return_url.clone();
        named.unwrap_or_else(|| self.checkout_success_url.clone())
    }

    /// Time between full passes.
    #[must_use]
    pub fn resync(&self) -> Duration {
        Duration::from_secs(self.resync)
    }

    /// Time between sweeps of Stripe's events.
    #[must_use]
    pub fn event_sweep(&self) -> Duration {
        Duration::from_secs(self.event_sweep)
    }

    /// Return addresses of checkouts.
    #[must_use]
    pub fn urls(&self) -> ReturnUrls {
        ReturnUrls {
            success: self.checkout_success_url.clone(),
            cancel: self.checkout_cancel_url.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn flags_are_consistent_and_each_is_an_environment_variable() {
        Settings::command().debug_assert();
        for flag in Settings::command().get_arguments() {
            let name = flag.get_id().as_str();
            assert!(
                flag.get_env().is_some() || matches!(name, "help" | "version"),
                "{name}"
            );
        }
    }

    #[test]
    fn no_flag_takes_a_secret() {
        for flag in Settings::command().get_arguments() {
            let env = flag
                .get_env()
                .and_then(|env| env.to_str())
                .unwrap_or_default();
            for secret in ["SECRET", "PEPPER", "PASSWORD", "TOKEN"] {
                assert!(!env.contains(secret), "{env}");
            }
        }
    }

    #[test]
    fn the_lease_is_in_the_first_namespace() {
        let settings = Settings::parse_from([
            "glyph-operator",
            "--checkout-success-url=https://shop.example/paid",
            "--checkout-cancel-url=https://shop.example/plans",
            "--namespaces=b,a",
        ]);
        assert_eq!(settings.lease_namespace(), "a");
    }
}
