//! One call to Stripe over a pooled hyper client: deadlines, retries under the same idempotency key, a limit on
//! requests a second, a span and metrics. It knows requests and answers, not what they are about.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use glyph_operator_core::billing::FailureClass;
use glyph_runtime::admin::Metrics;
use glyph_runtime::credentials::Credentials;
use glyph_runtime::random;
use http::header::{AUTHORIZATION, CONTENT_TYPE, USER_AGENT};
use http::{HeaderValue, Method, Request, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::{Client as HyperClient, connect::HttpConnector};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use serde::de::DeserializeOwned;
use stripe_client_core::{RequestBuilder, StripeMethod, VERSION as STRIPE_VERSION};
use tokio::time::{Instant, sleep, timeout_at};
use tracing::Instrument;
use tracing::field::Empty;

pub(super) use super::answer::Failure;
use super::answer::{Answer, failure};
use super::metrics::CallMetrics;
use super::rate::RateLimit;
use super::{SECRET_KEY, SetupError, StripeArgs, retry};

/// Largest answer that is read: a page of a hundred objects is far smaller.
const LARGEST_ANSWER: usize = 16 << 20;
/// How long an idle connection is kept; Stripe closes them after a minute.
const IDLE: Duration = Duration::from_secs(30);
/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(5);

/// How long a call may take.
#[derive(Clone, Copy)]
pub(super) struct Deadlines {
    /// One attempt.
    pub(super) attempt: Duration,
    /// All attempts and the waits between.
    pub(super) call: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            attempt: Duration::from_secs(20),
            call: Duration::from_secs(60),
        }
    }
}

/// The client. Clones share all of it.
#[derive(Clone)]
pub(super) struct Client(Arc<Shared>);

struct Shared {
    http: HyperClient<HttpsConnector<HttpConnector>, Full<Bytes>>,
    /// Scheme, authority and path, up to where `/v1` follows.
    base: String,
    credentials: Credentials,
    rate: RateLimit,
    deadlines: Deadlines,
    metrics: CallMetrics,
}

impl Client {
    pub(super) fn new(
        args: &StripeArgs,
        credentials: Credentials,
        metrics: &Metrics,
    ) -> Result<Self, SetupError> {
        Self::with_deadlines(args, credentials, metrics, Deadlines::default())
    }

    pub(super) fn with_deadlines(
        args: &StripeArgs,
        credentials: Credentials,
        metrics: &Metrics,
        deadlines: Deadlines,
    ) -> Result<Self, SetupError> {
        Ok(Self(Arc::new(Shared {
            http: connections()?,
            base: base(&args.stripe_api_base)?,
            credentials,
            rate: RateLimit::new(args.stripe_max_requests_per_second, Instant::now()),
            deadlines,
            metrics: CallMetrics::new(metrics),
        })))
    }

    /// Makes one call and decodes its answer. `route` is the path's template. `key` is the idempotency key of a POST.
    pub(super) async fn call<T: DeserializeOwned>(
        &self,
        route: &'static str,
        request: RequestBuilder,
        key: Option<&str>,
    ) -> Result<T, Failure> {
        let started = Instant::now();
        let method = method(request.method);
        let name = method_name(request.method);
        let span = tracing::info_span!(
            "stripe",
            method = name,
            route,
            status = Empty,
            request_id = Empty,
            attempts = Empty,
            outcome = Empty
        );
        async {
            let mut tries = 0;
            let result = match self.answer(&method, &request, key, &mut tries).await {
                Ok(answer) => decode(&answer),
                Err(failure) => Err(failure),
            };
            let outcome = result.as_ref().err().map_or("ok", Failure::outcome);
            tracing::Span::current()
                .record("attempts", tries)
                .record("outcome", outcome);
            tracing::debug!("called Stripe");
            (self.0.metrics).record(name, route, outcome, tries, started.elapsed());
            result
        }
        .instrument(span)
        .await
    }

    /// The last answer, if it is a 2xx, after as many attempts as the rules allow; they are counted in `tries`.
    async fn answer(
        &self,
        method: &Method,
        request: &RequestBuilder,
        key: Option<&str>,
        tries: &mut u32,
    ) -> Result<Answer, Failure> {
        let deadline = Instant::now() + self.0.deadlines.call;
        loop {
            *tries += 1;
            let secret = (self.0.credentials.get(SECRET_KEY))
                .map_err(|missing| Failure::new(FailureClass::Credential(SECRET_KEY), missing))?;
            let http_request = self.request(method, request, key, secret.expose())?;
            let asked = Instant::now();
            let slot = self.0.rate.slot(deadline).await;
            self.0.metrics.waited(asked.elapsed());
            slot.map_err(|wait| {
                let message = "more calls than STRIPE_MAX_REQUESTS_PER_SECOND lets through";
                Failure::new(FailureClass::Throttled(Some(wait)), message)
            })?;
            let attempt = self.attempt(http_request, deadline).await;
            let answer = attempt.as_ref().ok();
            if let Some(answer) = answer {
                tracing::Span::current()
                    .record("status", answer.status.as_u16())
                    .record("request_id", answer.request_id.as_deref());
            }
            if let Some(wait) = retry::next_wait(answer, *tries, random::jitter)
                && Instant::now() + wait < deadline
            {
                sleep(wait).await;
                continue;
            }
            return match attempt {
                Ok(answer) if answer.status.is_success() => Ok(answer),
                Ok(answer) => Err(failure(&answer, secret.expose())),
                Err(lost) => Err(lost),
            };
        }
    }

