//! How often somebody may ask and may try: counted in Redis, for all replicas together.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use glyph_operator_core::account::address::{caller, counted_as};
use glyph_operator_core::account::names::digest;
use glyph_runtime::credentials::Credentials;
use glyph_usage::{
    Attempts as Made, Counters as _, CountersError, Period, RedisCounters, Step, Unavailable,
    UsageRow,
};
use http::{Extensions, HeaderMap, HeaderName, HeaderValue};
use tokio_util::sync::CancellationToken;

use super::problem::{Answer, Problem, ProblemCode};
use super::settings::AccountArgs;
use super::{Account, Peer};
use crate::credits::redis;

/// In which requests are counted.
const MINUTE: Duration = Duration::from_secs(60);
/// In which attempts are counted.
const QUARTER: Duration = Duration::from_secs(900);

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const STATE: HeaderName = HeaderName::from_static("ratelimit");
const FORWARDED: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The counters at the `REDIS_URL` of now, if there is one.
#[derive(Clone, Default)]
pub struct LateCounters(Arc<ArcSwapOption<RedisCounters>>);

impl LateCounters {
    /// Keeps connected to the Redis that the credentials name, until `stop`.
    pub async fn keep_connected(self, credentials: Credentials, stop: CancellationToken) {
        let mut changed = credentials.changed();
        while !stop.is_cancelled() {
            let counters = redis(&credentials);
            self.0.store(counters.clone().map(Arc::new));
            let connected = async {
                if let Some(counters) = &counters
                    && let Err(error) = counters.keep_connected(stop.clone()).await
                {
                    tracing::error!(%error, "the account API does not count in this Redis");
                    self.0.store(None);
                }
                stop.cancelled().await;
            };
            tokio::select! {
                () = connected => {}
                // It fails only when the credentials are followed no more, and all ends.
                _ = changed.changed() => {}
            }
        }
    }

    fn get(&self) -> Result<Arc<RedisCounters>, CountersError> {
        let none = CountersError::Unavailable(Unavailable::NotConnected);
        self.0.load_full().ok_or(none)
    }

    /// What a customer has used in a period; `None` when that cannot be read now.
    pub(super) async fn used(&self, customer: &str, period: Period) -> Option<u64> {
        let counters = self.get().ok()?;
        counters.used(customer, period).await.ok()
    }

    /// Requests of a customer by hour or day.
    pub(super) async fn usage(
        &self,
        customer: &str,
        from: i64,
        to: i64,
        step: Step,
    ) -> Result<Vec<UsageRow>, CountersError> {
        self.get()?.usage_of(customer, from, to, step).await
    }

    async fn attempt(&self, who: &str, window: Duration) -> Result<Made, CountersError> {
        self.get()?.attempt(who, window).await
    }
}

/// The address that a request is counted as.
#[derive(Clone)]
pub(super) struct Address(pub(super) String);

impl Address {
    fn of(headers: &HeaderMap, extensions: &Extensions, hops: u8) -> Option<Self> {
        let peer = extensions.get::<Peer>()?.0.ip();
        let forwarded = headers.get_all(FORWARDED);
        let forwarded = forwarded
            .iter()
            .map(|value| value.to_str().unwrap_or("unreadable"));
        Some(Self(counted_as(caller(peer, forwarded, hops.into()))))
    }
}

/// Counts a request, refuses it above the limit, and says on the answer how much is left. While Redis is away, requests
/// pass uncounted; attempts do not.
pub(super) async fn limit(
    State(account): State<Arc<Account>>,
    mut request: Request,
    next: Next,
) -> Response {
    let settings = &account.settings;
    let hops = settings.account_trusted_proxies;
    let Some(address) = Address::of(request.headers(), request.extensions(), hops) else {
        return Problem::unavailable(&"the server gives no addresses of callers").into_response();
    };
    let most = u64::from(settings.account_requests_per_minute);
    let counted = account
        .counters
        .attempt(&format!("address:{}", address.0), MINUTE)
        .await;
    request.extensions_mut().insert(address);
    let Ok(Made { made, forgotten_in }) = counted else {
        return next.run(request).await;
    };
    let reset = forgotten_in.as_secs().max(1);
    let mut response = if made > most {
        let detail = "Too many requests come from this address; wait as long as Retry-After says.";
        Problem::new(ProblemCode::RateLimited, detail)
            .retry_after(reset)
            .into_response()
    } else {
        next.run(request).await
    };
    let headers = response.headers_mut();
    let policy = format!("\"address\";q={most};w={}", MINUTE.as_secs());
    let state = format!("\"address\";r={};t={reset}", most.saturating_sub(made));
    for (name, value) in [(POLICY, policy), (STATE, state)] {
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(name, value);
        }
    }
    response
}

/// Guards what a password or a code could be guessed by (CASE 59).
pub(super) struct Attempts<'a> {
    counters: &'a LateCounters,
    settings: &'a AccountArgs,
}

impl<'a> Attempts<'a> {
    pub(super) fn new(counters: &'a LateCounters, settings: &'a AccountArgs) -> Self {
        Self { counters, settings }
    }

    /// Counts an attempt for an e-mail address from an address. What cannot be counted is not let through.
    pub(super) async fn of(&self, email: &str, address: &Address) -> Answer<()> {
        let limits = [
            (who(email), self.settings.account_attempts_per_email),
            (
                format!("attempts-from:{}", address.0),
                self.settings.account_attempts_per_address,
            ),
        ];
        for (who, most) in limits {
            let made = self.counters.attempt(&who, QUARTER).await;
            let Made { made, forgotten_in } = made.map_err(|error| Problem::unavailable(&error))?;
            if made > u64::from(most) {
                let detail = "Too many attempts; wait as long as Retry-After says.";
                let problem = Problem::new(ProblemCode::TooManyAttempts, detail);
                return Err(problem.retry_after(forgotten_in.as_secs()));
            }
        }
        Ok(())
    }

    /// Forgets the attempts for an e-mail address, after one that was right.
    pub(super) async fn right(&self, email: &str) {
        if let Ok(counters) = self.counters.get() {
            // What is not forgotten now is in a quarter of an hour.
            let _ = counters.forget_attempts(&who(email)).await;
        }
    }
}

/// No address of a person stands in Redis.
fn who(email: &str) -> String {
    format!("attempts-for:{}", digest(&[email]))
}
