//! What each test stands on: a namespace with tiers and a customer, Redis, the sample API, the sidecar, Envoy.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use glyph_crds::api_key_format::Peppers;
use glyph_crds::{ApiKey, CreditGrant, GlyphApi, GlyphCustomer, Subscription, Tier};
use glyph_harness::net::{Answer, send};
use glyph_harness::{
    ControlPlane, Envoy, EnvoyConfig, Namespace, Program, Redis, Result, Service, Settings,
    Upstream,
};
use http::Request;
use http::request::Builder;
use jiff::Timestamp;
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// Longer than anything but a fault takes.
pub const SOON: Duration = Duration::from_secs(15);

pub struct Stage {
    pub world: World<'static>,
    pub redis: Redis,
    pub upstream: Upstream,
    pub sidecar: Service,
    pub envoy: Envoy,
}

/// Resources in a namespace of one's own.
pub struct World<'a> {
    pub namespace: Namespace<'a>,
}

impl Stage {
    /// With default settings.
    pub async fn set() -> Result<Self> {
        Self::set_with(|settings| settings).await
    }

    /// With further settings of the sidecar.
    pub async fn set_with(more: impl FnOnce(Settings) -> Settings) -> Result<Self> {
        Self::set_behind(example(), more).await
    }

    /// With another Envoy configuration.
    pub async fn set_behind(
        file: PathBuf,
        more: impl FnOnce(Settings) -> Settings,
    ) -> Result<Self> {
        let world = World::on(ControlPlane::shared().await?).await?;
        let redis = Redis::start().await?;
        let sidecar = Service::start(Program::Authz, more(settings(&world, &redis))).await?;
        let upstream = Upstream::start().await?;
        let envoy = Envoy::start(&config(file, &sidecar, &upstream)).await?;
        Ok(Self {
            world,
            redis,
            upstream,
            sidecar,
            envoy,
        })
    }

    /// A GET through Envoy.
    pub fn get(&self, path: &str) -> Builder {
        Request::get(format!("{}{path}", self.envoy.url()))
    }

    /// The answer to a GET with `key` in `x-api-key`.
    pub async fn with_key(&self, key: &str) -> Answer {
        answer(self.get("/v1/items").header("x-api-key", key)).await
    }

    /// Waits until a request with `key` is answered with `status`.
    pub async fn until(&self, key: &str, status: u16) -> Answer {
        let what = format!("status {status}");
        let probe =
            async || Some(self.with_key(key).await).filter(|answer| answer.status == status);
        glyph_harness::poll_until(&what, SOON, probe).await.unwrap()
    }
}

/// The sidecar's settings. Redis may take longer to answer than it should be given in production: the machine that
/// tests run on does other things. What the deadline is for is tested with the default one.
pub fn settings(world: &World<'_>, redis: &Redis) -> Settings {
    Settings::in_namespace(&world.namespace)
        .redis(redis)
        .set("GLYPH_REDIS_DEADLINE", "200")
}

/// The configuration that users are given.
pub fn example() -> PathBuf {
    glyph_harness::workspace_root().join("examples/envoy/envoy.yaml")
}

/// That file, edited; `name` tells the variant from others.
pub fn variant(name: &str, edit: impl FnOnce(&str) -> String) -> PathBuf {
    let text = std::fs::read_to_string(example()).unwrap();
    let edited = edit(&text);
    assert_ne!(edited, text, "the edit must find what it edits");
    let file = std::env::temp_dir().join(format!("glyph-{name}-{}.yaml", std::process::id()));
    std::fs::write(&file, edited).unwrap();
    file
}

/// Says where what stands in that file really is.
pub fn config(file: PathBuf, sidecar: &Service, upstream: &Upstream) -> EnvoyConfig {
    let endpoints = BTreeMap::from([(9000, sidecar.address()), (8080, upstream.address())]);
    EnvoyConfig {
        file,
        listener_port: 10_000,
        admin_port: 9901,
        endpoints,
    }
}

pub async fn answer(request: Builder) -> Answer {
    send(request.body(Bytes::new()).unwrap()).await.unwrap()
}

/// The `code` of a problem document, after a look at the rest of it.
pub fn code(answer: &Answer) -> String {
    assert_eq!(answer.header("content-type"), "application/problem+json");
    let problem: Value = answer.json().unwrap();
    assert_eq!(problem["status"], answer.status);
    assert!(
        problem["detail"]
            .as_str()
            .is_some_and(|detail| detail.ends_with('.')),
        "{problem}"
    );
    problem["code"].as_str().unwrap().to_owned()
}

/// A key made of `name`, always the same.
pub fn secret(name: &str) -> String {
    format!("glyph_sk_live_{name:0>32}")
}

