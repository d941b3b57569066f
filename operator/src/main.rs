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
    let done = match Asked::parse() {
        Asked::Run(settings) => glyph_operator::run(*settings).await,
        Asked::Setup(setup) => setup.run().await.map(|told| print!("{told}")),
        Asked::ApiFromOpenApi(command) => return print(command.yaml()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn print(text: anyhow::Result<String>) -> ExitCode {
    match text {
        Ok(text) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}
