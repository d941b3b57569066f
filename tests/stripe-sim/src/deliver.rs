//! Sends deliveries and keeps the clock's promises while nobody asks: the one background worker.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, header};
use http_body_util::Full;
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use tokio_util::task::TaskTracker;

use crate::server::Shared;
use crate::webhooks::{self, Outgoing};

/// How long a receiver may take, in real time.
const RECEIVER_DEADLINE: Duration = Duration::from_secs(10);

/// How often the clock is looked at when nothing else happens.
const TICK: Duration = Duration::from_millis(100);

/// A client for plain HTTP: receivers and `stripe-mock` are local.
pub(crate) type HttpClient = Client<HttpConnector, Full<Bytes>>;

/// A client for plain HTTP.
pub(crate) fn http_client() -> HttpClient {
    Client::builder(TokioExecutor::new()).build_http()
}

/// Runs until the simulator stops: does what falls due and sends what is to be delivered.
pub(crate) async fn run(shared: Arc<Shared>) {
    let client = http_client();
    let deliveries = TaskTracker::new();
    while !shared.stopped.is_cancelled() {
        let groups = {
            let mut world = shared.world();
            world.catch_up();
            webhooks::take_due(&mut world)
        };
        for group in groups {
            deliveries.spawn(send_all(shared.clone(), client.clone(), group));
        }
        tokio::select! {
            () = shared.wake.notified() => {}
            () = tokio::time::sleep(TICK) => {}
            () = shared.stopped.cancelled() => {}
        }
    }
    deliveries.close();
    deliveries.wait().await;
}

async fn send_all(shared: Arc<Shared>, client: HttpClient, group: Vec<Outgoing>) {
    for outgoing in group {
        let status = tokio::select! {
            status = tokio::time::timeout(RECEIVER_DEADLINE, send(&client, &outgoing)) => status.ok().flatten(),
            () = shared.stopped.cancelled() => return,
        };
        tracing::debug!(url = %outgoing.url, status, "webhook delivered");
        webhooks::settle(&mut shared.world(), &outgoing, status);
    }
}

async fn send(client: &HttpClient, outgoing: &Outgoing) -> Option<u16> {
    let request = Request::builder()
        .method(Method::POST)
        .uri(&outgoing.url)
        .header(header::CONTENT_TYPE, "application/json; charset=utf-8")
        .header(
            header::USER_AGENT,
            "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
        )
        .header("stripe-signature", &outgoing.signature)
        .body(Full::new(Bytes::from(outgoing.body.clone())))
        .ok()?;
    client
        .request(request)
        .await
        .ok()
        .map(|response| response.status().as_u16())
}
