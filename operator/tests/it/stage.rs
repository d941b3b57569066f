//! What each test stands on: a namespace, a Stripe and an operator of its own; Cognito is shared.

use std::fmt::Debug;
use std::net::SocketAddr;
use std::time::Duration;

use glyph_crds::{ApiKey, GlyphCustomer, Subscription, Tier};
use glyph_harness::net::{free_port, loopback, send};
use glyph_harness::{Cognito, ControlPlane, Namespace, Program, Service, Settings, poll_until};
use glyph_stripe_sim::{InitialWebhook, Options, Payment, StripeSim};
use http::Request;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::core::object::HasStatus;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

/// How long the operator may take for anything, far above what it takes.
pub const SOON: Duration = Duration::from_secs(60);
const STRIPE_KEY: &str = "sk_test_operatortests";
const WEBHOOK_SECRET: &str = "whsec_operatortests";
/// Stripe's test card that pays.
pub const GOOD_CARD: &str = "4242424242424242";

pub trait Kind:
    kube::Resource<Scope = NamespaceResourceScope, DynamicType = ()>
    + Clone
    + Debug
    + Serialize
    + DeserializeOwned
{
}

impl<K> Kind for K where
    K: kube::Resource<Scope = NamespaceResourceScope, DynamicType = ()>
        + Clone
        + Debug
        + Serialize
        + DeserializeOwned
{
}

pub struct Stage {
    pub namespace: Namespace<'static>,
    pub stripe: StripeSim,
    pub cognito: &'static Cognito,
    webhooks: SocketAddr,
}

impl Stage {
    /// Stripe tells the operator what happens.
    pub async fn new(name: &str) -> Self {
        Self::with(name, true).await
    }

    /// Stripe tells nobody.
    pub async fn without_webhooks(name: &str) -> Self {
        Self::with(name, false).await
    }

    async fn with(name: &str, told: bool) -> Self {
        static COGNITO: OnceCell<Cognito> = OnceCell::const_new();
        let cognito = COGNITO.get_or_try_init(Cognito::start).await.unwrap();
        let plane = ControlPlane::shared().await.unwrap();
        let namespace = plane.namespace(name).await.unwrap();
        let webhooks = loopback(free_port().unwrap());
        let webhook = InitialWebhook {
            url: format!("http://{webhooks}/webhooks/stripe"),
            secret: WEBHOOK_SECRET.to_owned(),
        };
        let stripe = StripeSim::start(Options {
            api_key: STRIPE_KEY.to_owned(),
            webhooks: if told { vec![webhook] } else { Vec::new() },
            ..Options::default()
        });
        let stripe = stripe.await.unwrap();
        Self {
            namespace,
            stripe,
            cognito,
            webhooks,
        }
    }

    /// Where the operator receives webhooks.
    pub fn webhook_url(&self) -> String {
        format!("http://{}/webhooks/stripe", self.webhooks)
    }

    pub fn settings(&self) -> Settings {
        Settings::in_namespace(&self.namespace)
            .cognito(self.cognito)
            .set("STRIPE_API_BASE", self.stripe.base_url())
            .set("STRIPE_SECRET_KEY", STRIPE_KEY)
            .set("STRIPE_WEBHOOK_SECRET", WEBHOOK_SECRET)
            .set("STRIPE_MAX_REQUESTS_PER_SECOND", "500")
            .set("GLYPH_LISTEN", self.webhooks.to_string())
            .set("GLYPH_LEASE_DURATION", "2")
            .set("GLYPH_LOG", "info,glyph_operator=debug")
    }

    pub async fn operator(&self) -> Service {
        self.operator_with(self.settings()).await
    }

    pub async fn operator_with(&self, settings: Settings) -> Service {
        Service::start(Program::Operator, settings).await.unwrap()
    }

    /// An address nobody else has.
    pub fn email(&self, name: &str) -> String {
        format!("{name}@{}.example.com", self.namespace.name())
    }

