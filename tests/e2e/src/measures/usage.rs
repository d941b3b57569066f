//! `usage`: what was counted and given back, against what was sent: 10,000 calls of a known mix through an Envoy before
//! two sidecars, one of which is killed among them.

mod load;
mod mix;
mod place;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use glyph_harness::{ControlPlane, poll_until};
use serde_json::json;

use self::load::{Ended, Load};
use self::mix::Mix;
use self::place::Place;
use super::draw::{Draw, draw_seed};
use crate::report::{Report, Table};
use crate::story::Story;

/// How long before the kill a call must have ended to be safe: a second between two writes (the default), one in Envoy's
/// buffer, and one for what is under way.
const BEFORE: Duration = Duration::from_secs(3);
/// How long after the kill Envoy may still send to the one that is gone: a buffer's second, and one until it knows.
const AFTER: Duration = Duration::from_secs(2);
/// How long the last of what was counted may take.
const SETTLED: Duration = Duration::from_secs(20);

/// Settings of the measure.
#[derive(Clone, Debug, clap::Args)]
pub struct Usage {
    /// How many calls.
    #[arg(long, default_value_t = 10_000)]
    pub calls: usize,
    /// How many customers, with two keys each.
    #[arg(long, default_value_t = 4)]
    pub customers: usize,
    /// How many clients ask at once.
    #[arg(long, default_value_t = 16)]
    pub clients: usize,
    /// Draws the same calls again.
    #[arg(long)]
    pub seed: Option<u64>,
    /// Leave both sidecars alive.
    #[arg(long)]
    pub no_kill: bool,
}

/// Requests by customer, then by key, endpoint and class.
type Lines = BTreeMap<(String, String), u64>;

/// What came of the run.
struct Came {
    sent: Lines,
    counted: Lines,
    /// Calls and credits: what the calls that were let through have taken, what of it has to be given back, and what
    /// stands as used.
    taken: u64,
    due_back: u64,
    used: u64,
    /// Calls, and units of those that were to be given back, that a kill may lose.
    bound: u64,
    bound_units: u64,
    /// Tries that came to no decision, and what they cost: each may have been counted.
    undecided: u64,
    undecided_units: u64,
}

impl Usage {
    /// Takes the measure.
    ///
    /// # Errors
    /// When the parts cannot be had, or a call comes to no decision at all.
    pub async fn take(&self) -> Result<Report> {
        let mut story = Story::aside();
        let seed = self.seed.map_or_else(draw_seed, Ok)?;
        let plane = ControlPlane::shared().await?;
        let place = Place::set(plane, self.customers).await?;
        story.tell(&format!("everything runs; the seed is {seed}"));
        let used_before = place.used().await?;
        let calls = Mix::drawn(&mut Draw::new(seed), self.calls, &place.keys);
        let load = Load::new(&place, calls);
        let clients = load::run(&load, self.clients);
        let kill = self.kill(&place, &load, &mut story);
        let (ended, killed) = tokio::try_join!(clients, kill)?;
        story.tell("every call has ended");
        let sent = sent(&ended);
        let counted = settled(&place, &sent).await?;
        story.tell("what was counted has come to rest");
        let used = place.used().await? - used_before;
        let came = Came::of(&ended, killed, (sent, counted), used);
        Ok(came.report(seed))
    }

    /// Kills the sidecar that the log goes to when two fifths have been asked, and starts it again at three. When that was.
    async fn kill(
        &self,
        place: &Place<'_>,
        load: &Load,
        story: &mut Story,
    ) -> Result<Option<Instant>> {
        if self.no_kill {
            return Ok(None);
        }
        load.until_begun(self.calls * 2 / 5).await;
        let (sidecar, told) = place.told_most().await?;
        sidecar.kill();
        let killed = Instant::now();
        story.tell(&format!(
            "one of two sidecars is killed, the one that was told of more calls: {told}"
        ));
        load.until_begun(self.calls * 3 / 5).await;
        sidecar.start_again().await?;
        story.tell("it is back");
        Ok(Some(killed))
    }
}

