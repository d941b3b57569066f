//! `CreditGrant`: what stands of it, by the counters and by the purchase that paid for it.

use glyph_crds::{CreditGrant, CreditGrantStatus, CreditPurchase, GlyphCustomer};
use glyph_operator_core::grant::{self, Action, Observed};
use glyph_operator_core::{Next, Settled};
use kube::ResourceExt;

use crate::failure::Failure;
use crate::ports::{Billing, Identity};
use crate::reconcile::Controller;
use crate::watches::{named, select};
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
        let namespace = &meta.owner.namespace;
        let spec = grant.spec.clone();
        let customer: Option<GlyphCustomer> =
            named(&world.stores, namespace, &spec.customer_ref.name);
        let paid = select(&world.stores, namespace, |purchase: &CreditPurchase| {
            let status = purchase.status.as_ref();
            let session = status.and_then(|status| status.checkout_session_id.as_ref());
            session.is_some()
                && session == spec.source.id.as_ref()
                && purchase.spec.customer_ref == spec.customer_ref
        });
        Ok(Observed {
            now: meta.now,
            generation: meta.generation,
            status: grant.reported(),
            customer_exists: customer.is_some(),
            payment: paid.into_iter().next().and_then(|purchase| purchase.status),
            counted: world
                .shared
                .credits
                .counted(&grant.uid().unwrap_or_default()),
            spec,
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
