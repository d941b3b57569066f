//! Which kind is kept where, and whom a change of it concerns.

use glyph_crds::{
    ApiKey, CreditGrant, CreditPack, CreditPurchase, GlyphApi, GlyphCustomer, Subscription, Tier,
};
use kube::ResourceExt;
use kube::runtime::reflector::Store;

use serde_json::{Value, json};

use glyph_crds::entitlement::{Standing, in_charge};

use crate::watches::{Guarded, Kind, Stores, View, Wake, Watched, everywhere, named, select, wake};

/// A resource as those go by it that depend on it.
fn seen<K: Watched>(object: K) -> Value {
    let deleting = object.meta().deletion_timestamp.is_some();
    json!([object.uid(), deleting, object.shown()])
}

/// Those ids that a status records.
fn recorded<const N: usize>(ids: Option<[&Option<String>; N]>) -> Vec<&str> {
    let all = ids.into_iter().flatten();
    all.filter_map(|id| id.as_deref()).collect()
}

impl Watched for Tier {
    const KIND: Kind = Kind::Tier;

    fn store(stores: &Stores) -> &Store<Guarded<Self>> {
        &stores.tiers
    }

    /// What subscriptions and keys go by. Not its words, limits and features, nor how many subscribe: an edit of
    /// those would wake all subscribers.
    fn shown(&self) -> Value {
        let spec = &self.spec;
        json!([
            spec.price,
            spec.contact_sales,
            spec.trial_days,
            spec.trial_payment_method,
            spec.existing_subscribers,
            spec.grace,
            spec.keys_before_payment,
            self.status.as_ref().map(|status| &status.stripe_price_id),
        ])
    }

    fn inputs(&self, view: &View<'_>) -> Option<Value> {
        let (namespace, name) = (self.namespace().unwrap_or_default(), self.name_any());
        let subscribed = select(
            view.stores,
            &namespace,
            |s: &Subscription| matches!(Standing::of(Some(s), view.now), Standing::Subscribed { tier, .. } if tier == name),
        );
        Some(json!(subscribed.len()))
    }

