//! The settings of the account API.

use std::time::Duration;

use http::HeaderValue;

/// How the account API behaves.
#[derive(Clone, Debug, clap::Args)]
pub struct AccountArgs {
    /// Serve the account API beside Stripe's webhooks: registration, login, checkout, keys, usage.
    #[arg(long, env = "GLYPH_ACCOUNT_API")]
    pub account_api: bool,

    /// Namespace that its customers are made in; default: the Lease's.
    #[arg(long, env = "GLYPH_ACCOUNT_NAMESPACE", value_name = "NAMESPACE")]
    pub account_namespace: Option<String>,

    /// Origins of web pages that may call the account API, such as https://shop.example, separated by commas.
    #[arg(
        long,
        env = "GLYPH_ACCOUNT_ORIGINS",
        value_delimiter = ',',
        value_name = "ORIGIN",
        value_parser = origin
    )]
    pub account_origins: Vec<HeaderValue>,

    /// Proxies in front of the account API that add the caller's address to X-Forwarded-For. What stands there beyond
    /// them is not believed.
    #[arg(
        long,
        env = "GLYPH_ACCOUNT_TRUSTED_PROXIES",
        default_value_t = 0,
        value_name = "NUMBER"
    )]
    pub account_trusted_proxies: u8,

    /// Most API keys of one customer that are not revoked.
    #[arg(long, env = "GLYPH_ACCOUNT_MAX_KEYS", default_value_t = 10, value_name = "NUMBER",
        value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub account_max_keys: u16,

    /// Requests a minute from one address.
    #[arg(long, env = "GLYPH_ACCOUNT_REQUESTS_PER_MINUTE", default_value_t = 300, value_name = "NUMBER",
        value_parser = clap::value_parser!(u32).range(1..))]
    pub account_requests_per_minute: u32,

    /// Attempts in 15 minutes, for one e-mail address, at whatever a password or a code could be guessed by.
    #[arg(long, env = "GLYPH_ACCOUNT_ATTEMPTS_PER_EMAIL", default_value_t = 10, value_name = "NUMBER",
        value_parser = clap::value_parser!(u32).range(1..))]
    pub account_attempts_per_email: u32,

    /// The same, from one address, whatever the e-mail address.
    #[arg(long, env = "GLYPH_ACCOUNT_ATTEMPTS_PER_ADDRESS", default_value_t = 100, value_name = "NUMBER",
        value_parser = clap::value_parser!(u32).range(1..))]
    pub account_attempts_per_address: u32,

    /// Page of yours that Stripe's customer portal leads back to; default: GLYPH_CHECKOUT_SUCCESS_URL.
    #[arg(long, env = "GLYPH_ACCOUNT_PORTAL_RETURN_URL", value_name = "URL")]
    pub account_portal_return_url: Option<String>,

    /// Seconds that a request waits for its checkout link or key, before it is answered with 202.
    #[arg(long, env = "GLYPH_ACCOUNT_WAIT", default_value_t = 10, value_name = "SECONDS",
        value_parser = clap::value_parser!(u64).range(1..=20))]
    pub account_wait: u64,
}

impl AccountArgs {
    /// The origins that are named.
    pub(super) fn origins(&self) -> Vec<HeaderValue> {
        let named = self
            .account_origins
            .iter()
            .filter(|origin| !origin.is_empty());
        named.cloned().collect()
    }

    /// How long a request waits for what it made.
    #[must_use]
    pub fn wait(&self) -> Duration {
        Duration::from_secs(self.account_wait)
    }
}

fn origin(text: &str) -> Result<HeaderValue, String> {
    if text.is_empty() {
        // What is set and empty names none.
        return Ok(HeaderValue::from_static(""));
    }
    let rest = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"))
        .filter(|rest| !rest.is_empty() && !rest.contains(['/', '*', '?', '#', '@', ' ']));
    let value = rest.and_then(|_| HeaderValue::from_str(text).ok());
    value.ok_or_else(|| {
        "an origin is a scheme, a host and, where it is not the scheme's own, a port, with nothing behind: https://shop.example"
            .to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_has_no_path_and_no_wildcard() {
        for good in ["https://shop.example", "http://localhost:5173"] {
            assert!(origin(good).is_ok(), "{good}");
        }
        for bad in [
            "*",
            "https://*.example",
            "https://shop.example/",
            "shop.example",
            "https://",
        ] {
            assert!(origin(bad).is_err(), "{bad}");
        }
    }
}
