//! Users of the pool who call the API without a key: from an invitation to a paid tier. CASE 41.

use anyhow::{Context as _, Result};
use glyph_crds::{GlyphCustomer, Subscription};
use glyph_e2e::checkout::{self, CARD_THAT_PAYS};
use glyph_e2e::resources;
use glyph_e2e::world::{SOON, Wanted};
use glyph_harness::poll_until;
use serde_json::{Value, json};

use crate::support::world;

const PASSWORD: &str = "Correct-horse-7";

#[tokio::test]
async fn a_user_whom_the_operator_made_signs_in_pays_and_gets_the_tier_paid_for_by_token()
-> Result<()> {
    let world = world("users", Wanted::gateways(1)).await?;
    let email = world.email("ada");
    let free = resources::free_tier(resources::DEFAULT_TIER, Some(100));
    world.create(&free).await?;
    world.create(&resources::paid_tier("starter")).await?;
    let customer = resources::customer_with_user("ada", &email);
    world.create(&customer).await?;
    let known = |customer: &GlyphCustomer| customer.status.as_ref()?.cognito_sub.clone();
    let sub = world.until("ada", "a user in Cognito", SOON, known).await?;

    world.cognito.set_password(&email, PASSWORD).await?;
    let tokens = world.cognito.sign_in(&email, PASSWORD).await?;
    let token = tokens["AccessToken"].as_str().context("no token")?;
    let gateway = world.gateway()?;
    let passed = gateway.until_answer(token, 200, "").await?;
    let seen: Value = passed.json()?;
    let headers = &seen["headers"];
    assert_eq!(headers["x-glyph-subject"], json!([sub]));
    assert_eq!(headers["x-glyph-tier"], json!([resources::DEFAULT_TIER]));

    world
        .create(&resources::subscription("ada-starter", "ada", "starter"))
        .await?;
    let link = |subscription: &Subscription| subscription.status.as_ref()?.checkout_url.clone();
    let link = world
        .until("ada-starter", "a checkout link", SOON, link)
        .await?;
    checkout::pay(&link, CARD_THAT_PAYS).await?;
    let paid = async || {
        let answer = gateway.caller.ask(token).await.ok()?;
        let seen: Value = answer.json().ok()?;
        (seen["headers"]["x-glyph-tier"] == json!(["starter"])).then_some(())
    };
    poll_until("the tier that was paid for", SOON, paid).await?;

    let suspended = json!({"spec": {"suspended": true}});
    world.patch::<GlyphCustomer>("ada", &suspended).await?;
    gateway.until_answer(token, 403, "suspended").await?;
    Ok(())
}
