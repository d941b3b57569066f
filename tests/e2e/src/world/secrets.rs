//! The credentials of one world. Each is recognisable, and no two worlds share one, so that a test can look for
//! all of them wherever they must not be.

use glyph_harness::{Cognito, Settings};

/// Every credential that a world's programs are given.
#[derive(Clone)]
pub struct Secrets {
    /// `STRIPE_SECRET_KEY`.
    pub stripe_key: String,
    /// `STRIPE_WEBHOOK_SECRET`.
    pub webhook_secret: String,
    /// `AWS_SECRET_ACCESS_KEY`.
    pub aws_secret: String,
    /// `GLYPH_KEY_PEPPERS` without its version: base64 of 32 bytes.
    pub pepper: String,
    /// The password in `REDIS_URL`.
    pub redis_password: String,
}

impl Secrets {
    /// The credentials of the world called `name`, a namespace's name: letters, digits and dashes.
    #[must_use]
    pub fn of(name: &str) -> Self {
        let letters: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
        Self {
            stripe_key: format!("sk_test_canary{letters}"),
            webhook_secret: format!("whsec_canary{letters}"),
            aws_secret: format!("awscanary{letters}"),
            // 43 base64 characters and a pad are 32 bytes; the last digit before the pad must have its low bits clear.
            pepper: format!("{:A<43}=", format!("peppercanary{letters}")),
            redis_password: format!("rediscanary{letters}"),
        }
    }

    /// Every one of them.
    #[must_use]
    pub fn all(&self) -> [&str; 5] {
        let Self {
            stripe_key,
            webhook_secret,
            aws_secret,
            pepper,
            redis_password,
        } = self;
        [
            stripe_key,
            webhook_secret,
            aws_secret,
            pepper,
            redis_password,
        ]
        .map(String::as_str)
    }

    /// Settings of the operator with what Stripe and Cognito want.
    #[must_use]
    pub(super) fn operator(&self, settings: Settings, cognito: &Cognito) -> Settings {
        self.peppered(settings)
            .set("STRIPE_SECRET_KEY", &self.stripe_key)
            .set("STRIPE_WEBHOOK_SECRET", &self.webhook_secret)
            .cognito(cognito)
            .set("AWS_SECRET_ACCESS_KEY", &self.aws_secret)
    }

    /// Settings of the sidecar with what Redis, at this port, wants.
    #[must_use]
    pub(super) fn sidecar(&self, settings: Settings, redis_port: u16) -> Settings {
        let url = self.redis_url(redis_port);
        self.peppered(settings).set("REDIS_URL", url)
    }

    /// The URL of the Redis at this port.
    pub(super) fn redis_url(&self, port: u16) -> String {
        let password = &self.redis_password;
        format!("redis://{REDIS_USER}:{password}@127.0.0.1:{port}")
    }

    /// Redis' options that make its user.
    pub(super) fn redis_options(&self) -> [String; 7] {
        let password = format!(">{}", self.redis_password);
        ["--user", REDIS_USER, "on", &password, "~*", "&*", "+@all"].map(ToOwned::to_owned)
    }

    fn peppered(&self, settings: Settings) -> Settings {
        settings.set("GLYPH_KEY_PEPPERS", format!("1:{}", self.pepper))
    }
}

const REDIS_USER: &str = "glyph";

#[cfg(test)]
mod tests {
    use glyph_crds::api_key_format::Peppers;

    use super::*;

    #[test]
    fn the_pepper_is_one_that_the_programs_take() {
        for name in ["exact-x7k2p", "a", "latency-zzzzz"] {
            assert!(Peppers::parse(&format!("1:{}", Secrets::of(name).pepper)).is_ok());
        }
    }
}
