//! Credits that are sold: one payment, one grant, whatever happens in between.

use std::sync::{Arc, Mutex};

use glyph_crds::{
    CreditGrant, CreditPack, CreditPurchase, CreditPurchaseStatus, GrantState, PurchaseState,
};
use glyph_harness::proxy::{Call, CallKind, Calls, Moment, Proxy, Trap};
use glyph_harness::{Service, poll_until};
use glyph_stripe_sim::{Payment, WebhookMode};
use kube::api::{DynamicObject, ListParams, PostParams};
use kube::{Api, CustomResourceExt as _, ResourceExt as _};
use serde_json::{Value, json};

use crate::stage::{GOOD_CARD, SOON, Stage};

pub const PACK: &str = "extra";
pub const CREDITS: i64 = 5000;

/// A pack and a customer who wants two of it.
pub async fn wish(stage: &Stage) {
    pack(stage, json!({})).await;
    stage.customer("ada").await;
    let spec = json!({"customerRef": {"name": "ada"}, "pack": PACK, "quantity": 2});
    stage.create::<CreditPurchase>("ada", spec).await;
}

pub async fn pack(stage: &Stage, more: Value) {
    let price = json!({"currency": "usd", "amount": 1900});
    let mut spec = json!({"displayName": "Extra", "credits": CREDITS, "price": price});
    spec.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    stage.create::<CreditPack>(PACK, spec).await;
}

/// The session of the open link.
pub async fn link(stage: &Stage) -> String {
    let look = |purchase: &CreditPurchase| {
        let status = purchase.status.as_ref()?;
        let id = status.checkout_session_id.clone()?;
        status.checkout_url.as_ref().map(|_| id)
    };
    stage.until("ada", "a link to pay at", look).await
}

pub async fn pay(stage: &Stage) -> String {
    let session = link(stage).await;
    let paid = stage.stripe.control().pay(&session, GOOD_CARD, None);
    assert!(matches!(paid, Payment::Done(_)), "{paid:?}");
    session
}

/// The purchase once its credits are granted.
pub async fn granted(stage: &Stage) -> CreditPurchaseStatus {
    stage
        .condition::<CreditPurchase>("ada", "Ready", "True", "Granted")
        .await;
    stage.get::<CreditPurchase>("ada").await.status.unwrap()
}

async fn grants(stage: &Stage) -> Vec<CreditGrant> {
    let api = stage.namespace.api::<CreditGrant>();
    api.list(&ListParams::default()).await.unwrap().items
}

/// The one grant there is.
pub async fn one_grant(stage: &Stage) -> CreditGrant {
    let mut all = grants(stage).await;
    assert_eq!(all.len(), 1, "{all:#?}");
    all.remove(0)
}

#[tokio::test]
async fn a_paid_pack_becomes_one_grant_named_after_its_session() {
    let stage = Stage::new("pack").await;
    let _operator = stage.operator().await;
    wish(&stage).await;
    let session = pay(&stage).await;
    let status = granted(&stage).await;
    assert_eq!(status.state, Some(PurchaseState::Paid));
    assert_eq!(status.checkout_url, None, "there is nothing left to pay");
    assert_eq!(
        (status.amount_paid, status.currency.as_deref()),
        (Some(3800), Some("usd"))
    );
    let grant = one_grant(&stage).await;
    assert_eq!(Some(grant.name_any()), status.grant);
    assert_eq!(grant.spec.source.id, Some(session));
    assert_eq!(
        (grant.spec.credits, grant.spec.customer_ref.name.as_str()),
        (2 * CREDITS, "ada")
    );
    stage.told("ada", "Granted").await;
    stage.told(&grant.name_any(), "Recorded").await;
}

