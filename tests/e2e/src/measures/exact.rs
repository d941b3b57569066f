//! `exact`: the quota of a customer is exact, however many keys, clients and sidecars share it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context as _, Result, ensure};
use glyph_harness::ControlPlane;
use serde_json::json;
use tokio::task::JoinSet;

use crate::caller::{Caller, code};
use crate::report::{Report, Table};
use crate::resources;
use crate::story::Story;
use crate::world::{Wanted, World};

/// Settings of the measure.
#[derive(Clone, Debug, clap::Args)]
pub struct Exact {
    /// How many customers.
    #[arg(long, default_value_t = 10)]
    pub customers: usize,
    /// How many keys each customer has.
    #[arg(long, default_value_t = 3)]
    pub keys: usize,
    /// How many clients ask at once.
    #[arg(long, default_value_t = 20)]
    pub clients: usize,
    /// The monthly quota of each customer, in requests.
    #[arg(long, default_value_t = 100)]
    pub quota: u64,
    /// How many sidecars, each with an Envoy of its own.
    #[arg(long, default_value_t = 2)]
    pub sidecars: usize,
}

/// What one customer's requests came to.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    admitted: u64,
    refused: u64,
    /// Answered with 503: no decision came in time, and nobody knows whether it was counted.
    undecided: u64,
}

/// Everything the clients share: what is still to be asked, and with what.
struct Work {
    /// Customer and key of each request, in the order in which they are asked.
    requests: Vec<(usize, String)>,
    next: AtomicUsize,
    callers: Vec<Caller>,
}

impl Exact {
    /// Takes the measure.
    ///
    /// # Errors
    /// When the parts cannot be had, or an answer is none of 200, 429 and 503.
    pub async fn take(&self) -> Result<Report> {
        let mut story = Story::aside();
        let plane = ControlPlane::shared().await?;
        let world = World::start(plane, "exact", Wanted::gateways(self.sidecars)).await?;
        story.tell(&format!("everything runs, with {} sidecars", self.sidecars));
        let keys = self.prepare(&world).await?;
        world.settled().await?;
        story.tell(&format!(
            "{} customers have {} keys each",
            self.customers, self.keys
        ));
        let callers = world
            .gateways
            .iter()
            .map(|gateway| gateway.caller.clone())
            .collect();
        let tallies = self.storm(keys, callers).await?;
        story.tell("every request is answered");
        Ok(self.report(&tallies))
    }

    /// Makes the tier, the customers and their keys; gives each customer's keys.
    async fn prepare(&self, world: &World<'_>) -> Result<Vec<Vec<String>>> {
        world
            .create(&resources::free_tier(
                resources::DEFAULT_TIER,
                Some(self.quota),
            ))
            .await?;
        let key_name = |customer: usize, key: usize| format!("customer-{customer}-key-{key}");
        for customer in 0..self.customers {
            let name = format!("customer-{customer}");
            // Without a subscription a customer is on the default tier, which is this one.
            world
                .create(&resources::customer(&name, &world.email(&name)))
                .await?;
            for key in 0..self.keys {
                world
                    .create(&resources::api_key(&key_name(customer, key), &name))
                    .await?;
            }
        }
        let mut all = Vec::new();
        for customer in 0..self.customers {
            let mut keys = Vec::new();
            for key in 0..self.keys {
                keys.push(world.key(&key_name(customer, key)).await?);
            }
            all.push(keys);
        }
        Ok(all)
    }

    /// Asks half as much again as is allowed, every key in turn, all clients at once.
    async fn storm(&self, keys: Vec<Vec<String>>, callers: Vec<Caller>) -> Result<Vec<Tally>> {
        let each = usize::try_from(self.quota + self.quota / 2 + 1)?;
        let turns = (0..each).flat_map(|turn| {
            keys.iter()
                .enumerate()
                .map(move |(customer, keys)| (customer, keys[turn % keys.len()].clone()))
        });
        let requests = turns.collect();
        let work = Arc::new(Work {
            requests,
            next: AtomicUsize::new(0),
            callers,
        });
        let mut clients = JoinSet::new();
        for client in 0..self.clients {
            clients.spawn(ask_on(Arc::clone(&work), client));
        }
        let mut tallies = vec![Tally::default(); self.customers];
        while let Some(one) = clients.join_next().await {
            for (customer, tally) in one?? {
                tallies[customer].admitted += tally.admitted;
                tallies[customer].refused += tally.refused;
                tallies[customer].undecided += tally.undecided;
            }
        }
        Ok(tallies)
    }

    fn report(&self, tallies: &[Tally]) -> Report {
        let heading = [
            "customer",
            "asked",
            "admitted",
            "refused",
            "undecided",
            "quota",
        ];
        let mut table = Table::new(&heading);
        let mut broken = Vec::new();
        for (customer, tally) in tallies.iter().enumerate() {
            let Tally {
                admitted,
                refused,
                undecided,
            } = *tally;
            let asked = admitted + refused + undecided;
            table.row([
                customer as u64,
                asked,
                admitted,
                refused,
                undecided,
                self.quota,
            ]);
            // A request without a decision may have been counted: it can only make less pass, and that is not exact.
            if admitted != self.quota {
                broken.push(format!(
                    "customer {customer} was admitted {admitted} times instead of {}",
                    self.quota
                ));
            }
        }
        let admitted: u64 = tallies.iter().map(|tally| tally.admitted).sum();
        let limit = self.quota * self.customers as u64;
        Report {
            table,
            json: json!({"admitted": admitted, "limit": limit, "customers": self.customers}),
            broken,
        }
    }
}

/// One client: takes the next request until there is none, each at another gateway than the one before.
async fn ask_on(work: Arc<Work>, client: usize) -> Result<BTreeMap<usize, Tally>> {
    let mut tallies = BTreeMap::<usize, Tally>::new();
    for turn in client.. {
        let Some((customer, key)) = work.requests.get(work.next.fetch_add(1, Ordering::Relaxed))
        else {
            break;
        };
        let caller = work
            .callers
            .get(turn % work.callers.len())
            .context("there is no gateway")?;
        let answer = caller.ask(key).await?;
        let tally = tallies.entry(*customer).or_default();
        match answer.status {
            200 => tally.admitted += 1,
            503 => tally.undecided += 1,
            status => {
                let came = format!("{status} {}", answer.text());
                ensure!(
                    status == 429 && code(&answer) == "quota_exceeded",
                    "expected 200, or 429 quota_exceeded; came {came}"
                );
                tally.refused += 1;
            }
        }
    }
    Ok(tallies)
}
