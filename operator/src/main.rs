//! The `glyph-operator` program.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command that is run by hand speaks to the person who runs it"
)]

use std::process::ExitCode;

use glyph_operator::{Asked, Command};
use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    match Asked::parse() {
        Asked::Run(settings) => logged(glyph_operator::run(*settings).await),
        Asked::Once(Command::Setup(setup)) => {
            logged(setup.run().await.map(|told| print!("{told}")))
        }
        Asked::Once(Command::ApiFromOpenApi(command)) => shown(command.yaml()),
    }
}

/// Says in the log why it failed.
fn logged(done: anyhow::Result<()>) -> ExitCode {
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Prints what was asked for, or why it failed.
fn shown(text: anyhow::Result<String>) -> ExitCode {
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