/// (CASE 27): every event of the payment eight times, and the purchase touched in between.
#[tokio::test]
async fn a_payment_told_eight_times_over_is_granted_once() {
    let stage = Stage::new("eight").await;
    let _operator = stage.operator().await;
    stage.stripe.control().set_webhook_mode(WebhookMode {
        held: false,
        dropped: false,
        copies: 8,
    });
    wish(&stage).await;
    pay(&stage).await;
    granted(&stage).await;
    let events = stage.stripe.control().objects("event");
    let delivered = || stage.stripe.control().deliveries().len();
    let expected = 8 * events.len();
    poll_until("all deliveries", SOON, async || {
        (delivered() >= expected).then_some(())
    })
    .await
    .unwrap();
    granted(&stage).await;
    assert_eq!(one_grant(&stage).await.spec.credits, 2 * CREDITS);
    assert_eq!(stage.ever("checkout.session"), 1);
}

/// An operator that is killed at a call to Kubernetes, and started again.
async fn killed_once(stage: &Stage, moment: Moment, counted: fn(&Call) -> bool) {
    let calls = Calls::new();
    let (_proxy, kubeconfig) = Proxy::kubernetes(&calls, stage.namespace.plane())
        .await
        .unwrap();
    let settings = stage
        .settings()
        .set("KUBECONFIG", kubeconfig.to_string_lossy());
    let operator: Arc<Service> = Arc::new(stage.operator_with(settings).await);
    wish(stage).await;
    link(stage).await;
    let victim = Arc::new(Mutex::new(Some(operator.clone())));
    let action = Box::new(move || {
        if let Some(operator) = victim.lock().unwrap().take() {
            operator.kill();
        }
    });
    calls.set(Trap {
        at: 1,
        moment,
        counted,
        action,
    });
    pay(stage).await;
    poll_until("the operator to be killed", SOON, async || calls.sprung())
        .await
        .unwrap();
    operator.start_again().await.unwrap();
    granted(stage).await;
}

fn makes_the_grant(call: &Call) -> bool {
    call.kind == CallKind::Write && call.what.contains("/creditgrants")
}

#[tokio::test]
async fn a_crash_between_payment_and_grant_or_between_grant_and_status_grants_once() {
    for (name, moment) in [
        ("before", Moment::BeforeForwarding),
        ("after", Moment::BeforeAnswer),
    ] {
        let stage = Stage::new(&format!("grant-{name}")).await;
        killed_once(&stage, moment, makes_the_grant).await;
        assert_eq!(one_grant(&stage).await.spec.credits, 2 * CREDITS, "{name}");
    }
}

#[tokio::test]
async fn a_pack_edited_between_link_and_payment_gives_what_was_sold() {
    let stage = Stage::new("edited").await;
    let _operator = stage.operator().await;
    wish(&stage).await;
    link(&stage).await;
    let price = json!({"currency": "usd", "amount": 1});
    stage
        .patch::<CreditPack>(PACK, json!({"credits": 7, "price": price}))
        .await;
    stage
        .until(PACK, "another price", |pack: &CreditPack| {
            let status = pack.status.as_ref()?;
            (status.observed_generation == pack.metadata.generation).then_some(())
        })
        .await;
    pay(&stage).await;
    assert_eq!(granted(&stage).await.amount_paid, Some(3800));
    assert_eq!(one_grant(&stage).await.spec.credits, 2 * CREDITS);
}

#[tokio::test]
async fn a_link_that_expires_is_followed_by_another_and_a_purchase_that_goes_ends_it() {
    let stage = Stage::new("renewed").await;
    let _operator = stage.operator().await;
    wish(&stage).await;
    let first = link(&stage).await;
    let path = format!("/v1/checkout/sessions/{first}/expire");
    stage.in_dashboard("POST", &path, "").await;
    stage
        .until("ada", "another link", |purchase: &CreditPurchase| {
            let id = purchase.status.as_ref()?.checkout_session_id.as_ref()?;
            (*id != first).then_some(())
        })
        .await;
    stage.delete::<CreditPurchase>("ada").await;
    stage.gone::<CreditPurchase>("ada").await;
    let sessions = stage.stripe.control().objects("checkout.session");
    assert!(sessions.len() == 2 && sessions.iter().all(|s| s["status"] == "expired"));
    assert_eq!(grants(&stage).await, []);
}

