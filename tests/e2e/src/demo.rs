//! The demo: the main job from a customer to requests that pass and ones that do not, on real parts, every step
//! checked and told as it happens.

mod journey;
mod stay;

use anyhow::Result;
use glyph_harness::{ControlPlane, workspace_root};

use crate::story::Story;
use crate::world::{Wanted, World};

/// Walks the main job; with `stay` keeps everything running afterwards until Ctrl-C.
///
/// # Errors
/// When a part cannot be had, or with what was expected and what came when a step differs.
pub async fn run(stay: bool) -> Result<()> {
    let mut story = Story::aloud();
    story.show("Glyph, on real parts: Kubernetes, Envoy and Redis themselves; Stripe and Cognito are simulated.");
    tokio::try_join!(glyph_harness::get_all(), glyph_harness::service::binaries())?;
    story.tell("every part is at hand");
    let plane = ControlPlane::shared().await?;
    story.tell(&format!(
        "Kubernetes {} runs, and knows Glyph's kinds",
        glyph_harness::kubernetes::KUBERNETES_VERSION
    ));
    let world = World::start(plane, "demo", Wanted::gateways(1)).await?;
    story.tell("Stripe, Cognito, Redis, the operator, the sidecar and Envoy run");
    let examples = workspace_root().join("examples");
    let applied = world
        .namespace
        .kubectl(&["apply", "-f", &examples.to_string_lossy()])
        .await?
        .ok()?;
    story.tell("kubectl apply -f examples/");
    story.show(&applied);
    journey::walk(&world, &mut story).await?;
    let seen = plane.kubectl(&["get", "glyph", "-A"]).await?.ok()?;
    story.tell("kubectl get glyph -A");
    story.show(&seen);
    story.tell("all of it works");
    if stay {
        stay::until_interrupted(&world, &mut story).await?;
    }
    Ok(())
}
