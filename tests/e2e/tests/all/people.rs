//! What a person sees with kubectl: who has paid, who has not, and why.

use anyhow::{Context as _, Result};
use glyph_crds::{ApiKey, Subscription, SubscriptionState};
use glyph_e2e::checkout::{self, CARD_THAT_PAYS};
use glyph_e2e::resources;
use glyph_e2e::world::{SOON, Wanted, World};
use glyph_harness::poll_until;

use crate::support::{conforms_to_stripe, world};

/// The point 2.
#[tokio::test]
async fn kubectl_tells_who_has_paid_who_has_not_and_why() -> Result<()> {
    let world = world("people", Wanted::operator_only()).await?;
    world
        .create(&resources::free_tier(resources::DEFAULT_TIER, Some(100)))
        .await?;
    world.create(&resources::paid_tier("starter")).await?;
    for name in ["ada", "bob"] {
        world
            .create(&resources::customer(name, &world.email(name)))
            .await?;
        world
            .create(&resources::subscription(
                &format!("{name}-starter"),
                name,
                "starter",
            ))
            .await?;
        world
            .create(&resources::api_key(&format!("{name}-key"), name))
            .await?;
    }
    world
        .create(&resources::subscription("carl-gold", "carl", "gold"))
        .await?;
    pay(&world, "ada-starter").await?;
    let link = link(&world, "bob-starter").await?;
    world.key("ada-key").await?;
    world
        .until("carl-gold", "a reason", SOON, reason_of_subscription)
        .await?;
    world
        .until("bob-key", "a reason", SOON, reason_of_key)
        .await?;

    let seen = world.namespace.kubectl(&["get", "glyph"]).await?.ok()?;
    let row = |name: &str| row(&seen, name).map(|cells| cells.join(" "));
    let ada = row("subscription.glyphapi.ai/ada-starter")?;
    assert!(
        ada.contains("ada starter active") && ada.contains("True Active"),
        "{seen}"
    );
    let bob = row("subscription.glyphapi.ai/bob-starter")?;
    assert!(bob.contains("False AwaitingPayment"), "{seen}");
    let carl = row("subscription.glyphapi.ai/carl-gold")?;
    assert!(carl.contains("False CustomerNotFound"), "{seen}");
    let key = row("apikey.glyphapi.ai/ada-key")?;
    assert!(
        key.contains("glyph_sk_live_") && key.contains("True"),
        "{seen}"
    );
    assert!(
        row("apikey.glyphapi.ai/bob-key")?.contains("False AwaitingPayment"),
        "{seen}"
    );

    let wide = world
        .namespace
        .kubectl(&["get", "subscription", "-o", "wide"])
        .await?
        .ok()?;
    assert!(
        wide.contains(&link),
        "where to pay is in the wide view: {wide}"
    );
    events(
        &world,
        "subscription/ada-starter",
        &["AwaitingPayment", "Active"],
    )
    .await?;
    events(&world, "subscription/bob-starter", &["AwaitingPayment"]).await?;
    events(&world, "apikey/bob-key", &["AwaitingPayment", "starter"]).await?;
    events(
        &world,
        "subscription/carl-gold",
        &["CustomerNotFound", "carl"],
    )
    .await?;
    conforms_to_stripe(&world).await
}

async fn link(world: &World<'_>, name: &str) -> Result<String> {
    let link = |subscription: &Subscription| subscription.status.as_ref()?.checkout_url.clone();
    world.until(name, "a checkout link", SOON, link).await
}

async fn pay(world: &World<'_>, name: &str) -> Result<()> {
    checkout::pay(&link(world, name).await?, CARD_THAT_PAYS).await?;
    let active = |subscription: &Subscription| {
        (subscription.status.as_ref()?.state == Some(SubscriptionState::Active)).then_some(())
    };
    world.until(name, "state active", SOON, active).await
}

fn reason_of_subscription(subscription: &Subscription) -> Option<()> {
    subscription.status.as_ref()?.conditions.first().map(|_| ())
}

fn reason_of_key(key: &ApiKey) -> Option<()> {
    key.status.as_ref()?.conditions.first().map(|_| ())
}

/// The cells of one row of kubectl's table.
fn row<'a>(table: &'a str, name: &str) -> Result<Vec<&'a str>> {
    let line = table
        .lines()
        .find(|line| line.split_whitespace().next() == Some(name));
    let line = line.with_context(|| format!("expected a row {name}; came\n{table}"))?;
    Ok(line.split_whitespace().collect())
}

/// Waits until `kubectl describe` shows each of these words among the Events.
async fn events(world: &World<'_>, what: &str, words: &[&str]) -> Result<()> {
    let mut last = String::new();
    let shown = poll_until("Events worth reading", SOON, async || {
        last = world
            .namespace
            .kubectl(&["describe", what])
            .await
            .ok()?
            .ok()
            .ok()?;
        let (_, events) = last.split_once("\nEvents:")?;
        words.iter().all(|word| events.contains(word)).then_some(())
    });
    let shown = shown.await;
    shown.with_context(|| format!("expected the Events of {what} to say {words:?}; came\n{last}"))
}
