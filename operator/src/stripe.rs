//! Stripe, as the controllers ask for it (`ports::Billing`): async-stripe's typed requests over a client of our own, the
//! answers decoded into the few fields that are needed. Stripe's wire types stop in this module.

use std::io;

use glyph_runtime::admin::Metrics;
use glyph_runtime::credentials::Credentials;
use glyph_runtime::random;
use serde::de::IgnoredAny;
use stripe_client_core::RequestBuilder;

use crate::ports::{CallError, CallResult};
use client::{Client, Failure};
use objects::{Page, Wire};

mod answer;
mod billing;
mod client;
mod endpoint;
pub mod event;
mod metrics;
mod objects;
mod pages;
mod purchasing;
mod rate;
mod requests;
mod retry;

/// The setting that holds Stripe's secret key.
pub const SECRET_KEY: &str = "STRIPE_SECRET_KEY";

/// How Stripe is reached.
#[derive(Clone, Debug, clap::Args)]
pub struct StripeArgs {
    /// Where Stripe's API is; may carry a path. The key is taken from STRIPE_SECRET_KEY at every call.
    #[arg(
        long,
        env = "STRIPE_API_BASE",
        default_value = "https://api.stripe.com/",
        value_name = "URL"
    )]
    pub stripe_api_base: http::Uri,
    /// Most requests a second that this process sends to Stripe (which allows 25 in a sandbox, 100 live).
    #[arg(
        long,
        env = "STRIPE_MAX_REQUESTS_PER_SECOND",
        default_value_t = 20,
        value_parser = clap::value_parser!(u32).range(1..=1000),
        value_name = "NUMBER"
    )]
    pub stripe_max_requests_per_second: u32,
}

/// The client could not be made.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// STRIPE_API_BASE is not a base URL.
    #[error(
        "STRIPE_API_BASE must be an http or https URL without a query, such as https://api.stripe.com/"
    )]
    Base,
    /// TLS needs certificates to trust.
    #[error(
        "failed to load the system's CA certificates; install ca-certificates or set SSL_CERT_FILE"
    )]
    Certificates(#[source] io::Error),
}

/// [`Billing`](crate::ports::Billing) by Stripe. Clones are cheap and share connections, limits and metrics.
#[derive(Clone)]
pub struct StripeBilling(Client);

impl StripeBilling {
    /// A client of the Stripe at `args`; its metrics are registered in `metrics`.
    pub fn new(
        args: &StripeArgs,
        credentials: Credentials,
        metrics: &Metrics,
    ) -> Result<Self, SetupError> {
        Client::new(args, credentials, metrics).map(Self)
    }

    /// Reads one object; `None` if Stripe says that there is none.
    async fn read<W: Wire>(
        &self,
        operation: &'static str,
        route: &'static str,
        request: RequestBuilder,
    ) -> CallResult<Option<W::Object>> {
        match self.0.call::<W>(route, request, None).await {
            Ok(wire) => Ok(Some(wire.into())),
            Err(failure) if failure.missing => Ok(None),
            Err(failure) => Err(failure.during(operation)),
        }
    }

    /// Creates under `key`, or updates under a key of this call alone.
    async fn write<W: Wire>(
        &self,
        operation: &'static str,
        route: &'static str,
        request: RequestBuilder,
        key: Option<&str>,
    ) -> CallResult<W::Object> {
        let own = match key {
            Some(key) => Ok(key.to_owned()),
            None => random::base62(32),
        };
        let key = own.map_err(|error| Failure::transient(&error).during(operation))?;
        match self.0.call::<W>(route, request, Some(&key)).await {
            Ok(wire) => Ok(wire.into()),
            Err(failure) => Err(failure.during(operation)),
        }
    }

    /// Deletes; what is already gone is no error.
    async fn remove(
        &self,
        operation: &'static str,
        route: &'static str,
        request: RequestBuilder,
    ) -> CallResult<()> {
        match self.0.call::<IgnoredAny>(route, request, None).await {
            Ok(_) => Ok(()),
            Err(failure) if failure.missing => Ok(()),
            Err(failure) => Err(failure.during(operation)),
        }
    }

    /// All pages of a list or search; `request` makes the request for the page after a cursor.
    async fn pages<W: Wire>(
        &self,
        operation: &'static str,
        route: &'static str,
        request: impl Fn(Option<String>) -> RequestBuilder,
    ) -> CallResult<Vec<W::Object>> {
        let (mut objects, mut cursor) = (Vec::new(), None);
        loop {
            let page: Page<W> = (self.0.call(route, request(cursor), None).await)
                .map_err(|failure| failure.during(operation))?;
            cursor = page.cursor();
            objects.extend(page.data.into_iter().map(W::Object::from));
            if cursor.is_none() {
                return Ok(objects);
            }
        }
    }
}

impl Failure {
    /// This failure, of a call that tried to `operation`.
    fn during(self, operation: &'static str) -> CallError {
        CallError {
            operation,
            message: self.message,
            class: self.class,
            request_id: self.request_id,
        }
    }
}

#[cfg(test)]
mod tests;
