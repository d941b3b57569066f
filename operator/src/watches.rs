//! What the API server holds, followed on every replica, and who has to be looked at when it changes.
//!
//! A change of what a person or a webhook writes wakes the resource itself; a change of what others can
//! see of it wakes its dependents. Our own status writes wake no one twice (CASE 17). A resource that
//! cannot be read counts as absent, and does not hold the others up.

use std::fmt::Debug;
use std::pin::pin;
use std::sync::Arc;

use futures::StreamExt;
use glyph_crds::{
    ApiKey, CreditGrant, CreditPack, CreditPurchase, GlyphApi, GlyphCustomer, Subscription, Tier,
};
use jiff::Timestamp;
use k8s_openapi::NamespaceResourceScope;
use kube::core::DeserializeGuard;
use kube::runtime::reflector::{ObjectRef, Store, store};
use kube::runtime::watcher::{Config, Event};
use kube::runtime::{WatchStreamExt, reflector::store::Writer, watcher};
use kube::{Api, Client, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::{broadcast, watch};
use tokio_util::sync::CancellationToken;

mod ids;
mod marks;
mod patience;

pub use ids::StripeIds;
use marks::Marks;
use patience::Patience;

/// Annotation that the webhook receiver puts on a resource: the id of the last Stripe event about it.
pub const STRIPE_EVENT: &str = "glyphapi.ai/stripe-event";
/// Wakes that a busy controller may be behind; past that, it looks at everything.
const WAKES: usize = 4096;

/// A kind we watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `Tier`
    Tier,
    /// `CreditPack`
    CreditPack,
    /// `GlyphCustomer`
    GlyphCustomer,
    /// `Subscription`
    Subscription,
    /// `ApiKey`
    ApiKey,
    /// `CreditPurchase`
    CreditPurchase,
    /// `CreditGrant`
    CreditGrant,
    /// `GlyphApi`
    GlyphApi,
}

/// Somebody to look at.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Wake {
    /// This resource.
    One(Kind, String, String),
    /// Every resource.
    All,
}

/// What can be read of a resource, and what cannot.
pub type Guarded<K> = DeserializeGuard<K>;

/// A resource of ours.
pub trait Watched:
    Resource<DynamicType = (), Scope = NamespaceResourceScope>
    + Clone
    + Debug
    + DeserializeOwned
    + Serialize
    + Send
    + Sync
    + 'static
{
    /// Which one.
    const KIND: Kind;
    /// Where it is kept.
    fn store(stores: &Stores) -> &Store<Guarded<Self>>;
    /// What its dependents go by.
    fn shown(&self) -> Value {
        let mut value = serde_json::to_value(self).unwrap_or_default();
        value["metadata"] = Value::Null;
        if let Some(status) = value["status"].as_object_mut() {
            status.remove("settledFor");
        }
        value
    }
    /// What its passes decide on beside itself and what is outside Kubernetes: what [`dependents`](Self::dependents) of
    /// others wake it for. As long as it stays, and no event came, another pass would end like the last. `None`: its
    /// passes ask nobody outside Kubernetes, and each is gone through.
    fn inputs(&self, _world: &View<'_>) -> Option<Value> {
        None
    }
    /// Stripe's ids that its status records.
    fn stripe_ids(&self) -> Vec<&str> {
        Vec::new()
    }
    /// Whom a change of that concerns.
    fn dependents(&self, _stores: &Stores) -> Vec<Wake> {
        Vec::new()
    }
}

/// What a pass sees of the others.
pub struct View<'a> {
    /// The resources.
    pub stores: &'a Stores,
    /// The present moment.
    pub now: Timestamp,
}

/// All resources of one namespace, or of all.
#[derive(Clone)]
pub struct Stores {
    /// Who records which Stripe id.
    pub ids: StripeIds,
    /// `Tier`
    pub tiers: Store<Guarded<Tier>>,
    /// `CreditPack`
    pub packs: Store<Guarded<CreditPack>>,
    /// `GlyphCustomer`
    pub customers: Store<Guarded<GlyphCustomer>>,
    /// `Subscription`
    pub subscriptions: Store<Guarded<Subscription>>,
    /// `ApiKey`
    pub keys: Store<Guarded<ApiKey>>,
    /// `CreditPurchase`
    pub purchases: Store<Guarded<CreditPurchase>>,
    /// `CreditGrant`
    pub grants: Store<Guarded<CreditGrant>>,
    /// `GlyphApi`
    pub apis: Store<Guarded<GlyphApi>>,
    /// How many of the kinds were listed.
    listed: watch::Receiver<usize>,
}

/// How many kinds there are.
const KINDS: usize = 8;

impl Stores {
    /// Ends once every kind was listed. `Store::wait_until_ready` wakes only one of several who wait.
    pub async fn listed(&self) {
        let mut listed = self.listed.clone();
        // It fails only when the watches have ended, and with them the process.
        let _ = listed.wait_for(|kinds| *kinds == KINDS).await;
    }

    /// Whether every kind was listed.
    #[must_use]
    pub fn are_listed(&self) -> bool {
        *self.listed.borrow() == KINDS
    }
}

