//! What the API server shows late, twice, or as it was long ago (CASE 15).

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use futures::StreamExt;
use glyph_crds::GlyphCustomer;
use glyph_harness::poll_until;
use http::{Method, StatusCode, header};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::stage::{SOON, Stage};

/// An API server between the operator and the real one.
struct View {
    client: kube::Client,
    /// Customers as they are to be listed, whatever they are by now.
    old: Mutex<Option<String>>,
    /// Ends the watches that are open.
    ended: CancellationToken,
    /// Every new watch begins too far back.
    gone: AtomicBool,
    told_gone: AtomicUsize,
    conflicts: AtomicUsize,
}

impl View {
    /// Puts a view before the API server of `stage`; gives it, and writes a kubeconfig that leads to it.
    async fn before(stage: &Stage, kubeconfig: &Path) -> Arc<Self> {
        let view = Arc::new(Self {
            client: stage.namespace.client(),
            old: Mutex::default(),
            ended: CancellationToken::new(),
            gone: AtomicBool::new(false),
            told_gone: AtomicUsize::new(0),
            conflicts: AtomicUsize::new(0),
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = format!("http://{}", listener.local_addr().unwrap());
        let config = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "view", "cluster": {"server": server}}],
            "users": [{"name": "view", "user": {}}],
            "contexts": [{"name": "view", "context": {"cluster": "view", "user": "view"}}],
            "current-context": "view",
        });
        std::fs::write(kubeconfig, config.to_string()).unwrap();
        let app = Router::new().fallback(relay).with_state(view.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        view
    }
}

async fn relay(State(view): State<Arc<View>>, request: Request) -> Response {
    let (mut head, body) = request.into_parts();
    let path = head.uri.path().to_owned();
    let ours = path.contains("/apis/glyphapi.ai/");
    let watches = head
        .uri
        .query()
        .is_some_and(|query| query.contains("watch="));
    if ours && watches && view.gone.load(Ordering::SeqCst) {
        view.told_gone.fetch_add(1, Ordering::SeqCst);
        let status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": "too old resource version", "reason": "Expired", "code": 410});
        return format!("{}\n", json!({"type": "ERROR", "object": status})).into_response();
    }
    let lists = head.method == Method::GET && path.ends_with("/glyphcustomers") && !watches;
    if let Some(old) = view.old.lock().unwrap().clone().filter(|_| lists) {
        return ([(header::CONTENT_TYPE, "application/json")], old).into_response();
    }
    head.headers.remove(header::HOST);
    head.headers.remove(header::CONNECTION);
    let body = to_bytes(body, usize::MAX).await.unwrap().to_vec();
    let request = Request::from_parts(head, kube::client::Body::from(body));
    let Ok(answer) = view.client.send(request).await else {
        return StatusCode::BAD_GATEWAY.into_response();
    };
    if answer.status() == StatusCode::CONFLICT {
        view.conflicts.fetch_add(1, Ordering::SeqCst);
    }
    let (mut head, body) = answer.into_parts();
    head.headers.remove(header::TRANSFER_ENCODING);
    let body = Body::new(body).into_data_stream();
    let ended = view.ended.clone();
    let body = match ours && watches {
        true => Body::from_stream(body.take_until(ended.cancelled_owned())),
        false => Body::from_stream(body),
    };
    Response::from_parts(head, body)
}

async fn linked(stage: &Stage, name: &str) {
    stage
        .condition::<GlyphCustomer>(name, "Ready", "True", "Linked")
        .await;
}

/// Watches break off and begin too far back (410 Gone), so that events are missed; then lists show a customer as it
/// was before it had a finalizer and an id. Nothing is made twice, nothing is undone, and all converges (CASE 15).
#[tokio::test]
async fn missed_events_and_an_older_view_destroy_nothing_and_converge() {
    let stage = Stage::new("views").await;
    stage.customer("ada").await;
    let path = format!(
        "/apis/glyphapi.ai/v1alpha1/namespaces/{}/glyphcustomers",
        stage.namespace.name()
    );
    let list = http::Request::get(path).body(Vec::new()).unwrap();
    let long_ago = stage.namespace.client().request_text(list).await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let kubeconfig = directory.path().join("kubeconfig");
    let view = View::before(&stage, &kubeconfig).await;
    let settings = stage
        .settings()
        .set("KUBECONFIG", kubeconfig.to_string_lossy())
        .set("GLYPH_RESYNC", "1");
    let _operator = stage.operator_with(settings).await;
    linked(&stage, "ada").await;

    view.gone.store(true, Ordering::SeqCst);
    view.ended.cancel();
    stage.customer("bob").await;
    linked(&stage, "bob").await;
    assert!(view.told_gone.load(Ordering::SeqCst) > 0);

    *view.old.lock().unwrap() = Some(long_ago);
    let before = view.conflicts.load(Ordering::SeqCst);
    let refused = async || (view.conflicts.load(Ordering::SeqCst) > before + 2).then_some(());
    poll_until("writes that are decided on the older view", SOON, refused)
        .await
        .unwrap();
    assert_eq!((stage.living("customer"), stage.ever("customer")), (2, 2));

    *view.old.lock().unwrap() = None;
    for name in ["ada", "bob"] {
        let spec = json!({"displayName": format!("{name} the younger")});
        stage.patch::<GlyphCustomer>(name, spec).await;
        let named = || {
            let all = stage.stripe.control().objects("customer");
            let wanted = format!("{name} the younger");
            all.iter().any(|c| c["name"] == wanted.as_str())
        };
        stage
            .until(name, "its later name in Stripe", |_: &GlyphCustomer| {
                named().then_some(())
            })
            .await;
        linked(&stage, name).await;
    }
    assert_eq!((stage.living("customer"), stage.ever("customer")), (2, 2));
}
