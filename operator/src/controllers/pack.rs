//! `CreditPack`: its product and price in Stripe.

use glyph_crds::{CreditPack, CreditPackStatus};
use glyph_operator_core::offer::{self, Action};
use glyph_operator_core::tier::pack_status;
use glyph_operator_core::{Next, Settled};

use super::offer::{Recorded, apply, made_at, observe};
use crate::failure::Failure;
use crate::ports::{Billing, Identity};
use crate::reconcile::Controller;
use crate::world::World;
use crate::writer::Reported;

/// The controller of credit packs.
pub struct Packs;

impl Reported for CreditPack {
    const MANAGER: &'static str = "glyph-credit-pack-controller";
}

impl<B: Billing, I: Identity> Controller<B, I> for Packs {
    type Kind = CreditPack;
    type Observed = (offer::Observed, CreditPackStatus);
    type Action = Action;

    async fn observe(
        world: &World<B, I>,
        pack: &CreditPack,
    ) -> Result<(offer::Observed, CreditPackStatus), Failure> {
        let meta = world.meta(pack);
        let status = pack.reported();
        let recorded = Recorded {
            since: made_at(pack),
            product: status.stripe_product_id.as_ref(),
            under_way: status.intent.is_some(),
        };
        let wanted = offer::of_pack(pack, &meta);
        Ok((observe(world, meta, Some(wanted), recorded).await?, status))
    }

    fn plan(observed: &(offer::Observed, CreditPackStatus)) -> Next<Action> {
        offer::plan(&observed.0)
    }

    async fn apply(
        world: &World<B, I>,
        pack: &mut CreditPack,
        action: Action,
    ) -> Result<(), Failure> {
        apply(world, pack, action).await
    }

    fn status(
        observed: &(offer::Observed, CreditPackStatus),
        next: &Next<Action>,
    ) -> Settled<CreditPackStatus> {
        pack_status(&observed.0, next, &observed.1)
    }
}
