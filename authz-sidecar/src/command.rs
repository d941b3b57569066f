//! The command line of `glyph-authz`.

use clap::Subcommand;

use crate::check::Check;
use crate::settings::Settings;

/// What the command line asks for: to run the sidecar, or a [`Command`].
pub type Asked = glyph_runtime::command_line::Asked<Settings, Command>;

/// What can be asked for instead of running.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Ask a running sidecar as Envoy does: a request without a key has to be refused with `missing_credential`.
    Check(Check),
}
