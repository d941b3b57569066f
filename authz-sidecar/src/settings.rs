//! The settings of `glyph-authz`: flags that are also environment variables. Secrets are none of them: they come from
//! the environment or mounted files only (`glyph_runtime::credentials`).

mod tokens;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use glyph_authz_core::Policy;
use glyph_authz_core::index::Scope;
use glyph_authz_core::outage::WhenAway;
use glyph_crds::Environment;
use glyph_runtime::common::CommonArgs;

use crate::usage::UsageSource;
pub use tokens::TokenArgs;

/// Credential: the peppers that API keys are hashed under.
pub const KEY_PEPPERS: &str = "GLYPH_KEY_PEPPERS";
/// Credential: where Redis is; may hold a password.
pub const REDIS_URL: &str = "REDIS_URL";
/// Credential: the authority that vouches for Redis' certificate (PEM), if it is not one that everybody trusts.
pub const REDIS_CA: &str = "REDIS_CA";

/// The Glyph sidecar: answers Envoy's ext_authz checks by API key or access token, entitlement, quota and rate limit.
///
/// The cluster is taken from KUBECONFIG, or from the pod's service account. Secrets are read from the environment or
/// from files in --credentials-dir, and never from flags: REDIS_URL (one server, Sentinels or a cluster: docs/redis.md),
/// REDIS_CA, and GLYPH_KEY_PEPPERS, the same as the operator's.
#[derive(Clone, Debug, Parser)]
#[command(name = "glyph-authz", version = glyph_runtime::version())]
pub struct Settings {
    /// What the operator has too.
    #[command(flatten)]
    pub common: CommonArgs,

    /// Which keys are accepted: those that begin with glyph_sk_live_ or those that begin with glyph_sk_dev_.
    #[arg(
        long,
        env = "GLYPH_ENVIRONMENT",
        default_value = "live",
        value_name = "ENVIRONMENT"
    )]
    pub environment: Gateway,

    /// Where callers are sent to pay or upgrade when they have no checkout link of their own.
    #[arg(long, env = "GLYPH_BILLING_URL", value_name = "URL")]
    pub billing_url: Option<String>,

    /// What to do while Redis is away: `deny`, or `allow:N`, which lets each process admit N calls of each customer,
    /// uncounted, during one outage (over when Redis has answered for a minute without a failure).
    #[arg(
        long,
        env = "GLYPH_WHEN_REDIS_DOWN",
        default_value = "deny",
        value_name = "POLICY"
    )]
    pub when_redis_down: WhenAway,

    /// Milliseconds that a check waits for Redis. Keep it well below Envoy's own timeout.
    #[arg(long, env = "GLYPH_REDIS_DEADLINE", default_value_t = 20, value_name = "MILLISECONDS",
        value_parser = clap::value_parser!(u64).range(1..=10_000))]
    pub redis_deadline: u64,

    /// Where usage comes from: `checks` (each check is a request; how it ended is not known), or `access-log` (Envoy tells it,
    /// and what calls took that failed is given back where a GlyphApi says `chargeOn: Success`).
    #[arg(
        long,
        env = "GLYPH_USAGE",
        default_value = "checks",
        value_name = "SOURCE"
    )]
    pub usage: UsageSource,

    /// Seconds between two writes of usage to Redis: what a process that is killed may lose of it.
    #[arg(long, env = "GLYPH_USAGE_INTERVAL", default_value_t = 1, value_name = "SECONDS",
        value_parser = clap::value_parser!(u64).range(1..=300))]
    pub usage_interval: u64,

    /// Address that Envoy's checks and access log are received at (gRPC). Only gateways may reach it.
    #[arg(
        long,
        env = "GLYPH_LISTEN",
        default_value = "0.0.0.0:9000",
        value_name = "ADDRESS:PORT"
    )]
    pub listen: SocketAddr,

    /// Address that checks over HTTP are received at: Envoy's http_service below /envoy, nginx' auth_request at /nginx,
    /// Traefik's forwardAuth at /traefik. Empty: none are. Only gateways may reach it: it believes what it is told of
    /// the original request.
    #[arg(long, env = "GLYPH_HTTP_LISTEN", value_name = "ADDRESS:PORT", default_value = "",
        value_parser = optional_address)]
    pub http_listen: OptionalAddress,

    /// Address of the admin port, which serves /livez, /readyz and /metrics.
    #[arg(
        long,
        env = "GLYPH_ADMIN_LISTEN",
        default_value = "0.0.0.0:9091",
        value_name = "ADDRESS:PORT"
    )]
    pub admin_listen: SocketAddr,

    /// Whose access tokens are taken.
    #[command(flatten)]
    pub tokens: TokenArgs,
}

