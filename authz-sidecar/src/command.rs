//! The command line of `glyph-authz`.

use clap::Subcommand;

use crate::check::Check;
use crate::settings::Settings;

/// What the command line asks for: to run the sidecar, or a [`Command`].
pub type Asked = glyph_runtime::command_line::Asked<Settings, Command>;

/// What can be asked for instead of running.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// To see whether a running sidecar works.
    Check(Check),
}
