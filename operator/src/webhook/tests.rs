//! The receiver, driven without a socket; what it writes goes to a real API server.

use axum::body::Body;
use axum::http::{Request, StatusCode};
use glyph_operator_core::billing::FailureClass;
use glyph_operator_core::event::About;
use glyph_runtime::clock::ManualClock;
use glyph_runtime::credentials::CredentialArgs;
use glyph_stripe_sim::signature;
use http_body_util::BodyExt;
use jiff::Timestamp;
use kube::Client;
use serde_json::{Value, json};
use tower::ServiceExt;

use super::*;
use crate::ports::{CallError, CallResult};

mod answers;
mod kubernetes;

const SECRET: &str = "whsec_canary_new";
const OLD_SECRET: &str = "whsec_canary_old";
const NOW: i64 = 1_795_400_000;

/// An answer, as far as it matters.
#[derive(Debug, PartialEq)]
struct Answer {
    status: u16,
    text: String,
}

impl Answer {
    fn ok(outcome: &str) -> Self {
        Self {
            status: 200,
            text: outcome.to_owned(),
        }
    }
}

/// A Stripe that has one invoice, of ada's, and is away for another.
struct Objects;

impl Events for Objects {
    async fn events_since(&self, _: Timestamp) -> CallResult<Vec<Event>> {
        Ok(Vec::new())
    }

    async fn about(&self, url: &str) -> CallResult<Option<About>> {
        match url {
            "/v1/invoices/in_ada" => Ok(Some(About {
                ids: vec!["in_ada".to_owned()],
                customer: Some("cus_ada".to_owned()),
                ..About::default()
            })),
            "/v1/invoices/in_away" => Err(CallError {
                operation: "read the object of a Stripe event",
                message: "no answer".to_owned(),
                class: FailureClass::Transient,
                request_id: None,
            }),
            _ => Ok(None),
        }
    }
}

/// A receiver and what it counts.
struct Receiver {
    router: Router,
    metrics: Metrics,
}

impl Receiver {
    /// A receiver with these settings.
    fn new<O: OwnerLookup>(settings: &'static [(&str, &str)], client: Client, owners: O) -> Self {
        let environment = move |name: &str| {
            let found = settings.iter().find(|(setting, _)| *setting == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let credentials =
            Credentials::with_environment(&CredentialArgs::default(), environment).unwrap();
        let clock = Arc::new(ManualClock::new(Timestamp::from_second(NOW).unwrap()));
        let metrics = Metrics::default();
        let marker = Arc::new(Marker::new(client, owners));
        let router = router(Webhook::new(
            credentials,
            Registered::default(),
            clock,
            marker,
            Objects,
            &metrics,
        ));
        Self { router, metrics }
    }

    async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        Answer {
            status,
            text: String::from_utf8(body.to_vec()).unwrap(),
        }
    }

    /// Sends a body that Stripe signed.
    async fn signed(&self, body: impl Into<Vec<u8>>) -> Answer {
        let body = body.into();
        let header = signature(SECRET, NOW, &body);
        self.send(request(&header, body)).await
    }

    async fn event(&self, id: &str, event_type: &str, object: Value) -> Answer {
        self.signed(event(id, event_type, object).to_string()).await
    }
}

fn request(signature: &str, body: Vec<u8>) -> Request<Body> {
    let post = Request::post("/webhooks/stripe").header("stripe-signature", signature);
    post.body(Body::from(body)).unwrap()
}

fn event(id: &str, event_type: &str, object: Value) -> Value {
    json!({"id": id, "object": "event", "type": event_type, "livemode": false, "data": {"object": object}})
}
