//! What is deleted: behind the operator's back, in another order, or all at once.

use std::time::Duration;

use glyph_crds::{ApiKey, GlyphCustomer, Subscription, Tier};
use glyph_harness::poll_until;
use glyph_stripe_sim::{Fault, FaultKind, When};
use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::json;

use crate::stage::{SOON, Stage, condition};

async fn linked(stage: &Stage) -> String {
    stage
        .condition::<GlyphCustomer>("ada", "Ready", "True", "Linked")
        .await;
    let status = stage.get::<GlyphCustomer>("ada").await.status.unwrap();
    status.stripe_customer_id.unwrap()
}

/// A customer deleted in Stripe's dashboard is drift: each pass asks once and writes nothing, and a person has a way
/// back that keeps the resource, its keys and its usage (CASE 16).
#[tokio::test]
async fn a_customer_deleted_in_the_dashboard_is_drift_without_a_hot_loop_and_has_a_way_back() {
    let stage = Stage::new("dashboard").await;
    let settings = stage.settings().set("GLYPH_RESYNC", "1");
    let _operator = stage.operator_with(settings).await;
    stage.customer("ada").await;
    let id = linked(&stage).await;
    let path = format!("/v1/customers/{id}");
    stage.in_dashboard("DELETE", &path, "").await;
    let message = stage
        .condition::<GlyphCustomer>("ada", "Drifted", "True", "DeletedInStripe")
        .await;
    assert!(
        message.contains(&format!("glyphapi.ai/recreate={id}")),
        "{message}"
    );
    let (writes, uid) = (
        stage.writes(),
        stage.get::<GlyphCustomer>("ada").await.metadata.uid,
    );
    stage.stripe.control().clear_requests();
    let asked = || stage.stripe.control().requests();
    let passes = async || (asked().len() >= 5).then_some(());
    let begun = tokio::time::Instant::now();
    poll_until("five more passes", SOON, passes).await.unwrap();
    assert!(
        begun.elapsed() >= Duration::from_secs(2),
        "full passes are a second apart"
    );
    assert!(
        asked().iter().all(|r| r.method == "GET" && r.path == path),
        "{:?}",
        asked()
    );
    assert!(writes > 0 && stage.ever("customer") == 1);
    let recreate = json!({"metadata": {"annotations": {"glyphapi.ai/recreate": id}}});
    stage
        .namespace
        .api::<GlyphCustomer>()
        .patch("ada", &PatchParams::default(), &Patch::Merge(&recreate))
        .await
        .unwrap();
    stage
        .condition::<GlyphCustomer>("ada", "Drifted", "False", "AsDeclared")
        .await;
    let new = linked(&stage).await;
    assert_ne!(new, id);
    assert_eq!((stage.living("customer"), stage.ever("customer")), (1, 2));
    assert_eq!(stage.get::<GlyphCustomer>("ada").await.metadata.uid, uid);
    // The annotation stays, names one that is past, and does no more.
    stage.stripe.control().clear_requests();
    poll_until("five more passes", SOON, passes).await.unwrap();
    assert_eq!((stage.writes(), stage.ever("customer")), (0, 2));
}

/// The Secret that delivers a key goes first, as when a namespace is deleted: the key in use stays what it was, no
/// second key is made in its place, and deleting the ApiKey ends it (CASE 12).
#[tokio::test]
async fn a_credentials_secret_deleted_first_neither_ends_nor_replaces_its_key() {
    let stage = Stage::new("secretfirst").await;
    let _operator = stage.operator().await;
    stage.tiers().await;
    stage.customer("ada").await;
    stage.key("laptop", "ada").await;
    stage
        .condition::<ApiKey>("laptop", "Ready", "True", "KeyDelivered")
        .await;
    let before = stage.get::<ApiKey>("laptop").await.status.unwrap();
    let secrets = stage.namespace.api::<Secret>();
    secrets
        .delete("laptop", &DeleteParams::default())
        .await
        .unwrap();
    stage
        .patch::<ApiKey>("laptop", json!({"displayName": "Laptop"}))
        .await;
    let after = stage
        .until("laptop", "the later spec to be seen", |key: &ApiKey| {
            let status = key.status.clone()?;
            let ready = condition(key, "Ready")?;
            (ready.observed_generation == key.metadata.generation).then_some(status)
        })
        .await;
    assert_eq!(
        (after.hashes, after.revision),
        (before.hashes, before.revision)
    );
    assert_eq!(stage.secret("laptop").await, None, "a key is shown once");
    stage.delete::<ApiKey>("laptop").await;
    stage.gone::<ApiKey>("laptop").await;
}

