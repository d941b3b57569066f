//! Writing down what a customer wants to buy: one subscription that speaks for it, one purchase for each wish.

use glyph_crds::common::LocalRef;
use glyph_crds::entitlement::{in_charge, is_final};
use glyph_crds::{
    CreditPurchase, CreditPurchaseSpec, PurchaseState, Subscription, SubscriptionSpec,
};
use glyph_operator_core::account::names;
use kube::ResourceExt as _;
use kube::api::{Patch, PatchParams};
use serde_json::json;

use super::standing::{Stand, of_subscription};
use crate::account::Account;
use crate::account::caller::Caller;
use crate::account::idempotency::{Asked, IdempotencyKey};
use crate::account::people::{is_conflict, making};
use crate::account::problem::{Answer, Problem, ProblemCode};

/// How often what another changed meanwhile is looked at again.
const TRIES: usize = 20;

impl Account {
    /// The subscription that speaks for the customer, asked to be on `tier`.
    pub(super) async fn subscribe(
        &self,
        caller: &Caller,
        tier: &str,
        asked: &Asked,
    ) -> Answer<Subscription> {
        for _ in 0..TRIES {
            let all = self.subscriptions_of(&caller.name()).await?;
            let running =
                in_charge(&all).filter(|s| !is_final(s.status.as_ref().and_then(|s| s.state)));
            let done = match running {
                Some(running) => self.change(running, tier, asked).await,
                None => self.first(caller, tier, asked, &all).await,
            };
            match done {
                Err(error) if is_conflict(&error) => {}
                done => return done?,
            }
        }
        Err(Problem::unavailable(&"a subscription is changed too often"))
    }

    async fn first(
        &self,
        caller: &Caller,
        tier: &str,
        asked: &Asked,
        ended: &[Subscription],
    ) -> kube::Result<Answer<Subscription>> {
        let name = (1..)
            .map(|number| names::subscription(&caller.name(), number))
            .find(|name| ended.iter().all(|s| s.name_any() != *name))
            .unwrap_or_default();
        let spec = SubscriptionSpec {
            customer_ref: LocalRef {
                name: caller.name(),
            },
            tier: tier.to_owned(),
            payment: Default::default(),
            trial_days: None,
            days_until_due: None,
            cancel_at_period_end: false,
            drift_policy: Default::default(),
        };
        let mut subscription = Subscription::new(&name, spec);
        let annotations = asked.annotations().into_iter();
        let annotations = annotations.map(|(name, value)| (name.to_owned(), value));
        subscription.annotations_mut().extend(annotations);
        let api = self.api::<Subscription>();
        api.create(&making(), &subscription).await.map(Ok)
    }

    async fn change(
        &self,
        running: &Subscription,
        tier: &str,
        asked: &Asked,
    ) -> kube::Result<Answer<Subscription>> {
        match asked.made(running) {
            Err(reused) => return Ok(Err(reused)),
            Ok(true) => return Ok(Ok(running.clone())),
            Ok(false) => {}
        }
        if running.metadata.deletion_timestamp.is_some() {
            let detail = "The last subscription is still being ended; try again in a moment.";
            return Ok(Err(
                Problem::new(ProblemCode::Conflict, detail).retry_after(5)
            ));
        }
        if running.spec.tier == tier {
            if matches!(of_subscription(running), Some(Stand::Complete)) {
                let detail = "This plan is in force already; GET /billing/status shows it.";
                return Ok(Err(Problem::new(ProblemCode::AlreadySubscribed, detail)));
            }
            return Ok(Ok(running.clone()));
        }
        let annotations: serde_json::Map<_, _> = asked
            .annotations()
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.into()))
            .collect();
        let patch = json!({
            "metadata": {
                "uid": running.uid(),
                "resourceVersion": running.resource_version(),
                "annotations": annotations,
            },
            "spec": {"tier": tier},
        });
        let api = self.api::<Subscription>();
        let patch = Patch::Merge(patch);
        let params = PatchParams::default();
        api.patch(&running.name_any(), &params, &patch)
            .await
            .map(Ok)
    }

    /// Asks no more for a plan that could not be charged: a card that is good some day must not buy it then, unasked.
    pub(super) async fn put_back(&self, refused: &Subscription) {
        let in_force = refused
            .status
            .as_ref()
            .and_then(|status| status.tier.clone());
        let Some(tier) = in_force.filter(|tier| *tier != refused.spec.tier) else {
            return;
        };
        let patch = json!({
            "metadata": {"uid": refused.uid(), "resourceVersion": refused.resource_version()},
            "spec": {"tier": tier},
        });
        let api = self.api::<Subscription>();
        let name = refused.name_any();
        // Whoever changed it meanwhile has asked for something else.
        if let Err(error) = api
            .patch(&name, &PatchParams::default(), &Patch::Merge(patch))
            .await
            && !is_conflict(&error)
        {
            tracing::warn!(%error, name, "a plan that was refused is still asked for");
        }
    }

    /// The purchase of these credits: the open one, or another.
    pub(super) async fn purchase(
        &self,
        caller: &Caller,
        pack: &str,
        quantity: u32,
        key: &IdempotencyKey,
    ) -> Answer<CreditPurchase> {
        let spec = CreditPurchaseSpec {
            customer_ref: LocalRef {
                name: caller.name(),
            },
            pack: pack.to_owned(),
            quantity,
        };
        let asked_under = match &key.0 {
            Some(key) => key.clone(),
            None => {
                let all = self.purchases_of(&caller.name()).await?;
                let same = || all.iter().filter(|purchase| purchase.spec == spec);
                let is_open = |purchase: &&CreditPurchase| {
                    let state = purchase.status.as_ref().and_then(|status| status.state);
                    matches!(state, None | Some(PurchaseState::Open))
                };
                if let Some(open) = same().find(is_open) {
                    return Ok(open.clone());
                }
                names::purchase_number(pack, quantity, same().count() + 1)
            }
        };
        let name = names::purchase(&caller.name(), &asked_under);
        let api = self.api::<CreditPurchase>();
        match api
            .create(&making(), &CreditPurchase::new(&name, spec.clone()))
            .await
        {
            Err(error) if is_conflict(&error) => {
                let there = api.get(&name).await?;
                if there.spec == spec {
                    return Ok(there);
                }
                let detail = "This Idempotency-Key was used with other parameters; use another key for another purchase.";
                Err(Problem::new(ProblemCode::IdempotencyKeyReused, detail))
            }
            made => Ok(made?),
        }
    }
}
