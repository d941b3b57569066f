//! `glyph-stripe-sim`: the simulator as a program. Prints its address and runs until it is told to stop.
#![allow(clippy::print_stdout, reason = "the address is this program's output")]

use anyhow::Context;
use clap::Parser;
use glyph_stripe_sim::{InitialWebhook, Options, StripeSim};

/// A stateful, strict Stripe with its own clock, signed webhooks and faults on demand.
#[derive(Parser)]
#[command(version)]
struct Flags {
    /// Where it listens.
    #[arg(long, env = "STRIPE_SIM_ADDRESS", default_value = "127.0.0.1")]
    address: std::net::IpAddr,
    /// Port on 127.0.0.1; 0 takes a free one.
    #[arg(long, env = "STRIPE_SIM_PORT", default_value_t = 12111)]
    port: u16,
    /// The one secret key that is accepted.
    #[arg(
        long,
        env = "STRIPE_SIM_API_KEY",
        default_value = "sk_test_glyphsimulator",
        hide_env_values = true
    )]
    api_key: String,
    /// How long a change stays unseen by search, in seconds.
    #[arg(long, env = "STRIPE_SIM_SEARCH_LAG", default_value_t = 60)]
    search_lag_seconds: i64,
    /// Send every event to this address from the start.
    #[arg(long, env = "STRIPE_SIM_WEBHOOK_URL", requires = "webhook_secret")]
    webhook_url: Option<String>,
    /// The signing secret for `--webhook-url`.
    #[arg(long, env = "STRIPE_SIM_WEBHOOK_SECRET", hide_env_values = true)]
    webhook_secret: Option<String>,
}

impl Flags {
    fn into_options(self) -> Options {
        let webhook = self
            .webhook_url
            .zip(self.webhook_secret)
            .map(|(url, secret)| InitialWebhook { url, secret });
        Options {
            address: self.address,
            port: self.port,
            api_key: self.api_key,
            search_lag_seconds: self.search_lag_seconds,
            signs_at_simulated_time: false,
            seed: None,
            webhooks: webhook.into_iter().collect(),
        }
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let filter =
        tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "warn".into());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
    let flags = Flags::parse();
    let port = flags.port;
    let sim = StripeSim::start(flags.into_options())
        .await
        .with_context(|| format!("failed to listen on 127.0.0.1:{port}"))?;
    println!("{}", sim.base_url());
    stop_asked().await?;
    sim.stop().await;
    Ok(())
}

/// Waits for Ctrl-C or SIGTERM.
async fn stop_asked() -> anyhow::Result<()> {
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())
        .context("failed to wait for SIGTERM")?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted.context("failed to wait for Ctrl-C"),
        _ = terminate.recv() => Ok(()),
    }
}
