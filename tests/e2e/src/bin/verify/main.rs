//! `cargo verify`: everything that must hold, in one command. It gets the real parts, then checks format,
//! clippy, generated files, all tests, the demo and the measures, and closes with `N passed, M failed` on a
//! line of its own, which counts tests and steps. It ends non-zero when anything failed; a step that fails does
//! not keep the later ones from running.
#![allow(
    clippy::print_stdout,
    reason = "a program speaks on its standard output"
)]

mod step;
mod tally;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use step::Step;
use tally::Tally;

/// What is checked, quick ones first.
const STEPS: [Step; 18] = [
    Step {
        name: "format",
        args: &["fmt", "--all", "--check"],
        counts_tests: false,
    },
    Step {
        name: "generated files",
        args: &["run", "--bin", "crdgen", "--", "--check"],
        counts_tests: false,
    },
    Step {
        name: "the chart's README",
        args: &["run", "--bin", "chartdocs", "--", "--check"],
        counts_tests: false,
    },
    Step {
        name: "clippy",
        args: &[
            "clippy",
            "--workspace",
            "--all-targets",
            "--",
            "-D",
            "warnings",
        ],
        counts_tests: false,
    },
    Step {
        name: "images",
        args: &["image"],
        counts_tests: false,
    },
    Step {
        name: "tests",
        args: &["test", "--workspace", "--no-fail-fast"],
        counts_tests: true,
    },
    Step {
        name: "demo",
        args: &["demo"],
        counts_tests: false,
    },
    Step {
        name: "measure exact",
        args: &["measure", "exact"],
        counts_tests: false,
    },
    Step {
        name: "measure latency",
        args: &["measure", "latency"],
        counts_tests: false,
    },
    Step {
        name: "measure jwt",
        args: &["measure", "jwt"],
        counts_tests: false,
    },
    Step {
        name: "measure kill",
        args: &["measure", "kill"],
        counts_tests: false,
    },
    Step {
        name: "measure permutations",
        args: &["measure", "permutations"],
        counts_tests: false,
    },
    Step {
        name: "measure year",
        args: &["measure", "year"],
        counts_tests: false,
    },
    Step {
        name: "measure chaos",
        args: &["measure", "chaos"],
        counts_tests: false,
    },
    Step {
        name: "measure usage",
        args: &["measure", "usage"],
        counts_tests: false,
    },
    Step {
        name: "measure install",
        args: &["measure", "install"],
        counts_tests: false,
    },
    Step {
        name: "measure rollout",
        args: &["measure", "rollout"],
        counts_tests: false,
    },
    Step {
        name: "measure quiet",
        args: &[
            "measure",
            "quiet",
            "--customers",
            "100",
            "--gone",
            "10",
            "--outage",
            "20",
        ],
        counts_tests: false,
    },
];

/// How one step went.
struct Outcome {
    name: &'static str,
    tally: Tally,
    took: Duration,
}

#[tokio::main]
async fn main() -> ExitCode {
    let begun = Instant::now();
    let mut outcomes = vec![get_parts().await];
    outcomes.extend(STEPS.iter().map(|step| timed(step.name, || step.run())));
    println!(
        "\n{:<20} {:>7} {:>7} {:>8}",
        "step", "passed", "failed", "seconds"
    );
    for outcome in &outcomes {
        let Tally { passed, failed } = outcome.tally;
        println!(
            "{:<20} {passed:>7} {failed:>7} {:>8.1}",
            outcome.name,
            outcome.took.as_secs_f32()
        );
    }
    println!("in {:.0} s", begun.elapsed().as_secs_f32());
    let total = outcomes
        .iter()
        .fold(Tally::default(), |sum, outcome| sum + outcome.tally);
    println!("{total}");
    if total.failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

async fn get_parts() -> Outcome {
    println!("== parts");
    let begun = Instant::now();
    let got = glyph_harness::get_all().await;
    if let Err(error) = &got {
        println!("{error:?}");
    }
    Outcome {
        name: "parts",
        tally: Tally::of_step(got.is_ok()),
        took: begun.elapsed(),
    }
}

fn timed(name: &'static str, work: impl FnOnce() -> Tally) -> Outcome {
    println!("\n== {name}");
    let begun = Instant::now();
    let tally = work();
    Outcome {
        name,
        tally,
        took: begun.elapsed(),
    }
}
