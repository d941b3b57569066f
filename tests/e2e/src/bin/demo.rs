//! `cargo demo`: gets the real parts, starts all of Glyph and walks the main job, saying each step as it
//! happens. Ends with 0, or with 1 and a sentence when a step differs from what is promised.

use std::process::ExitCode;

use clap::Parser;
use glyph_e2e::{arguments, demo};

/// Starts all of Glyph on real parts and walks the main job: from a customer to requests that pass, and ones
/// that do not.
#[derive(Parser)]
#[command(name = "cargo demo", version)]
struct Arguments {
    /// Keep everything running afterwards, and print where it is and what to try; Ctrl-C ends it.
    #[arg(long)]
    stay: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse_from(arguments::of_this_process());
    arguments::exit_code(demo::run(arguments.stay).await.map(|()| true))
}
