//! What the receiver writes, on a real API server.

use glyph_crds::{GlyphCustomer, Subscription, Tier};
use glyph_harness::{ControlPlane, Namespace, poll_until};
use glyph_stripe_sim::{InitialWebhook, Options, StripeSim};
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::events::{Marked, WatchedOwners, mark, patch};
use crate::watches::{STRIPE_EVENT, Watched, Watches};

const SETTINGS: &[(&str, &str)] = &[(SECRET_KEY, "sk_test_1"), (WEBHOOK_SECRET, SECRET)];
const SOON: Duration = Duration::from_secs(10);

/// A namespace with a customer, a subscription and a tier, watched by a receiver.
struct Shop {
    namespace: Namespace<'static>,
    receiver: Receiver,
    stores: crate::watches::Stores,
    stop: CancellationToken,
}

impl Shop {
    async fn open() -> Self {
        let plane = ControlPlane::shared().await.unwrap();
        let namespace = plane.namespace("webhook").await.unwrap();
        let watches = Watches::default();
        let stores = watches.stores.clone();
        let name = Some(namespace.name().to_owned());
        let stop = CancellationToken::new();
        tokio::spawn(watches.follow(namespace.client(), name.clone(), stop.clone()));
        stores.listed().await;
        let owners = WatchedOwners {
            stores: stores.clone(),
            namespace: name,
        };
        let receiver = Receiver::new(SETTINGS, namespace.client(), owners);
        let shop = Self {
            namespace,
            receiver,
            stores,
            stop,
        };
        shop.make::<GlyphCustomer>("ada", json!({"email": "ada@example.com"}))
            .await;
        shop.make::<Tier>("starter", json!({"displayName": "Starter"}))
            .await;
        let spec = json!({"customerRef": {"name": "ada"}, "tier": "starter"});
        shop.make::<Subscription>("ada", spec).await;
        shop
    }

    async fn make<K: Watched>(&self, name: &str, spec: Value) -> K {
        let object = json!({
            "apiVersion": K::api_version(&()), "kind": K::kind(&()),
            "metadata": {"name": name}, "spec": spec,
        });
        let object = serde_json::from_value(object).unwrap();
        self.api::<K>()
            .create(&PostParams::default(), &object)
            .await
            .unwrap()
    }

    fn api<K: Watched>(&self) -> Api<K> {
        self.namespace.api()
    }

    async fn get<K: Watched>(&self, name: &str) -> K {
        self.api::<K>().get(name).await.unwrap()
    }

    /// The last event on a resource.
    async fn marked<K: Watched>(&self, name: &str) -> Option<String> {
        self.get::<K>(name)
            .await
            .annotations()
            .get(STRIPE_EVENT)
            .cloned()
    }

    /// Records Stripe's ids in a status, and waits until the receiver can know.
    async fn record<K>(&self, name: &str, status: Value)
    where
        K: Watched + Serialize + DeserializeOwned,
    {
        let patch = Patch::Merge(json!({"status": status}));
        let api = self.api::<K>();
        let now = api
            .patch_status(name, &PatchParams::default(), &patch)
            .await
            .unwrap();
        let version = now.resource_version();
        let seen = async || {
            let state = K::store(&self.stores).state();
            let mut versions = state.iter().map(|object| object.resource_version());
            versions.any(|seen| seen == version).then_some(())
        };
        poll_until("the watch to see the status", SOON, seen)
            .await
            .unwrap();
    }

    async fn owner<K: Watched>(&self, name: &str) -> Owner {
        let object = self.get::<K>(name).await;
        Owner {
            kind: K::kind(&()).into_owned(),
            namespace: self.namespace.name().to_owned(),
            name: name.to_owned(),
            uid: object.uid().unwrap(),
        }
    }

