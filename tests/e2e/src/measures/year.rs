//! `year`: a year and more of a customer's life by the simulator's clock. After each step four places must say what
//! the table in [`steps`] says: Stripe, the resources' statuses, Redis' counters, and the answers through Envoy.
//!
//! Nothing is decided here: a step's deed is done as a person or the API's owner would do it, and what the four
//! places say is written as a line of text each, which is compared with the table.

mod deeds;
mod look;
mod place;
mod steps;

use std::time::Duration;

use anyhow::{Context as _, Result};
use glyph_harness::{ControlPlane, poll_until};
use serde_json::json;

use crate::report::{Report, Table};
use crate::story::Story;
use crate::world::{Wanted, World};
use look::Customer;
use place::Place;
use steps::{BEGINS, STEPS, Step};

/// What costs nothing: there the customer looks at what is left.
const ACCOUNT: &str = "/v1/account";
/// How long a place may take to say what it should; far above what it takes.
const DEADLINE: Duration = Duration::from_secs(30);
/// The heading of the table.
const COLUMNS: [&str; 6] = ["when", "what", "Stripe", "in force", "requests", ""];

/// Settings of the measure.
#[derive(Clone, Debug, clap::Args)]
pub struct Year {
    /// How many of the steps, from the first on; all if not said.
    #[arg(long)]
    pub steps: Option<usize>,
}

/// What came of a step.
struct Outcome {
    stripe: String,
    in_force: String,
    requests: String,
    /// What is otherwise than the table says, a sentence each.
    differences: Vec<String>,
}

impl Year {
    /// Takes the measure.
    ///
    /// # Errors
    /// When the parts cannot be had, or a step cannot be taken at all.
    pub async fn take(&self) -> Result<Report> {
        let mut story = Story::aside();
        let plane = ControlPlane::shared().await?;
        let wanted = Wanted::gateways(1).movable().free_path(ACCOUNT);
        let world = World::start(plane, "year", wanted).await?;
        world.pass_time(world.seconds_until(BEGINS)?)?;
        deeds::put_on_sale(&world).await?;
        story.tell("everything runs, and the API is on sale");
        self.play(&world, &mut story).await
    }

    /// Takes the steps one after the other.
    async fn play(&self, world: &World<'_>, story: &mut Story) -> Result<Report> {
        let mut customer = Customer::default();
        let mut table = Table::new(&COLUMNS);
        let mut broken = Vec::new();
        let (mut steps, mut differed) = (0, 0);
        for step in STEPS.iter().take(self.steps.unwrap_or(usize::MAX)) {
            let taken = take(step, world, &mut customer).await;
            let outcome = taken.with_context(|| format!("{}: {}", step.on, step.what))?;
            story.tell(&format!("{}  {}", step.on, step.what));
            steps += 1;
            differed += usize::from(!outcome.differences.is_empty());
            table.row(outcome.cells(step));
            for difference in outcome.differences {
                story.show(&difference);
                broken.push(difference);
            }
        }
        Ok(Report {
            table,
            json: json!({"steps": steps, "differed": differed}),
            broken,
        })
    }
}

impl Outcome {
    /// The row of the table.
    fn cells<'a>(&'a self, step: &Step) -> [&'a str; 6] {
        let same = if self.differences.is_empty() {
            "same"
        } else {
            "DIFFERS"
        };
        let [stripe, in_force, requests] = [&self.stripe, &self.in_force, &self.requests];
        [step.on, step.what, stripe, in_force, requests, same]
    }
}

/// Lets time pass up to the step, does its deed, and looks everywhere.
async fn take(step: &Step, world: &World<'_>, customer: &mut Customer) -> Result<Outcome> {
    let ahead = world.seconds_until(step.on)?;
    if ahead > 0 {
        world.at_rest().await?;
        world.pass_time(ahead)?;
    }
    deeds::perform(&step.deed, world, customer).await?;
    let mut seen = Vec::new();
    let mut agree = async |place: Place, expected: &str, customer: &Customer| -> Result<String> {
        let last = agreed(place, expected, world, customer).await?;
        if last != expected {
            seen.push(format!(
                "{}, {}: {place} should say {expected:?}, and says {last:?}",
                step.on, step.what
            ));
        }
        Ok(last)
    };
    let stripe = agree(Place::Stripe, step.stripe, customer).await?;
    let in_force = agree(Place::Envoy, step.in_force, customer).await?;
    let requests = customer.ask(world, step.asks).await?;
    agree(Place::Kubernetes, step.kubernetes, customer).await?;
    agree(Place::Redis, step.redis, customer).await?;
    // Once more: what was there for a moment only does not count.
    agree(Place::Stripe, step.stripe, customer).await?;
    if requests != step.requests {
        let (on, what, expected) = (step.on, step.what, step.requests);
        seen.push(format!(
            "{on}, {what}: requests should come to {expected:?}, and come to {requests:?}"
        ));
    }
    Ok(Outcome {
        stripe,
        in_force,
        requests,
        differences: seen,
    })
}

/// What a place says once it says what is expected, or at the deadline.
async fn agreed(
    place: Place,
    expected: &str,
    world: &World<'_>,
    customer: &Customer,
) -> Result<String> {
    let mut last = Ok(String::new());
    let agreed = poll_until("a place to say what it should", DEADLINE, async || {
        last = customer.look(place, world).await;
        matches!(&last, Ok(said) if said == expected).then_some(())
    });
    // In vain: then the last that was said is what counts.
    let _ = agreed.await;
    last.with_context(|| format!("failed to look at {place}"))
}
