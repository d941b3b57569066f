//! All of a customer who has paid is deleted, with what there is of it in Stripe and Cognito.

use anyhow::Result;
use futures::FutureExt as _;
use futures::future::LocalBoxFuture;
use glyph_crds::{ApiKey, GlyphCustomer, Subscription};
use k8s_openapi::api::core::v1::Secret;
use serde_json::{Value, json};

use super::{CUSTOMER, Flow, KEY, SUBSCRIPTION, Steps, is_settled};
use crate::world::Stage;

pub(super) struct Delete;

impl Steps for Delete {
    fn before(&self) -> Option<Flow> {
        Some(Flow::Main)
    }

    fn apply<'a>(&self, stage: &'a Stage<'a>) -> LocalBoxFuture<'a, Result<()>> {
        async move {
            let policy = json!({"spec": {"deletionPolicy": "Delete"}});
            stage.patch::<GlyphCustomer>(CUSTOMER, &policy).await?;
            stage.delete::<Subscription>(SUBSCRIPTION).await?;
            stage.delete::<ApiKey>(KEY).await?;
            stage.delete::<GlyphCustomer>(CUSTOMER).await
        }
        .boxed_local()
    }

    fn is_settled(&self, name: &str, resource: &Value) -> bool {
        name.starts_with("Tier/") && is_settled(resource)
    }

    /// The API server's garbage collector takes the key's Secret.
    fn missing<'a>(&self, stage: &'a Stage<'a>) -> LocalBoxFuture<'a, Result<Option<String>>> {
        async move {
            let secrets = stage.namespace.api::<Secret>();
            let there = secrets.get_opt(KEY).await?.is_some();
            Ok(there.then(|| format!("Secret/{KEY} is still there")))
        }
        .boxed_local()
    }

    fn counts(&self) -> &'static [(&'static str, usize)] {
        &[
            ("product", 1),
            ("price", 1),
            ("checkout.session", 1),
            ("subscription", 1),
        ]
    }
}