fn sent(ended: &[Ended]) -> Lines {
    let mut lines = Lines::new();
    for call in ended {
        let line = (call.customer.clone(), call.line());
        *lines.entry(line).or_default() += 1;
    }
    lines
}

/// What was counted, once it is what was sent, or nothing more comes.
async fn settled(place: &Place<'_>, sent: &Lines) -> Result<Lines> {
    let same = async || {
        let counted = place.counted().await.ok()?;
        (counted == *sent).then_some(counted)
    };
    match poll_until("all that was sent", SETTLED, same).await {
        Ok(counted) => Ok(counted),
        Err(_) => place
            .counted()
            .await
            .context("failed to look up what was counted"),
    }
}

impl Came {
    fn of(
        ended: &[Ended],
        killed: Option<Instant>,
        (sent, counted): (Lines, Lines),
        used: u64,
    ) -> Self {
        let may_be_lost = |call: &&Ended| {
            killed.is_some_and(|killed| killed <= call.at + BEFORE && call.at <= killed + AFTER)
        };
        let units = |calls: &mut dyn Iterator<Item = &Ended>| calls.map(|call| call.cost).sum();
        let undecided: u64 = ended.iter().map(|call| call.undecided).sum();
        Self {
            sent,
            counted,
            taken: units(&mut ended.iter().filter(|call| call.took)),
            due_back: units(&mut ended.iter().filter(|call| call.is_given_back)),
            used,
            bound: ended.iter().filter(may_be_lost).count() as u64,
            bound_units: units(&mut ended.iter().filter(may_be_lost).filter(|c| c.is_given_back)),
            undecided,
            undecided_units: ended.iter().map(|call| call.undecided * call.cost).sum(),
        }
    }

    fn report(self, seed: u64) -> Report {
        let mut table = Table::new(&["customer", "key, endpoint, ended", "sent", "counted"]);
        let (mut lost, mut doubled) = (0, 0);
        let lines: std::collections::BTreeSet<_> =
            self.sent.keys().chain(self.counted.keys()).collect();
        for line in lines {
            let of = |lines: &Lines| lines.get(line).copied().unwrap_or(0);
            let (sent, counted) = (of(&self.sent), of(&self.counted));
            lost += sent.saturating_sub(counted);
            doubled += counted.saturating_sub(sent);
            let (customer, line) = line;
            table.row([customer, line, &sent.to_string(), &counted.to_string()]);
        }
        let due = self.taken - self.due_back;
        let kept = self.used.saturating_sub(due);
        let over = due.saturating_sub(self.used);
        let mut broken = Vec::new();
        let mut promise = |kept: bool, sentence: String| {
            if !kept {
                broken.push(sentence);
            }
        };
        let bound = self.bound;
        promise(
            lost <= bound,
            format!("{lost} calls are lost, more than the {bound} that a kill may lose"),
        );
        promise(
            doubled == 0,
            format!("{doubled} calls are counted that were not sent"),
        );
        promise(
            over == 0,
            format!("{over} more were given back than failed calls took"),
        );
        let may_keep = self.bound_units + self.undecided_units;
        promise(
            kept <= may_keep,
            format!("{kept} are not given back, more than the {may_keep} that may be"),
        );
        let sum = |lines: &Lines| lines.values().sum::<u64>();
        Report {
            table,
            json: json!({
                "sent": sum(&self.sent), "counted": sum(&self.counted), "lost": lost, "doubled": doubled, "bound": bound,
                "units": {"taken": self.taken, "due_back": self.due_back,
                    "given_back": self.taken.saturating_sub(self.used), "not_given_back": kept, "given_back_twice": over,
                    "bound": may_keep},
                "undecided": self.undecided, "seed": seed,
            }),
            broken,
        }
    }
}
