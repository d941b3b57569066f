//! The steps of the main job. Each waits for what is promised, checks it, and tells it.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use glyph_crds::common::{RateLimit, condition};
use glyph_crds::{ApiKey, GlyphCustomer, Subscription, SubscriptionState};
use glyph_harness::forge;

use crate::caller::{code, said};
use crate::story::Story;
use crate::world::{Gateway, SOON, World};
use crate::{checkout, resources};

/// The names in `examples/`.
const CUSTOMER: &str = "ada";
const EMAIL: &str = "ada@example.com";
const SUBSCRIPTION: &str = "ada-starter";
const KEY: &str = "ada-laptop";
/// Somebody without a subscription, and so on the free tier, with its quota in requests.
const FREE_CUSTOMER: &str = "grace";
const FREE_QUOTA: u64 = 100;

/// From the customer to the revoked key.
pub(super) async fn walk(world: &World<'_>, story: &mut Story) -> Result<()> {
    let gateway = world.gateway()?;
    identities(world, story).await?;
    payment(world, story).await?;
    let key = world.key(KEY).await?;
    let shown = key.get(..18).unwrap_or_default();
    story.tell(&format!("the key is in the Secret {KEY}: {shown}…"));
    let answer = gateway.until_answer(&key, 200, "").await?;
    story.tell(&format!(
        "200 through Envoy, with RateLimit: {}",
        answer.header("ratelimit")
    ));
    published_client(gateway, &key, story).await?;
    quota(world, gateway, story).await?;
    revocation(world, gateway, &key, story).await
}

/// The customer exists in Stripe and in Cognito, once, and each knows the other.
async fn identities(world: &World<'_>, story: &mut Story) -> Result<()> {
    let linked = |customer: &GlyphCustomer| {
        let status = customer.status.as_ref()?;
        Some((
            status.stripe_customer_id.clone()?,
            status.cognito_sub.clone()?,
        ))
    };
    let (stripe, sub) = world
        .until(
            CUSTOMER,
            "a Stripe customer and a Cognito user",
            SOON,
            linked,
        )
        .await?;
    let customers = world.stripe.control().objects("customer");
    ensure!(
        matches!(customers.as_slice(), [one] if one["id"] == stripe.as_str()),
        "expected one Stripe customer, {stripe}; came {customers:?}"
    );
    let named = customers[0]["metadata"]["cognito_sub"].as_str();
    ensure!(
        named == Some(&sub),
        "expected {stripe} to name the Cognito user {sub}; came {named:?}"
    );
    let user = world.cognito.user(EMAIL).await?.unwrap_or_default();
    let named = user["custom:stripe_customer_id"].as_str();
    ensure!(
        named == Some(&stripe),
        "expected the Cognito user to name {stripe}; came {user}"
    );
    story.tell(&format!(
        "{CUSTOMER} is {stripe} in Stripe and {sub} in Cognito, and each names the other"
    ));
    Ok(())
}

/// Checkout link, test card, webhook, active.
async fn payment(world: &World<'_>, story: &mut Story) -> Result<()> {
    let link = |subscription: &Subscription| subscription.status.as_ref()?.checkout_url.clone();
    let link = world
        .until(SUBSCRIPTION, "a checkout link", SOON, link)
        .await?;
    story.tell(&format!(
        "{SUBSCRIPTION} waits for payment at {}…",
        link.get(..60).unwrap_or(&link)
    ));
    let waits = |key: &ApiKey| {
        let conditions = &key.status.as_ref()?.conditions;
        let ready = conditions
            .iter()
            .find(|one| one.type_ == condition::READY)?;
        (ready.status == "False").then(|| ready.message.clone())
    };
    let why = world
        .until(KEY, "a condition that says what it waits for", SOON, waits)
        .await?;
    story.tell(&format!("no key yet: {why}"));
    checkout::pay(&link, checkout::CARD_THAT_PAYS).await?;
    story.tell(&format!(
        "paid on Stripe's page with the test card {}",
        checkout::CARD_THAT_PAYS
    ));
    let active = |subscription: &Subscription| {
        let status = subscription.status.as_ref()?;
        let period = status.current_period.as_ref()?;
        (status.state == Some(SubscriptionState::Active)).then(|| period.end.0.to_string())
    };
    let end = world
        .until(SUBSCRIPTION, "state active", SOON, active)
        .await?;
    story.tell(&format!(
        "Stripe's webhook came in: the subscription is active, paid until {end}"
    ));
    Ok(())
}

/// What the owner's customers run.
async fn published_client(gateway: &Gateway, key: &str, story: &mut Story) -> Result<()> {
    let asked = forge::ask(&gateway.envoy.url(), key, "What is Glyph?").await?;
    let (ended, printed) = (asked.code, asked.stdout.trim());
    ensure!(
        ended == 0,
        "expected an answer to glyph-forge; it ended with {ended}: {}",
        asked.stderr
    );
    let answer: serde_json::Value =
        serde_json::from_str(printed).context("failed to read the client's answer")?;
    let response = answer["response"].as_str().unwrap_or_default();
    ensure!(
        response.contains("What is Glyph?"),
        "expected the API's answer through glyph-forge; came {printed}"
    );
    story.tell(&format!(
        "the published client glyph-forge is answered: {response:?}"
    ));
    Ok(())
}

/// The free tier's quota, to the last request.
async fn quota(world: &World<'_>, gateway: &Gateway, story: &mut Story) -> Result<()> {
    world
        .create(&resources::customer(FREE_CUSTOMER, "grace@example.com"))
        .await?;
    let mut key = resources::api_key(FREE_CUSTOMER, FREE_CUSTOMER);
    // The free tier's own five requests a second would take twenty seconds.
    key.spec.rate_limit = Some(RateLimit {
        requests_per_second: 1000,
        burst: None,
    });
    world.create(&key).await?;
    let key = world.key(FREE_CUSTOMER).await?;
    gateway.until_answer(&key, 200, "").await?;
    story.tell(&format!("{FREE_CUSTOMER} has no subscription: the free tier, {FREE_QUOTA} requests a month, and a key at once"));
    for turn in 2..=FREE_QUOTA {
        let answer = gateway.caller.ask(&key).await?;
        ensure!(
            answer.status == 200,
            "expected 200 for request {turn} of {FREE_QUOTA}; came {}",
            said(&answer)
        );
    }
    let answer = gateway.caller.ask(&key).await?;
    let refused = answer.status == 429 && code(&answer) == "quota_exceeded";
    ensure!(
        refused,
        "expected 429 quota_exceeded for request {}; came {}",
        FREE_QUOTA + 1,
        said(&answer)
    );
    story.tell(&format!(
        "{FREE_QUOTA} requests passed, and the next is refused:"
    ));
    story.show(&said(&answer));
    Ok(())
}

/// A revoked key is refused within a second.
async fn revocation(
    world: &World<'_>,
    gateway: &Gateway,
    key: &str,
    story: &mut Story,
) -> Result<()> {
    let begun = Instant::now();
    world.revoke(KEY).await?;
    let answer = gateway.until_answer(key, 401, "key_revoked").await?;
    let took = begun.elapsed();
    ensure!(
        took < Duration::from_secs(1),
        "expected a refusal within a second of revoking; it took {took:?}"
    );
    story.tell(&format!(
        "{KEY} is revoked, and refused after {} ms:",
        took.as_millis()
    ));
    story.show(&said(&answer));
    Ok(())
}
