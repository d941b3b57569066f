//! Customers who are gone, or do not pay: a start must cost as little with them as with those who do.

use anyhow::{Context as _, Result};
use glyph_crds::{GlyphCustomer, PaymentMethod, Subscription, SubscriptionState};
use glyph_stripe_sim::AfterRetries;

use super::{DEADLINE, TIER, each, pay, settled};
use crate::resources;
use crate::world::Stage;

/// A trial of a day, the retries of its first invoice, and some days more; less than a period.
const UNPAID_AFTER: i64 = 20 * 24 * 3600;

/// So many customers whose subscription stays unpaid after its trial, made in Stripe's past, so that its present is the
/// operator's again; then as many whose subscription has ended. The tier is on sale already.
pub(super) async fn set_up(stage: &Stage<'_>, number: u32) -> Result<()> {
    let control = stage.stripe.control();
    control.set_clock(control.now() - UNPAID_AFTER);
    control.set_after_retries(AfterRetries::Unpaid);
    each(names("unpaid", number), async |name: String| {
        let mut subscription = resources::subscription(&name, &name, TIER);
        subscription.spec.payment = PaymentMethod::DefaultPaymentMethod;
        subscription.spec.trial_days = Some(1);
        make(stage, &subscription).await?;
        until(stage, &name, SubscriptionState::Trialing).await
    })
    .await?;
    control.advance(UNPAID_AFTER);
    each(names("unpaid", number), async |name: String| {
        until(stage, &name, SubscriptionState::Unpaid).await?;
        at_rest(stage, &name).await
    })
    .await?;
    each(names("ended", number), async |name: String| {
        make(stage, &resources::subscription(&name, &name, TIER)).await?;
        pay(stage, &name).await?;
        until(stage, &name, SubscriptionState::Active).await?;
        end(stage, &name).await?;
        until(stage, &name, SubscriptionState::Canceled).await?;
        at_rest(stage, &name).await
    })
    .await
}

fn names(what: &'static str, number: u32) -> impl Iterator<Item = String> {
    (0..number).map(move |number| format!("{what}-{number}"))
}

async fn make(stage: &Stage<'_>, subscription: &Subscription) -> Result<()> {
    let name = &subscription.spec.customer_ref.name;
    let customer = resources::customer(name, &stage.email(name));
    stage.create(&customer).await?;
    stage.create(subscription).await.map(drop)
}

/// Ends it as a person does in Stripe's dashboard.
async fn end(stage: &Stage<'_>, name: &str) -> Result<()> {
    let subscriptions = stage.namespace.api::<Subscription>();
    let status = subscriptions.get(name).await?.status;
    let id = status.and_then(|status| status.stripe_subscription_id);
    let id = id.context("a subscription that is active names none in Stripe")?;
    let ended = stage.stripe.control().cancel_now(&id);
    ended.map(drop).map_err(anyhow::Error::msg)
}

async fn until(stage: &Stage<'_>, name: &str, state: SubscriptionState) -> Result<()> {
    let what = format!("to be {state:?}");
    let reached = |s: &Subscription| (s.status.as_ref()?.state == Some(state)).then_some(());
    stage.until(name, &what, DEADLINE, reached).await
}

async fn at_rest(stage: &Stage<'_>, name: &str) -> Result<()> {
    settled::<GlyphCustomer>(stage, name, None).await?;
    settled::<Subscription>(stage, name, None).await.map(drop)
}
