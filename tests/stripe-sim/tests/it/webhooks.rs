//! Webhook deliveries: signatures, retries, and webhooks that are held, doubled, reversed, dropped or sent again.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use glyph_stripe_sim::{WebhookMode, signature};
use serde_json::Value;

use crate::client::{Bench, id, text};

/// What a receiver got: headers and exact bytes.
type Received = (HeaderMap, Bytes);

#[derive(Clone, Default)]
struct Inbox {
    received: Arc<Mutex<Vec<Received>>>,
    /// Answers to give before 200.
    failures: Arc<Mutex<Vec<StatusCode>>>,
}

impl Inbox {
    fn all(&self) -> Vec<Received> {
        self.received.lock().expect("the inbox").clone()
    }

    fn types(&self) -> Vec<String> {
        self.all()
            .iter()
            .map(|(_, body)| {
                text(
                    &serde_json::from_slice::<Value>(body).expect("JSON"),
                    "type",
                )
            })
            .collect()
    }

    /// Waits until so many deliveries were received.
    async fn wait_for(&self, count: usize) -> Vec<Received> {
        let deadline = Instant::now() + Duration::from_secs(10);
        while self.all().len() < count {
            assert!(
                Instant::now() < deadline,
                "{} of {count} deliveries came",
                self.all().len()
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        self.all()
    }
}

async fn receive(State(inbox): State<Inbox>, headers: HeaderMap, body: Bytes) -> StatusCode {
    inbox
        .received
        .lock()
        .expect("the inbox")
        .push((headers, body));
    inbox
        .failures
        .lock()
        .expect("the failures")
        .pop()
        .unwrap_or(StatusCode::OK)
}

/// A receiver, and its endpoint at the simulator for these event types.
async fn receiver(bench: &Bench, events: &str) -> (Inbox, Value) {
    let inbox = Inbox::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let address = listener.local_addr().expect("an address");
    let app = Router::new().fallback(receive).with_state(inbox.clone());
    tokio::spawn(async move { axum::serve(listener, app).await });
    let endpoint = bench
        .post(
            "/v1/webhook_endpoints",
            &format!("url=http://{address}/hook&enabled_events[0]={events}"),
        )
        .await
        .ok();
    (inbox, endpoint)
}

/// Waits until every delivery that was made has been settled.
async fn settled(bench: &Bench, count: usize) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while bench.control().deliveries().len() < count {
        assert!(Instant::now() < deadline, "deliveries were not settled");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_delivery_is_signed_over_its_exact_bytes() {
    let bench = Bench::start().await;
    let (inbox, endpoint) = receiver(&bench, "*").await;
    let customer = bench.made("/v1/customers", "name=A").await;
    let (headers, body) = inbox.wait_for(1).await.remove(0);
    let signed = headers["stripe-signature"].to_str().expect("a signature");
    let at: i64 = signed
        .strip_prefix("t=")
        .and_then(|rest| rest.split(',').next())
        .and_then(|at| at.parse().ok())
        .expect("a time");
    assert_eq!(signed, signature(&text(&endpoint, "secret"), at, &body));
    let event: Value = serde_json::from_slice(&body).expect("JSON");
    assert_eq!(
        (text(&event, "type"), id(&event["data"]["object"])),
        ("customer.created".to_owned(), customer)
    );
    assert_eq!(event["api_version"], "2026-09-30.endive");
    assert_eq!(event["pending_webhooks"], 1);
    assert_ne!(
        serde_json::to_vec(&event).expect("JSON"),
        body,
        "re-serialised, the bytes differ"
    );
}

#[tokio::test]
async fn the_secret_is_shown_once_and_an_endpoint_hears_only_what_it_wants() {
    let bench = Bench::start().await;
    let (inbox, endpoint) = receiver(&bench, "product.created").await;
    assert!(text(&endpoint, "secret").starts_with("whsec_"));
    let path = format!("/v1/webhook_endpoints/{}", id(&endpoint));
    let listed = bench.get("/v1/webhook_endpoints").await.ok()["data"][0].clone();
    let updated = bench.post(&path, "description=d").await.ok();
    for later in [bench.get(&path).await.ok(), listed, updated] {
        assert_eq!(later.get("secret"), None);
    }
    bench.made("/v1/customers", "").await;
    bench.made("/v1/products", "name=P").await;
    inbox.wait_for(1).await;
    assert_eq!(inbox.types(), ["product.created"]);

    bench.post(&path, "disabled=true").await.ok();
    bench.made("/v1/products", "name=Q").await;
    bench.post(&path, "disabled=false").await.ok();
    bench.made("/v1/products", "name=R").await;
    inbox.wait_for(2).await;
    let last: Value = serde_json::from_slice(&inbox.all()[1].1).expect("JSON");
    assert_eq!(last["data"]["object"]["name"], "R");

    assert_eq!(bench.delete(&path).await.ok()["deleted"], true);
    assert_eq!(bench.get(&path).await.status, 404);
    bench.made("/v1/products", "name=S").await;
    let events = bench.control().objects("event");
    let newest = events.last().expect("an event");
    assert_eq!(newest["pending_webhooks"], 0);
}

#[tokio::test]
async fn a_failed_delivery_is_tried_again_on_the_simulated_clock() {
    let bench = Bench::start().await;
    let (inbox, _) = receiver(&bench, "*").await;
    *inbox.failures.lock().expect("the failures") = vec![StatusCode::INTERNAL_SERVER_ERROR; 2];
    bench.made("/v1/customers", "").await;
    settled(&bench, 1).await;
    assert_eq!(
        bench.get("/v1/events?delivery_success=false").await.ok()["data"]
            .as_array()
            .map(Vec::len),
        Some(1)
    );
    for (pause, count) in [(301, 2), (1801, 3)] {
        bench.control().advance(pause);
        settled(&bench, count).await;
    }
    let attempts: Vec<_> = bench
        .control()
        .deliveries()
        .iter()
        .map(|delivery| (delivery.attempt, delivery.status))
        .collect();
    assert_eq!(attempts, [(1, Some(500)), (2, Some(500)), (3, Some(200))]);
    let bodies: Vec<Value> = inbox
        .all()
        .iter()
        .map(|(_, body)| serde_json::from_slice(body).expect("JSON"))
        .collect();
    assert!(bodies.windows(2).all(|pair| pair[0]["id"] == pair[1]["id"]));
    assert_eq!(
        bench.get("/v1/events").await.ok()["data"][0]["pending_webhooks"],
        0
    );
}

#[tokio::test]
async fn held_webhooks_are_released_in_order_or_backwards() {
    let bench = Bench::start().await;
    let (inbox, _) = receiver(&bench, "*").await;
    for reversed in [false, true] {
        bench.control().set_webhook_mode(WebhookMode {
            held: true,
            ..WebhookMode::default()
        });
        let before = inbox.all().len();
        bench.made("/v1/customers", "").await;
        bench.made("/v1/products", "name=P").await;
        assert_eq!(bench.control().webhook_mode().1, 2);
        assert_eq!(inbox.all().len(), before);
        assert_eq!(bench.control().release_webhooks(reversed), 2);
        inbox.wait_for(before + 2).await;
    }
    assert_eq!(
        inbox.types(),
        [
            "customer.created",
            "product.created",
            "product.created",
            "customer.created"
        ]
    );
}

#[tokio::test]
async fn webhooks_come_several_times_or_never_or_once_more() {
    let bench = Bench::start().await;
    let (inbox, _) = receiver(&bench, "*").await;
    bench.control().set_webhook_mode(WebhookMode {
        copies: 3,
        ..WebhookMode::default()
    });
    bench.made("/v1/customers", "").await;
    inbox.wait_for(3).await;
    bench.control().set_webhook_mode(WebhookMode {
        dropped: true,
        ..WebhookMode::default()
    });
    bench.made("/v1/products", "name=P").await;
    let event = id(&bench.get("/v1/events?type=product.created").await.ok()["data"][0]);
    bench.control().set_webhook_mode(WebhookMode::default());
    assert!(bench.control().resend(&event));
    inbox.wait_for(4).await;
    assert_eq!(
        inbox.types(),
        [
            "customer.created",
            "customer.created",
            "customer.created",
            "product.created"
        ]
    );
    assert!(!bench.control().resend("evt_none"));
}

#[tokio::test]
async fn an_event_names_the_request_that_made_it_and_what_was_before() {
    let bench = Bench::start().await;
    let customer = bench.made("/v1/customers", "name=A").await;
    let path = format!("/v1/customers/{customer}");
    let reply = bench.post_with_key(&path, "name=B", "k1").await;
    bench.post(&path, "name=B").await.ok();
    let updates = bench.get("/v1/events?types[]=customer.updated").await.ok();
    assert_eq!(
        updates["data"].as_array().map(Vec::len),
        Some(1),
        "a change that changes nothing makes no event"
    );
    let event = &updates["data"][0];
    assert_eq!(event["request"]["id"].as_str(), reply.header("request-id"));
    assert_eq!(event["request"]["idempotency_key"], "k1");
    assert_eq!(
        event["data"]["previous_attributes"],
        serde_json::json!({ "name": "A" })
    );
}

#[tokio::test]
async fn a_thin_event_names_what_changed_and_is_read_again_by_its_id() {
    let bench = Bench::start().await;
    let (inbox, _) = receiver(&bench, "customer.created").await;
    let listener = Inbox::default();
    let socket = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let url = format!("http://{}/thin", socket.local_addr().expect("an address"));
    let app = Router::new().fallback(receive).with_state(listener.clone());
    tokio::spawn(async move { axum::serve(socket, app).await });
    bench
        .control()
        .add_thin_destination(&url, "whsec_thin", &["v1.customer.created"]);
    let customer = bench.made("/v1/customers", "name=A").await;
    bench.made("/v1/products", "name=P").await;
    inbox.wait_for(1).await;
    let (headers, body) = listener.wait_for(1).await.remove(0);
    let signed = headers["stripe-signature"].to_str().expect("a signature");
    let at = signed
        .strip_prefix("t=")
        .and_then(|rest| rest.split(',').next())
        .and_then(|at| at.parse().ok())
        .expect("a time");
    assert_eq!(signed, signature("whsec_thin", at, &body));
    let thin: Value = serde_json::from_slice(&body).expect("JSON");
    assert_eq!(
        (text(&thin, "object"), text(&thin, "type")),
        ("v2.core.event".to_owned(), "v1.customer.created".to_owned())
    );
    let related = &thin["related_object"];
    assert_eq!(
        (id(related), text(related, "type"), text(related, "url")),
        (
            customer.clone(),
            "customer".to_owned(),
            format!("/v1/customers/{customer}")
        )
    );
    assert!(thin.get("data").is_none());
    let whole = bench
        .get(&format!("/v2/core/events/{}", id(&thin)))
        .await
        .ok();
    let snapshot = bench.get("/v1/events?type=customer.created").await.ok();
    assert_eq!(whole["snapshot_event"], snapshot["data"][0]["id"]);
    assert_eq!(listener.all().len(), 1);
}
