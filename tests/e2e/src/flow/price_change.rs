//! A tier with a subscriber gets another price.

use anyhow::Result;
use futures::FutureExt as _;
use futures::future::LocalBoxFuture;
use glyph_crds::Tier;
use serde_json::json;

use super::{Flow, Steps, TIER};
use crate::world::Stage;

pub(super) struct PriceChange;

impl Steps for PriceChange {
    fn before(&self) -> Option<Flow> {
        Some(Flow::Main)
    }

    fn apply<'a>(&self, stage: &'a Stage<'a>) -> LocalBoxFuture<'a, Result<()>> {
        async move {
            let price = json!({"spec": {"price": {"amount": 3900}}});
            stage.patch::<Tier>(TIER, &price).await.map(drop)
        }
        .boxed_local()
    }

    fn counts(&self) -> &'static [(&'static str, usize)] {
        &[
            ("customer", 1),
            ("product", 1),
            ("price", 2),
            ("checkout.session", 1),
            ("subscription", 1),
            ("cognito user", 1),
        ]
    }
}
