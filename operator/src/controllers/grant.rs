//! `CreditGrant`: written down once its customer exists.

use glyph_crds::{CreditGrant, CreditGrantStatus, GlyphCustomer};
use glyph_operator_core::grant::{self, Action, Observed};
use glyph_operator_core::{Next, Settled};

use crate::failure::Failure;
use crate::ports::{Billing, Identity};
use crate::reconcile::Controller;
use crate::watches::named;
use crate::world::World;
use crate::writer::Reported;

/// The controller of grants.
pub struct Grants;

impl Reported for CreditGrant {
    const MANAGER: &'static str = "glyph-credit-grant-controller";
}

impl<B: Billing, I: Identity> Controller<B, I> for Grants {
    type Kind = CreditGrant;
    type Observed = Observed;
    type Action = Action;

    async fn observe(world: &World<B, I>, grant: &CreditGrant) -> Result<Observed, Failure> {
        let meta = world.meta(grant);
        let customer = grant.spec.customer_ref.name.clone();
        let found: Option<GlyphCustomer> = named(&world.stores, &meta.owner.namespace, &customer);
        Ok(Observed {
            now: meta.now,
            generation: meta.generation,
            status: grant.reported(),
            customer,
            customer_exists: found.is_some(),
        })
    }

    fn plan(observed: &Observed) -> Next<Action> {
        grant::plan(observed)
    }

    async fn apply(_: &World<B, I>, _: &mut CreditGrant, action: Action) -> Result<(), Failure> {
        match action {}
    }

    fn status(observed: &Observed, next: &Next<Action>) -> Settled<CreditGrantStatus> {
        grant::status(observed, next)
    }
}
