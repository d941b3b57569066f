//! `target/parts`: what was built or fetched stays there, one folder a part, behind a file lock.
//!
//! - `<part>/`: the part; `.stamp` in it says what it was made from
//! - `<part>.lock`: held while it is made
//! - `<part>.log`: what the making said
//! - `run/<pid>-<part>-…/`: logs and data of what one process started

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use crate::error::{Error, Result};
use crate::progress::{Progress, say};

/// Logs of earlier runs are kept this long; their data goes at once.
const KEEP_LOGS: Duration = Duration::from_secs(24 * 3600);

/// The workspace's root folder.
#[must_use]
pub fn workspace_root() -> PathBuf {
    let harness = Path::new(env!("CARGO_MANIFEST_DIR"));
    harness.ancestors().nth(2).unwrap_or(harness).to_path_buf()
}

/// The folder with what the parts are made from (`tests/harness/parts/<part>`).
pub(crate) fn recipe(part: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("parts")
        .join(part)
}

/// Cargo's target folder.
pub(crate) fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| workspace_root().join("target"), PathBuf::from)
}

fn parts() -> PathBuf {
    target().join("parts")
}

/// What the making of a part gets.
pub(crate) struct Workshop {
    /// An empty folder that becomes the part's folder once all is in it.
    pub(crate) folder: PathBuf,
    /// Where the making's output goes.
    pub(crate) log: PathBuf,
    /// What the terminal shows.
    pub(crate) progress: Progress,
}

/// The folder of `part`, made by `make` unless it is there and was made from the same `stamp`.
///
/// `stamp` holds everything that decides the content (versions, requirement files); `hint` tells the person
/// at the terminal what is going on and how long it takes. Blocks while another process makes the part.
pub(crate) fn ensure(
    part: &str,
    stamp: &str,
    hint: &str,
    make: impl FnOnce(&mut Workshop) -> Result<()>,
) -> Result<PathBuf> {
    let folder = parts().join(part);
    let made = || fs::read_to_string(folder.join(".stamp")).is_ok_and(|found| found == stamp);
    if made() {
        return Ok(folder);
    }
    let _lock = lock(part)?;
    if made() {
        return Ok(folder);
    }
    let mut workshop = Workshop {
        folder: parts().join(format!("{part}.new")),
        log: parts().join(format!("{part}.log")),
        progress: Progress::begin(format!("getting {part}"), hint),
    };
    let fresh = |folder: &Path| {
        remove(folder)?;
        fs::create_dir_all(folder)
    };
    fresh(&workshop.folder).map_err(Error::io("make an empty folder"))?;
    let _ = fs::remove_file(&workshop.log);
    make(&mut workshop)?;
    let finish = || {
        fs::write(workshop.folder.join(".stamp"), stamp)?;
        remove(&folder)?;
        fs::rename(&workshop.folder, &folder)
    };
    finish().map_err(Error::io(format!("put {part} into {}", folder.display())))?;
    workshop.progress.done();
    Ok(folder)
}

/// Takes the lock `name` in `target/parts`; it is released when the file is dropped, or its process dies.
pub(crate) fn lock(name: &str) -> Result<File> {
    let path = parts().join(format!("{name}.lock"));
    let doing = || format!("lock {}", path.display());
    fs::create_dir_all(parts()).map_err(Error::io(doing()))?;
    let file = File::create(&path).map_err(Error::io(doing()))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            say(&format!(
                "{name}: somebody else is getting it; waiting for that"
            ));
            file.lock().map_err(Error::io(doing()))?;
        }
        Err(TryLockError::Error(error)) => return Err(Error::io(doing())(error)),
    }
    Ok(file)
}

/// A new folder for the logs and data of one running part: `target/parts/run/<pid>-<part>-…`.
///
/// # Errors
/// When it cannot be made.
pub fn run_folder(part: &str) -> Result<PathBuf> {
    static SWEPT: OnceLock<()> = OnceLock::new();
    let runs = parts().join("run");
    let make = || {
        fs::create_dir_all(&runs)?;
        SWEPT.get_or_init(|| sweep(&runs));
        let prefix = format!("{}-{part}-", std::process::id());
        Ok(tempfile::Builder::new()
            .prefix(&prefix)
            .tempdir_in(&runs)?
            .keep())
    };
    make().map_err(Error::io(format!(
        "make a run folder in {}",
        runs.display()
    )))
}

/// Removes what processes that are gone left behind.
fn sweep(runs: &Path) {
    for entry in fs::read_dir(runs).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let pid = name
            .to_string_lossy()
            .split('-')
            .next()
            .map(ToOwned::to_owned)
            .unwrap_or_default();
        if Path::new("/proc").join(pid).exists() {
            continue;
        }
        let age = entry
            .metadata()
            .and_then(|data| data.modified())
            .ok()
            .and_then(|time| time.elapsed().ok());
        let stale = if age.is_none_or(|age| age > KEEP_LOGS) {
            entry.path()
        } else {
            entry.path().join("data")
        };
        // Another process may sweep at the same time.
        let _ = remove(&stale);
    }
}

fn remove(folder: &Path) -> std::io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Runs blocking work (making a part) off the async threads.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(Error::answer("finish the making of a part", error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_made_once_and_again_only_from_something_else() {
        let part = format!("test-once-{}", std::process::id());
        let make = |stamp: &str, content: &str| {
            ensure(&part, stamp, "a test", |shop| {
                fs::write(shop.folder.join("it"), content).map_err(Error::io("write"))
            })
        };
        let folder = make("1", "first").unwrap();
        assert_eq!(make("1", "second").unwrap(), folder);
        assert_eq!(fs::read_to_string(folder.join("it")).unwrap(), "first");
        make("2", "third").unwrap();
        assert_eq!(fs::read_to_string(folder.join("it")).unwrap(), "third");
        clean(&part);
    }

    #[test]
    fn a_part_whose_making_failed_is_not_there() {
        let part = format!("test-failed-{}", std::process::id());
        let failed = ensure(&part, "1", "a test", |_| {
            Err(Error::unavailable("it", "of the weather"))
        });
        assert_eq!(
            failed.unwrap_err().to_string(),
            "it cannot be had: of the weather"
        );
        assert!(!parts().join(&part).exists());
        assert!(ensure(&part, "1", "a test", |_| Ok(())).unwrap().exists());
        clean(&part);
    }

    fn clean(part: &str) {
        for name in [part.to_owned(), format!("{part}.new")] {
            remove(&parts().join(name)).unwrap();
        }
        fs::remove_file(parts().join(format!("{part}.lock"))).unwrap();
    }
}
