//! The main job as something that can be run again and again: what is applied, what the customer does, when it
//! is over, and what stands then.

mod end;

use std::fmt;

use anyhow::{Result, bail};
use glyph_crds::{ApiKey, GlyphCustomer, Subscription, SubscriptionState, Tier};
use glyph_harness::poll_until;
use serde_json::Value;

use crate::world::{Kind, SOON, Stage};
use crate::{checkout, resources};

pub use end::{End, difference};

/// The names of all that is applied.
const CUSTOMER: &str = "ada";
const SUBSCRIPTION: &str = "ada-starter";
const KEY: &str = "ada-laptop";
const TIER: &str = "starter";

/// Which part of the main job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Flow {
    /// A customer on the free tier, and a key.
    Shortest,
    /// A tier with a price, a customer with a Cognito user, a subscription paid through checkout, and a key.
    Main,
}

impl fmt::Display for Flow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Shortest => "shortest",
            Self::Main => "main",
        })
    }
}

impl Flow {
    /// Creates the resources.
    ///
    /// # Errors
    /// When the API server refuses one.
    pub async fn apply(self, stage: &Stage<'_>) -> Result<()> {
        let email = stage.email(CUSTOMER);
        match self {
            Self::Shortest => {
                stage
                    .create(&resources::free_tier(resources::DEFAULT_TIER, Some(100)))
                    .await?;
                stage.create(&resources::customer(CUSTOMER, &email)).await?;
            }
            Self::Main => {
                stage.create(&resources::paid_tier(TIER)).await?;
                stage
                    .create(&resources::customer_with_user(CUSTOMER, &email))
                    .await?;
                stage
                    .create(&resources::subscription(SUBSCRIPTION, CUSTOMER, TIER))
                    .await?;
            }
        }
        stage
            .create(&resources::api_key(KEY, CUSTOMER))
            .await
            .map(drop)
    }

    /// What the customer does when there is something to do: pays, once a link is there. True once paid.
    ///
    /// # Errors
    /// When the subscription cannot be read, or the page does not take the card.
    pub async fn act(self, stage: &Stage<'_>) -> Result<bool> {
        if self == Self::Shortest {
            return Ok(true);
        }
        let subscription = stage
            .namespace
            .api::<Subscription>()
            .get(SUBSCRIPTION)
            .await?;
        let status = subscription.status.unwrap_or_default();
        let Some(link) = status.checkout_url else {
            return Ok(status.state == Some(SubscriptionState::Active));
        };
        checkout::pay(&link, checkout::CARD_THAT_PAYS)
            .await
            .map(|_| true)
    }

    /// Plays the customer, and waits until everything is settled.
    ///
    /// # Errors
    /// When it is not in time; with the resources that are not.
    pub async fn play(self, stage: &Stage<'_>) -> Result<()> {
        let mut acted = false;
        let settled = poll_until("everything to be settled", SOON, async || {
            acted = acted || self.act(stage).await.ok()?;
            let all = Self::resources(stage).await.ok()?;
            (acted && all.iter().all(|(_, one)| is_settled(one))).then_some(())
        });
        if let Err(error) = settled.await {
            let mut all = Self::resources(stage).await?;
            all.retain(|(_, one)| !is_settled(one));
            let unsettled = serde_json::to_string_pretty(&all)?;
            bail!("{error}; the customer has acted: {acted}; not settled: {unsettled}");
        }
        Ok(())
    }

    /// Every resource, as `Kind/name` and JSON, in that order.
    ///
    /// # Errors
    /// When the API server does not list them.
    pub async fn resources(stage: &Stage<'_>) -> Result<Vec<(String, Value)>> {
        let mut all = Vec::new();
        list::<Tier>(stage, &mut all).await?;
        list::<GlyphCustomer>(stage, &mut all).await?;
        list::<Subscription>(stage, &mut all).await?;
        list::<ApiKey>(stage, &mut all).await?;
        all.sort_by(|(one, _), (other, _)| one.cmp(other));
        Ok(all)
    }
}

async fn list<K: Kind>(stage: &Stage<'_>, all: &mut Vec<(String, Value)>) -> Result<()> {
    for one in stage.namespace.api::<K>().list(&Default::default()).await? {
        let kind = K::kind(&K::DynamicType::default()).into_owned();
        let name = one.meta().name.clone().unwrap_or_default();
        let mut value = serde_json::to_value(one)?;
        value["metadata"]["managedFields"] = Value::Null;
        all.push((format!("{kind}/{name}"), value));
    }
    Ok(())
}

/// True when a resource's status speaks of its newest spec, says that it is ready, and has nothing under way.
#[must_use]
pub fn is_settled(resource: &Value) -> bool {
    let status = &resource["status"];
    let conditions = status["conditions"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    let ready = conditions
        .iter()
        .any(|one| one["type"] == "Ready" && one["status"] == "True");
    ready
        && status["intent"].is_null()
        && status["observedGeneration"] == resource["metadata"]["generation"]
}
