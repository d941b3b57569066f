//! Which kind is kept where, and whom a change of it concerns.

use glyph_crds::{ApiKey, CreditGrant, CreditPack, GlyphCustomer, Subscription, Tier};
use kube::ResourceExt;
use kube::runtime::reflector::Store;

use serde_json::{Value, json};

use crate::watches::{Guarded, Kind, Stores, Wake, Watched, select, wake};

impl Watched for Tier {
    const KIND: Kind = Kind::Tier;

    fn store(stores: &Stores) -> &Store<Guarded<Self>> {
        &stores.tiers
    }

    /// Not how many subscribe: each new one would wake all the others.
    fn shown(&self) -> Value {
        let price = self.status.as_ref().map(|status| &status.stripe_price_id);
        json!([self.spec, price])
    }

    /// Its subscriptions, and the keys that wait for a tier.
    fn dependents(&self, stores: &Stores) -> Vec<Wake> {
        let (namespace, name) = (self.namespace().unwrap_or_default(), self.name_any());
        let subscribed = select(stores, &namespace, |s: &Subscription| {
            let billed = s.status.as_ref().and_then(|status| status.tier.as_ref());
            s.spec.tier == name || billed == Some(&name)
        });
        let waiting = select(stores, &namespace, |key: &ApiKey| {
            key.status
                .as_ref()
                .is_none_or(|status| status.hashes.is_empty())
        });
        subscribed
            .iter()
            .map(wake)
            .chain(waiting.iter().map(wake))
            .collect()
    }
}

impl Watched for CreditPack {
    const KIND: Kind = Kind::CreditPack;

    fn store(stores: &Stores) -> &Store<Guarded<Self>> {
        &stores.packs
    }
}

impl Watched for GlyphCustomer {
    const KIND: Kind = Kind::GlyphCustomer;

    fn store(stores: &Stores) -> &Store<Guarded<Self>> {
        &stores.customers
    }

    /// Not its tier or credits, which follow from its dependents.
    fn shown(&self) -> Value {
        let status = self.status.as_ref();
        json!([
            self.spec,
            status.map(|status| &status.stripe_customer_id),
            crate::controllers::subscription::is_drifted(self),
        ])
    }

    /// Its subscriptions, keys and grants; and whoever was refused for claiming the same.
    fn dependents(&self, stores: &Stores) -> Vec<Wake> {
        let (namespace, name) = (self.namespace().unwrap_or_default(), self.name_any());
        let namespace = namespace.as_str();
        let subscriptions = select(stores, namespace, |s: &Subscription| {
            s.spec.customer_ref.name == name
        });
        let keys = select(stores, namespace, |key: &ApiKey| {
            key.spec.customer_ref.name == name
        });
        let grants = select(stores, namespace, |grant: &CreditGrant| {
            grant.spec.customer_ref.name == name
        });
        let rivals = select(stores, namespace, |other: &Self| {
            let claim = glyph_operator_core::customer::common_claim(self, other);
            other.name_any() != name && claim.is_some()
        });
        subscriptions
            .iter()
            .map(wake)
            .chain(keys.iter().map(wake))
            .chain(grants.iter().map(wake))
            .chain(rivals.iter().map(wake))
            .collect()
    }
}

impl Watched for Subscription {
    const KIND: Kind = Kind::Subscription;

    fn store(stores: &Stores) -> &Store<Guarded<Self>> {
        &stores.subscriptions
    }

    /// Its customer, that customer's keys and other subscriptions, and the tier that counts it.
    fn dependents(&self, stores: &Stores) -> Vec<Wake> {
        let (namespace, name) = (self.namespace().unwrap_or_default(), self.name_any());
        let customer = &self.spec.customer_ref;
        let others = select(stores, &namespace, |s: &Self| {
            s.spec.customer_ref == *customer && s.name_any() != name
        });
        let keys = select(stores, &namespace, |key: &ApiKey| {
            key.spec.customer_ref == *customer
        });
        let customer = Wake::One(
            Kind::GlyphCustomer,
            namespace.clone(),
            customer.name.clone(),
        );
        let billed = self.status.as_ref().and_then(|status| status.tier.clone());
        let tier = billed.map(|tier| Wake::One(Kind::Tier, namespace.clone(), tier));
        std::iter::once(customer)
            .chain(tier)
            .chain(others.iter().map(wake))
            .chain(keys.iter().map(wake))
            .collect()
    }
}

impl Watched for ApiKey {
    const KIND: Kind = Kind::ApiKey;

    fn store(stores: &Stores) -> &Store<Guarded<Self>> {
        &stores.keys
    }
}

impl Watched for CreditGrant {
    const KIND: Kind = Kind::CreditGrant;

    fn store(stores: &Stores) -> &Store<Guarded<Self>> {
        &stores.grants
    }
}
