//! `Tier`: its product and price in Stripe.

use glyph_crds::{Subscription, Tier, TierStatus};
use glyph_operator_core::offer::{self, Action};
use glyph_operator_core::tier::tier_status;
use glyph_operator_core::{Next, Settled};
use kube::ResourceExt;

use super::offer::{Recorded, apply, observe};
use crate::failure::Failure;
use crate::ports::{Billing, Identity};
use crate::reconcile::Controller;
use crate::watches::select;
use crate::world::World;
use crate::writer::Reported;

/// The controller of tiers.
pub struct Tiers;

impl Reported for Tier {
    const MANAGER: &'static str = "glyph-tier-controller";
}

/// What is known of a tier.
pub struct Observed {
    offer: offer::Observed,
    status: TierStatus,
    contact_sales: bool,
    subscribers: i64,
}

impl<B: Billing, I: Identity> Controller<B, I> for Tiers {
    type Kind = Tier;
    type Observed = Observed;
    type Action = Action;

    async fn observe(world: &World<B, I>, tier: &Tier) -> Result<Observed, Failure> {
        let meta = world.meta(tier);
        let status = tier.reported();
        let recorded = Recorded {
            product: status.stripe_product_id.as_ref(),
            price: status.stripe_price_id.as_ref(),
            under_way: status.intent.is_some(),
        };
        let (namespace, name) = (meta.owner.namespace.clone(), tier.name_any());
        let wanted = offer::of_tier(tier, &meta);
        let offer = observe(world, meta, wanted, recorded).await?;
        let now = world.now();
        let subscribed = select(&world.stores, &namespace, |s: &Subscription| {
            use glyph_crds::entitlement::Standing;
            matches!(Standing::of(s.status.as_ref(), now), Standing::Subscribed { tier, .. } if tier == name)
        });
        Ok(Observed {
            offer,
            status,
            contact_sales: tier.spec.contact_sales,
            subscribers: i64::try_from(subscribed.len()).unwrap_or(i64::MAX),
        })
    }

    fn plan(observed: &Observed) -> Next<Action> {
        offer::plan(&observed.offer)
    }

    async fn apply(world: &World<B, I>, tier: &mut Tier, action: Action) -> Result<(), Failure> {
        apply(world, tier, action).await
    }

    fn status(observed: &Observed, next: &Next<Action>) -> Settled<TierStatus> {
        let Observed {
            offer,
            status,
            contact_sales,
            subscribers,
        } = observed;
        tier_status(offer, next, status, *contact_sales, *subscribers)
    }
}