    pub async fn create<K: Kind>(&self, name: &str, spec: Value) -> K {
        let resource = json!({
            "apiVersion": K::api_version(&()),
            "kind": K::kind(&()),
            "metadata": {"name": name},
            "spec": spec,
        });
        let resource: K = serde_json::from_value(resource).unwrap();
        self.namespace
            .api::<K>()
            .create(&PostParams::default(), &resource)
            .await
            .unwrap()
    }

    /// The two tiers that most tests need.
    pub async fn tiers(&self) {
        let free = json!({"displayName": "Free", "keysBeforePayment": true});
        self.create::<Tier>("free", free).await;
        let price = json!({"currency": "usd", "amount": 2900, "interval": "Month"});
        let grace = json!({"days": 7, "degradeTo": {"name": "free"}});
        let starter = json!({"displayName": "Starter", "price": price, "grace": grace});
        self.create::<Tier>("starter", starter).await;
    }

    pub async fn customer(&self, name: &str) -> GlyphCustomer {
        self.create(
            name,
            json!({"email": self.email(name), "displayName": name}),
        )
        .await
    }

    pub async fn subscription(&self, name: &str, customer: &str, tier: &str) -> Subscription {
        self.create(
            name,
            json!({"customerRef": {"name": customer}, "tier": tier}),
        )
        .await
    }

    pub async fn key(&self, name: &str, customer: &str) -> ApiKey {
        self.create(name, json!({"customerRef": {"name": customer}}))
            .await
    }

    /// Waits until a customer made now is younger than this one: creation times are whole seconds.
    pub async fn next_second(&self, name: &str) {
        let first = self.get::<GlyphCustomer>(name).await;
        let api = self.namespace.api::<GlyphCustomer>();
        let spec = serde_json::from_value(json!({"email": "later@example.com"})).unwrap();
        let later = GlyphCustomer::new("later", spec);
        let tried = PostParams {
            dry_run: true,
            ..PostParams::default()
        };
        let younger = async || {
            let made = api.create(&tried, &later).await.ok()?;
            (made.metadata.creation_timestamp > first.metadata.creation_timestamp).then_some(())
        };
        poll_until("the next second", SOON, younger).await.unwrap();
    }

    pub async fn patch<K: Kind>(&self, name: &str, spec: Value) -> K {
        let patch = Patch::Merge(json!({"spec": spec}));
        self.namespace
            .api::<K>()
            .patch(name, &PatchParams::default(), &patch)
            .await
            .unwrap()
    }

    /// Writes a status in its controller's name: as its own write of another time.
    pub async fn rewrite<K: Kind>(&self, name: &str, manager: &str, status: &impl Serialize) {
        let patch = Patch::Apply(json!({
            "apiVersion": K::api_version(&()),
            "kind": K::kind(&()),
            "status": status,
        }));
        let params = PatchParams::apply(manager).force();
        let api = self.namespace.api::<K>();
        api.patch_status(name, &params, &patch).await.unwrap();
    }

    pub async fn delete<K: Kind>(&self, name: &str) {
        self.namespace
            .api::<K>()
            .delete(name, &DeleteParams::default())
            .await
            .unwrap();
    }

    pub async fn get<K: Kind>(&self, name: &str) -> K {
        self.namespace.api::<K>().get(name).await.unwrap()
    }

    pub async fn gone<K: Kind>(&self, name: &str) {
        let api = self.namespace.api::<K>();
        let gone = async || api.get_opt(name).await.ok()?.is_none().then_some(());
        if poll_until("the resource to be gone", SOON, gone)
            .await
            .is_err()
        {
            panic!("still there: {:#?}", self.get::<K>(name).await);
        }
    }

    /// Polls until `look` finds something in the resource.
    pub async fn until<K: Kind, T>(
        &self,
        name: &str,
        what: &str,
        mut look: impl FnMut(&K) -> Option<T>,
    ) -> T {
        let api = self.namespace.api::<K>();
        let mut last = None;
        let found = poll_until(what, SOON, async || {
            last = api.get_opt(name).await.ok()?;
            look(last.as_ref()?)
        });
        match found.await {
            Ok(found) => found,
            Err(_) => {
                let seen = serde_json::to_string_pretty(&last).unwrap();
                panic!("expected of {} {name}: {what}; it is {seen}", K::kind(&()))
            }
        }
    }

