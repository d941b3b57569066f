//! Which tier Stripe bills a subscription for: by its items' prices.

use glyph_crds::Tier;
use glyph_operator_core::billing::StripeSubscription;
use glyph_operator_core::subscription::BilledTier;
use kube::ResourceExt;

use crate::failure::Failure;
use crate::ports::Billing;
use crate::watches::{Guarded, Watched, named, select};
use crate::world::World;

/// What stands behind a price.
#[derive(Default)]
pub struct Behind {
    /// The tier in force by it.
    pub tier: Option<BilledTier>,
    /// It is known to be no Tier's.
    pub stray: bool,
}

/// Whether a tier sells, or sold, at this price.
fn sells(tier: &Tier, price: &str) -> bool {
    tier.status.as_ref().is_some_and(|status| {
        let mut former = status.former_price_ids.iter();
        status.stripe_price_id.as_deref() == Some(price) || former.any(|id| id == price)
    })
}

/// Of several items, the one that counts is the one of the tier in force, else of any tier.
pub fn put_first<B, I>(
    world: &World<B, I>,
    namespace: &str,
    in_force: Option<&str>,
    subscription: &mut StripeSubscription,
) {
    if subscription.others.is_empty() {
        return;
    }
    let tiers = select(&world.stores, namespace, |_: &Tier| true);
    subscription.put_first(|price| tiers.iter().any(|tier| sells(tier, price)));
    let mut of_force = tiers.iter();
    if let Some(tier) = of_force.find(|tier| Some(tier.name_any().as_str()) == in_force) {
        subscription.put_first(|price| sells(tier, price));
    }
}

/// The tier that a price belongs to: by the tiers' statuses, else by the price's owner, because a tier whose
/// amount has changed still has subscribers at the former price. By a price that is no Tier's, the last one known stays
/// in force.
pub async fn behind<B: Billing, I>(
    world: &World<B, I>,
    namespace: &str,
    price: Option<&str>,
    last_known: Option<&str>,
) -> Result<Behind, Failure> {
    let Some(price) = price else {
        return Ok(Behind::default());
    };
    let sold = select(&world.stores, namespace, |tier: &Tier| sells(tier, price));
    if let Some(tier) = sold.first() {
        return Ok(found(tier));
    }
    let read = world.shared.billing.price(price).await?;
    let owner = read.and_then(|price| price.owner).map(|owner| owner.uid);
    // A tier that cannot be read is in the store too: whose price it is, is not known until it is corrected.
    let all = Tier::store(&world.stores).state();
    let here = |tier: &Guarded<Tier>| tier.namespace().as_deref() == Some(namespace);
    let mut here = all.iter().filter(|tier| here(tier));
    let tier = here.find(|tier| owner.is_some() && tier.uid() == owner);
    Ok(match tier {
        Some(tier) => tier.0.as_ref().map_or_else(|_| Behind::default(), found),
        None => {
            let last = last_known.and_then(|name| named(&world.stores, namespace, name));
            Behind {
                tier: last.as_ref().map(billed),
                stray: true,
            }
        }
    })
}

fn found(tier: &Tier) -> Behind {
    Behind {
        tier: Some(billed(tier)),
        stray: false,
    }
}

fn billed(tier: &Tier) -> BilledTier {
    BilledTier {
        name: tier.name_any(),
        grace_days: tier.spec.grace.as_ref().map(|grace| grace.days),
    }
}
