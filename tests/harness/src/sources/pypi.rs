//! PyPI packages: each part's `requirements.txt` pins all of what it needs, and is installed into the
//! part's own folder. One bare virtual environment under `target/parts/python` runs pip and the parts.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::{Error, Result};
use crate::process::{command, output_of, run};
use crate::sources::{debian, on_path};
use crate::store::{self, Workshop, recipe};

/// The Python that runs pip and what pip installed.
pub(crate) fn python() -> Result<PathBuf> {
    let folder = store::ensure(
        "python",
        "3",
        "a virtual environment, some seconds",
        |workshop| {
            let base = base_python(workshop)?;
            let mut venv = command(base);
            venv.args(["-m", "venv"]).arg(&workshop.folder);
            run("Python", venv, &workshop.log, &mut workshop.progress)
        },
    )?;
    Ok(folder.join("bin/python3"))
}

/// A Python that can make virtual environments.
fn base_python(workshop: &mut Workshop) -> Result<PathBuf> {
    let usable =
        |python: PathBuf| output_of(&python, &["-c", "import ensurepip, venv"]).map(|_| python);
    if let Some(python) = on_path("python3").and_then(usable) {
        return Ok(python);
    }
    debian::install(
        "Python",
        &["python3", "python3-venv"],
        &workshop.log,
        &mut workshop.progress,
    )?;
    usable(PathBuf::from("/usr/bin/python3")).ok_or_else(|| {
        Error::unavailable(
            "Python",
            "python3 with venv is not there even after installing it",
        )
    })
}

/// The folder into which `parts/<part>/requirements.txt` is installed.
///
/// # Errors
/// With pip's own words when a package cannot be had.
pub(crate) fn packages(part: &str, hint: &str) -> Result<PathBuf> {
    let python = python()?;
    let requirements = recipe(part).join("requirements.txt");
    let doing = format!("read {}", requirements.display());
    let stamp = std::fs::read_to_string(&requirements).map_err(Error::io(doing))?;
    store::ensure(part, &stamp, hint, |workshop| {
        let mut pip = command(&python);
        pip.args([
            "-m",
            "pip",
            "install",
            "--disable-pip-version-check",
            "--no-input",
            "--no-deps",
            "--target",
        ]);
        pip.arg(&workshop.folder).arg("-r").arg(&requirements);
        run(part, pip, &workshop.log, &mut workshop.progress)
    })
}

/// A command that runs Python with the packages in `folder`, and no others.
pub(crate) fn python_with(folder: &Path) -> Result<Command> {
    let mut command = command(python()?);
    command
        .env("PYTHONPATH", folder)
        .env("PYTHONUNBUFFERED", "1");
    Ok(command)
}
