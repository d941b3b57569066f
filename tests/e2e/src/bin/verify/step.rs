//! One step: a cargo command, its output on the terminal as it comes.

use std::io::{self, BufRead as _, BufReader};
use std::process::{Command, ExitStatus, Stdio};

use glyph_harness::cargo;

use super::tally::Tally;

/// A cargo command that must succeed.
pub(super) struct Step {
    /// What it is called in the table at the end.
    pub(super) name: &'static str,
    /// The arguments to cargo.
    pub(super) args: &'static [&'static str],
    /// Whether its output counts tests; otherwise the step itself counts as one.
    pub(super) counts_tests: bool,
}

impl Step {
    /// Runs it to its end.
    pub(super) fn run(&self) -> Tally {
        let mut seen = Tally::default();
        let ended = self.stream(|line| seen = seen + Tally::in_line(line));
        let succeeded = match ended {
            Ok(status) => status.success(),
            Err(error) => {
                println!("failed to run cargo {}: {error}", self.args.join(" "));
                false
            }
        };
        if self.counts_tests {
            seen.with_end(succeeded)
        } else {
            Tally::of_step(succeeded)
        }
    }

    /// Runs the command, passing its standard output on line by line.
    fn stream(&self, mut each: impl FnMut(&str)) -> io::Result<ExitStatus> {
        let mut cargo = Command::new(cargo::program());
        cargo::forget_package(&mut cargo);
        cargo
            .args(self.args)
            .current_dir(glyph_harness::workspace_root())
            .stdin(Stdio::null());
        let mut child = cargo.stdout(Stdio::piped()).spawn()?;
        if let Some(stdout) = child.stdout.take() {
            for line in BufReader::new(stdout).split(b'\n') {
                let line = line?;
                let line = String::from_utf8_lossy(&line);
                println!("{line}");
                each(&line);
            }
        }
        child.wait()
    }
}
