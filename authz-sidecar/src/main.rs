//! The `glyph-authz` program.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "`check` speaks to the person who runs it"
)]

use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _};
use glyph_authz::Settings;
use glyph_authz::check::Check;
use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    let command = Settings::command()
        .subcommand(Check::command())
        .subcommand_negates_reqs(true)
        .args_conflicts_with_subcommands(true);
    let matches = command.get_matches();
    match matches.subcommand() {
        Some((_, chosen)) => match Check::from_arg_matches(chosen) {
            Ok(asked) => check(&asked).await,
            Err(error) => error.exit(),
        },
        None => match Settings::from_arg_matches(&matches) {
            Ok(settings) => run(settings).await,
            Err(error) => error.exit(),
        },
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
