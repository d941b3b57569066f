//! `chartdocs`: writes the README of the Helm chart from its values, by helm-docs. With `--check` it writes nothing and fails
//! when the README is not what the values say.
#![allow(
    clippy::print_stdout,
    reason = "a program speaks on its standard output"
)]

use std::fs;

use anyhow::{Context as _, Result, ensure};
use clap::Parser;
use glyph_harness::{chart, workspace_root};

/// Write the README of the Helm chart from its values.
#[derive(Parser)]
struct Arguments {
    /// Only look whether it is as it should be.
    #[arg(long)]
    check: bool,
}

#[tokio::main]
async fn main() -> Result<()> {
    let folder = workspace_root().join("charts/glyph");
    let file = folder.join("README.md");
    let wanted = chart::readme(&folder).await?;
    if Arguments::parse().check {
        let found = fs::read_to_string(&file).unwrap_or_default();
        ensure!(
            found == wanted,
            "{} is not what the values say; run `cargo run --bin chartdocs` and commit the result",
            file.display()
        );
        println!("the chart's README is what the values say");
    } else {
        fs::write(&file, wanted).with_context(|| format!("failed to write {}", file.display()))?;
        println!("wrote {}", file.display());
    }
    Ok(())
}
