//! The sample API as a program, for pods: listens where `UPSTREAM_LISTEN` says, else on port 8080, until SIGTERM.
#![allow(
    clippy::print_stdout,
    reason = "a program speaks on its standard output"
)]

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Context as _;
use glyph_harness::Upstream;
use tokio::signal::unix::{SignalKind, signal};

const PORT: u16 = 8080;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    // Before anything is served, so that no SIGTERM is missed: the first process of a container ignores it otherwise.
    let mut ended = signal(SignalKind::terminate())?;
    let address = match std::env::var("UPSTREAM_LISTEN") {
        Ok(told) => told.parse().context("failed to read UPSTREAM_LISTEN")?,
        Err(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, PORT)),
    };
    let _upstream = Upstream::start_at(address).await?;
    println!("the sample API listens on {address}");
    ended.recv().await;
    Ok(())
}