/// A namespace deleted whole ends, also through an outage of Stripe's, and leaves in Stripe what the policies say: the
/// subscription ended, nothing on sale, the customer kept or deleted (CASES 11, 12).
#[tokio::test]
async fn a_namespace_deleted_whole_ends_with_stripe_as_the_policies_say() {
    let stage = Stage::new("whole").await;
    // The operator lives elsewhere: its lease does not go with the namespace.
    let settings = stage.settings().set("GLYPH_LEASE_NAMESPACE", "default");
    let settings = settings.set("GLYPH_LEASE_NAME", stage.namespace.name());
    let _operator = stage.operator_with(settings).await;
    stage.tiers().await;
    stage.customer("ada").await;
    let email = stage.email("bob");
    let spec = json!({"email": email, "deletionPolicy": "Delete", "cognito": {"create": true}});
    stage.create::<GlyphCustomer>("bob", spec).await;
    for name in ["ada", "bob"] {
        stage.subscription(name, name, "starter").await;
        stage.key(name, name).await;
        stage.pay(name).await;
        stage.active(name).await;
        stage
            .condition::<ApiKey>(name, "Ready", "True", "KeyDelivered")
            .await;
    }
    let control = stage.stripe.control();
    control.add_fault(Fault::new(FaultKind::BadGateway { when: When::Before }));
    let name = stage.namespace.name();
    let namespaces: Api<Namespace> = Api::all(stage.namespace.client());
    namespaces
        .delete(name, &DeleteParams::default())
        .await
        .unwrap();
    stage
        .condition::<Subscription>("ada", "Synced", "False", "Unavailable")
        .await;
    assert_eq!(
        stage.living("customer"),
        2,
        "nothing goes before Stripe has answered"
    );
    control.clear_faults();
    let gone = async || namespaces.get_opt(name).await.ok()?.is_none().then_some(());
    if poll_until("the namespace to be gone", 2 * SOON, gone)
        .await
        .is_err()
    {
        panic!("{:#?}", namespaces.get(name).await);
    }
    let of = |kind: &str| stage.stripe.control().objects(kind);
    assert!(of("subscription").iter().all(|s| s["status"] == "canceled"));
    assert!(
        of("price")
            .iter()
            .chain(&of("product"))
            .all(|one| one["active"] == false)
    );
    let kept = of("customer");
    assert_eq!(kept.len(), 1);
    assert_eq!(kept[0]["email"], stage.email("ada"));
    assert_eq!(stage.cognito.user(&email).await.unwrap(), None);
}

/// A tier is deleted while Stripe is away: its finalizer stays, and nothing is left on sale afterwards (CASE 11).
#[tokio::test]
async fn a_tier_deleted_while_stripe_is_away_is_taken_off_sale_later() {
    let stage = Stage::new("awaytier").await;
    let _operator = stage.operator().await;
    stage.tiers().await;
    stage
        .condition::<Tier>("starter", "Ready", "True", "OnSale")
        .await;
    let control = stage.stripe.control();
    control.add_fault(Fault::new(FaultKind::BadGateway { when: When::Before }));
    stage.delete::<Tier>("starter").await;
    stage
        .condition::<Tier>("starter", "Synced", "False", "Unavailable")
        .await;
    control.clear_faults();
    stage.gone::<Tier>("starter").await;
    let left = control
        .objects("price")
        .into_iter()
        .chain(control.objects("product"));
    assert!(left.into_iter().all(|one| one["active"] == false));
}
