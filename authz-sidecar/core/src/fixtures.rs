//! A small world for the tests of this crate: resources as the API server sends them, and an index fed with them.

use glyph_crds::Environment;
use glyph_crds::api_key_format::Peppers;
use jiff::{SignedDuration, Timestamp};
use kube::core::DynamicObject;
use serde_json::{Value, json};

use crate::decide::{Admission, Authorized, Basis, Policy, authorize};
use crate::index::{Change, Index, Kind};
use crate::request::RequestView;
use crate::token::{Remembered, Rules, Trust, Verifier};
use crate::verdict::Denial;

pub(crate) const NAMESPACE: &str = "shop";
pub(crate) const KEY: &str = "glyph_sk_live_0123456789abcdefghijABCDEFGHIJxy";

pub(crate) const RULES: Rules = Rules {
    leeway: SignedDuration::from_secs(30),
    longest_age: SignedDuration::from_hours(24),
};

pub(crate) fn now() -> Timestamp {
    at("2026-11-23T12:00:00Z")
}

pub(crate) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

pub(crate) fn peppers() -> Peppers {
    Peppers::parse("1:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=").unwrap()
}

pub(crate) fn hash_of(key: &str) -> String {
    peppers().newest().hash(key).to_string()
}

/// An object of any kind; `more` is merged over it.
pub(crate) fn object(name: &str, more: Value) -> DynamicObject {
    let mut object = json!({"metadata": {
        "namespace": NAMESPACE, "name": name, "uid": format!("uid-{name}"), "creationTimestamp": "2026-01-01T00:00:00Z",
    }, "spec": {}});
    merge(&mut object, more);
    serde_json::from_value(object).unwrap()
}

pub(crate) fn tier(name: &str, spec: Value) -> DynamicObject {
    let mut all = json!({"displayName": name});
    merge(&mut all, spec);
    object(name, json!({"spec": all}))
}

pub(crate) fn customer(name: &str, more: Value) -> DynamicObject {
    let mut all = json!({"spec": {"email": "a@example.com"}});
    merge(&mut all, more);
    object(name, all)
}

pub(crate) fn subscription(name: &str, customer: &str, status: Value) -> DynamicObject {
    let spec = json!({"customerRef": {"name": customer}, "tier": "starter"});
    object(name, json!({"spec": spec, "status": status}))
}

/// A key of `customer` that is delivered and good.
pub(crate) fn key(name: &str, customer: &str, secret: &str, more: Value) -> DynamicObject {
    let hashes = json!([{"value": hash_of(secret), "pepperVersion": 1}]);
    let mut all = json!({
        "spec": {"customerRef": {"name": customer}},
        "status": {"keyId": format!("id-{name}"), "hashes": hashes},
    });
    merge(&mut all, more);
    object(name, all)
}

/// Credits of `customer`; `more` is merged over the whole.
pub(crate) fn grant(name: &str, customer: &str, credits: i64, more: Value) -> DynamicObject {
    let source = json!({"type": "Admin", "reason": "a test"});
    let spec = json!({"customerRef": {"name": customer}, "credits": credits, "source": source});
    let mut all = json!({"spec": spec});
    merge(&mut all, more);
    object(name, all)
}

/// A GlyphApi.
pub(crate) fn glyph_api(name: &str, spec: Value) -> DynamicObject {
    object(name, json!({"spec": spec}))
}

fn merge(into: &mut Value, more: Value) {
    match (into, more) {
        (Value::Object(into), Value::Object(more)) => {
            for (name, value) in more {
                merge(into.entry(name).or_insert(Value::Null), value);
            }
        }
        (into, more) => *into = more,
    }
}

/// An index, and what is set.
pub(crate) struct World {
    pub(crate) index: Index,
    pub(crate) policy: Policy,
    pub(crate) trust: Trust,
    pub(crate) remembered: Remembered,
    peppers: Peppers,
}

impl World {
    /// One synced watch of each kind over all namespaces, and nothing in it.
    pub(crate) fn empty() -> Self {
        let mut index = Index::new(&[None]);
        for kind in Kind::ALL {
            index.update(kind, &None, Change::ListBegins);
            index.update(kind, &None, Change::ListEnds);
        }
        let policy = Policy {
            environment: Environment::Live,
            default_tier: "free".to_owned(),
            billing_url: None,
        };
        Self {
            index,
            policy,
            trust: Trust::new(Vec::new(), RULES),
            remembered: Remembered::default(),
            peppers: peppers(),
        }
    }

    /// A free tier of 100 calls, a paid one of 10,000, and the customer `ada` with [`KEY`].
    pub(crate) fn usual() -> Self {
        let mut world = Self::empty();
        world.apply(
            Kind::Tier,
            tier("free", json!({"quota": {"requests": 100}})),
        );
        let starter = json!({"quota": {"requests": 10_000}, "rateLimit": {"requestsPerSecond": 10, "burst": 25}});
        world.apply(Kind::Tier, tier("starter", starter));
        world.apply(Kind::Customer, customer("ada", json!({})));
        world.apply(Kind::Key, key("laptop", "ada", KEY, json!({})));
        world
    }

    pub(crate) fn apply(&mut self, kind: Kind, object: DynamicObject) -> bool {
        let updated = self.index.update(kind, &None, Change::Applied(object));
        assert_eq!(updated.malformed, None);
        updated.changed
    }

    pub(crate) fn basis(&self) -> Basis<'_> {
        Basis {
            index: &self.index,
            peppers: &self.peppers,
            verifier: Verifier {
                trust: &self.trust,
                remembered: &self.remembered,
            },
            policy: &self.policy,
            now: now(),
        }
    }
}

/// A request with [`KEY`].
pub(crate) fn request() -> RequestView<'static> {
    let mut view = RequestView::default();
    view.add_header("x-api-key", KEY.as_bytes());
    view
}

/// What `authorize` says of a request that is metered.
pub(crate) fn metered(request: &RequestView<'_>, basis: Basis<'_>) -> Result<Admission, Denial> {
    match authorize(request, basis)? {
        Authorized::Metered(admission) => Ok(*admission),
        Authorized::Open(permit) => panic!("not metered: {permit:?}"),
    }
}