    fn stripe_ids(&self) -> Vec<&str> {
        let status = self.status.as_ref();
        recorded(status.map(|s| [&s.stripe_product_id, &s.stripe_price_id]))
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

    fn inputs(&self, _view: &View<'_>) -> Option<Value> {
        Some(Value::Null)
    }

    fn stripe_ids(&self) -> Vec<&str> {
        let status = self.status.as_ref();
        recorded(status.map(|s| [&s.stripe_product_id, &s.stripe_price_id]))
    }

    /// The purchases that wait to be sold.
    fn dependents(&self, stores: &Stores) -> Vec<Wake> {
        let (namespace, name) = (self.namespace().unwrap_or_default(), self.name_any());
        let waiting = select(stores, &namespace, |purchase: &CreditPurchase| {
            let status = purchase.status.as_ref();
            purchase.spec.pack == name && status.is_none_or(|status| status.state.is_none())
        });
        waiting.iter().map(wake).collect()
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

    fn inputs(&self, view: &View<'_>) -> Option<Value> {
        let (namespace, name) = (self.namespace().unwrap_or_default(), self.name_any());
        let subscriptions = select(view.stores, &namespace, |s: &Subscription| {
            s.spec.customer_ref.name == name
        });
        let first = in_charge(&subscriptions);
        let standing = format!("{:?}", Standing::of(first, view.now));
        let billed = first.and_then(|s| s.status.as_ref()?.tier.as_deref());
        let tier: Option<Tier> = billed.and_then(|tier| named(view.stores, &namespace, tier));
        let mut rivals: Vec<_> = select(view.stores, &namespace, |other: &Self| {
            other.name_any() != name
                && glyph_operator_core::customer::common_claim(self, other).is_some()
        })
        .iter()
        .map(ResourceExt::uid)
        .collect();
        rivals.sort();
        Some(json!([standing, tier.map(|tier| tier.spec.grace), rivals]))
    }

    fn stripe_ids(&self) -> Vec<&str> {
        let status = self.status.as_ref();
        recorded(status.map(|s| [&s.stripe_customer_id]))
    }

    /// Its subscriptions, keys, purchases and grants; and whoever was refused for claiming the same.
    fn dependents(&self, stores: &Stores) -> Vec<Wake> {
        let (namespace, name) = (self.namespace().unwrap_or_default(), self.name_any());
        let namespace = namespace.as_str();
        let subscriptions = select(stores, namespace, |s: &Subscription| {
            s.spec.customer_ref.name == name
        });
        let keys = select(stores, namespace, |key: &ApiKey| {
            key.spec.customer_ref.name == name
        });
        let purchases = select(stores, namespace, |purchase: &CreditPurchase| {
            purchase.spec.customer_ref.name == name
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
            .chain(purchases.iter().map(wake))
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

    fn inputs(&self, view: &View<'_>) -> Option<Value> {
        let namespace = self.namespace().unwrap_or_default();
        let customer: Option<GlyphCustomer> =
            named(view.stores, &namespace, &self.spec.customer_ref.name);
        let mut others: Vec<_> = select(view.stores, &namespace, |s: &Self| {
            s.spec.customer_ref == self.spec.customer_ref && s.uid() != self.uid()
        })
        .iter()
        .map(|s| (s.uid(), s.shown()))
        .collect();
        others.sort_by(|one, other| one.0.cmp(&other.0));
        let billed = self.status.as_ref().and_then(|s| s.tier.clone());
        let tiers = [Some(self.spec.tier.clone()), billed]
            .map(|name| named::<Tier>(view.stores, &namespace, &name?).map(seen));
        Some(json!([customer.map(seen), others, tiers]))
    }

    fn stripe_ids(&self) -> Vec<&str> {
        let status = self.status.as_ref();
        recorded(status.map(|s| [&s.stripe_subscription_id, &s.checkout_session_id]))
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

impl Watched for CreditPurchase {
    const KIND: Kind = Kind::CreditPurchase;

    fn store(stores: &Stores) -> &Store<Guarded<Self>> {
        &stores.purchases
    }

    fn inputs(&self, view: &View<'_>) -> Option<Value> {
        let namespace = self.namespace().unwrap_or_default();
        let customer: Option<GlyphCustomer> =
            named(view.stores, &namespace, &self.spec.customer_ref.name);
        let pack: Option<CreditPack> = named(view.stores, &namespace, &self.spec.pack);
        Some(json!([customer.map(seen), pack.map(seen)]))
    }

    fn stripe_ids(&self) -> Vec<&str> {
        let status = self.status.as_ref();
        recorded(status.map(|s| [&s.checkout_session_id, &s.payment_intent_id]))
    }

    /// What its grant goes by.
    fn shown(&self) -> Value {
        let status = self.status.clone().unwrap_or_default();
        json!([
            status.checkout_session_id,
            status.amount_paid,
            status.amount_refunded,
            status.disputed
        ])
    }

    /// The grants that its payment made.
    fn dependents(&self, stores: &Stores) -> Vec<Wake> {
        let namespace = self.namespace().unwrap_or_default();
        let session = self
            .status
            .as_ref()
            .and_then(|s| s.checkout_session_id.as_ref());
        let grants = select(stores, &namespace, |grant: &CreditGrant| {
            session.is_some() && grant.spec.source.id.as_ref() == session
        });
        grants.iter().map(wake).collect()
    }
}

impl Watched for CreditGrant {
    const KIND: Kind = Kind::CreditGrant;

    fn store(stores: &Stores) -> &Store<Guarded<Self>> {
        &stores.grants
    }
}

impl Watched for GlyphApi {
    const KIND: Kind = Kind::GlyphApi;

    fn store(stores: &Stores) -> &Store<Guarded<Self>> {
        &stores.apis
    }

    /// What others go by: not its status.
    fn shown(&self) -> Value {
        json!(self.spec)
    }

    /// Those that may claim the same, in any namespace.
    fn dependents(&self, stores: &Stores) -> Vec<Wake> {
        let others = everywhere(stores, |other: &Self| {
            other.uid() != self.uid() && glyph_operator_core::glyph_api::share_a_host(self, other)
        });
        others.iter().map(wake).collect()
    }
}
