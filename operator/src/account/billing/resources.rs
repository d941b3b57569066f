//! A customer's own resources, read from the API server itself, so that what was just made through another replica is
//! there.

use std::fmt::Debug;

use glyph_crds::entitlement::{KeyEntitlement, in_charge, key_entitlement};
use glyph_crds::{CreditPurchase, Subscription, Tier};
use k8s_openapi::NamespaceResourceScope;
use kube::api::ListParams;
use kube::core::DeserializeGuard;
use kube::{Api, Resource, ResourceExt as _};
use serde::de::DeserializeOwned;

use crate::account::Account;
use crate::account::caller::Caller;
use crate::account::problem::{Answer, Problem, ProblemCode};
use crate::watches::{named, select};

/// The things of a customer, whose name a field selector takes.
pub(in crate::account) fn of_customer(customer: &str) -> ListParams {
    ListParams::default().fields(&format!("spec.customerRef.name={customer}"))
}

impl Account {
    /// Those that can be read.
    async fn all_of<K>(&self, customer: &str) -> Answer<Vec<K>>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + Debug
            + DeserializeOwned,
    {
        let api: Api<DeserializeGuard<K>> = Api::namespaced(self.client.clone(), &self.namespace);
        let listed = api.list(&of_customer(customer)).await?;
        Ok(listed.into_iter().filter_map(|one| one.0.ok()).collect())
    }

    pub(in crate::account) async fn subscriptions_of(
        &self,
        customer: &str,
    ) -> Answer<Vec<Subscription>> {
        self.all_of(customer).await
    }

    pub(in crate::account) async fn purchases_of(
        &self,
        customer: &str,
    ) -> Answer<Vec<CreditPurchase>> {
        self.all_of(customer).await
    }

    /// The tier of this name.
    pub(in crate::account) fn tier(&self, name: &str) -> Option<Tier> {
        named(&self.stores, &self.namespace, name)
    }

    /// Refused, with where to pay, unless the customer may get a new key.
    pub(in crate::account) async fn may_have_key(&self, caller: &Caller) -> Answer<()> {
        let subscriptions = self.subscriptions_of(&caller.name()).await?;
        let tiers = select(&self.stores, &self.namespace, |_: &Tier| true);
        let tier_named = |name: &str| tiers.iter().find(|tier| tier.name_any() == name);
        let charge = in_charge(&subscriptions);
        match key_entitlement(charge, &self.default_tier, tier_named, self.now()) {
            KeyEntitlement::Granted => Ok(()),
            KeyEntitlement::AfterPayment { tier: _, pay_at } => {
                let invoice = charge.and_then(|s| s.status.as_ref()?.invoice_url.clone());
                let detail = "The plan gives API keys once it is paid: pay at pay_at, or POST /billing/checkout.";
                let problem = Problem::new(ProblemCode::PaymentRequired, detail);
                Err(problem.pay_at(pay_at.or(invoice)))
            }
            KeyEntitlement::UnknownTier { tier } => {
                Err(Problem::misconfigured(&format!("there is no Tier {tier}")))
            }
        }
    }
}
