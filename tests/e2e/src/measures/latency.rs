//! `latency`: how soon a key works after it is applied, and how soon it is refused after it is revoked.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use glyph_harness::ControlPlane;
use serde_json::json;

use crate::caller::code;
use crate::report::{Report, Table, percentile};
use crate::resources;
use crate::story::Story;
use crate::world::{Gateway, Wanted, World};

/// What is promised: both 99th percentiles stay under it.
const LIMIT_MS: u64 = 1000;
/// Between two requests while an answer is waited for: far below what is measured.
const PAUSE: Duration = Duration::from_millis(2);
/// When waiting is given up.
const DEADLINE: Duration = Duration::from_secs(30);
const CUSTOMER: &str = "punctual";

/// Settings of the measure.
#[derive(Clone, Debug, clap::Args)]
pub struct Latency {
    /// How many keys, one after the other.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    pub keys: u32,
}

impl Latency {
    /// Takes the measure.
    ///
    /// # Errors
    /// When the parts cannot be had, or a key does not come to work, or to be refused, in 30 s.
    pub async fn take(&self) -> Result<Report> {
        let mut story = Story::aside();
        let plane = ControlPlane::shared().await?;
        let world = World::start(plane, "latency", Wanted::gateways(1)).await?;
        world
            .create(&resources::free_tier(resources::DEFAULT_TIER, None))
            .await?;
        world
            .create(&resources::customer(CUSTOMER, &world.email(CUSTOMER)))
            .await?;
        world.settled().await?;
        story.tell("everything runs");
        let gateway = world.gateway()?;
        let (mut applied, mut revoked) = (Vec::new(), Vec::new());
        for turn in 0..self.keys {
            let name = format!("key-{turn}");
            let (key, took) = until_admitted(&world, gateway, &name).await?;
            applied.push(took);
            revoked.push(until_refused(&world, gateway, &name, &key).await?);
            if (turn + 1).is_multiple_of(10) {
                story.tell(&format!("{} keys of {}", turn + 1, self.keys));
            }
        }
        Ok(report(&applied, &revoked))
    }
}

/// From sending the ApiKey to the first 200.
async fn until_admitted(
    world: &World<'_>,
    gateway: &Gateway,
    name: &str,
) -> Result<(String, Duration)> {
    let begun = Instant::now();
    world.create(&resources::api_key(name, CUSTOMER)).await?;
    let key = world.key(name).await?;
    until(gateway, &key, begun, 200, "")
        .await
        .map(|took| (key, took))
}

/// From sending `revoked: true` to the first 401.
async fn until_refused(
    world: &World<'_>,
    gateway: &Gateway,
    name: &str,
    key: &str,
) -> Result<Duration> {
    let begun = Instant::now();
    world.revoke(name).await?;
    until(gateway, key, begun, 401, "key_revoked").await
}

async fn until(
    gateway: &Gateway,
    key: &str,
    begun: Instant,
    status: u16,
    wanted: &str,
) -> Result<Duration> {
    loop {
        let answer = gateway.caller.ask(key).await?;
        let took = begun.elapsed();
        if answer.status == status && code(&answer) == wanted {
            return Ok(took);
        }
        let came = format!("{} {}", answer.status, answer.text());
        ensure!(
            took < DEADLINE,
            "expected {status} {wanted} within {} s; came {came}",
            DEADLINE.as_secs()
        );
        tokio::time::sleep(PAUSE).await;
    }
}

fn report(applied: &[Duration], revoked: &[Duration]) -> Report {
    let mut table = Table::new(&["", "p50", "p99", "max"]);
    let mut broken = Vec::new();
    let mut figures = |name: &str, samples: &[Duration]| {
        let [p50, p99, max] = [50, 99, 100].map(|percent| percentile(samples, percent));
        table.row([
            name.to_owned(),
            format!("{p50} ms"),
            format!("{p99} ms"),
            format!("{max} ms"),
        ]);
        if p99 >= LIMIT_MS {
            broken.push(format!(
                "{name}: p99 is {p99} ms and must be under {LIMIT_MS} ms"
            ));
        }
        (p50, p99)
    };
    let (applied_p50, applied_p99) = figures("key applied → first 200", applied);
    let (revoked_p50, revoked_p99) = figures("key revoked → refused", revoked);
    let json = json!({
        "applied_ms_p50": applied_p50, "applied_ms_p99": applied_p99,
        "revoked_ms_p50": revoked_p50, "revoked_ms_p99": revoked_p99,
    });
    Report {
        table,
        json,
        broken,
    }
}
