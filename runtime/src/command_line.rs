//! A program's command line: its settings, or a subcommand that needs none of them.

use std::ffi::OsString;

use clap::{Command, Parser, Subcommand};

/// What a command line asks for.
#[derive(Debug)]
pub enum Asked<S, O> {
    /// That the program runs, with these settings.
    Run(Box<S>),
    /// Something else, once.
    Once(O),
}

impl<S: Parser, O: Subcommand> Asked<S, O> {
    /// Reads the process' command line; ends the process with a sentence where it is wrong.
    #[must_use]
    pub fn parse() -> Self {
        Self::try_parse_from(std::env::args_os()).unwrap_or_else(|error| error.exit())
    }

    /// Reads `line`, which begins with the program's name.
    ///
    /// # Errors
    /// When it is wrong, or asks for help or the version: the error holds what to show.
    pub fn try_parse_from<L>(line: L) -> Result<Self, clap::Error>
    where
        L: IntoIterator<Item: Into<OsString> + Clone>,
    {
        let matches = Self::command().try_get_matches_from(line)?;
        if matches.subcommand().is_some() {
            O::from_arg_matches(&matches).map(Self::Once)
        } else {
            S::from_arg_matches(&matches).map(|settings| Self::Run(Box::new(settings)))
        }
    }

    /// The settings' flags, and the subcommands, with which none of those flags is asked for or taken.
    fn command() -> Command {
        // Put in by themselves: what is said of all of them would take the place of what is said of the program.
        let subcommands = O::augment_subcommands(Command::new("subcommands"));
        S::command()
            .subcommands(subcommands.get_subcommands().cloned())
            .subcommand_negates_reqs(true)
            .args_conflicts_with_subcommands(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Shows things.
    ///
    /// It takes its time.
    #[derive(Debug, Parser)]
    struct Settings {
        #[arg(long)]
        needed: String,
    }

    /// What it does on the side.
    #[derive(Debug, Subcommand)]
    enum Errand {
        Look { what: String },
    }

    fn asked(line: &[&str]) -> Result<Asked<Settings, Errand>, clap::Error> {
        Asked::try_parse_from([&["program"], line].concat())
    }

    #[test]
    fn without_a_subcommand_the_program_runs_and_has_all_it_needs() {
        Asked::<Settings, Errand>::command().debug_assert();
        let run = asked(&["--needed=x"]).unwrap();
        assert!(matches!(run, Asked::Run(settings) if settings.needed == "x"));
        let lacking = asked(&[]).unwrap_err().to_string();
        assert!(lacking.contains("--needed"), "{lacking}");
    }

    #[test]
    fn help_says_what_the_program_is() {
        let short = asked(&["-h"]).unwrap_err().to_string();
        assert!(short.starts_with("Shows things\n"), "{short}");
        let long = asked(&["--help"]).unwrap_err().to_string();
        assert!(long.contains("It takes its time."), "{long}");
    }

    #[test]
    fn a_subcommand_needs_no_setting_and_takes_none() {
        let Asked::Once(Errand::Look { what }) = asked(&["look", "here"]).unwrap() else {
            panic!("not taken for a subcommand");
        };
        assert_eq!(what, "here");
        assert!(asked(&["--needed=x", "look", "here"]).is_err());
    }
}
