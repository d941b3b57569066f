//! A wall clock for real programs that a test can move: months pass for Redis, the operator and a sidecar while
//! nobody waits. The programs know nothing of it. A library preloaded into each adds seconds to what the kernel
//! says; timers and timeouts go by the monotonic clock, which stays true, as when a machine's clock is set.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, Ordering};

use crate::error::{Error, Result};
use crate::process::{command, run};
use crate::store::{self, recipe, run_folder};

const PART: &str = "clock";
const LIBRARY: &str = "moved_clock.so";

/// A clock that the programs it is given to go by.
pub struct MovedClock {
    library: PathBuf,
    path: PathBuf,
    file: File,
    ahead: AtomicI64,
}

impl MovedClock {
    /// One that shows the true time.
    ///
    /// # Errors
    /// When the library cannot be compiled (by `cc`, which Rust needs as well), or no file can be written.
    pub async fn start() -> Result<Self> {
        let library = store::blocking(ensure).await?.join(LIBRARY);
        let path = run_folder(PART)?.join("seconds-ahead");
        let open = || {
            fs::write(&path, 0_i64.to_ne_bytes())?;
            File::options().write(true).open(&path)
        };
        let file = open().map_err(Error::io("make the file of a moved clock"))?;
        let ahead = AtomicI64::new(0);
        Ok(Self {
            library,
            path,
            file,
            ahead,
        })
    }

    /// Moves it forwards by so many seconds, for all its programs at once; returns how far it is ahead now.
    ///
    /// # Errors
    /// When its file cannot be written.
    pub fn advance(&self, seconds: i64) -> Result<i64> {
        let ahead = self.ahead.fetch_add(seconds, Ordering::Relaxed) + seconds;
        self.file
            .write_all_at(&ahead.to_ne_bytes(), 0)
            .map_err(Error::io("move a clock"))?;
        Ok(ahead)
    }

    /// What a program needs in its environment to go by this clock.
    #[must_use]
    pub fn environment(&self) -> [(&'static str, String); 2] {
        [
            ("LD_PRELOAD", self.library.to_string_lossy().into_owned()),
            ("MOVED_CLOCK", self.path.to_string_lossy().into_owned()),
        ]
    }
}

/// Gets the folder with the library.
pub(crate) fn ensure() -> Result<PathBuf> {
    let stamp = include_str!("../parts/clock/moved_clock.c");
    store::ensure(PART, stamp, "a second of cc", |workshop| {
        let mut cc = command("cc");
        cc.args(["-O2", "-Wall", "-Werror", "-shared", "-fPIC", "-o"])
            .arg(workshop.folder.join(LIBRARY))
            .arg(recipe(PART).join("moved_clock.c"));
        run("a clock to move", cc, &workshop.log, &mut workshop.progress)
    })
}
