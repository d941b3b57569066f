//! The settings of the two programs, as environment variables: the common ones filled in from the parts.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::clock::MovedClock;
use crate::cognito::Cognito;
use crate::error::{Error, Result};
use crate::kubernetes::Namespace;
use crate::net::{free_port, loopback};
use crate::redis::Redis;

/// Environment variables for [`super::Service`]; later ones replace earlier ones.
#[derive(Clone, Default)]
pub struct Settings(BTreeMap<String, String>);

impl Settings {
    /// A program that sees one namespace: kubeconfig, namespace, pages of a shop, and a pepper that is the same for all, so that
    /// a sidecar knows the keys an operator made.
    #[must_use]
    pub fn in_namespace(namespace: &Namespace<'_>) -> Self {
        let pepper = STANDARD.encode([7_u8; 32]);
        Self::default()
            .set("KUBECONFIG", namespace.kubeconfig().to_string_lossy())
            .set("GLYPH_NAMESPACES", namespace.name())
            .set("GLYPH_KEY_PEPPERS", format!("1:{pepper}"))
            .set("GLYPH_CHECKOUT_SUCCESS_URL", "https://shop.example/paid")
            .set("GLYPH_CHECKOUT_CANCEL_URL", "https://shop.example/plans")
            .set("GLYPH_LOG", "debug")
    }

    /// Sets one variable.
    #[must_use]
    pub fn set(mut self, name: &str, value: impl Into<String>) -> Self {
        self.0.insert(name.to_owned(), value.into());
        self
    }

    /// Takes one variable away.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.0.remove(name);
        self
    }

    /// Points the operator to this Cognito.
    #[must_use]
    pub fn cognito(self, cognito: &Cognito) -> Self {
        self.set("AWS_COGNITO_USER_POOL_ID", cognito.pool_id())
            .set("AWS_COGNITO_CLIENT_ID", cognito.client_id())
            .set("AWS_REGION", cognito.region())
            .set("AWS_ENDPOINT_URL", cognito.url())
            .set("AWS_ACCESS_KEY_ID", "harness")
            .set("AWS_SECRET_ACCESS_KEY", "harness")
    }

    /// Has the sidecar take access tokens of this Cognito.
    #[must_use]
    pub fn tokens_of(self, cognito: &Cognito) -> Self {
        self.set("AWS_COGNITO_USER_POOL_ID", cognito.pool_id())
            .set("AWS_COGNITO_CLIENT_ID", cognito.client_id())
            .set("GLYPH_COGNITO_JWKS_URL", cognito.keys_url())
    }

    /// Points the sidecar to this Redis.
    #[must_use]
    pub fn redis(self, redis: &Redis) -> Self {
        self.set("REDIS_URL", redis.url())
    }

    /// Lets the program go by this clock.
    #[must_use]
    pub fn clock(self, clock: &MovedClock) -> Self {
        clock
            .environment()
            .into_iter()
            .fold(self, |settings, (name, value)| settings.set(name, value))
    }

    /// The value of one variable.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The socket address in `name`, which is set to a free one of loopback if it is not there.
    pub(super) fn address(&mut self, name: &str) -> Result<SocketAddr> {
        if let Some(address) = self.get(name) {
            return address
                .parse()
                .map_err(|error| Error::answer(format!("read {name}={address}"), error));
        }
        let address = loopback(free_port()?);
        self.0.insert(name.to_owned(), address.to_string());
        Ok(address)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&String, &String)> {
        self.0.iter()
    }
}
