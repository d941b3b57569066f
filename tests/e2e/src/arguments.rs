//! What the programs have in common: command lines as cargo's aliases pass them on, and how they end.

use std::ffi::OsString;
use std::process::ExitCode;

/// The arguments of this process without a `--` in front: `cargo demo --stay` and `cargo demo -- --stay` are
/// the same.
pub fn of_this_process() -> impl Iterator<Item = OsString> {
    without_separator(std::env::args_os())
}

/// Success when every promise was kept. An error is said in one sentence, never as a backtrace.
#[expect(
    clippy::print_stderr,
    reason = "the last words of a program, for its two mains"
)]
pub fn exit_code(kept: anyhow::Result<bool>) -> ExitCode {
    match kept {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn without_separator(arguments: impl Iterator<Item = OsString>) -> impl Iterator<Item = OsString> {
    arguments
        .enumerate()
        .filter(|(place, argument)| *place != 1 || argument != "--")
        .map(|(_, argument)| argument)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_separator_in_front_is_dropped() {
        let given = |line: &str| {
            without_separator(line.split(' ').map(OsString::from))
                .collect::<Vec<_>>()
                .join(" ".as_ref())
        };
        assert_eq!(given("demo -- --stay"), "demo --stay");
        assert_eq!(given("demo --stay"), "demo --stay");
        assert_eq!(given("measure kill -- x"), "measure kill -- x");
    }
}
