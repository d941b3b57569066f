//! `Tier`: its product and price in Stripe. It is not deleted under those who are on it.

use glyph_crds::entitlement::{Standing, is_final};
use glyph_crds::{GlyphCustomer, Subscription, Tier, TierStatus};
use glyph_operator_core::offer::{self, Action};
use glyph_operator_core::tier::{self, tier_status};
use glyph_operator_core::{Blocker, Next, Settled};
use kube::ResourceExt;

use super::offer::{Recorded, apply, made_at, observe};
use crate::failure::Failure;
use crate::ports::{Billing, Identity};
use crate::reconcile::Controller;
use crate::watches::{Watched, select};
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
    in_use: Option<Blocker>,
}

impl<B: Billing, I: Identity> Controller<B, I> for Tiers {
    type Kind = Tier;
    type Observed = Observed;
    type Action = Action;

    async fn observe(world: &World<B, I>, tier: &Tier) -> Result<Observed, Failure> {
        let mut meta = world.meta(tier);
        let status = tier.reported();
        let subscribers = subscribers(world, tier);
        let in_use = match meta.deleting {
            true => tier::in_use(&users(world, tier)),
            false => None,
        };
        // Nothing is read that nothing will be done about.
        let finalized = meta.finalized;
        meta.finalized = finalized && in_use.is_none();
        let recorded = Recorded {
            since: made_at(tier),
            product: status.stripe_product_id.as_ref(),
            under_way: status.intent.is_some(),
        };
        let wanted = offer::of_tier(tier, &meta);
        let mut offer = observe(world, meta, wanted, recorded).await?;
        offer.meta.finalized = finalized;
        Ok(Observed {
            offer,
            status,
            contact_sales: tier.spec.contact_sales,
            subscribers,
            in_use,
        })
    }

    fn plan(observed: &Observed) -> Next<Action> {
        match &observed.in_use {
            Some(blocker) => Next::Wait(blocker.clone()),
            None => offer::plan(&observed.offer),
        }
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
            in_use,
        } = observed;
        let facts = tier::Facts {
            old: status,
            contact_sales: *contact_sales,
            subscribers: *subscribers,
            in_use: in_use.as_ref(),
        };
        tier_status(offer, next, facts)
    }
}

/// Customers that a tier is in force for by a Subscription.
fn subscribers<B, I>(world: &World<B, I>, tier: &Tier) -> i64 {
    let (name, now) = (tier.name_any(), world.now());
    let namespace = tier.namespace().unwrap_or_default();
    let subscribed = select(
        &world.stores,
        &namespace,
        |s: &Subscription| matches!(Standing::of(Some(s), now), Standing::Subscribed { tier, .. } if tier == name),
    );
    i64::try_from(subscribed.len()).unwrap_or(i64::MAX)
}

/// Who would lose what they have without this tier: subscriptions that wish for it or are billed by it,
/// customers that it is in force for, and tiers that degrade to it.
fn users<B, I>(world: &World<B, I>, tier: &Tier) -> Vec<String> {
    let (stores, name) = (&world.stores, tier.name_any());
    let namespace = tier.namespace().unwrap_or_default();
    let subscriptions = select(stores, &namespace, |s: &Subscription| {
        let status = s.status.as_ref();
        let ended = is_final(status.and_then(|status| status.state));
        let billed = status.and_then(|status| status.tier.as_ref());
        !ended && (s.spec.tier == name || billed == Some(&name))
    });
    let by_subscription = |customer: &GlyphCustomer| {
        let customer = customer.name_any();
        subscriptions
            .iter()
            .any(|s| s.spec.customer_ref.name == customer)
    };
    let customers = select(stores, &namespace, |c: &GlyphCustomer| {
        let in_force = c.status.as_ref().and_then(|status| status.tier.as_ref());
        let staying = c.metadata.deletion_timestamp.is_none();
        staying && in_force == Some(&name) && !by_subscription(c)
    });
    let higher = select(stores, &namespace, |other: &Tier| {
        let lower = other
            .spec
            .grace
            .as_ref()
            .and_then(|g| g.degrade_to.as_ref());
        let staying = other.metadata.deletion_timestamp.is_none();
        staying && lower.is_some_and(|lower| lower.name == name)
    });
    let mut users = names(&subscriptions);
    users.extend(names(&customers));
    users.extend(names(&higher));
    users
}

/// Kind and name of each, in the order of their names.
fn names<K: Watched>(all: &[K]) -> Vec<String> {
    let mut names: Vec<_> = all.iter().map(ResourceExt::name_any).collect();
    names.sort();
    let kind = K::kind(&());
    names.iter().map(|name| format!("{kind} {name}")).collect()
}
