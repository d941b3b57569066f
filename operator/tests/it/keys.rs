//! Keys: delivered once, hashed, rotated, revoked; nothing overwritten, nothing left behind.

use glyph_crds::api_key_format::{Peppers, environment_of};
use glyph_crds::{ApiKey, ApiKeyStatus, Tier};
use glyph_harness::poll_until;
use glyph_harness::proxy::{Call, CallKind, Callee, Calls, Moment, Proxy, Trap};
use k8s_openapi::api::core::v1::Secret;
use kube::api::PostParams;
use serde_json::json;

use crate::stage::{SOON, Stage};

/// A customer on the free tier, who gets keys without paying.
async fn with_customer(name: &str) -> Stage {
    let stage = Stage::new(name).await;
    stage
        .create::<Tier>(
            "free",
            json!({"displayName": "Free", "keysBeforePayment": true}),
        )
        .await;
    stage.customer("ada").await;
    stage
}

async fn delivered(stage: &Stage, name: &str) -> (String, ApiKeyStatus) {
    stage
        .condition::<ApiKey>(name, "Ready", "True", "KeyDelivered")
        .await;
    let status = stage.get::<ApiKey>(name).await.status.unwrap();
    (stage.secret(name).await.unwrap(), status)
}

async fn no_secret(stage: &Stage, name: &str) {
    let gone = async || stage.secret(name).await.is_none().then_some(());
    poll_until("the Secret to be gone", SOON, gone)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_key_is_hashed_under_the_pepper_and_its_secret_goes_after_the_reveal_time() {
    let stage = with_customer("reveal").await;
    let settings = stage.settings();
    let peppers = Peppers::parse(settings.get("GLYPH_KEY_PEPPERS").unwrap()).unwrap();
    let operator = stage.operator_with(settings).await;
    let spec = json!({"customerRef": {"name": "ada"}, "revealTtl": "8s", "environment": "dev"});
    stage.create::<ApiKey>("laptop", spec).await;
    let (key, status) = delivered(&stage, "laptop").await;
    assert!(key.starts_with("glyph_sk_dev_") && environment_of(&key).is_ok());
    assert_eq!(
        status.hashes[0].value,
        peppers.newest().hash(&key).to_string()
    );
    assert_eq!(status.hashes[0].pepper_version, 1);
    no_secret(&stage, "laptop").await;
    let after = stage.get::<ApiKey>("laptop").await.status.unwrap();
    assert_eq!(after.hashes, status.hashes, "the key works on");
    let everything = format!(
        "{:?}{:?}{}",
        after,
        stage.events("laptop").await,
        operator.log()
    );
    assert!(!everything.contains(&key), "the key is shown nowhere else");
}

#[tokio::test]
async fn a_rotated_key_overlaps_with_the_old_one_and_keeps_its_id() {
    let stage = with_customer("rotate").await;
    let _operator = stage.operator().await;
    stage.key("laptop", "ada").await;
    let (first, before) = delivered(&stage, "laptop").await;
    stage
        .patch::<ApiKey>(
            "laptop",
            json!({"rotation": {"revision": 1, "overlap": "3s"}}),
        )
        .await;
    let rotated = stage
        .until("laptop", "two hashes", |key: &ApiKey| {
            let status = key.status.clone()?;
            (status.hashes.len() == 2 && status.revision == Some(1)).then_some(status)
        })
        .await;
    let (second, _) = delivered(&stage, "laptop").await;
    assert_ne!(first, second);
    assert_eq!(
        (&rotated.key_id, &rotated.hashes[1].value),
        (&before.key_id, &before.hashes[0].value)
    );
    assert!(rotated.hashes[1].not_after.is_some() && rotated.hashes[0].not_after.is_none());
    stage
        .until("laptop", "the old hash to be gone", |key: &ApiKey| {
            (key.status.as_ref()?.hashes.len() == 1).then_some(())
        })
        .await;
}

#[tokio::test]
async fn a_revoked_key_loses_its_secret_and_stays_listed() {
    let stage = with_customer("revoke").await;
    let _operator = stage.operator().await;
    stage.key("laptop", "ada").await;
    let (_, before) = delivered(&stage, "laptop").await;
    stage
        .patch::<ApiKey>("laptop", json!({"revoked": true}))
        .await;
    stage
        .condition::<ApiKey>("laptop", "Ready", "False", "Revoked")
        .await;
    no_secret(&stage, "laptop").await;
    let after = stage.get::<ApiKey>("laptop").await.status.unwrap();
    assert_eq!(after.hashes, before.hashes);
    assert!(after.revoked_at.is_some());
}

#[tokio::test]
async fn a_secret_of_somebody_else_is_not_overwritten() {
    let stage = with_customer("foreign").await;
    let theirs = json!({"metadata": {"name": "laptop"}, "stringData": {"GLYPH_API_KEY": "theirs"}});
    let theirs: Secret = serde_json::from_value(theirs).unwrap();
    let secrets = stage.namespace.api::<Secret>();
    secrets
        .create(&PostParams::default(), &theirs)
        .await
        .unwrap();
    let _operator = stage.operator().await;
    stage.key("laptop", "ada").await;
    stage
        .condition::<ApiKey>("laptop", "Stalled", "True", "SecretTaken")
        .await;
    assert_eq!(stage.secret("laptop").await.as_deref(), Some("theirs"));
    stage
        .patch::<ApiKey>("laptop", json!({"secretName": "laptop-key"}))
        .await;
    stage
        .condition::<ApiKey>("laptop", "Ready", "True", "KeyDelivered")
        .await;
    assert!(stage.secret("laptop-key").await.is_some());
}

/// The answer to the creation of the Secret is lost with the operator: the key in it is the key.
#[tokio::test]
async fn a_crash_between_secret_and_status_delivers_one_key() {
    let stage = with_customer("between").await;
    let calls = Calls::new();
    let (_proxy, kubeconfig) = Proxy::kubernetes(&calls, stage.namespace.plane())
        .await
        .unwrap();
    let settings = stage
        .settings()
        .set("KUBECONFIG", kubeconfig.to_string_lossy());
    let operator = std::sync::Arc::new(stage.operator_with(settings).await);
    let victim = operator.clone();
    fn makes_a_secret(call: &Call) -> bool {
        call.callee == Callee::Kubernetes
            && call.kind == CallKind::Write
            && call.what.contains("/secrets")
    }
    let action = Box::new(move || victim.kill());
    calls.set(Trap {
        at: 1,
        moment: Moment::BeforeAnswer,
        counted: makes_a_secret,
        action,
    });
    stage.key("laptop", "ada").await;
    poll_until("the operator to be killed", SOON, async || calls.sprung())
        .await
        .unwrap();
    let first = stage.secret("laptop").await.unwrap();
    operator.start_again().await.unwrap();
    let (key, status) = delivered(&stage, "laptop").await;
    assert_eq!((key, status.hashes.len()), (first, 1));
}
