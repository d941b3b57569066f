//! One run: a namespace, a Stripe with a clock, and an operator of its own; one operation after the other, the model
//! beside them, and what must hold.

mod act;
mod disturb;
mod packs;
mod rest;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use glyph_harness::{ControlPlane, Program, Service};

use super::check;
use super::model::Model;
use super::operation::{Level, Operation, Webhooks};
use super::seen::{Seen, Stripe, list};
use crate::resources;
use crate::world::Stage;
use glyph_crds::common::LocalRef;
use glyph_crds::{CreditPack, Grace};

/// The one customer of a run.
const CUSTOMER: &str = "ada";
/// The one pack.
const PACK: &str = "thousand";

/// Whether an operation could be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deed {
    Done,
    PassedOver,
}

/// How a run went.
#[derive(Default)]
pub(super) struct Ran {
    /// How often each kind of operation was done, and passed over.
    pub(super) counts: BTreeMap<&'static str, (usize, usize)>,
    /// After how many operations what was wrong; empty when nothing was.
    pub(super) broken: Option<(usize, Vec<String>)>,
    /// The end of the operator's log, if something was wrong.
    pub(super) log: String,
    pub(super) took: Duration,
    /// How long each rest took to come, and what was waited for last.
    pub(super) rests: Vec<(Duration, String)>,
}

/// A run under way.
struct Play<'a> {
    stage: Stage<'a>,
    operator: Service,
    model: Model,
    webhooks: Option<Webhooks>,
    /// Stripe may fail, or the operator may be away: nothing is waited for.
    disturbed: bool,
    rests: Vec<(Duration, String)>,
}

/// Does `operations`, up to the first thing that is wrong.
pub(super) async fn run(plane: &ControlPlane, operations: &[Operation]) -> Result<Ran> {
    let begun = Instant::now();
    let mut play = Play::begin(plane).await?;
    let mut ran = Ran::default();
    for (number, operation) in operations.iter().enumerate() {
        let (deed, wrong) = play
            .step(*operation)
            .await
            .with_context(|| format!("operation {}, {operation:?}", number + 1))?;
        let counts = ran.counts.entry(operation.kind()).or_default();
        match deed {
            Deed::Done => counts.0 += 1,
            Deed::PassedOver => counts.1 += 1,
        }
        if !wrong.is_empty() {
            ran.log = tail(&play.operator.log());
            ran.broken = Some((number + 1, wrong));
            break;
        }
    }
    ran.took = begun.elapsed();
    ran.rests = play.rests;
    Ok(ran)
}

impl<'a> Play<'a> {
    /// A world with everything on sale, a customer, and an operator at work.
    async fn begin(plane: &'a ControlPlane) -> Result<Self> {
        let stage = Stage::start_movable(plane, "chaos").await?;
        stage
            .create(&resources::free_tier(resources::DEFAULT_TIER, None))
            .await?;
        for level in Level::ALL {
            let mut tier = resources::paid_tier(level.name());
            if let Some(price) = &mut tier.spec.price {
                price.amount = level.amount();
            }
            tier.spec.grace = level.grace().map(|(days, lower)| Grace {
                days,
                degrade_to: lower.map(|lower| LocalRef {
                    name: lower.name().to_owned(),
                }),
            });
            stage.create(&tier).await?;
        }
        let pack: CreditPack = resources::credit_pack(PACK, super::model::PACK.0)?;
        stage.create(&pack).await?;
        stage
            .create(&resources::customer(CUSTOMER, &stage.email(CUSTOMER)))
            .await?;
        let settings = stage
            .operator_settings()
            // The killed operator's lease is waited for.
            .set("GLYPH_LEASE_DURATION", "2")
            .set("GLYPH_EVENT_SWEEP", "1")
            .set("GLYPH_CREDITS_CHECKPOINT", "1")
            .set("STRIPE_MAX_REQUESTS_PER_SECOND", "200");
        let operator = Service::start(Program::Operator, settings).await?;
        let model = Model::new(stage.stripe.control().now());
        Ok(Self {
            stage,
            operator,
            model,
            webhooks: None,
            disturbed: false,
            rests: Vec::new(),
        })
    }

    /// Does one operation, and gives what is wrong then.
    async fn step(&mut self, operation: Operation) -> Result<(Deed, Vec<String>)> {
        if operation == Operation::Settle {
            return Ok((Deed::Done, self.rest().await?));
        }
        let deed = self.act(operation).await?;
        if deed == Deed::Done {
            self.model.take(operation);
        }
        let seen = Seen {
            // Grants first: money is there before its credits.
            grants: list(&self.stage).await?,
            stripe: Stripe::of(&self.stage),
            ..Seen::default()
        };
        Ok((deed, check::never(&seen)))
    }
}

fn tail(log: &str) -> String {
    let lines: Vec<_> = log.lines().collect();
    lines[lines.len().saturating_sub(60)..].join("\n")
}
