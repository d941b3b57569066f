//! The counting proxy: everything passes, everything counts, and the k-th call can be made the last.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use glyph_harness::net::get;
use glyph_harness::proxy::{Call, CallKind, Callee, Calls, Moment, Proxy, Trap};
use glyph_harness::{Cognito, ControlPlane, Result, Upstream, poll_until};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{PostParams, WatchEvent, WatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};

/// A trap for the `at`-th call, and the flag its action sets.
fn trap(at: usize, moment: Moment, counted: fn(&Call) -> bool) -> (Trap, Arc<AtomicBool>) {
    let sprung = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&sprung);
    let action = Box::new(move || flag.store(true, Ordering::SeqCst));
    (
        Trap {
            at,
            moment,
            counted,
            action,
        },
        sprung,
    )
}

#[tokio::test]
async fn the_trapped_call_breaks_before_it_is_forwarded_or_after_it_took_effect() -> Result<()> {
    for (moment, reached) in [(Moment::BeforeForwarding, 2), (Moment::BeforeAnswer, 3)] {
        let upstream = Upstream::start().await?;
        let calls = Calls::new();
        let proxy = Proxy::http(
            &calls,
            Callee::Stripe,
            &format!("http://{}", upstream.address()),
        )
        .await?;
        let (trap, sprung) = trap(2, moment, |call| call.what.starts_with("/counted"));
        calls.set(trap);
        for path in ["/other", "/counted/1"] {
            assert_eq!(get(&format!("{}{path}", proxy.url())).await?.status, 200);
        }
        assert!(get(&format!("{}/counted/2", proxy.url())).await.is_err());
        assert!(sprung.load(Ordering::SeqCst));
        assert_eq!(calls.sprung().unwrap().number, 3);
        assert_eq!(upstream.requests(), reached, "{moment:?}");
        assert_eq!(
            get(&format!("{}/counted/3", proxy.url())).await?.status,
            200,
            "a trap springs once"
        );
    }
    Ok(())
}

#[tokio::test]
async fn what_a_caller_sent_takes_effect_though_the_caller_is_gone() -> Result<()> {
    let effects = Arc::new(AtomicU64::new(0));
    let slow = async |State(effects): State<Arc<AtomicU64>>| {
        tokio::time::sleep(Duration::from_millis(300)).await;
        (effects.fetch_add(1, Ordering::SeqCst) + 1).to_string()
    };
    let slow = Router::new().fallback(slow).with_state(effects);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, slow).await });
    let proxy = Proxy::http(&Calls::new(), Callee::Stripe, &format!("http://{address}")).await?;
    let url = proxy.url();
    let impatient = tokio::time::timeout(Duration::from_millis(100), get(&url)).await;
    assert!(impatient.is_err(), "the caller goes away first");
    let second = poll_until("an answer", Duration::from_secs(5), async || {
        get(&url).await.ok()
    });
    assert_eq!(second.await?.text(), "2");
    Ok(())
}

#[tokio::test]
async fn callees_share_one_count_and_each_call_says_what_it_is() -> Result<()> {
    let upstream = Upstream::start().await?;
    let cognito = Cognito::start().await?;
    let calls = Calls::new();
    let stripe = Proxy::http(
        &calls,
        Callee::Stripe,
        &format!("http://{}", upstream.address()),
    )
    .await?;
    let identity = Proxy::http(&calls, Callee::Cognito, cognito.url()).await?;
    get(&format!("{}/v1/customers?limit=3", stripe.url())).await?;
    let target = "AWSCognitoIdentityProviderService.ListUserPools";
    let request = http::Request::post(identity.url()).header("x-amz-target", target);
    let answer = glyph_harness::net::send(request.body(r#"{"MaxResults":1}"#).unwrap()).await?;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let seen = calls.list();
    let seen: Vec<_> = seen
        .iter()
        .map(|call| (call.number, call.callee, call.kind, call.what.as_str()))
        .collect();
    let expected = [
        (1, Callee::Stripe, CallKind::Read, "/v1/customers?limit=3"),
        (2, Callee::Cognito, CallKind::Read, "ListUserPools"),
    ];
    assert_eq!(seen, expected);
    Ok(())
}

#[tokio::test]
async fn a_watch_through_it_streams_and_a_write_is_counted_as_one() -> Result<()> {
    let plane = ControlPlane::start().await?;
    let namespace = plane.namespace("proxy").await?;
    let calls = Calls::new();
    let (_proxy, kubeconfig) = Proxy::kubernetes(&calls, &plane).await?;
    let read = Kubeconfig::read_from(kubeconfig).unwrap();
    let config = Config::from_custom_kubeconfig(read, &KubeConfigOptions::default())
        .await
        .unwrap();
    let notes: Api<ConfigMap> =
        Api::namespaced(Client::try_from(config).unwrap(), namespace.name());
    let watched = notes.clone();
    let (name, mut names) = tokio::sync::mpsc::unbounded_channel();
    let watching = tokio::spawn(async move {
        let mut events = std::pin::pin!(watched.watch(&WatchParams::default(), "0").await.unwrap());
        while let Some(event) = futures::StreamExt::next(&mut events).await {
            if let Ok(WatchEvent::Added(object)) = event {
                name.send(object.metadata.name.unwrap()).unwrap();
            }
        }
    });
    let is_watching = async || {
        calls
            .list()
            .iter()
            .any(|call| call.kind == CallKind::Watch)
            .then_some(())
    };
    poll_until("the watch", Duration::from_secs(5), is_watching).await?;
    let wanted: ConfigMap =
        serde_json::from_value(serde_json::json!({"metadata": {"name": "notes"}})).unwrap();
    notes.create(&PostParams::default(), &wanted).await.unwrap();
    let seen = async {
        while let Some(name) = names.recv().await {
            if name == "notes" {
                return true;
            }
        }
        false
    };
    assert!(
        tokio::time::timeout(Duration::from_secs(5), seen)
            .await
            .unwrap(),
        "the watch told of it"
    );
    assert_eq!(
        calls
            .list()
            .iter()
            .filter(|call| call.kind == CallKind::Write)
            .count(),
        1
    );
    watching.abort();
    Ok(())
}