/// The resource of this name, if it can be read.
pub fn named<K: Watched>(stores: &Stores, namespace: &str, name: &str) -> Option<K> {
    let found = K::store(stores).get(&ObjectRef::new(name).within(namespace))?;
    found.0.as_ref().ok().cloned()
}

/// All resources of a namespace that can be read and pass.
pub fn select<K: Watched>(stores: &Stores, namespace: &str, pass: impl Fn(&K) -> bool) -> Vec<K> {
    everywhere(stores, |object: &K| {
        object.meta().namespace.as_deref() == Some(namespace) && pass(object)
    })
}

/// All resources of every namespace that is watched that can be read and pass.
pub fn everywhere<K: Watched>(stores: &Stores, pass: impl Fn(&K) -> bool) -> Vec<K> {
    let state = K::store(stores).state();
    let all = readable(&state);
    all.filter(|object| pass(object)).cloned().collect()
}

/// Those of a store's resources that can be read.
pub fn readable<K>(state: &[Arc<Guarded<K>>]) -> impl Iterator<Item = &K> {
    state.iter().filter_map(|guarded| guarded.0.as_ref().ok())
}

/// The name of the resource, to wake it.
pub fn wake<K: Watched>(object: &K) -> Wake {
    Wake::One(
        K::KIND,
        object.namespace().unwrap_or_default(),
        object.name_any(),
    )
}

/// Everything that is watched in one namespace, or in all.
pub struct Watches {
    /// What is known.
    pub stores: Stores,
    /// Where wakes are told.
    pub wakes: broadcast::Sender<Wake>,
    writers: Writers,
    listed: watch::Sender<usize>,
}

struct Writers {
    tiers: Writer<Guarded<Tier>>,
    packs: Writer<Guarded<CreditPack>>,
    customers: Writer<Guarded<GlyphCustomer>>,
    subscriptions: Writer<Guarded<Subscription>>,
    keys: Writer<Guarded<ApiKey>>,
    purchases: Writer<Guarded<CreditPurchase>>,
    grants: Writer<Guarded<CreditGrant>>,
    apis: Writer<Guarded<GlyphApi>>,
}

impl Default for Watches {
    fn default() -> Self {
        let (tiers, tier_writer) = store();
        let (packs, pack_writer) = store();
        let (customers, customer_writer) = store();
        let (subscriptions, subscription_writer) = store();
        let (keys, key_writer) = store();
        let (purchases, purchase_writer) = store();
        let (grants, grant_writer) = store();
        let (apis, api_writer) = store();
        let (count, listed) = watch::channel(0);
        Self {
            stores: Stores {
                ids: StripeIds::default(),
                tiers,
                packs,
                customers,
                subscriptions,
                keys,
                purchases,
                grants,
                apis,
                listed,
            },
            listed: count,
            wakes: broadcast::Sender::new(WAKES),
            writers: Writers {
                tiers: tier_writer,
                packs: pack_writer,
                customers: customer_writer,
                subscriptions: subscription_writer,
                keys: key_writer,
                purchases: purchase_writer,
                grants: grant_writer,
                apis: api_writer,
            },
        }
    }
}

impl Watches {
    /// Follows all kinds until `stop`.
    pub async fn follow(self, client: Client, namespace: Option<String>, stop: CancellationToken) {
        let Self {
            stores,
            wakes,
            writers,
            listed,
        } = self;
        let Writers {
            tiers,
            packs,
            customers,
            subscriptions,
            keys,
            purchases,
            grants,
            apis,
        } = writers;
        let follower = Follower {
            client,
            namespace,
            stores,
            wakes,
            listed,
            stop,
        };
        tokio::join!(
            follower.follow(tiers),
            follower.follow(packs),
            follower.follow(customers),
            follower.follow(subscriptions),
            follower.follow(keys),
            follower.follow(purchases),
            follower.follow(grants),
            follower.follow(apis),
        );
    }
}

struct Follower {
    client: Client,
    namespace: Option<String>,
    stores: Stores,
    wakes: broadcast::Sender<Wake>,
    listed: watch::Sender<usize>,
    stop: CancellationToken,
}

impl Follower {
    async fn follow<K: Watched>(&self, mut writer: Writer<Guarded<K>>) {
        let client = self.client.clone();
        let api: Api<Guarded<K>> = match &self.namespace {
            Some(namespace) => Api::namespaced(client, namespace),
            None => Api::all(client),
        };
        let mut events = pin!(
            watcher(api, Config::default())
                .backoff(Patience::default())
                .take_until(self.stop.cancelled())
        );
        let mut marks = Marks::default();
        let (mut failing, mut listed) = (false, false);
        while let Some(event) = events.next().await {
            match event {
                Ok(event) => {
                    failing = false;
                    writer.apply_watcher_event(&event);
                    let first = matches!(event, Event::InitDone) && !listed;
                    for wake in marks.take(event, &self.stores) {
                        // Without a leader nobody listens, and the next one looks at everything.
                        let _ = self.wakes.send(wake);
                    }
                    // After the wakes: whoever begins when all is listed looks at everyone anyway.
                    if first {
                        listed = true;
                        self.listed.send_modify(|kinds| *kinds += 1);
                    }
                }
                Err(error) if !failing => {
                    failing = true;
                    tracing::warn!(kind = %K::kind(&()), %error, "failed to watch; trying again");
                }
                Err(_) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests;
