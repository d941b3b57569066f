//! `GlyphApi`: what of it is in force, among the others.

use glyph_crds::{GlyphApi, GlyphApiStatus};
use glyph_operator_core::glyph_api::{self, Action, Observed};
use glyph_operator_core::{Next, Settled};

use crate::failure::Failure;
use crate::ports::{Billing, Identity};
use crate::reconcile::Controller;
use crate::watches::everywhere;
use crate::world::World;
use crate::writer::Reported;

/// The controller of APIs.
pub struct Apis;

impl Reported for GlyphApi {
    const MANAGER: &'static str = "glyph-api-controller";
}

impl<B: Billing, I: Identity> Controller<B, I> for Apis {
    type Kind = GlyphApi;
    type Observed = Observed;
    type Action = Action;

    async fn observe(world: &World<B, I>, api: &GlyphApi) -> Result<Observed, Failure> {
        let all = everywhere(&world.stores, |_: &GlyphApi| true);
        Ok(glyph_api::observe(api, &all, world.now()))
    }

    fn plan(observed: &Observed) -> Next<Action> {
        glyph_api::plan(observed)
    }

    async fn apply(_: &World<B, I>, _: &mut GlyphApi, action: Action) -> Result<(), Failure> {
        match action {}
    }

    fn status(observed: &Observed, next: &Next<Action>) -> Settled<GlyphApiStatus> {
        glyph_api::status(observed, next)
    }
}
