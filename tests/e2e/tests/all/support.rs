//! What the tests share: worlds, and Stripe's own word on every request that was sent in one.

use anyhow::{Result, ensure};
use glyph_e2e::world::{Stage, Wanted, World};
use glyph_harness::ControlPlane;
use glyph_harness::stripe_mock::StripeMock;
use glyph_stripe_sim::conformance::conforms;
use tokio::sync::OnceCell;

/// A world on the control plane that all tests share.
pub(crate) async fn world(prefix: &str, wanted: Wanted) -> Result<World<'static>> {
    World::start(ControlPlane::shared().await?, prefix, wanted).await
}

/// Checks every request that the operator sent to the simulator, and every answer, against Stripe's own mock and
/// OpenAPI. To be called at the end of a test.
pub(crate) async fn conforms_to_stripe(stage: &Stage<'_>) -> Result<()> {
    static MOCK: OnceCell<StripeMock> = OnceCell::const_new();
    let mock = MOCK.get_or_try_init(StripeMock::start).await?;
    let requests = stage.stripe.control().requests();
    let report = conforms(&requests, mock.url(), &StripeMock::openapi().await?).await?;
    ensure!(report.requests > 0, "expected that requests were checked");
    ensure!(
        report.problems.is_empty(),
        "not as Stripe: {:#?}",
        report.problems
    );
    Ok(())
}