    async fn event(&self, id: &str, object: Value) -> Answer {
        self.receiver
            .event(id, "customer.subscription.updated", object)
            .await
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn owned_by(owner: &Owner) -> Value {
    json!({"id": "sub_1", "customer": "cus_1", "metadata": owner.to_metadata()})
}

#[tokio::test]
async fn an_event_is_acknowledged_once_kubernetes_holds_it_and_a_second_time_writes_nothing() {
    let shop = Shop::open().await;
    let owner = shop.owner::<Subscription>("ada").await;
    assert_eq!(
        shop.event("evt_1", owned_by(&owner)).await,
        Answer::ok("accepted")
    );
    let once = shop.get::<Subscription>("ada").await;
    assert_eq!(
        once.annotations().get(STRIPE_EVENT).map(String::as_str),
        Some("evt_1")
    );
    let managers = once
        .managed_fields()
        .iter()
        .map(|entry| entry.manager.clone().unwrap());
    assert!(
        managers
            .into_iter()
            .any(|manager| manager == "glyph-webhook")
    );
    assert_eq!(
        once.metadata.generation,
        Some(1),
        "the spec is nobody's but its writer's"
    );

    assert_eq!(
        shop.event("evt_1", owned_by(&owner)).await,
        Answer::ok("accepted")
    );
    let twice = shop.get::<Subscription>("ada").await;
    assert_eq!(once.resource_version(), twice.resource_version());
}

#[tokio::test]
async fn three_parallel_events_for_one_subscription_are_all_taken_and_one_stands() {
    let shop = Shop::open().await;
    let owner = shop.owner::<Subscription>("ada").await;
    let object = owned_by(&owner);
    let answers = tokio::join!(
        shop.event("evt_1", object.clone()),
        shop.event("evt_2", object.clone()),
        shop.event("evt_3", object.clone())
    );
    let accepted = Answer::ok("accepted");
    assert_eq!(
        answers,
        (Answer::ok("accepted"), Answer::ok("accepted"), accepted)
    );
    let last = shop.marked::<Subscription>("ada").await.unwrap();
    assert!(
        ["evt_1", "evt_2", "evt_3"].contains(&last.as_str()),
        "{last}"
    );
}

/// CASE 28: an invoice names its subscription under `parent`.
#[tokio::test]
async fn an_object_without_metadata_is_found_by_the_id_that_status_records() {
    let shop = Shop::open().await;
    let status = json!({"stripeSubscriptionId": "sub_made_by_hand"});
    shop.record::<Subscription>("ada", status).await;
    let invoice = json!({
        "id": "in_1", "customer": "cus_1",
        "parent": {"subscription_details": {"subscription": "sub_made_by_hand"}},
    });
    assert_eq!(shop.event("evt_1", invoice).await, Answer::ok("accepted"));
    assert_eq!(
        shop.marked::<Subscription>("ada").await.as_deref(),
        Some("evt_1")
    );

    shop.record::<Tier>("starter", json!({"stripeProductId": "prod_1"}))
        .await;
    let price = json!({"id": "price_9", "product": "prod_1"});
    assert_eq!(shop.event("evt_2", price).await, Answer::ok("accepted"));
    assert_eq!(
        shop.marked::<Tier>("starter").await.as_deref(),
        Some("evt_2")
    );
}

#[tokio::test]
async fn an_object_nobody_records_wakes_the_customer_it_belongs_to() {
    let shop = Shop::open().await;
    shop.record::<GlyphCustomer>("ada", json!({"stripeCustomerId": "cus_ada"}))
        .await;
    let stray = json!({"id": "sub_stray", "customer": "cus_ada", "metadata": {}});
    assert_eq!(shop.event("evt_1", stray).await, Answer::ok("accepted"));
    assert_eq!(
        shop.marked::<GlyphCustomer>("ada").await.as_deref(),
        Some("evt_1")
    );
    assert_eq!(shop.marked::<Subscription>("ada").await, None);
}

/// CASE 29, the second half.
#[tokio::test]
async fn a_deleted_or_foreign_owner_is_acknowledged_and_nothing_is_written() {
    let shop = Shop::open().await;
    let ours = shop.owner::<Subscription>("ada").await;
    let changed = |change: fn(&mut Owner)| {
        let mut owner = ours.clone();
        change(&mut owner);
        owner
    };
    let foreign = [
        changed(|owner| owner.uid = "00000000-0000-0000-0000-000000000000".to_owned()),
        changed(|owner| owner.name = "gone".to_owned()),
        changed(|owner| owner.name = "../tiers/starter".to_owned()),
        changed(|owner| owner.kind = "Secret".to_owned()),
        changed(|owner| owner.namespace = "kube-system".to_owned()),
    ];
    let before = shop.get::<Subscription>("ada").await.resource_version();
    for owner in foreign {
        assert_eq!(
            shop.event("evt_1", owned_by(&owner)).await,
            Answer::ok("foreign"),
            "{owner:?}"
        );
    }
    assert_eq!(
        shop.get::<Subscription>("ada").await.resource_version(),
        before
    );
    let all = shop
        .api::<Subscription>()
        .list(&Default::default())
        .await
        .unwrap();
    assert_eq!(all.items.len(), 1, "nothing was made");
}

#[tokio::test]
async fn a_resource_that_took_the_name_in_the_meantime_is_refused_by_the_api_server() {
    let shop = Shop::open().await;
    let old = shop.owner::<GlyphCustomer>("ada").await;
    let api: Api<GlyphCustomer> = shop.api();
    api.delete("ada", &DeleteParams::default()).await.unwrap();
    let client = shop.namespace.client();
    assert_eq!(mark(&client, &old, "evt_1").await.unwrap(), Marked::Foreign);

    let kind = kube::api::ApiResource::erase::<GlyphCustomer>(&());
    let dynamic = Api::namespaced_with(client.clone(), &old.namespace, &kind);
    let missing = patch(&dynamic, &old, "evt_1").await.unwrap_err();
    assert!(matches!(missing, kube::Error::Api(status) if status.code == 404));

    shop.make::<GlyphCustomer>("ada", json!({"email": "ada@example.com"}))
        .await;
    let other = patch(&dynamic, &old, "evt_1").await.unwrap_err();
    assert!(
        matches!(&other, kube::Error::Api(status) if status.code == 409 || status.code == 422),
        "{other}"
    );
    assert_eq!(shop.marked::<GlyphCustomer>("ada").await, None);
    assert_eq!(mark(&client, &old, "evt_1").await.unwrap(), Marked::Foreign);
}

#[tokio::test]
async fn what_stripe_delivers_over_the_network_reaches_the_resource() {
    let shop = Shop::open().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/webhooks/stripe", listener.local_addr().unwrap());
    let hook = InitialWebhook {
        url,
        secret: SECRET.to_owned(),
    };
    let sim = StripeSim::start(Options {
        webhooks: vec![hook],
        ..Options::default()
    })
    .await
    .unwrap();
    let clock = Arc::new(glyph_runtime::clock::SystemClock);
    let environment = |name: &str| {
        let found = SETTINGS.iter().find(|(setting, _)| *setting == name);
        found.map(|(_, value)| (*value).to_owned())
    };
    let credentials =
        Credentials::with_environment(&CredentialArgs::default(), environment).unwrap();
    let owners = WatchedOwners {
        stores: shop.stores.clone(),
        namespace: None,
    };
    let webhook = Webhook::new(
        credentials,
        Registered::default(),
        clock,
        Arc::new(Marker::new(shop.namespace.client(), owners)),
        Objects,
        &Metrics::default(),
    );
    let server = tokio::spawn(async move { axum::serve(listener, router(webhook)).await });

    let owner = shop.owner::<GlyphCustomer>("ada").await;
    let metadata = owner.to_metadata();
    let pairs: Vec<_> = metadata
        .iter()
        .map(|(key, value)| format!("metadata[{key}]={value}"))
        .collect();
    let made = glyph_harness::net::send(
        Request::post(format!("{}/v1/customers", sim.base_url()))
            .header("authorization", "Bearer sk_test_glyphsimulator")
            .header("content-type", "application/x-www-form-urlencoded")
            .body(pairs.join("&"))
            .unwrap(),
    );
    assert_eq!(made.await.unwrap().status, 200);
    let marked = async || shop.marked::<GlyphCustomer>("ada").await;
    let event = poll_until("the event to reach the customer", SOON, marked)
        .await
        .unwrap();
    assert!(event.starts_with("evt_"), "{event}");
    server.abort();
}
