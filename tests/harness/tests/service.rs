//! Glyph's programs as processes: started, ill-treated and started again, on the same ports.

use std::time::Duration;

use glyph_harness::net::get;
use glyph_harness::{ControlPlane, Program, Redis, Result, Service, Settings, poll_until};

const SOON: Duration = Duration::from_secs(10);

#[tokio::test]
async fn a_killed_sidecar_is_gone_and_comes_back_on_the_same_ports() -> Result<()> {
    let namespace = ControlPlane::shared().await?.namespace("service").await?;
    let redis = Redis::start().await?;
    let settings = Settings::in_namespace(&namespace).redis(&redis);
    let sidecar = Service::start(Program::Authz, settings).await?;
    let live = format!("{}/livez", sidecar.admin_url());
    assert_eq!(get(&live).await?.status, 200);
    sidecar.kill();
    assert!(!sidecar.is_running() && get(&live).await.is_err());
    sidecar.start_again().await?;
    assert_eq!(get(&live).await?.status, 200);
    assert!(std::net::TcpStream::connect(sidecar.address()).is_ok());
    assert!(sidecar.stop(), "it ends by itself on SIGTERM");
    assert!(!sidecar.log().is_empty());
    Ok(())
}

#[tokio::test]
async fn a_paused_sidecar_answers_nothing_until_it_is_resumed() -> Result<()> {
    let namespace = ControlPlane::shared().await?.namespace("service").await?;
    let redis = Redis::start().await?;
    let settings = Settings::in_namespace(&namespace).redis(&redis);
    let sidecar = Service::start(Program::Authz, settings).await?;
    let live = format!("{}/livez", sidecar.admin_url());
    sidecar.pause();
    let asked = tokio::time::timeout(Duration::from_millis(300), get(&live)).await;
    assert!(asked.is_err(), "it must hang, and said {asked:?}");
    sidecar.resume();
    poll_until("an answer", SOON, async || get(&live).await.ok()).await?;
    Ok(())
}

#[tokio::test]
async fn an_operator_that_cannot_start_is_told_in_its_own_words() {
    let settings = Settings::default()
        .set("KUBECONFIG", "/nowhere/kubeconfig")
        .set("GLYPH_CHECKOUT_SUCCESS_URL", "https://shop.example/paid")
        .set("GLYPH_CHECKOUT_CANCEL_URL", "https://shop.example/plans");
    let error = Service::start(Program::Operator, settings).await;
    let said = error.err().unwrap().to_string();
    assert!(
        said.starts_with("glyph-operator ended before it was ready"),
        "{said}"
    );
    assert!(said.contains("/nowhere/kubeconfig"), "{said}");
}
