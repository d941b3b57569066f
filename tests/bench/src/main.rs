//! What a decision costs in processor time: by API key, by an access token seen before, and by one seen for the first time,
//! whose signature is verified. From the bytes of Envoy's check to the bytes of the answer; Redis is not asked.
//!
//!     cargo run --release -p glyph-bench
//!
//! prints one JSON object. `cargo measure jwt` runs it and judges. Only an optimised build tells anything. The time is that
//! of this thread on the processor, so that whatever else the machine does hardly shows; all kinds take turns.
#![allow(
    clippy::print_stdout,
    reason = "a program speaks on its standard output"
)]

mod check;
mod world;

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use glyph_authz_core::token::Remembered;
use mimalloc::MiMalloc;
use nix::time::{ClockId, clock_gettime};
use serde_json::json;

use world::World;

/// As in the sidecar.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Customers, each with a key and a token: requests go round among them.
const CUSTOMERS: usize = 1000;
/// How many times everything is measured; the median counts.
const ROUNDS: usize = 41;
/// Times round all customers in one measurement, of what is quick.
const TURNS: usize = 10;

fn main() -> Result<()> {
    let world = World::new(CUSTOMERS)?;
    let keys = world.checks_by_key();
    let tokens = world.checks_by_token()?;
    let seen = Remembered::default();
    pass(&world, &tokens, &seen, 1)?;
    let [mut by_key, mut by_token, mut first] = [const { Vec::new() }; 3];
    for _ in 0..ROUNDS {
        by_key.push(pass(&world, &keys, &seen, TURNS)?);
        by_token.push(pass(&world, &tokens, &seen, TURNS)?);
        first.push(pass(&world, &tokens, &Remembered::default(), 1)?);
    }
    ensure!(
        seen.seen().verified == CUSTOMERS as u64,
        "tokens seen before were verified again"
    );
    let figures = json!({
        "key_us": median(by_key), "jwt_us": median(by_token), "verify_us": median(first),
    });
    println!("{figures}");
    Ok(())
}

/// Microseconds on the processor for a decision, over all `checks`, `turns` times.
fn pass(world: &World, checks: &[Vec<u8>], seen: &Remembered, turns: usize) -> Result<f64> {
    let begun = on_the_processor()?;
    let mut written = 0;
    for _ in 0..turns {
        for check in checks {
            written += world.decide(check, seen)?;
        }
    }
    let took = on_the_processor()?.saturating_sub(begun);
    ensure!(written > 0, "nothing was answered");
    Ok(took.as_secs_f64() * 1e6 / (checks.len() * turns) as f64)
}

fn on_the_processor() -> Result<Duration> {
    let time = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID);
    Ok(time.context("failed to read the thread's time")?.into())
}

/// To a hundredth of a microsecond.
fn median(mut samples: Vec<f64>) -> f64 {
    samples.sort_by(f64::total_cmp);
    let middle = samples.get(samples.len() / 2).copied();
    (middle.unwrap_or(f64::NAN) * 100.0).round() / 100.0
}