pub fn hash_of(peppers: &str, key: &str) -> String {
    Peppers::parse(peppers)
        .unwrap()
        .newest()
        .hash(key)
        .to_string()
}

impl<'a> World<'a> {
    /// Tiers `free` (100 calls a month) and `starter` (10,000; 5 at once, 1 a second), and the customer `ada`.
    pub async fn on(plane: &'a ControlPlane) -> Result<Self> {
        let world = Self {
            namespace: plane.namespace("authz").await?,
        };
        world
            .tier("free", json!({"quota": {"requests": 100}}))
            .await;
        let rate = json!({"requestsPerSecond": 1, "burst": 5});
        world
            .tier(
                "starter",
                json!({"quota": {"requests": 10_000}, "rateLimit": rate}),
            )
            .await;
        world.customer("ada", json!({})).await;
        Ok(world)
    }

    pub fn peppers(&self) -> String {
        Settings::in_namespace(&self.namespace)
            .get("GLYPH_KEY_PEPPERS")
            .unwrap()
            .to_owned()
    }

    pub async fn tier(&self, name: &str, mut spec: Value) {
        spec["displayName"] = name.into();
        self.write::<Tier>(name, spec, Value::Null).await;
    }

    pub async fn customer(&self, name: &str, mut spec: Value) {
        spec["email"] = format!("{name}@example.com").into();
        self.write::<GlyphCustomer>(name, spec, Value::Null).await;
    }

    pub async fn subscription(&self, customer: &str, status: Value) {
        let spec = json!({"customerRef": {"name": customer}, "tier": "starter"});
        self.write::<Subscription>(customer, spec, status).await;
    }

    /// A delivered key of `customer`; `spec` is merged over the usual one. Returns the key.
    pub async fn key(&self, name: &str, customer: &str, mut spec: Value) -> String {
        let key = secret(name);
        spec["customerRef"] = json!({"name": customer});
        let hashes = json!([{"value": hash_of(&self.peppers(), &key), "pepperVersion": 1}]);
        self.write::<ApiKey>(
            name,
            spec,
            json!({"keyId": format!("id-{name}"), "hashes": hashes}),
        )
        .await;
        key
    }

    /// Credits of `customer`; `spec` is merged over the usual one.
    pub async fn grant(&self, name: &str, customer: &str, credits: u64, mut spec: Value) {
        spec["customerRef"] = json!({"name": customer});
        spec["credits"] = credits.into();
        spec["source"] = json!({"type": "Admin", "reason": "a test"});
        self.write::<CreditGrant>(name, spec, Value::Null).await;
    }

    pub async fn api(&self, name: &str, spec: Value) {
        self.write::<GlyphApi>(name, spec, Value::Null).await;
    }

    pub async fn revoke(&self, name: &str) {
        self.patch::<ApiKey>(name, json!({"spec": {"revoked": true}}))
            .await;
    }

    pub async fn delete<K: Written>(&self, name: &str) {
        self.namespace
            .api::<K>()
            .delete(name, &DeleteParams::default())
            .await
            .unwrap();
    }

    pub async fn patch<K: Written>(&self, name: &str, patch: Value) {
        let api: Api<K> = self.namespace.api();
        api.patch(name, &PatchParams::default(), &Patch::Merge(patch))
            .await
            .unwrap();
    }

    pub async fn patch_status<K: Written>(&self, name: &str, status: Value) {
        let api: Api<K> = self.namespace.api();
        let patch = Patch::Merge(json!({"status": status}));
        api.patch_status(name, &PatchParams::default(), &patch)
            .await
            .unwrap();
    }

    async fn write<K: Written>(&self, name: &str, spec: Value, status: Value) {
        let api: Api<K> = self.namespace.api();
        let resource = json!({"metadata": {"name": name}, "spec": spec});
        let resource = serde_json::from_value(resource).unwrap();
        api.create(&PostParams::default(), &resource).await.unwrap();
        if !status.is_null() {
            self.patch_status::<K>(name, status).await;
        }
    }
}

/// What can be written to a namespace.
pub trait Written:
    kube::Resource<Scope = kube::core::NamespaceResourceScope, DynamicType = ()>
    + Clone
    + DeserializeOwned
    + Serialize
    + std::fmt::Debug
{
}

impl<K> Written for K where
    K: kube::Resource<Scope = kube::core::NamespaceResourceScope, DynamicType = ()>
        + Clone
        + DeserializeOwned
        + Serialize
        + std::fmt::Debug
{
}

#[expect(
    clippy::disallowed_methods,
    reason = "the sidecar under test goes by the machine's clock too"
)]
pub fn now() -> Timestamp {
    Timestamp::now()
}
