//! The `glyph-authz` program.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "`check` speaks to the person who runs it"
)]

use std::process::ExitCode;

use glyph_authz::check::Check;
use glyph_authz::{Asked, Command, Settings};
use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    match Asked::parse() {
        Asked::Run(settings) => run(*settings).await,
        Asked::Once(Command::Check(asked)) => check(&asked).await,
    }
}

async fn run(settings: Settings) -> ExitCode {
    match glyph_authz::run(settings).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn check(asked: &Check) -> ExitCode {
    match asked.run().await {
        Ok(well) => {
            println!("{}", well.join("\n"));
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}
