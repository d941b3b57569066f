//! Counting what passed and what failed.

use std::fmt;
use std::ops::Add;

/// Tests and steps that passed and failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) passed: u64,
    pub(super) failed: u64,
}

impl Tally {
    /// A step that is one check.
    pub(super) fn of_step(succeeded: bool) -> Self {
        Self {
            passed: u64::from(succeeded),
            failed: u64::from(!succeeded),
        }
    }

    /// What a line of `cargo test` counts: "test result: ok. 4 passed; 0 failed; …"; any other line is nothing.
    pub(super) fn in_line(line: &str) -> Self {
        let Some(result) = line.strip_prefix("test result: ") else {
            return Self::default();
        };
        let before = |word: &str| {
            let (head, _) = result.split_once(word)?;
            head.split_whitespace().next_back()?.parse().ok()
        };
        Self {
            passed: before(" passed").unwrap_or(0),
            failed: before(" failed").unwrap_or(0),
        }
    }

    /// Counts a run that failed without a failed test (it did not compile, or crashed) as one failure.
    pub(super) fn with_end(self, succeeded: bool) -> Self {
        let silent = !succeeded && self.failed == 0;
        Self {
            failed: self.failed + u64::from(silent),
            ..self
        }
    }
}

impl Add for Tally {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            passed: self.passed + other.passed,
            failed: self.failed + other.failed,
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)
    }
}

#[cfg(test)]
mod tests {
    use super::Tally;

    #[test]
    fn result_lines_are_added_up_and_other_lines_are_not() {
        let output = "running 3 tests\n\
            test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n\
            12 passed, 3 failed\n\
            test result: ok. 14 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.00s\n";
        let total = output
            .lines()
            .map(Tally::in_line)
            .fold(Tally::default(), |sum, tally| sum + tally);
        assert_eq!(
            total,
            Tally {
                passed: 16,
                failed: 1
            }
        );
        assert_eq!(total.to_string(), "16 passed, 1 failed");
    }

    #[test]
    fn a_run_that_fails_without_a_failed_test_counts_as_a_failure() {
        let passed = Tally {
            passed: 5,
            failed: 0,
        };
        assert_eq!(passed.with_end(true), passed);
        assert_eq!(
            passed.with_end(false),
            Tally {
                passed: 5,
                failed: 1
            }
        );
        let failed = Tally {
            passed: 5,
            failed: 2,
        };
        assert_eq!(failed.with_end(false), failed);
    }
}
