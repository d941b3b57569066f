//! Somebody's own cluster is used only when it is asked for by name, and is left as it was found.
#![allow(clippy::unwrap_used, reason = "a helper of a test fails the test")]

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use glyph_harness::{ControlPlane, Result};

/// The kubeconfig that `parts run kubernetes` uses in this environment.
fn kubeconfig_used(environment: &[(&str, &str)]) -> String {
    let mut parts = Command::new(env!("CARGO_BIN_EXE_parts"))
        .args(["run", "kubernetes"])
        .env_remove("KUBECONFIG")
        .env_remove("USE_EXISTING_CLUSTER")
        .envs(environment.iter().copied())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut place = String::new();
    BufReader::new(parts.stdout.take().unwrap())
        .read_line(&mut place)
        .unwrap();
    parts.kill().unwrap();
    parts.wait().unwrap();
    place.trim().to_owned()
}

#[tokio::test]
async fn a_kubeconfig_alone_is_never_touched_and_one_that_is_asked_for_is_used() -> Result<()> {
    let theirs = ControlPlane::start().await?;
    let kubeconfig = theirs.kubeconfig().to_str().unwrap();
    let alone = kubeconfig_used(&[("KUBECONFIG", kubeconfig)]);
    assert!(Path::new(&alone).exists() && alone != kubeconfig, "{alone}");
    let kinds = theirs.kubectl(&["get", "crd", "-o", "name"]).await?.ok()?;
    assert_eq!(kinds, "", "nothing was installed into it");
    let asked_for = [("KUBECONFIG", kubeconfig), ("USE_EXISTING_CLUSTER", "true")];
    assert_eq!(kubeconfig_used(&asked_for), kubeconfig);
    let kinds = theirs.kubectl(&["get", "crd", "-o", "name"]).await?.ok()?;
    assert!(kinds.contains("tiers.glyphapi.ai"), "{kinds}");
    Ok(())
}
