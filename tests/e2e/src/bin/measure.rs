//! `cargo measure NAME`: takes a figure on the real parts. Progress goes to standard error; the table, and as
//! the last line one JSON object, to standard output. Ends with 1 when a promise is not kept.
#![allow(
    clippy::print_stdout,
    reason = "a program speaks on its standard output"
)]

use std::process::ExitCode;

use clap::Parser;
use glyph_e2e::arguments;
use glyph_e2e::measures::Measure;

/// Takes a figure on the real parts: a table for people, and as the last line one JSON object.
#[derive(Parser)]
#[command(name = "cargo measure", version)]
struct Arguments {
    #[command(subcommand)]
    measure: Measure,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse_from(arguments::of_this_process());
    arguments::exit_code(arguments.measure.take().await.map(|report| {
        print!("{}", report.text());
        report.broken.is_empty()
    }))
}
