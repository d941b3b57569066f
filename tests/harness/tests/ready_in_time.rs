//! Alone in its file, so that nothing else runs while the time is taken.

use std::time::{Duration, Instant};

use glyph_harness::{ControlPlane, Result, Tools};

#[tokio::test]
async fn a_control_plane_is_ready_in_five_seconds_once_built() -> Result<()> {
    Tools::get().await?;
    drop(ControlPlane::start().await?);
    let begun = Instant::now();
    let _plane = ControlPlane::start().await?;
    let took = begun.elapsed();
    glyph_harness::say(&format!("the control plane was ready in {took:.1?}"));
    assert!(took < Duration::from_secs(5), "it took {took:?}");
    Ok(())
}