    fn request(
        &self,
        method: &Method,
        request: &RequestBuilder,
        key: Option<&str>,
        secret: &str,
    ) -> Result<Request<Full<Bytes>>, Failure> {
        let invalid = |message: &str| Failure::new(FailureClass::Invalid, message);
        // Ids come from resources, and an id must not lead to another path.
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'_' | b'-');
        if !request.path.bytes().all(plain) {
            return Err(invalid("an id holds characters that no Stripe id has"));
        }
        let mut uri = format!("{}/v1{}", self.0.base, request.path);
        if let Some(query) = request.query.as_deref().filter(|query| !query.is_empty()) {
            uri.extend(["?", query]);
        }
        let mut bearer = HeaderValue::try_from(format!("Bearer {secret}")).map_err(|_| {
            let message = "STRIPE_SECRET_KEY holds characters that no key has";
            Failure::new(FailureClass::Credential(SECRET_KEY), message)
        })?;
        bearer.set_sensitive(true);
        let mut builder = Request::builder()
            .method(method)
            .uri(uri)
            .header(AUTHORIZATION, bearer)
            .header("stripe-version", STRIPE_VERSION.as_str())
            .header(
                USER_AGENT,
                concat!("glyph-operator/", env!("CARGO_PKG_VERSION")),
            );
        if let Some(key) = key {
            builder = builder.header("idempotency-key", key);
        }
        if *method == Method::POST {
            builder = builder.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        }
        let body = request.body.clone().unwrap_or_default();
        (builder.body(Full::from(body))).map_err(|error| invalid(&error.to_string()))
    }

    /// One request and its whole answer, or why there was none.
    async fn attempt(
        &self,
        request: Request<Full<Bytes>>,
        deadline: Instant,
    ) -> Result<Answer, Failure> {
        let exchange = async {
            let response = (self.0.http.request(request).await)
                .map_err(|error| Failure::transient(&chain(&error)))?;
            let (parts, body) = response.into_parts();
            let body = (Limited::new(body, LARGEST_ANSWER).collect().await)
                .map_err(|error| Failure::transient(&chain(error.as_ref())))?;
            Ok(Answer::new(parts.status, &parts.headers, body.to_bytes()))
        };
        let latest = deadline.min(Instant::now() + self.0.deadlines.attempt);
        let late = || Failure::transient(&"Stripe did not answer in time");
        timeout_at(latest, exchange)
            .await
            .unwrap_or_else(|_| Err(late()))
    }
}

/// The connection pool: TLS by rustls with the system's certificates; plain http is for a simulator.
fn connections() -> Result<HyperClient<HttpsConnector<HttpConnector>, Full<Bytes>>, SetupError> {
    let mut connector = HttpConnector::new();
    connector.enforce_http(false);
    connector.set_nodelay(true);
    connector.set_connect_timeout(Some(CONNECT));
    let connector = HttpsConnectorBuilder::new()
        .with_native_roots()
        .map_err(SetupError::Certificates)?
        .https_or_http()
        .enable_http1()
        .wrap_connector(connector);
    Ok(HyperClient::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE)
        .build(connector))
}

fn base(uri: &Uri) -> Result<String, SetupError> {
    let http = matches!(uri.scheme_str(), Some("http" | "https"));
    if !http || uri.host().is_none_or(str::is_empty) || uri.query().is_some() {
        return Err(SetupError::Base);
    }
    Ok(uri.to_string().trim_end_matches('/').to_owned())
}

fn method(method: StripeMethod) -> Method {
    match method {
        StripeMethod::Get => Method::GET,
        StripeMethod::Post => Method::POST,
        StripeMethod::Delete => Method::DELETE,
    }
}

fn method_name(method: StripeMethod) -> &'static str {
    match method {
        StripeMethod::Get => "GET",
        StripeMethod::Post => "POST",
        StripeMethod::Delete => "DELETE",
    }
}

/// An answer that cannot be read leaves open what happened: the same key will tell.
fn decode<T: DeserializeOwned>(answer: &Answer) -> Result<T, Failure> {
    serde_json::from_slice(&answer.body).map_err(|error| Failure {
        request_id: answer.request_id.clone(),
        ..Failure::transient(&format!("Stripe's answer could not be read: {error}"))
    })
}

/// An error and what caused it, in one line.
fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.extend([": ", &error.to_string()]);
        cause = error.source();
    }
    text
}
