//! What a person sees with kubectl: who has paid, who has not, and why.

use anyhow::{Context as _, Result};
use glyph_crds::common::condition;
use glyph_crds::{ApiKey, Subscription, SubscriptionState};
use glyph_e2e::checkout::{self, CARD_THAT_PAYS};
use glyph_e2e::resources;
use glyph_e2e::world::{SOON, Wanted, World};
use glyph_harness::poll_until;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use crate::support::{conforms_to_stripe, world};

#[tokio::test]
async fn kubectl_tells_who_has_paid_who_has_not_and_why() -> Result<()> {
    let world = world("people", Wanted::operator_only()).await?;
    populate(&world).await?;
    let seen = world.namespace.kubectl(&["get", "glyph"]).await?.ok()?;
    let rows = [
        (
            "subscription.glyphapi.ai/ada-starter",
            ["ada starter active", "True Active"],
        ),
        (
            "subscription.glyphapi.ai/bob-starter",
            ["bob starter", "False AwaitingPayment"],
        ),
        (
            "subscription.glyphapi.ai/carl-gold",
            ["carl gold", "False CustomerNotFound"],
        ),
        ("apikey.glyphapi.ai/ada-key", ["glyph_sk_live_", "True"]),
        (
            "apikey.glyphapi.ai/bob-key",
            ["bob", "False AwaitingPayment"],
        ),
    ];
    for (name, cells) in rows {
        let row = row(&seen, name)?;
        assert!(
            cells.iter().all(|cell| row.contains(cell)),
            "{name}: {cells:?}\n{seen}"
        );
    }
    let link = link(&world, "bob-starter").await?;
    let wide = ["get", "subscription", "-o", "wide"];
    let wide = world.namespace.kubectl(&wide).await?.ok()?;
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

/// Ada has paid, Bob has not, Carl does not exist; waits until the operator has said so of each.
async fn populate(world: &World<'_>) -> Result<()> {
    let free = resources::free_tier(resources::DEFAULT_TIER, Some(100));
    world.create(&free).await?;
    world.create(&resources::paid_tier("starter")).await?;
    for name in ["ada", "bob"] {
        let subscription = resources::subscription(&format!("{name}-starter"), name, "starter");
        world
            .create(&resources::customer(name, &world.email(name)))
            .await?;
        world.create(&subscription).await?;
        world
            .create(&resources::api_key(&format!("{name}-key"), name))
            .await?;
    }
    world
        .create(&resources::subscription("carl-gold", "carl", "gold"))
        .await?;
    pay(world, "ada-starter").await?;
    link(world, "bob-starter").await?;
    let told = |subscription: &Subscription| reason(&subscription.status.as_ref()?.conditions);
    let told_key = |key: &ApiKey| reason(&key.status.as_ref()?.conditions);
    world
        .until("carl-gold", "CustomerNotFound", SOON, |one| {
            told(one).filter(|said| said == "CustomerNotFound")
        })
        .await?;
    for (key, wanted) in [("ada-key", "KeyDelivered"), ("bob-key", "AwaitingPayment")] {
        world
            .until(key, wanted, SOON, |one| {
                told_key(one).filter(|said| said == wanted)
            })
            .await?;
    }
    Ok(())
}

/// Why a resource is, or is not, ready.
fn reason(conditions: &[Condition]) -> Option<String> {
    let ready = conditions
        .iter()
        .find(|one| one.type_ == condition::READY)?;
    Some(ready.reason.clone())
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

/// One row of kubectl's table, a blank between its cells.
fn row(table: &str, name: &str) -> Result<String> {
    let line = table
        .lines()
        .find(|line| line.split_whitespace().next() == Some(name));
    let line = line.with_context(|| format!("expected a row {name}; came\n{table}"))?;
    Ok(line.split_whitespace().collect::<Vec<_>>().join(" "))
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
