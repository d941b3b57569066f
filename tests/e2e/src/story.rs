//! What a person at the terminal is told while something runs: one line a step, with the time since the start
//! and the time the step took.

use std::io::{self, Write as _};
use std::time::{Duration, Instant};

/// Where the lines go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Voice {
    /// Standard output: the lines are what the program is for.
    Aloud,
    /// Standard error: the lines accompany what the program is for.
    Aside,
}

/// A story under way.
pub struct Story {
    voice: Voice,
    begun: Instant,
    last: Instant,
}

impl Story {
    /// Begins a story on standard output.
    #[must_use]
    pub fn aloud() -> Self {
        Self::new(Voice::Aloud)
    }

    /// Begins a story on standard error.
    #[must_use]
    pub fn aside() -> Self {
        Self::new(Voice::Aside)
    }

    fn new(voice: Voice) -> Self {
        let now = Instant::now();
        Self {
            voice,
            begun: now,
            last: now,
        }
    }

    /// Says what has just been seen to happen, and when. What took long since the last line shows it.
    pub fn tell(&mut self, what: &str) {
        let now = Instant::now();
        let (total, step) = (now - self.begun, now - self.last);
        self.last = now;
        self.write(&format!(
            "{:6.1} s  {:>8}  {what}",
            total.as_secs_f32(),
            took(step)
        ));
    }

    /// Shows text as it is, indented: the output of a command, an address.
    pub fn show(&self, text: &str) {
        for line in text.trim_end().lines() {
            self.write(&format!("{:20}{line}", ""));
        }
    }

    fn write(&self, line: &str) {
        // A closed terminal is no reason to fail.
        let _ = match self.voice {
            Voice::Aloud => writeln!(io::stdout(), "{line}"),
            Voice::Aside => writeln!(io::stderr(), "{line}"),
        };
    }
}

fn took(step: Duration) -> String {
    match step.as_millis() {
        millis @ 0..1000 => format!("+{millis} ms"),
        _ => format!("+{:.1} s", step.as_secs_f32()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_steps_are_told_in_milliseconds_and_long_ones_in_seconds() {
        assert_eq!(took(Duration::from_millis(7)), "+7 ms");
        assert_eq!(took(Duration::from_millis(1250)), "+1.2 s");
    }
}
