//! A customer buys a credit pack.

use anyhow::Result;
use futures::FutureExt as _;
use futures::future::LocalBoxFuture;
use glyph_crds::{CreditPack, CreditPurchase};
use serde_json::{Value, json};

use super::{CUSTOMER, Flow, Steps, is_settled};
use crate::world::Stage;
use crate::{checkout, resources};

const PACK: &str = "thousand";
const PURCHASE: &str = "ada-thousand";

pub(super) struct Credits;

impl Steps for Credits {
    fn before(&self) -> Option<Flow> {
        Some(Flow::Shortest)
    }

    fn apply<'a>(&self, stage: &'a Stage<'a>) -> LocalBoxFuture<'a, Result<()>> {
        async move {
            let pack: CreditPack = resources::credit_pack(PACK, 1000)?;
            stage.create(&pack).await?;
            let purchase: CreditPurchase = resources::credit_purchase(PURCHASE, CUSTOMER, PACK)?;
            stage.create(&purchase).await.map(drop)
        }
        .boxed_local()
    }

    /// Pays, once a link is there.
    fn act<'a>(&self, stage: &'a Stage<'a>) -> LocalBoxFuture<'a, Result<bool>> {
        async move {
            let purchases = stage.namespace.api::<CreditPurchase>();
            let status = json!(purchases.get(PURCHASE).await?.status);
            let Some(link) = status["checkoutUrl"].as_str() else {
                return Ok(status["state"] == "Paid");
            };
            checkout::pay(link, checkout::CARD_THAT_PAYS).await?;
            Ok(true)
        }
        .boxed_local()
    }

    fn is_settled(&self, name: &str, resource: &Value) -> bool {
        let granted =
            !name.starts_with("CreditPurchase/") || resource["status"]["grant"].is_string();
        granted && is_settled(resource)
    }

    fn counts(&self) -> &'static [(&'static str, usize)] {
        &[
            ("customer", 1),
            ("product", 1),
            ("price", 1),
            ("checkout.session", 1),
            ("credit grant", 1),
        ]
    }
}