#[tokio::test]
async fn a_grant_that_was_deleted_stays_so_and_a_purchase_made_again_has_to_be_paid_again() {
    let stage = Stage::new("deleted").await;
    let _operator = stage.operator().await;
    wish(&stage).await;
    let paid = pay(&stage).await;
    let grant = granted(&stage).await.grant.unwrap();
    stage.delete::<CreditGrant>(&grant).await;
    stage.gone::<CreditGrant>(&grant).await;
    for event in stage.stripe.control().objects("event") {
        assert!(stage.stripe.control().resend(event["id"].as_str().unwrap()));
    }
    stage.delete::<CreditPurchase>("ada").await;
    stage.gone::<CreditPurchase>("ada").await;
    let spec = json!({"customerRef": {"name": "ada"}, "pack": PACK});
    stage.create::<CreditPurchase>("ada", spec).await;
    assert_ne!(link(&stage).await, paid);
    assert_eq!(grants(&stage).await, []);
}

#[tokio::test]
async fn what_a_pack_says_of_expiry_is_in_the_grant_and_the_grant_expires() {
    let stage = Stage::new("expiry").await;
    let _operator = stage.operator().await;
    pack(&stage, json!({"expiresAfterDays": 30})).await;
    stage.customer("ada").await;
    let spec = json!({"customerRef": {"name": "ada"}, "pack": PACK});
    stage.create::<CreditPurchase>("ada", spec).await;
    pay(&stage).await;
    granted(&stage).await;
    let bought = one_grant(&stage).await;
    let lasts = bought
        .spec
        .expires_at
        .unwrap()
        .0
        .duration_since(bought.metadata.creation_timestamp.unwrap().0);
    assert!((lasts.as_hours() - 30 * 24).abs() <= 1, "{lasts:?}");
    let past = json!({"customerRef": {"name": "ada"}, "credits": 5, "expiresAt": "2026-01-01T00:00:00Z",
        "source": {"type": "Admin", "reason": "a test"}});
    stage.create::<CreditGrant>("past", past).await;
    stage
        .until("past", "its end", |grant: &CreditGrant| {
            (grant.status.as_ref()?.state == Some(GrantState::Expired)).then_some(())
        })
        .await;
}

/// (CASE 35): nothing in a purchase takes a price, a Stripe customer or a return address of the caller's.
#[tokio::test]
async fn a_callers_own_price_customer_or_return_address_is_refused() {
    let stage = Stage::new("own").await;
    let kind = CreditPurchase::api_resource();
    let client = stage.namespace.client();
    let api: Api<DynamicObject> = Api::namespaced_with(client, stage.namespace.name(), &kind);
    let strict = PostParams {
        field_manager: None,
        dry_run: true,
    };
    for own in [
        "price",
        "priceId",
        "amount",
        "credits",
        "customer",
        "successUrl",
        "cancelUrl",
    ] {
        let spec = json!({"customerRef": {"name": "ada"}, "pack": PACK, own: "x"});
        let object = DynamicObject::new("ada", &kind).data(json!({"spec": spec}));
        let manifest = serde_json::to_string(&object).unwrap();
        let apply = ["apply", "--validate=strict", "--dry-run=server", "-f", "-"];
        let refused = stage
            .namespace
            .kubectl_with_input(&apply, &manifest)
            .await
            .unwrap();
        assert_ne!(refused.code, 0, "{own}");
        assert!(
            refused
                .stderr
                .contains(&format!("unknown field \"spec.{own}\"")),
            "{}",
            refused.stderr
        );
        // A client that asks for no validation: the field is dropped, and reaches nothing.
        let taken = api.create(&strict, &object).await.unwrap();
        assert_eq!(taken.data["spec"].get(own), None);
    }
}
