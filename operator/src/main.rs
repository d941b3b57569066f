//! The `glyph-operator` program.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a subcommand is run by hand, and its output is what it is for"
)]

use std::process::ExitCode;

use glyph_operator::Asked;
use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    match Asked::parse() {
        Asked::Run(settings) => match glyph_operator::run(*settings).await {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                tracing::error!("{error:#}");
                ExitCode::FAILURE
            }
        },
        Asked::ApiFromOpenApi(command) => match command.yaml() {
            Ok(yaml) => {
                print!("{yaml}");
                ExitCode::SUCCESS
            }
            Err(error) => {
                eprintln!("{error:#}");
                ExitCode::FAILURE
            }
        },
    }
}
