//! What a person at the terminal sees while a part is built or fetched: one line when it begins, one each
//! [`HEARTBEAT`] while it goes on, one when it is done, each with the seconds elapsed. Written to stderr
//! directly, so that `cargo test` shows it too.

use std::io::Write as _;
use std::time::{Duration, Instant};

/// How often a long step says that it goes on.
pub(crate) const HEARTBEAT: Duration = Duration::from_secs(15);

/// A step under way.
pub(crate) struct Progress {
    what: String,
    begun: Instant,
    spoken: Instant,
}

impl Progress {
    /// Says that `what` begins. `hint` tells how long it usually takes, or why it is done.
    pub(crate) fn begin(what: impl Into<String>, hint: &str) -> Self {
        let now = Instant::now();
        let progress = Self {
            what: what.into(),
            begun: now,
            spoken: now,
        };
        say(&format!("{} … ({hint})", progress.what));
        progress
    }

    /// Says what the step comes to next.
    pub(crate) fn step(&mut self, what: &str) {
        self.spoken = Instant::now();
        say(&format!(
            "{}: {what} … {} s",
            self.what,
            self.begun.elapsed().as_secs()
        ));
    }

    /// Says that the step goes on, if the last word is a heartbeat ago.
    pub(crate) fn tick(&mut self) {
        if self.spoken.elapsed() >= HEARTBEAT {
            self.spoken = Instant::now();
            say(&format!(
                "{} … {} s",
                self.what,
                self.begun.elapsed().as_secs()
            ));
        }
    }

    /// Says that the step is done, and how long it took.
    pub(crate) fn done(self) {
        say(&format!(
            "{}: done in {:.1} s",
            self.what,
            self.begun.elapsed().as_secs_f32()
        ));
    }
}

/// Writes one line for the person at the terminal.
pub fn say(line: &str) {
    // A closed stderr is no reason to fail a build.
    let _ = writeln!(std::io::stderr(), "[parts] {line}");
}
