//! `cargo image`: writes both programs as container images, without Docker: OCI archives below `target/images`, which
//! `skopeo copy oci-archive:…`, `ctr images import` and `docker load` take.
#![allow(
    clippy::print_stdout,
    reason = "a program speaks on its standard output"
)]

use std::path::PathBuf;

use clap::Parser;
use glyph_harness::images::Programs;
use glyph_harness::{Program, workspace_root};

/// Write the images of glyph-operator and glyph-authz as OCI archives.
///
/// The same commit gives the same bytes. `SOURCE_DATE_EPOCH` says another time than the commit's.
#[derive(Parser)]
#[command(name = "cargo image")]
struct Arguments {
    /// What the images' names begin with.
    #[arg(
        long,
        default_value = "ghcr.io/devpro-llc",
        value_name = "REGISTRY/PATH"
    )]
    registry: String,

    /// Their tag.
    #[arg(long, default_value = env!("CARGO_PKG_VERSION"), value_name = "TAG")]
    tag: String,

    /// Where the archives go.
    #[arg(long, default_value = "target/images", value_name = "FOLDER")]
    output: PathBuf,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let programs = Programs::build().await?;
    let folder = workspace_root().join(&arguments.output);
    for program in [Program::Operator, Program::Authz] {
        let built = programs.image(program, &arguments.registry, &arguments.tag, &folder)?;
        println!(
            "{}@{}\n  {} ({:.1} MB)",
            built.name,
            built.digest,
            built.archive.display(),
            built.size as f64 / 1e6
        );
    }
    Ok(())
}
