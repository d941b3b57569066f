//! Debian packages, for the few parts that come from nowhere else.

use std::path::Path;

use crate::error::{Error, Result};
use crate::process::{command, run};
use crate::progress::Progress;
use crate::sources::on_path;
use crate::store::lock;

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
    let mut install = vec!["install", "-y", "--no-install-recommends"];
    install.extend(packages);
    if have_lists() && apt(&install).is_ok() {
        return Ok(());
    }
    apt(&["update"])?;
    apt(&install)
}

/// Unpacks one package into `folder` for `part`, and installs nothing: what it needs must be there already.
///
/// # Errors
/// With a sentence that names the package, when apt is not there or fails.
pub(crate) fn unpack(
    part: &str,
    package: &str,
    folder: &Path,
    log: &Path,
    progress: &mut Progress,
) -> Result<()> {
    if on_path("apt-get").is_none() {
        let why = format!("it is not on PATH, and there is no apt-get to get {package} with");
        return Err(Error::unavailable(part, why));
    }
    let _lock = lock("apt")?;
    let mut apt = |arguments: &[&str]| {
        let mut apt = command("apt-get");
        apt.current_dir(folder).arg("-qq").args(arguments);
        run(part, apt, log, progress)
    };
    // What lies in the folder does not belong to apt's own user.
    let download = ["-o", "APT::Sandbox::User=root", "download", package];
    if !(have_lists() && apt(&download).is_ok()) {
        apt(&["update"])?;
        apt(&download)?;
    }
    let files = std::fs::read_dir(folder).map_err(Error::io("look for a Debian package"))?;
    let archive = files
        .flatten()
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|kind| kind == "deb"));
    let archive = archive.ok_or_else(|| {
        Error::unavailable(part, format!("apt-get has downloaded no package {package}"))
    })?;
    let mut unpack = command("dpkg-deb");
    unpack.arg("-x").arg(archive).arg(folder);
    run(part, unpack, log, progress)
}

fn have_lists() -> bool {
    let lists = std::fs::read_dir("/var/lib/apt/lists")
        .into_iter()
        .flatten()
        .flatten();
    lists
        .into_iter()
        .any(|entry| entry.file_name().to_string_lossy().contains("_Packages"))
}
