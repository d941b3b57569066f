//! The shortest way to a key.

use anyhow::Result;
use futures::FutureExt as _;
use futures::future::LocalBoxFuture;

use super::{CUSTOMER, KEY, Steps};
use crate::resources;
use crate::world::Stage;

pub(super) struct Shortest;

impl Steps for Shortest {
    fn apply<'a>(&self, stage: &'a Stage<'a>) -> LocalBoxFuture<'a, Result<()>> {
        async move {
            let free = resources::free_tier(resources::DEFAULT_TIER, Some(100));
            stage.create(&free).await?;
            let customer = resources::customer(CUSTOMER, &stage.email(CUSTOMER));
            stage.create(&customer).await?;
            stage
                .create(&resources::api_key(KEY, CUSTOMER))
                .await
                .map(drop)
        }
        .boxed_local()
    }

    fn counts(&self) -> &'static [(&'static str, usize)] {
        &[("customer", 1)]
    }
}
