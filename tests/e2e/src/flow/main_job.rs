//! From nothing to a subscription that is paid.

use anyhow::Result;
use futures::FutureExt as _;
use futures::future::LocalBoxFuture;
use glyph_crds::{Subscription, SubscriptionState};
use serde_json::Value;

use super::{CUSTOMER, KEY, SUBSCRIPTION, Steps, TIER, is_settled};
use crate::world::Stage;
use crate::{checkout, resources};

pub(super) struct Main;

impl Steps for Main {
    fn apply<'a>(&self, stage: &'a Stage<'a>) -> LocalBoxFuture<'a, Result<()>> {
        async move {
            let email = stage.email(CUSTOMER);
            stage.create(&resources::paid_tier(TIER)).await?;
            stage
                .create(&resources::customer_with_user(CUSTOMER, &email))
                .await?;
            let subscription = resources::subscription(SUBSCRIPTION, CUSTOMER, TIER);
            stage.create(&subscription).await?;
            stage
                .create(&resources::api_key(KEY, CUSTOMER))
                .await
                .map(drop)
        }
        .boxed_local()
    }

    /// Pays, once a link is there.
    fn act<'a>(&self, stage: &'a Stage<'a>) -> LocalBoxFuture<'a, Result<bool>> {
        async move {
            let subscriptions = stage.namespace.api::<Subscription>();
            let status = subscriptions.get(SUBSCRIPTION).await?.status;
            let status = status.unwrap_or_default();
            let Some(link) = status.checkout_url else {
                return Ok(status.state == Some(SubscriptionState::Active));
            };
            checkout::pay(&link, checkout::CARD_THAT_PAYS).await?;
            Ok(true)
        }
        .boxed_local()
    }

    /// The tier counts its subscribers after the subscription is active.
    fn is_settled(&self, name: &str, resource: &Value) -> bool {
        let subscribed = name.strip_prefix("Tier/") == Some(TIER);
        let counted = !subscribed || resource["status"]["subscribers"] == 1;
        counted && is_settled(resource)
    }

    fn counts(&self) -> &'static [(&'static str, usize)] {
        &[
            ("customer", 1),
            ("product", 1),
            ("price", 1),
            ("checkout.session", 1),
            ("subscription", 1),
            ("cognito user", 1),
        ]
    }
}
