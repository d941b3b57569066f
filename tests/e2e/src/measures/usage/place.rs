//! What the calls are made on: customers with two keys each and more credits than they can use, an Envoy before two
//! sidecars that it tells how requests ended, and the counters to look at.

use std::time::Duration;

use anyhow::{Context as _, Result};
use glyph_crds::period::calendar_month;
use glyph_crds::{ApiKey, CreditGrant, GlyphApi, OverQuota};
use glyph_harness::net::get;
use glyph_harness::{ControlPlane, Envoy, Program, Service, poll_until};
use glyph_runtime::clock::{Clock as _, SystemClock};
use glyph_usage::{Counters, CreditsUsed, Period, RedisCounters, Step};
use kube::ResourceExt as _;
use serde_json::json;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::Lines;
use super::mix::ENDPOINTS;
use crate::caller::{Caller, code};
use crate::resources;
use crate::world::{SOON, Wanted, World};

/// Calls a month, after which credits pay: few, so that both are counted.
const QUOTA: u64 = 500;
/// More than any run uses.
const CREDITS: i64 = 1_000_000;
/// A day of usage.
const DAY: i64 = 24 * 60 * 60;

/// A key.
#[derive(Clone, Debug)]
pub(super) struct Key {
    pub(super) customer: String,
    pub(super) id: String,
    pub(super) text: String,
}

/// Everything that runs.
pub(super) struct Place<'a> {
    pub(super) world: World<'a>,
    sidecars: [Service; 2],
    pub(super) envoy: Envoy,
    pub(super) keys: Vec<Key>,
    /// Name and UID.
    customers: Vec<(String, String)>,
    /// What was counted before the calls began.
    before: Lines,
    counters: RedisCounters,
    _connected: DropGuard,
}

impl<'a> Place<'a> {
    pub(super) async fn set(plane: &'a ControlPlane, customers: usize) -> Result<Self> {
        let world = World::start(plane, "usage", Wanted::operator_only()).await?;
        let settings = world.sidecar_settings().set("GLYPH_USAGE", "access-log");
        let first = Service::start(Program::Authz, settings.clone()).await?;
        let second = Service::start(Program::Authz, settings).await?;
        let sidecars = [first, second];
        let envoy = world.envoy_before(sidecars.each_ref()).await?;
        let (counters, connected) = connected(&world.redis_url()).await?;
        let mut place = Self {
            world,
            sidecars,
            envoy,
            keys: Vec::new(),
            customers: Vec::new(),
            before: Lines::new(),
            counters,
            _connected: connected,
        };
        place.sell().await?;
        for customer in 0..customers {
            place.admit(&format!("customer-{customer}")).await?;
        }
        place.known_to_both().await?;
        Ok(place)
    }

    /// The tier and the endpoints.
    async fn sell(&self) -> Result<()> {
        let mut tier = resources::free_tier(resources::DEFAULT_TIER, Some(QUOTA));
        tier.spec.over_quota = OverQuota::Credits;
        self.world.create(&tier).await?;
        let endpoints = ENDPOINTS.map(|(name, path, cost, pays_on_success)| {
            let charge_on = if pays_on_success { "Success" } else { "Always" };
            let scopes = if name == "scoped" { vec!["nobodys"] } else { Vec::new() };
            json!({"name": name, "path": path, "cost": cost, "chargeOn": charge_on, "scopes": scopes})
        });
        let spec = serde_json::from_value(json!({"endpoints": endpoints}))?;
        self.world.create(&GlyphApi::new("api", spec)).await?;
        Ok(())
    }

    async fn admit(&mut self, name: &str) -> Result<()> {
        let world = &self.world;
        let customer = resources::customer(name, &world.email(name));
        let uid = world.create(&customer).await?.uid();
        let uid = uid.context("the customer has no UID")?;
        let source = json!({"type": "Admin", "reason": "a measure"});
        let spec = json!({"customerRef": {"name": name}, "credits": CREDITS, "source": source});
        let grant = CreditGrant::new(name, serde_json::from_value(spec)?);
        world.create(&grant).await?;
        for key in 0..2 {
            let key_name = format!("{name}-key-{key}");
            let mut key = resources::api_key(&key_name, name);
            key.spec.scopes = vec!["some".to_owned()];
            world.create(&key).await?;
            let text = world.key(&key_name).await?;
            let id = |key: &ApiKey| key.status.as_ref()?.key_id.clone();
            let id = world.until(&key_name, "a key's id", SOON, id).await?;
            let customer = name.to_owned();
            self.keys.push(Key { customer, id, text });
        }
        self.customers.push((name.to_owned(), uid));
        Ok(())
    }

