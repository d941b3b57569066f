//! The user pool, brought to what the account API needs.

use std::fmt::Write as _;

use clap::Args;
use glyph_runtime::admin::Metrics;
use glyph_runtime::credentials::{CredentialArgs, Credentials};
use glyph_runtime::logs::LogArgs;

use crate::cognito::CognitoIdentity;

/// Settings of `setup cognito`.
#[derive(Debug, Args)]
pub(super) struct Cognito {
    /// Only say what would be changed.
    #[arg(long)]
    dry_run: bool,

    #[command(flatten)]
    credentials: CredentialArgs,

    #[command(flatten)]
    logs: LogArgs,
}

impl Cognito {
    /// Does it; what was, or would be, changed.
    pub(super) async fn run(self) -> anyhow::Result<String> {
        self.logs.init()?;
        let credentials = Credentials::load(&self.credentials)?;
        let changes = CognitoIdentity::new(credentials, &Metrics::default())
            .set_up(self.dry_run)
            .await?;
        let mut text = String::new();
        let head = match (changes.is_empty(), self.dry_run) {
            (true, _) => "The user pool and its app client are as they have to be.",
            (false, true) => "To be changed (nothing was):",
            (false, false) => "Changed:",
        };
        // Writing to a String does not fail.
        let _ = writeln!(text, "{head}");
        for change in changes {
            let _ = writeln!(text, "- {change}");
        }
        Ok(text)
    }
}
