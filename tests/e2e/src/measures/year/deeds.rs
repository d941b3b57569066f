//! What is done in a step: by the API's owner with kubectl, or by the customer on Stripe's pages.

use anyhow::{Context as _, Result};
use glyph_crds::common::{Interval, LocalRef, RecurringPrice};
use glyph_crds::{
    CreditPack, CreditPurchase, GlyphCustomer, Grace, OverQuota, Quota, Subscription, Tier,
    TierSpec,
};
use serde_json::json;

use super::look::Customer;
use crate::checkout::{self, CARD_THAT_FAILS, CARD_THAT_PAYS};
use crate::resources;
use crate::world::{SOON, World};

/// The customer, and the customer's key.
pub(super) const CUSTOMER: &str = "ada";
const PACK: &str = "extra-25";
const PURCHASE: &str = "ada-extra";

/// What is done.
#[derive(Clone, Copy, Debug)]
pub(super) enum Deed {
    /// A GlyphCustomer and an ApiKey are applied.
    SignUp,
    /// A Subscription is applied, and its link paid at; with so many days of trial instead of the tier's.
    Subscribe {
        name: &'static str,
        tier: &'static str,
        trial_days: Option<u32>,
    },
    /// `spec.tier` of the Subscription is changed.
    Choose(&'static str),
    /// A CreditPurchase is applied, and its link paid at.
    BuyCredits,
    /// The customer replaces the card in Stripe's portal, by one that the bank will refuse to charge.
    ReplaceCardByABadOne,
    /// The customer replaces it by one that pays, and pays the open invoice at `status.invoiceUrl`.
    PayAgain,
    /// `spec.cancelAtPeriodEnd` is set.
    EndWithPeriod,
    /// Nothing: time has passed.
    Nothing,
}

/// Does it.
///
/// # Errors
/// When the API server refuses, no link appears, or Stripe's page says no.
pub(super) async fn perform(deed: &Deed, world: &World<'_>, customer: &mut Customer) -> Result<()> {
    match *deed {
        Deed::SignUp => sign_up(world, customer).await,
        Deed::Subscribe {
            name,
            tier,
            trial_days,
        } => {
            let mut wish = resources::subscription(name, CUSTOMER, tier);
            wish.spec.trial_days = trial_days;
            world.create(&wish).await?;
            customer.subscribed_by(name);
            let link = |s: &Subscription| s.status.as_ref()?.checkout_url.clone();
            let link = world.until(name, "a link to pay at", SOON, link).await?;
            checkout::pay(&link, CARD_THAT_PAYS).await.map(drop)
        }
        Deed::Choose(tier) => wish(world, customer, json!({"tier": tier})).await,
        Deed::EndWithPeriod => wish(world, customer, json!({"cancelAtPeriodEnd": true})).await,
        Deed::BuyCredits => buy_credits(world).await,
        Deed::ReplaceCardByABadOne => replace_card(world, CARD_THAT_FAILS).await,
        Deed::PayAgain => {
            replace_card(world, CARD_THAT_PAYS).await?;
            let link = |s: &Subscription| s.status.as_ref()?.invoice_url.clone();
            let name = customer.subscription()?;
            let link = world.until(name, "a link to pay at", SOON, link).await?;
            checkout::pay(&link, CARD_THAT_PAYS).await.map(drop)
        }
        Deed::Nothing => Ok(()),
    }
}

/// The owner applies what is sold: four tiers and a pack.
///
/// # Errors
/// When the API server refuses one.
pub(super) async fn put_on_sale(world: &World<'_>) -> Result<()> {
    world
        .create(&resources::free_tier(resources::DEFAULT_TIER, Some(10)))
        .await?;
    for (name, amount, interval, quota) in [
        ("starter", 2_900, Interval::Month, 20),
        ("professional", 9_900, Interval::Month, 50),
        ("professional-yearly", 99_000, Interval::Year, 50),
    ] {
        world.create(&tier(name, amount, interval, quota)).await?;
    }
    let pack: CreditPack = resources::credit_pack(PACK, 25)?;
    world.create(&pack).await.map(drop)
}

fn tier(name: &str, amount: i64, interval: Interval, requests: u64) -> Tier {
    let spec = TierSpec {
        price: Some(RecurringPrice {
            currency: "usd".to_owned(),
            amount,
            interval,
        }),
        quota: Some(Quota { requests }),
        over_quota: OverQuota::Credits,
        trial_days: (name == "starter").then_some(14),
        grace: Some(Grace {
            days: 7,
            degrade_to: Some(LocalRef {
                name: resources::DEFAULT_TIER.to_owned(),
            }),
        }),
        ..resources::paid_tier(name).spec
    };
    Tier::new(name, spec)
}

async fn sign_up(world: &World<'_>, customer: &mut Customer) -> Result<()> {
    let made = resources::customer(CUSTOMER, &world.email(CUSTOMER));
    let made: GlyphCustomer = world.create(&made).await?;
    world
        .create(&resources::api_key(CUSTOMER, CUSTOMER))
        .await?;
    let uid = made.metadata.uid.context("the customer has no UID")?;
    customer.signed_up(uid, world.key(CUSTOMER).await?);
    Ok(())
}

async fn wish(world: &World<'_>, customer: &Customer, spec: serde_json::Value) -> Result<()> {
    let patch = json!({ "spec": spec });
    let name = customer.subscription()?;
    world.patch::<Subscription>(name, &patch).await.map(drop)
}

async fn buy_credits(world: &World<'_>) -> Result<()> {
    let purchase: CreditPurchase = resources::credit_purchase(PURCHASE, CUSTOMER, PACK)?;
    world.create(&purchase).await?;
    let link = |p: &CreditPurchase| p.status.as_ref()?.checkout_url.clone();
    let link = world
        .until(PURCHASE, "a link to pay at", SOON, link)
        .await?;
    checkout::pay(&link, CARD_THAT_PAYS).await.map(drop)
}

/// The one customer's, at Stripe.
async fn replace_card(world: &World<'_>, card: &str) -> Result<()> {
    let control = world.stripe.control();
    let customers = control.objects("customer");
    let id = customers
        .first()
        .and_then(|customer| customer["id"].as_str());
    let id = id.context("Stripe has no customer")?;
    checkout::replace_card(control, id, card).await
}
