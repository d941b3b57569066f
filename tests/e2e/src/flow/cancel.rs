//! A customer who has paid wants no further period, and the period ends.

use anyhow::Result;
use futures::FutureExt as _;
use futures::future::LocalBoxFuture;
use glyph_crds::Subscription;
use serde_json::{Value, json};

use super::{Flow, SUBSCRIPTION, Steps, is_answered, is_settled};
use crate::world::Stage;

/// Longer than any month.
const A_MONTH: i64 = 32 * 24 * 3600;

pub(super) struct Cancel;

impl Steps for Cancel {
    fn before(&self) -> Option<Flow> {
        Some(Flow::Main)
    }

    fn passes_time(&self) -> bool {
        true
    }

    fn apply<'a>(&self, stage: &'a Stage<'a>) -> LocalBoxFuture<'a, Result<()>> {
        async move {
            let wish = json!({"spec": {"cancelAtPeriodEnd": true}});
            stage
                .patch::<Subscription>(SUBSCRIPTION, &wish)
                .await
                .map(drop)
        }
        .boxed_local()
    }

    /// Lets the period end, once Stripe and the resource agree that it is the last.
    fn act<'a>(&self, stage: &'a Stage<'a>) -> LocalBoxFuture<'a, Result<bool>> {
        async move {
            let subscription = stage.namespace.api::<Subscription>();
            let subscription = serde_json::to_value(subscription.get(SUBSCRIPTION).await?)?;
            let known = stage.stripe.control().objects("subscription");
            let ends = known.iter().all(|one| one["cancel_at_period_end"] == true);
            let agreed = ends && is_settled(&subscription);
            if agreed {
                stage.pass_time(A_MONTH)?;
            }
            Ok(agreed)
        }
        .boxed_local()
    }

    fn is_settled(&self, name: &str, resource: &Value) -> bool {
        if name.starts_with("Subscription/") {
            return resource["status"]["state"] == "canceled" && is_answered(resource);
        }
        is_settled(resource)
    }

    fn counts(&self) -> &'static [(&'static str, usize)] {
        Flow::Main.steps().counts()
    }
}
