//! The `glyph-operator` program.

use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _};
use glyph_operator::Settings;
use glyph_operator::setup::Setup;
use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    let command = Settings::command()
        .subcommand(Setup::command())
        .subcommand_negates_reqs(true)
        .args_conflicts_with_subcommands(true);
    let matches = command.get_matches();
    let done = match matches.subcommand() {
        Some((_, chosen)) => match Setup::from_arg_matches(chosen) {
            Ok(setup) => setup.run().await,
            Err(error) => error.exit(),
        },
        None => match Settings::from_arg_matches(&matches) {
            Ok(settings) => glyph_operator::run(settings).await,
            Err(error) => error.exit(),
        },
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}