    /// Polls until a condition has this status and reason; gives its message.
    pub async fn condition<K>(&self, name: &str, type_: &str, status: &str, reason: &str) -> String
    where
        K: Kind + HasStatus<Status: Serialize>,
    {
        let what = format!("{type_}={status} with reason {reason}");
        self.until(name, &what, |resource: &K| {
            let found = condition(resource, type_)?;
            (found.status == status && found.reason == reason).then_some(found.message)
        })
        .await
    }

    pub async fn checkout(&self, name: &str) -> String {
        self.until(name, "a checkout link", |s: &Subscription| {
            let status = s.status.as_ref()?;
            status
                .checkout_url
                .as_ref()
                .and(status.checkout_session_id.clone())
        })
        .await
    }

    /// Pays the checkout of a subscription as a person does.
    pub async fn pay(&self, name: &str) {
        let session = self.checkout(name).await;
        let paid = self.stripe.control().pay(&session, GOOD_CARD, None);
        assert!(matches!(paid, Payment::Done(_)), "{paid:?}");
    }

    pub async fn active(&self, name: &str) -> Subscription {
        self.condition::<Subscription>(name, "Ready", "True", "Active")
            .await;
        self.get(name).await
    }

    pub async fn secret(&self, name: &str) -> Option<String> {
        let secret = self
            .namespace
            .api::<Secret>()
            .get_opt(name)
            .await
            .unwrap()?;
        Some(String::from_utf8(secret.data?.remove("GLYPH_API_KEY")?.0).unwrap())
    }

    /// Does something behind the operator's back, as a person in Stripe's dashboard.
    pub async fn in_dashboard(&self, method: &str, path: &str, form: &str) -> Value {
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.stripe.base_url()))
            .header("authorization", format!("Bearer {STRIPE_KEY}"))
            .header("stripe-version", glyph_stripe_sim::API_VERSION)
            .header("content-type", "application/x-www-form-urlencoded");
        let answer = send(request.body(form.to_owned()).unwrap()).await.unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json().unwrap()
    }

    /// Living objects of a kind in Stripe.
    pub fn living(&self, kind: &str) -> usize {
        self.stripe
            .control()
            .counts()
            .get(kind)
            .map_or(0, |count| count.live)
    }

    /// Objects of a kind that Stripe ever made.
    pub fn ever(&self, kind: &str) -> usize {
        self.stripe
            .control()
            .counts()
            .get(kind)
            .map_or(0, |count| count.live + count.deleted)
    }

    /// Writes that Stripe has seen.
    pub fn writes(&self) -> usize {
        let requests = self.stripe.control().requests();
        requests
            .iter()
            .filter(|request| request.method != "GET")
            .count()
    }

    /// Polls until there is an Event of this reason about a resource; gives its note. Events follow the
    /// status they speak of.
    pub async fn told(&self, name: &str, reason: &str) -> String {
        let told = async || {
            let mut all = self.events(name).await.into_iter();
            all.find_map(|(said, note)| (said == reason).then_some(note))
        };
        poll_until("an Event", SOON, told).await.unwrap()
    }

    /// Reasons of all Events about a resource.
    pub async fn events(&self, name: &str) -> Vec<(String, String)> {
        let all = self
            .namespace
            .api::<Event>()
            .list(&ListParams::default())
            .await
            .unwrap();
        let about = all
            .items
            .into_iter()
            .filter(|event| event.regarding.as_ref().and_then(|r| r.name.as_deref()) == Some(name));
        about
            .map(|e| (e.reason.unwrap_or_default(), e.note.unwrap_or_default()))
            .collect()
    }
}

/// A condition of a resource.
pub fn condition<K>(resource: &K, type_: &str) -> Option<Condition>
where
    K: HasStatus<Status: Serialize>,
{
    let status = serde_json::to_value(resource.status()?).unwrap();
    let all: Vec<Condition> = serde_json::from_value(status["conditions"].clone()).ok()?;
    all.into_iter().find(|condition| condition.type_ == type_)
}
