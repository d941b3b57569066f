//! A customer who has paid goes to a dearer tier.

use anyhow::Result;
use futures::FutureExt as _;
use futures::future::LocalBoxFuture;
use glyph_crds::{Subscription, Tier};
use serde_json::{Value, json};

use super::{Flow, SUBSCRIPTION, Steps, is_settled};
use crate::resources;
use crate::world::{SOON, Stage};

const DEARER: &str = "professional";

pub(super) struct Upgrade;

impl Steps for Upgrade {
    fn before(&self) -> Option<Flow> {
        Some(Flow::Main)
    }

    fn prepare<'a>(&self, stage: &'a Stage<'a>) -> LocalBoxFuture<'a, Result<()>> {
        async move {
            let mut dearer = resources::paid_tier(DEARER);
            if let Some(price) = &mut dearer.spec.price {
                price.amount = 9900;
            }
            stage.create(&dearer).await?;
            let on_sale = |tier: &Tier| is_settled(&json!(tier)).then_some(());
            stage.until(DEARER, "to be on sale", SOON, on_sale).await
        }
        .boxed_local()
    }

    fn apply<'a>(&self, stage: &'a Stage<'a>) -> LocalBoxFuture<'a, Result<()>> {
        async move {
            let wish = json!({"spec": {"tier": DEARER}});
            stage
                .patch::<Subscription>(SUBSCRIPTION, &wish)
                .await
                .map(drop)
        }
        .boxed_local()
    }

    fn is_settled(&self, name: &str, resource: &Value) -> bool {
        let reached = !name.starts_with("Subscription/") || resource["status"]["tier"] == DEARER;
        reached && is_settled(resource)
    }

    fn counts(&self) -> &'static [(&'static str, usize)] {
        &[
            ("customer", 1),
            ("product", 2),
            ("price", 2),
            ("checkout.session", 1),
            ("subscription", 1),
            ("cognito user", 1),
        ]
    }
}
