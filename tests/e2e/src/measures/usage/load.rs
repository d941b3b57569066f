//! The clients: each takes the next call until there is none, and notes how it ended, as a caller sees it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use futures::future::try_join_all;
use glyph_harness::poll_until;
use http_body_util::{BodyExt as _, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::{Request, Response};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use super::mix::{Call, Way};
use super::place::Place;

/// Longer than Envoy waits for the API.
const DEADLINE: Duration = Duration::from_secs(30);
/// After so many tries without a decision something else is wrong.
const TRIES: u64 = 500;

/// A call that has ended.
pub(super) struct Ended {
    pub(super) customer: String,
    key_id: String,
    endpoint: &'static str,
    class: &'static str,
    pub(super) cost: u64,
    /// It was let through, and so has taken its cost.
    pub(super) took: bool,
    /// What it took has to be given back.
    pub(super) is_given_back: bool,
    /// Tries before, which came to no decision: a sidecar was away, or late.
    pub(super) undecided: u64,
    pub(super) at: Instant,
}

impl Ended {
    /// The line it has to be counted on.
    pub(super) fn line(&self) -> String {
        format!("{} {} {}", self.key_id, self.endpoint, self.class)
    }
}

/// Everything the clients share.
pub(super) struct Load {
    calls: Vec<Call>,
    next: AtomicUsize,
    base: String,
    /// Whether the API was asked for what has this id.
    asked: Box<dyn Fn(&str) -> bool>,
    client: Client<HttpConnector, Empty<Bytes>>,
}

impl Load {
    pub(super) fn new(place: &Place<'_>, calls: Vec<Call>) -> Self {
        Self {
            calls,
            next: AtomicUsize::new(0),
            base: place.envoy.url(),
            asked: Box::new(place.world.upstream.asked_for()),
            client: Client::builder(TokioExecutor::new()).build_http(),
        }
    }

    /// Waits until so many calls have begun.
    pub(super) async fn until_begun(&self, calls: usize) {
        while self.next.load(Ordering::Relaxed) < calls {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn send(&self, call: &Call) -> Result<Option<&'static str>> {
        let request = Request::get(format!("{}{}", self.base, call.path));
        let request = request.header("x-api-key", &call.key.text);
        let request = request.body(Empty::new())?;
        let answer = self.client.request(request);
        if call.way != Way::Left {
            return class_of(answer.await.context("no answer from Envoy")?).await;
        }
        let id = call.path.rsplit('/').next().unwrap_or_default();
        let reached = poll_until("the API to be asked", DEADLINE, async || {
            (self.asked)(id).then_some(())
        });
        tokio::select! {
            answer = answer => class_of(answer.context("no answer from Envoy")?).await,
            // The connection is closed with the request.
            reached = reached => Ok(reached.map(|()| Some("aborted"))?),
        }
    }

    async fn make(&self, call: &Call) -> Result<Ended> {
        for undecided in 0..TRIES {
            let sent = tokio::time::timeout(DEADLINE, self.send(call)).await;
            let Some(class) = sent.context("Envoy takes too long")?? else {
                continue;
            };
            let took = class != "refused";
            return Ok(Ended {
                customer: call.key.customer.clone(),
                key_id: call.key.id.clone(),
                endpoint: call.endpoint,
                class,
                cost: call.cost,
                took,
                is_given_back: took && call.pays_on_success && matches!(class, "5xx" | "broken"),
                undecided,
                at: Instant::now(),
            });
        }
        bail!("{} came to no decision in {TRIES} tries", call.path)
    }
}

/// How an answer ended; `None` when there was no decision: Envoy refuses then with an empty 503.
async fn class_of(answer: Response<Incoming>) -> Result<Option<&'static str>> {
    let status = answer.status().as_u16();
    let has = |name: &str| answer.headers().contains_key(name);
    let is_problem = answer
        .headers()
        .get("content-type")
        .is_some_and(|value| value == "application/problem+json");
    if is_problem {
        return Ok(Some("refused"));
    }
    if !has("ratelimit") {
        ensure!(
            status == 503,
            "{status} came neither from a sidecar nor from the API"
        );
        return Ok(None);
    }
    if answer.into_body().collect().await.is_err() {
        return Ok(Some("broken"));
    }
    Ok(Some(match status {
        200..=299 => "2xx",
        400..=499 => "4xx",
        500..=599 => "5xx",
        _ => bail!("{status} was not asked for"),
    }))
}

/// Makes all calls, so many at once.
pub(super) async fn run(load: &Load, clients: usize) -> Result<Vec<Ended>> {
    let client = async || {
        let mut ended = Vec::new();
        while let Some(call) = load.calls.get(load.next.fetch_add(1, Ordering::Relaxed)) {
            ended.push(load.make(call).await?);
        }
        Ok::<_, anyhow::Error>(ended)
    };
    let all = try_join_all((0..clients).map(|_| client())).await?;
    Ok(all.into_iter().flatten().collect())
}