    /// Waits until refusals say that both sidecars know the API and every key (Envoy asks them in turn), and until these
    /// refusals are counted themselves.
    async fn known_to_both(&mut self) -> Result<()> {
        let caller = Caller::new(&self.envoy.url());
        let mut decided = 0;
        for key in &self.keys {
            let mut in_a_row = 0;
            poll_until("a key to be known", SOON, async || {
                let fields = [("x-api-key", key.text.as_str())];
                let answer = caller.get("/scoped", &fields).await.ok()?;
                // Who has no key that is known is nobody, and not counted.
                decided += u64::from(answer.status == 200 || answer.status == 403);
                let known = code(&answer) == "scope_denied";
                in_a_row = if known { in_a_row + 1 } else { 0 };
                (in_a_row >= 10).then_some(())
            })
            .await?;
        }
        self.before = poll_until("refusals to be counted", SOON, async || {
            let lines = self.lines().await.ok()?;
            (lines.values().sum::<u64>() == decided).then_some(lines)
        })
        .await?;
        Ok(())
    }

    async fn lines(&self) -> Result<Lines> {
        let now = SystemClock.now().as_second();
        let mut lines = Lines::new();
        for (name, uid) in &self.customers {
            let rows = self.counters.usage_of(uid, now - DAY, now + DAY, Step::Day);
            for row in rows.await? {
                let line = row.line;
                let line = format!("{} {} {}", line.key_id, line.endpoint, line.class);
                *lines.entry((name.clone(), line)).or_default() += row.requests;
            }
        }
        Ok(lines)
    }

    /// Requests counted since it was set.
    pub(super) async fn counted(&self) -> Result<Lines> {
        let mut lines = self.lines().await?;
        for (line, requests) in &mut lines {
            *requests -= self.before.get(line).copied().unwrap_or(0);
        }
        lines.retain(|_, requests| *requests > 0);
        Ok(lines)
    }

    /// The sidecar that most of the access log goes to, and how much of it.
    pub(super) async fn told_most(&self) -> Result<(&Service, u64)> {
        let [first, second] = &self.sidecars;
        let (of_first, of_second) = tokio::try_join!(entries(first), entries(second))?;
        Ok(if of_second > of_first {
            (second, of_second)
        } else {
            (first, of_first)
        })
    }

    /// Calls and credits that stand as used, without those given back.
    pub(super) async fn used(&self) -> Result<u64> {
        let month = calendar_month(SystemClock.now());
        let period = Period {
            start: month.start.as_second(),
            end: month.end.as_second(),
        };
        let mut sum = 0;
        for (_, uid) in &self.customers {
            sum += self.counters.used(uid, period).await?;
            let credits = self.counters.used_credits(&[uid]).await?;
            for CreditsUsed { used, returned } in credits.iter().flat_map(|of| of.values()) {
                sum += u64::try_from(used - returned)?;
            }
        }
        Ok(sum)
    }
}

/// Entries of the access log that a sidecar has counted.
async fn entries(sidecar: &Service) -> Result<u64> {
    const COUNTED: &str = r#"glyph_authz_log_entries_total{outcome="counted"} "#;
    let metrics = get(&format!("{}/metrics", sidecar.admin_url()))
        .await?
        .text();
    let counted = metrics.lines().find_map(|line| line.strip_prefix(COUNTED));
    Ok(counted.map_or(Ok(0), str::parse)?)
}

async fn connected(url: &str) -> Result<(RedisCounters, DropGuard)> {
    let counters = RedisCounters::new(url, None, Duration::from_secs(5))?;
    let (stop, keeper) = (CancellationToken::new(), counters.clone());
    let guard = stop.clone().drop_guard();
    tokio::spawn(async move { keeper.keep_connected(stop).await });
    counters.tried().await;
    Ok((counters, guard))
}