/// An address, or none.
pub type OptionalAddress = Option<SocketAddr>;

/// An empty variable is one that is not set.
fn optional_address(text: &str) -> Result<OptionalAddress, std::net::AddrParseError> {
    (!text.is_empty()).then(|| text.parse()).transpose()
}

/// As `GLYPH_ENVIRONMENT` says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Gateway {
    /// In production.
    Live,
    /// For development.
    Dev,
}

impl Settings {
    /// What the decision needs of them.
    #[must_use]
    pub fn policy(&self) -> Policy {
        Policy {
            environment: match self.environment {
                Gateway::Live => Environment::Live,
                Gateway::Dev => Environment::Dev,
            },
            default_tier: self.common.default_tier.clone(),
            billing_url: self
                .billing_url
                .as_deref()
                .filter(|url| !url.is_empty())
                .map(Arc::from),
        }
    }

    /// What each watch covers.
    #[must_use]
    pub fn scopes(&self) -> Vec<Scope> {
        let scopes = self.common.scopes().into_iter();
        scopes.map(|scope| scope.map(Arc::from)).collect()
    }

    /// Between two writes of usage.
    #[must_use]
    pub fn usage_interval(&self) -> Duration {
        Duration::from_secs(self.usage_interval)
    }

    /// How long a check waits for Redis.
    #[must_use]
    pub fn redis_deadline(&self) -> Duration {
        Duration::from_millis(self.redis_deadline)
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parsed(arguments: &[&str]) -> Settings {
        Settings::parse_from(["glyph-authz"].iter().chain(arguments))
    }

    #[test]
    fn the_command_line_is_sound_and_no_flag_takes_a_secret() {
        Settings::command().debug_assert();
        let help = Settings::command().render_long_help().to_string();
        assert!(help.contains("GLYPH_WHEN_REDIS_DOWN"));
        assert!(
            !help.contains("--redis-url") && !help.contains("--key-peppers"),
            "{help}"
        );
    }

    #[test]
    fn checks_over_http_are_received_only_where_an_address_is_given() {
        assert_eq!(parsed(&[]).http_listen, None);
        assert_eq!(parsed(&["--http-listen", ""]).http_listen, None);
        let given = parsed(&["--http-listen", "127.0.0.1:9002"]).http_listen;
        assert_eq!(given, Some(SocketAddr::from(([127, 0, 0, 1], 9002))));
        assert!(Settings::try_parse_from(["glyph-authz", "--http-listen", "9002"]).is_err());
    }

    #[test]
    fn usage_comes_from_checks_unless_the_access_log_is_named() {
        assert_eq!(parsed(&[]).usage, UsageSource::Checks);
        let named = parsed(&["--usage", "access-log"]).usage;
        assert_eq!(named, UsageSource::AccessLog);
        assert!(Settings::try_parse_from(["glyph-authz", "--usage", "log"]).is_err());
    }

    #[test]
    fn a_policy_for_outages_is_refused_unless_it_states_its_budget() {
        assert_eq!(
            parsed(&["--when-redis-down", "allow:5"]).when_redis_down,
            WhenAway::Allow(5)
        );
        let refused =
            Settings::try_parse_from(["glyph-authz", "--when-redis-down", "allow"]).unwrap_err();
        assert!(refused.to_string().contains("allow:N"), "{refused}");
    }
}
