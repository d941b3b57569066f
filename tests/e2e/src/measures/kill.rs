//! `kill`: the operator dies at every one of its outgoing calls, before the call is forwarded or before its
//! answer comes back; started again, it must come to the same end, with nothing twice and nothing left over.

mod point;
mod run;

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use clap::ValueEnum as _;
use futures::{StreamExt as _, stream};
use glyph_harness::{ControlPlane, service};
use serde_json::json;

use super::draw::draw_seed;
use crate::flow::{End, Flow, difference};
use crate::report::{Report, Table};
use crate::story::Story;
use point::Point;

/// Settings of the measure.
#[derive(Clone, Debug, clap::Args)]
pub struct Kill {
    /// Every call of every flow. Without it: every call of the shortest flow and a drawn tenth of the others.
    #[arg(long)]
    pub all: bool,
    /// What the tenth is drawn from; printed at the start. Default: a new one each time.
    #[arg(long)]
    pub seed: Option<u64>,
    /// Only this flow.
    #[arg(long)]
    pub flow: Option<Flow>,
    /// Only the call with this number (from 1).
    #[arg(long)]
    pub call: Option<usize>,
    /// How many operators are killed side by side.
    #[arg(long, default_value_t = 4)]
    pub lanes: usize,
}

/// What the points of one flow came to.
#[derive(Default)]
struct Tally {
    calls: usize,
    points: usize,
    unreached: usize,
    duplicates: usize,
    leaks: usize,
    diverged: usize,
}

impl Kill {
    /// Takes the measure.
    ///
    /// # Errors
    /// When the parts cannot be had, or a flow does not come to its end without any kill.
    pub async fn take(&self) -> Result<Report> {
        let mut story = Story::aside();
        let seed = self.seed.map_or_else(draw_seed, Ok)?;
        story.tell(&format!(
            "seed {seed}: --seed {seed} draws the same calls again"
        ));
        service::binaries().await?;
        let plane = ControlPlane::shared().await?;
        let (mut tallies, mut broken) = (BTreeMap::new(), Vec::new());
        for flow in Flow::value_variants().iter().copied() {
            if self.flow.is_none_or(|only| only == flow) {
                let tally = self
                    .take_flow(plane, flow, seed, &mut story, &mut broken)
                    .await?;
                tallies.insert(flow, tally);
            }
        }
        Ok(report(&tallies, broken))
    }

    async fn take_flow(
        &self,
        plane: &ControlPlane,
        flow: Flow,
        seed: u64,
        story: &mut Story,
        broken: &mut Vec<String>,
    ) -> Result<Tally> {
        let undisturbed = run::run(plane, flow, None).await;
        let undisturbed =
            undisturbed.with_context(|| format!("the {flow} flow fails without any kill"))?;
        let faults = undisturbed.end.faults();
        ensure!(
            faults.is_empty(),
            "the {flow} flow ends badly without any kill: {faults:?}\n{}",
            undisturbed.end.text
        );
        let calls = undisturbed.calls;
        let points = self.points(flow, calls, seed);
        story.tell(&format!(
            "the {flow} flow makes {calls} calls; {} kills to come",
            points.len()
        ));
        let mut tally = Tally {
            calls,
            ..Tally::default()
        };
        let mut runs = stream::iter(points)
            .map(|point| async move { (point, run::run(plane, flow, Some(point)).await) })
            .buffer_unordered(self.lanes.max(1));
        while let Some((point, run)) = runs.next().await {
            let before = broken.len();
            tally.add(flow, point, run, &undisturbed.end, broken);
            broken[before..].iter().for_each(|what| story.tell(what));
            if tally.points.is_multiple_of(10) {
                let (points, wrong) = (tally.points, broken.len());
                story.tell(&format!("{flow}: {points} kills, {wrong} not kept"));
            }
        }
        Ok(tally)
    }

    fn points(&self, flow: Flow, calls: usize, seed: u64) -> Vec<Point> {
        let all = Point::all(calls);
        if let Some(call) = self.call {
            return all.into_iter().filter(|point| point.call == call).collect();
        }
        if self.all || flow == Flow::Shortest {
            all
        } else {
            point::a_tenth(all, seed)
        }
    }
}

impl Tally {
    fn add(
        &mut self,
        flow: Flow,
        point: Point,
        run: Result<run::Run>,
        wanted: &End,
        broken: &mut Vec<String>,
    ) {
        self.points += 1;
        let mut say =
            |at: &str, what: String| broken.push(format!("{flow}, killed {point}{at}: {what}"));
        let run = match run {
            Ok(run) => run,
            Err(error) => {
                self.diverged += 1;
                say("", format!("{error:#}"));
                return;
            }
        };
        let Some(call) = &run.killed_at else {
            // This time it needed fewer calls; nobody was killed.
            self.unreached += 1;
            self.points -= 1;
            return;
        };
        let at = format!(" ({:?} {} {})", call.callee, call.method, call.what);
        self.duplicates += run.end.duplicates.len();
        self.leaks += run.end.leaks.len();
        for fault in run.end.faults() {
            say(&at, fault);
        }
        if run.end.text != wanted.text {
            self.diverged += 1;
            let differs = difference(&wanted.text, &run.end.text);
            say(&at, format!("another end state:\n{differs}"));
        }
    }
}

fn report(tallies: &BTreeMap<Flow, Tally>, broken: Vec<String>) -> Report {
    let mut table = Table::new(&[
        "flow",
        "calls",
        "kills",
        "not reached",
        "duplicates",
        "leaks",
        "diverged",
    ]);
    for (flow, tally) in tallies {
        let Tally {
            calls,
            points,
            unreached,
            duplicates,
            leaks,
            diverged,
        } = tally;
        let figures =
            [calls, points, unreached, duplicates, leaks, diverged].map(ToString::to_string);
        table.row([vec![flow.to_string()], figures.to_vec()].concat());
    }
    let sum = |figure: fn(&Tally) -> usize| tallies.values().map(figure).sum::<usize>();
    let json = json!({
        "points": sum(|tally| tally.points),
        "duplicates": sum(|tally| tally.duplicates),
        "leaks": sum(|tally| tally.leaks),
        "diverged": sum(|tally| tally.diverged),
    });
    Report {
        table,
        json,
        broken,
    }
}
