use std::sync::Mutex;

use axum::body::Body;
use axum::http::{Request, Response};
use glyph_operator_core::event::{About, Event};
use glyph_runtime::clock::ManualClock;
use kube::Client;
use kube::client::Body as Asked;
use serde_json::json;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tower::service_fn;

use super::*;
use crate::ports::CallResult;

const NOW: i64 = 1_795_400_000;
const BEFORE: i64 = NOW - 600;

/// What Kubernetes answers to a patch of each customer, and whom it was asked to patch.
#[derive(Default)]
struct Cluster {
    answers: Mutex<HashMap<String, u16>>,
    patched: Mutex<Vec<String>>,
}

impl Cluster {
    fn answer(&self, name: &str, code: u16) {
        self.answers.lock().unwrap().insert(name.to_owned(), code);
    }

    /// Who was patched since the last call, in the order of names.
    fn patched(&self) -> Vec<String> {
        let mut patched = std::mem::take(&mut *self.patched.lock().unwrap());
        patched.sort();
        patched
    }

    fn respond(&self, request: &Request<Asked>) -> Response<Body> {
        let name = request.uri().path().rsplit('/').next().unwrap().to_owned();
        let mut code = 200;
        if request.method() == "PATCH" {
            code = self.answers.lock().unwrap()[&name];
            self.patched.lock().unwrap().push(name.clone());
        }
        let metadata = json!({"name": name, "namespace": "shop", "uid": name});
        let body = match code {
            200 => {
                json!({"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", "metadata": metadata})
            }
            _ => {
                json!({"apiVersion": "v1", "kind": "Status", "status": "Failure", "code": code, "message": "no", "reason": "x"})
            }
        };
        let response = Response::builder().status(code);
        response.body(Body::from(body.to_string())).unwrap()
    }
}

/// A Stripe with one event about each of three customers.
struct Listed;

impl Events for Listed {
    async fn events_since(&self, _: Timestamp) -> CallResult<Vec<Event>> {
        let event = |name: &str| Event {
            id: format!("evt_{name}"),
            event_type: "customer.updated".to_owned(),
            livemode: false,
            created: None,
            about: About {
                owner: Some(owner(name)),
                ..About::default()
            },
            url: None,
        };
        Ok(["ada", "bob", "eve"].map(event).into())
    }

    async fn about(&self, _: &str) -> CallResult<Option<About>> {
        Ok(None)
    }
}

fn owner(name: &str) -> Owner {
    Owner {
        kind: "GlyphCustomer".to_owned(),
        namespace: "shop".to_owned(),
        name: name.to_owned(),
        uid: name.to_owned(),
    }
}

/// Nobody records any id; events name their owners.
struct Unrecorded;

impl OwnerLookup for Unrecorded {
    fn by_stripe_id(&self, _: &str) -> Option<Vec<Owner>> {
        Some(Vec::new())
    }

    fn watches(&self, _: &str) -> bool {
        true
    }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn sweep(cluster: &Arc<Cluster>) -> Sweep<Unrecorded, Listed> {
    let cluster = cluster.clone();
    let service = service_fn(move |request: Request<Asked>| {
        let response = cluster.respond(&request);
        async move { Ok::<_, std::convert::Infallible>(response) }
    });
    let marker = Marker::new(Client::new(service, "shop"), Unrecorded);
    Sweep::new(
        Arc::new(marker),
        Listed,
        Arc::new(ManualClock::new(at(NOW))),
        Duration::from_secs(60),
        &Metrics::default(),
    )
}

fn lead() -> Lead {
    let valid = Instant::now() + Duration::from_secs(60);
    Lead::new(valid, Some(at(BEFORE)), CancellationToken::new())
}

#[tokio::test]
async fn one_resource_that_cannot_be_annotated_keeps_neither_the_others_nor_the_sweep_back() {
    for refusal in [403, 404, 422] {
        let cluster = Arc::new(Cluster::default());
        for (name, code) in [("ada", refusal), ("bob", 200), ("eve", 200)] {
            cluster.answer(name, code);
        }
        let (sweep, lead, mut marked) = (sweep(&cluster), lead(), HashMap::new());
        sweep.sweep(&lead, &mut marked).await.unwrap();
        assert_eq!(cluster.patched(), ["ada", "bob", "eve"], "{refusal}");
        assert!(lead.swept() > Some(at(BEFORE)), "{refusal}");
        sweep.sweep(&lead, &mut marked).await.unwrap();
        assert_eq!(cluster.patched(), [""; 0], "said once: {refusal}");
    }
}

#[tokio::test]
async fn after_a_failure_that_may_pass_only_those_who_missed_their_event_are_told_again() {
    let cluster = Arc::new(Cluster::default());
    for (name, code) in [("ada", 503), ("bob", 200), ("eve", 503)] {
        cluster.answer(name, code);
    }
    let (sweep, lead, mut marked) = (sweep(&cluster), lead(), HashMap::new());
    let failed = sweep.sweep(&lead, &mut marked).await.unwrap_err();
    assert!(matches!(
        failed,
        SweepError::Kubernetes { resources: 2, .. }
    ));
    assert_eq!(lead.swept(), Some(at(BEFORE)), "nothing is passed over");
    cluster.patched();
    cluster.answer("ada", 200);
    cluster.answer("eve", 200);
    sweep.sweep(&lead, &mut marked).await.unwrap();
    assert_eq!(cluster.patched(), ["ada", "eve"]);
    assert!(lead.swept() > Some(at(BEFORE)));
}
