//! `jwt`: what a decision costs by access token, beside one by API key. The figures are taken by `glyph-bench`, which is
//! built as releases are: a build for tests would tell nothing of them.

use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use glyph_harness::{cargo, workspace_root};
use serde_json::Value;

use crate::report::{Report, Table};

/// What is promised: a token seen before costs less than so many times what a key does.
const TIMES: f64 = 2.0;

/// Settings of the measure: none.
#[derive(Clone, Debug, clap::Args)]
pub struct Jwt {}

impl Jwt {
    /// Takes the measure.
    ///
    /// # Errors
    /// When the program cannot be built, or fails.
    pub async fn take(&self) -> Result<Report> {
        let figures = tokio::task::spawn_blocking(figures).await??;
        let figure = |name: &str| {
            let figure = figures[name].as_f64();
            figure.with_context(|| format!("glyph-bench gave no {name}"))
        };
        let [key, jwt, verify] = ["key_us", "jwt_us", "verify_us"].map(figure);
        let (key, jwt, verify) = (key?, jwt?, verify?);
        let mut table = Table::new(&["a decision, from check to answer", "on the processor"]);
        for (name, figure) in [
            ("by API key", key),
            ("by an access token seen before", jwt),
            ("by one seen for the first time, signature verified", verify),
        ] {
            table.row([name.to_owned(), format!("{figure:.2} µs")]);
        }
        let is_kept = jwt < TIMES * key;
        let broken = format!(
            "a token seen before costs {jwt} µs and must cost less than {TIMES} times the {key} µs of a key"
        );
        Ok(Report {
            table,
            json: figures,
            broken: if is_kept { Vec::new() } else { vec![broken] },
        })
    }
}

/// The last line that the program prints.
fn figures() -> Result<Value> {
    let mut command = Command::new(cargo::program());
    cargo::forget_package(&mut command);
    command
        .args(["run", "--release", "--package", "glyph-bench"])
        .current_dir(workspace_root())
        .stdin(Stdio::null())
        .stderr(Stdio::inherit());
    let output = command.output().context("failed to run cargo")?;
    ensure!(output.status.success(), "glyph-bench failed");
    let printed = String::from_utf8(output.stdout)?;
    let line = printed.lines().last().context("glyph-bench was silent")?;
    Ok(serde_json::from_str(line)?)
}
