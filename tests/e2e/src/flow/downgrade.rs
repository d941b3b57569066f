//! A customer who has paid wants a cheaper tier from the next period on, and takes that back.

use anyhow::Result;
use futures::FutureExt as _;
use futures::future::LocalBoxFuture;
use glyph_crds::{Subscription, Tier};
use serde_json::{Value, json};

use super::{Flow, SUBSCRIPTION, Steps, TIER, is_settled};
use crate::resources;
use crate::world::{SOON, Stage};

const CHEAPER: &str = "basic";

pub(super) struct Downgrade;

impl Steps for Downgrade {
    fn before(&self) -> Option<Flow> {
        Some(Flow::Main)
    }

    fn prepare<'a>(&self, stage: &'a Stage<'a>) -> LocalBoxFuture<'a, Result<()>> {
        async move {
            let mut cheaper = resources::paid_tier(CHEAPER);
            if let Some(price) = &mut cheaper.spec.price {
                price.amount = 900;
            }
            stage.create(&cheaper).await?;
            let on_sale = |tier: &Tier| is_settled(&json!(tier)).then_some(());
            stage.until(CHEAPER, "to be on sale", SOON, on_sale).await
        }
        .boxed_local()
    }

    fn apply<'a>(&self, stage: &'a Stage<'a>) -> LocalBoxFuture<'a, Result<()>> {
        async move {
            let wish = json!({"spec": {"tier": CHEAPER}});
            stage
                .patch::<Subscription>(SUBSCRIPTION, &wish)
                .await
                .map(drop)
        }
        .boxed_local()
    }

    /// Takes it back, once the cheaper tier is to come.
    fn act<'a>(&self, stage: &'a Stage<'a>) -> LocalBoxFuture<'a, Result<bool>> {
        async move {
            let subscriptions = stage.namespace.api::<Subscription>();
            let subscription = json!(subscriptions.get(SUBSCRIPTION).await?);
            let comes = subscription["status"]["pendingTier"] == CHEAPER;
            if !(comes && is_settled(&subscription)) {
                return Ok(false);
            }
            let former = json!({"spec": {"tier": TIER}});
            stage.patch::<Subscription>(SUBSCRIPTION, &former).await?;
            Ok(true)
        }
        .boxed_local()
    }

    fn is_settled(&self, name: &str, resource: &Value) -> bool {
        let status = &resource["status"];
        let stays = !name.starts_with("Subscription/")
            || resource["spec"]["tier"] == TIER
                && status["tier"] == TIER
                && status["pendingTier"].is_null()
                && status["stripeScheduleId"].is_null();
        stays && is_settled(resource)
    }

    fn counts(&self) -> &'static [(&'static str, usize)] {
        &[
            ("customer", 1),
            ("product", 2),
            ("price", 2),
            ("checkout.session", 1),
            ("subscription", 1),
            ("subscription_schedule", 1),
            ("cognito user", 1),
        ]
    }
}
