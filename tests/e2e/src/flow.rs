//! What is done to Glyph, as something that can be run again and again: what is applied, what the customer does,
//! when it is over, and what stands then. A flow is a file below and a line in [`Flow`].

mod cancel;
mod credits;
mod delete;
mod downgrade;
mod end;
mod main_job;
mod price_change;
mod shortest;
mod upgrade;

use std::fmt;

use anyhow::{Result, bail};
use futures::FutureExt as _;
use futures::future::LocalBoxFuture;
use glyph_crds::{
    ApiKey, CreditGrant, CreditPack, CreditPurchase, GlyphCustomer, Subscription, Tier,
};
use glyph_harness::poll_until;
use serde_json::Value;

use crate::world::{Kind, SOON, Stage};

pub(crate) use end::timeless;
pub use end::{End, difference};

/// The names of all that is applied.
const CUSTOMER: &str = "ada";
const SUBSCRIPTION: &str = "ada-starter";
const KEY: &str = "ada-laptop";
const TIER: &str = "starter";

/// One flow.
trait Steps: Sync {
    /// What is played to its end before, and is no part of the flow.
    fn before(&self) -> Option<Flow> {
        None
    }

    /// What is there besides, made and settled before the flow begins.
    fn prepare<'a>(&self, _: &'a Stage<'a>) -> LocalBoxFuture<'a, Result<()>> {
        async { Ok(()) }.boxed_local()
    }

    /// Whether time is made to pass, so that a stage is needed on which it can.
    fn passes_time(&self) -> bool {
        false
    }

    /// Applies what the flow is about.
    fn apply<'a>(&self, stage: &'a Stage<'a>) -> LocalBoxFuture<'a, Result<()>>;

    /// What the customer, or time, does once there is something to do. True when it is done.
    fn act<'a>(&self, _: &'a Stage<'a>) -> LocalBoxFuture<'a, Result<bool>> {
        async { Ok(true) }.boxed_local()
    }

    /// Whether a resource, as `Kind/name` and JSON, has come to its end.
    fn is_settled(&self, _name: &str, resource: &Value) -> bool {
        is_settled(resource)
    }

    /// What is still waited for apart from that: a sentence.
    fn missing<'a>(&self, _: &'a Stage<'a>) -> LocalBoxFuture<'a, Result<Option<String>>> {
        async { Ok(None) }.boxed_local()
    }

    /// How many there are in the end of each kind of Stripe's objects, and of `cognito user`; of others, none.
    fn counts(&self) -> &'static [(&'static str, usize)];
}

/// Which flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Flow {
    /// A customer on the free tier, and a key.
    Shortest,
    /// A tier with a price, a customer with a Cognito user, a subscription paid through checkout, and a key.
    Main,
    /// Then a dearer tier.
    Upgrade,
    /// Then a cheaper tier, to come with the next period, which is taken back.
    Downgrade,
    /// Then the end with the period, up to that end.
    Cancel,
    /// Then all of the customer's is deleted, in Stripe too.
    Delete,
    /// Then a credit pack is bought.
    Credits,
    /// Then another price for the tier.
    PriceChange,
}

impl fmt::Display for Flow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Shortest => "shortest",
            Self::Main => "main",
            Self::Upgrade => "upgrade",
            Self::Downgrade => "downgrade",
            Self::Cancel => "cancel",
            Self::Credits => "credits",
            Self::Delete => "delete",
            Self::PriceChange => "price change",
        })
    }
}

impl Flow {
    fn steps(self) -> &'static dyn Steps {
        match self {
            Self::Shortest => &shortest::Shortest,
            Self::Main => &main_job::Main,
            Self::Upgrade => &upgrade::Upgrade,
            Self::Downgrade => &downgrade::Downgrade,
            Self::Cancel => &cancel::Cancel,
            Self::Credits => &credits::Credits,
            Self::Delete => &delete::Delete,
            Self::PriceChange => &price_change::PriceChange,
        }
    }

    /// Whether something has to be there before, so that an operator must run already.
    #[must_use]
    pub fn has_before(self) -> bool {
        self.steps().before().is_some()
    }

    /// Makes what has to be there before.
    ///
    /// # Errors
    /// When that does not come to its end.
    pub async fn prepare(self, stage: &Stage<'_>) -> Result<()> {
        if let Some(before) = self.steps().before() {
            before.apply(stage).await?;
            before.play(stage).await?;
        }
        self.steps().prepare(stage).await
    }

    /// Whether the flow needs [`Stage::start_movable`].
    #[must_use]
    pub fn passes_time(self) -> bool {
        self.steps().passes_time()
    }

    /// Creates or changes the resources.
    ///
    /// # Errors
    /// When the API server refuses one.
    pub async fn apply(self, stage: &Stage<'_>) -> Result<()> {
        self.steps().apply(stage).await
    }

    /// What the customer does when there is something to do. True once it is done.
    ///
    /// # Errors
    /// When a resource cannot be read, or Stripe's page does not take the card.
    pub async fn act(self, stage: &Stage<'_>) -> Result<bool> {
        self.steps().act(stage).await
    }

    /// Plays the customer, and waits until everything is settled.
    ///
    /// # Errors
    /// When it is not in time; with the resources that are not.
    pub async fn play(self, stage: &Stage<'_>) -> Result<()> {
        let mut acted = false;
        let settled = poll_until("everything to be settled", SOON, async || {
            acted = acted || self.act(stage).await.ok()?;
            let unsettled = self.unsettled(stage).await.ok()?;
            (acted && unsettled.is_empty()).then_some(())
        });
        if let Err(error) = settled.await {
            let unsettled = serde_json::to_string_pretty(&self.unsettled(stage).await?)?;
            bail!("{error}; the customer has acted: {acted}; not settled: {unsettled}");
        }
        Ok(())
    }

    /// What has not come to its end yet.
    ///
    /// # Errors
    /// When the API server does not list the resources.
    pub async fn unsettled(self, stage: &Stage<'_>) -> Result<Vec<(String, Value)>> {
        let mut all = Self::resources(stage).await?;
        all.retain(|(name, one)| !self.steps().is_settled(name, one));
        if let Some(missing) = self.steps().missing(stage).await? {
            all.push((missing, Value::Null));
        }
        Ok(all)
    }

    fn count(self, kind: &str) -> usize {
        let counts = self.steps().counts().iter();
        counts
            .filter(|(counted, _)| *counted == kind)
            .map(|(_, count)| count)
            .sum()
    }

    /// Every resource, as `Kind/name` and JSON, in that order.
    ///
    /// # Errors
    /// When the API server does not list them.
    pub async fn resources(stage: &Stage<'_>) -> Result<Vec<(String, Value)>> {
        let mut all = Vec::new();
        list::<Tier>(stage, &mut all).await?;
        list::<CreditPack>(stage, &mut all).await?;
        list::<GlyphCustomer>(stage, &mut all).await?;
        list::<Subscription>(stage, &mut all).await?;
        list::<CreditPurchase>(stage, &mut all).await?;
        list::<CreditGrant>(stage, &mut all).await?;
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
    let conditions = resource["status"]["conditions"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    let ready = conditions
        .iter()
        .any(|one| one["type"] == "Ready" && one["status"] == "True");
    ready && is_answered(resource)
}

/// True when a resource's status speaks of its newest spec, and has nothing under way.
fn is_answered(resource: &Value) -> bool {
    let status = &resource["status"];
    status["intent"].is_null() && status["observedGeneration"] == resource["metadata"]["generation"]
}
