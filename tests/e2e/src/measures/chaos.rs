//! `chaos`: drawn operations on the real parts, against a model: customers subscribe, change their mind, pay and do not,
//! people refund, dispute and edit in Stripe, time passes, Stripe fails, webhooks are lost, the operator is killed. What
//! may never be is looked for after each operation, and everything else whenever all came to rest.

mod check;
mod found;
mod model;
mod operation;
mod run;
mod seen;
mod sequence;

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use futures::{StreamExt as _, stream};
use glyph_harness::{ControlPlane, service};
use serde_json::json;

use super::draw::draw_seed;
use crate::report::{Report, Table};
use crate::story::Story;
use found::FOUND;
use operation::Operation;
use run::{Ran, run};

/// Settings of the measure.
#[derive(Clone, Debug, clap::Args)]
pub struct Chaos {
    /// How many sequences are drawn and run.
    #[arg(long, default_value_t = 60)]
    pub runs: usize,
    /// How many operations each has.
    #[arg(long, default_value_t = 30)]
    pub steps: usize,
    /// What they are drawn from; printed at the start. Default: a new one each time.
    #[arg(long)]
    pub seed: Option<u64>,
    /// How many run side by side.
    #[arg(long, default_value_t = 4)]
    pub lanes: usize,
    /// Only the run with this number (from 1), and nothing that was found before.
    #[arg(long)]
    pub run: Option<usize>,
    /// After a failure, operations are left out one by one, as long as it fails in the same way.
    #[arg(long)]
    pub shrink: bool,
}

/// A rest that takes longer to come is told of.
const LONG: Duration = Duration::from_secs(10);

/// A sequence to run.
#[derive(Clone, Debug)]
struct Sequence {
    name: String,
    /// It is drawn, not found before.
    drawn: bool,
    operations: Vec<Operation>,
}

impl Chaos {
    /// Takes the measure.
    ///
    /// # Errors
    /// When the parts cannot be had, or nothing can be drawn.
    pub async fn take(&self) -> Result<Report> {
        let mut story = Story::aside();
        let seed = self.seed.map_or_else(draw_seed, Ok)?;
        story.tell(&format!(
            "seed {seed}: --seed {seed} draws the same operations again"
        ));
        service::binaries().await?;
        let plane = ControlPlane::shared().await?;
        let sequences = self.sequences(seed)?;
        let all = sequences.len();
        let mut running = stream::iter(sequences)
            .map(|sequence| async move { (run(plane, &sequence.operations).await, sequence) })
            .buffer_unordered(self.lanes.max(1));
        let (mut tally, mut failed) = (Tally::default(), Vec::new());
        while let Some((ran, sequence)) = running.next().await {
            tally.runs += 1;
            let took = ran
                .as_ref()
                .map_or(Duration::ZERO, |ran| ran.took)
                .as_secs_f32();
            let rests = ran.iter().flat_map(|ran| &ran.rests);
            for (rest, waited_for) in rests.filter(|(rest, _)| *rest > LONG) {
                let (name, rest) = (&sequence.name, rest.as_secs_f32());
                story.show(&format!(
                    "{name}: a rest took {rest:.1} s: {waited_for}\n{:?}",
                    sequence.operations
                ));
            }
            let wrong = tally.add(ran, &sequence);
            if let Some(wrong) = &wrong {
                story.show(wrong);
                failed.push(sequence.clone());
            }
            let (number, bad) = (tally.runs, tally.broken.len());
            story.tell(&format!(
                "{number} of {all}: {} in {took:.1} s; {bad} not kept",
                sequence.name
            ));
        }
        drop(running);
        if self.shrink {
            for Sequence {
                name, operations, ..
            } in failed
            {
                let shrunk = shrink(plane, operations, &mut story).await?;
                story.tell(&format!("{name}, shrunk: {shrunk:?}"));
            }
        }
        Ok(tally.report(self))
    }

    /// What was found before, and what is drawn.
    fn sequences(&self, seed: u64) -> Result<Vec<Sequence>> {
        let mut all = Vec::new();
        if self.run.is_none() {
            let found = FOUND.iter();
            all.extend(found.map(|(what, operations)| Sequence {
                name: format!("found: {what}"),
                drawn: false,
                operations: operations.to_vec(),
            }));
        }
        for run in 1..=self.runs.max(self.run.unwrap_or_default()) {
            if self.run.is_none_or(|only| only == run) {
                all.push(Sequence {
                    name: format!("seed {seed}, run {run}"),
                    drawn: true,
                    operations: sequence::draw(seed, run, self.steps)?,
                });
            }
        }
        Ok(all)
    }
}

/// Leaves out what the failure does not need, one operation at a time.
async fn shrink(
    plane: &ControlPlane,
    mut operations: Vec<Operation>,
    story: &mut Story,
) -> Result<Vec<Operation>> {
    let mut at = operations.len();
    while at > 0 {
        at -= 1;
        let mut fewer = operations.clone();
        fewer.remove(at);
        let ran = run(plane, &fewer).await?;
        if let Some((after, wrong)) = ran.broken {
            fewer.truncate(after);
            at = at.min(fewer.len());
            operations = fewer;
            story.tell(&format!(
                "{} operations left: {}",
                operations.len(),
                wrong.join("; ")
            ));
        }
    }
    Ok(operations)
}

/// What all runs came to.
#[derive(Default)]
struct Tally {
    runs: usize,
    /// Of them, those that were drawn; and their operations.
    drawn: usize,
    steps: usize,
    counts: BTreeMap<&'static str, (usize, usize)>,
    broken: Vec<String>,
}

impl Tally {
    /// Takes a run; what was wrong, at length.
    fn add(&mut self, ran: Result<Ran>, sequence: &Sequence) -> Option<String> {
        let Sequence {
            name,
            drawn,
            operations,
        } = sequence;
        let (after, wrong, log) = match ran {
            Err(error) => (operations.len(), vec![format!("{error:#}")], String::new()),
            Ok(ran) => {
                for (kind, (done, passed_over)) in ran.counts {
                    let counts = self.counts.entry(kind).or_default();
                    *counts = (counts.0 + done, counts.1 + passed_over);
                }
                let (after, wrong) = ran.broken.unwrap_or((operations.len(), Vec::new()));
                (after, wrong, ran.log)
            }
        };
        let steps = operations[..after]
            .iter()
            .filter(|one| **one != Operation::Settle)
            .count();
        if *drawn {
            (self.drawn, self.steps) = (self.drawn + 1, self.steps + steps);
        }
        if wrong.is_empty() {
            return None;
        }
        let (wrong, done) = (wrong.join("\n  "), &operations[..after]);
        let sentence = format!("{name}, after {steps} operations:\n  {wrong}\n  {done:?}");
        self.broken.push(sentence.clone());
        Some(format!("{sentence}\n{log}"))
    }

    fn report(self, settings: &Chaos) -> Report {
        let mut table = Table::new(&["operation", "done", "passed over"]);
        for (kind, (done, passed_over)) in &self.counts {
            table.row([
                (*kind).to_owned(),
                done.to_string(),
                passed_over.to_string(),
            ]);
        }
        let found = if settings.run.is_none() {
            FOUND.len()
        } else {
            0
        };
        table.row(["sequences found before".to_owned(), found.to_string()]);
        let json =
            json!({"runs": self.drawn, "steps": self.steps, "violations": self.broken.len()});
        Report {
            table,
            json,
            broken: self.broken,
        }
    }
}
