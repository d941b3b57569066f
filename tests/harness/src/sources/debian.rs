//! Debian packages, for the few parts that come from nowhere else.

use std::fs;
use std::path::Path;

use crate::error::{Error, Result};
use crate::process::{command, run};
use crate::progress::Progress;
use crate::sources::on_path;
use crate::store::{Workshop, lock};

/// Installs `packages` for `part`. Fetches the package lists first when there are none, or when they turn
/// out to be old.
///
/// # Errors
/// With a sentence that names the packages, when apt is not there or fails.
pub(crate) fn install(
    part: &str,
    packages: &[&str],
    log: &Path,
    progress: &mut Progress,
) -> Result<()> {
    apt_install(part, &[], packages, log, progress)
}

/// Unpacks `packages`, and what they depend on that this machine lacks, into `folder` of the workshop. Nothing is installed:
/// no service starts, and nothing outside the folder changes.
///
/// # Errors
/// As [`install`].
pub(crate) fn unpack(
    part: &str,
    packages: &[&str],
    folder: &str,
    workshop: &mut Workshop,
) -> Result<()> {
    let fetched = tempfile::tempdir().map_err(Error::io("make a temporary folder"))?;
    fs::create_dir(fetched.path().join("partial")).map_err(Error::io("make a folder"))?;
    let archives = format!("Dir::Cache::archives={}", fetched.path().display());
    let only = ["--download-only", "--reinstall", "-o", &archives];
    // apt's own user cannot write into a temporary folder of ours.
    let options = [&only[..], &["-o", "APT::Sandbox::User=root"]].concat();
    let (log, progress) = (&workshop.log, &mut workshop.progress);
    apt_install(part, &options, packages, log, progress)?;
    let files = fs::read_dir(fetched.path()).map_err(Error::io("list what apt fetched"))?;
    for file in files.flatten().map(|entry| entry.path()) {
        if file.extension().is_some_and(|ending| ending == "deb") {
            let mut unpack = command("dpkg-deb");
            unpack.arg("-x").arg(file).arg(workshop.folder.join(folder));
            run(part, unpack, log, progress)?;
        }
    }
    Ok(())
}

fn apt_install(
    part: &str,
    options: &[&str],
    packages: &[&str],
    log: &Path,
    progress: &mut Progress,
) -> Result<()> {
    let names = packages.join(" ");
    if on_path("apt-get").is_none() {
        let why = format!(
            "it is not on PATH, and there is no apt-get to install {names} with; install it by hand"
        );
        return Err(Error::unavailable(part, why));
    }
    let _lock = lock("apt")?;
    let mut apt = |arguments: &[&str]| {
        let mut apt = command("apt-get");
        apt.env("DEBIAN_FRONTEND", "noninteractive")
            .args(["-qq", "-o", "DPkg::Lock::Timeout=300"]);
        apt.args(arguments);
        run(part, apt, log, progress)
    };
    let install = ["install", "-y", "--no-install-recommends"];
    let install = [&install, options, packages].concat();
    if have_lists() && apt(&install).is_ok() {
        return Ok(());
    }
    apt(&["update"])?;
    apt(&install)
}

fn have_lists() -> bool {
    let lists = fs::read_dir("/var/lib/apt/lists")
        .into_iter()
        .flatten()
        .flatten();
    lists
        .into_iter()
        .any(|entry| entry.file_name().to_string_lossy().contains("_Packages"))
}
