//! `quiet`: what a world in which nothing happens costs when the operator starts, and how it comes back from an outage
//! of Stripe with everyone waiting.
//!
//! All is real but Stripe, and so is time, but for the minutes in which events grow too old to be swept again: the outage
//! lasts as long as it says.

mod count;
mod gone;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use futures::stream::{self, TryStreamExt as _};
use glyph_crds::{GlyphCustomer, Subscription, Tier};
use glyph_harness::proxy::{Call, Callee, Calls, Proxy};
use glyph_harness::{ControlPlane, Program, Service, Settings, poll_until};
use glyph_stripe_sim::{Fault, FaultKind, Payment, When};
use serde_json::{Value, json};
use tokio::sync::Mutex;

use crate::report::{Report, Table};
use crate::resources;
use crate::story::Story;
use crate::world::{Kind, Stage};
use count::{Counted, peak};

/// What is promised of a start with nothing to do.
const MOST_START_CALLS: usize = 50;
const TIER: &str = "starter";
const CARD: &str = "4242424242424242";
/// How many are made, paid or asked at once.
const AT_ONCE: usize = 32;
/// Seconds for which the sweep looks at events again (operator/src/sweep.rs), and some more.
const UNTIL_SWEPT: i64 = 200;
/// Two sweeps come within this: the first may have events of everyone to tell.
const TWO_SWEEPS: Duration = Duration::from_secs(600);
/// A start is over when the operator is ready and, but for sweeps and the lease, asked for nothing for so long.
const STILL: Duration = Duration::from_secs(10);
/// When setting up, and coming back, is given up: the longest pause between two tries is five minutes.
const DEADLINE: Duration = Duration::from_secs(1800);

/// Settings of the measure.
#[derive(Clone, Debug, clap::Args)]
pub struct Quiet {
    /// How many customers, each with a paid subscription.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    pub customers: u32,
    /// How many customers besides whose subscription has ended, and as many whose is unpaid.
    #[arg(long, default_value_t = 100)]
    pub gone: u32,
    /// Seconds that Stripe is away, of real time. A shorter outage has the same shape: everyone waits when it ends.
    #[arg(long, default_value_t = 600, value_parser = clap::value_parser!(u64).range(1..))]
    pub outage: u64,
    /// Most calls a second to Stripe that the operator is allowed, but for setting up.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub limit: u32,
}

impl Quiet {
    /// Takes the measure.
    ///
    /// # Errors
    /// When the parts cannot be had, or the world does not come to rest.
    pub async fn take(&self) -> Result<Report> {
        let mut story = Story::aside();
        let plane = ControlPlane::shared().await?;
        let stage = Stage::start_movable(plane, "quiet").await?;
        glyph_harness::service::binaries().await?;
        let calls = Calls::new();
        let (_kubernetes, kubeconfig) = Proxy::kubernetes(&calls, plane).await?;
        let stripe = Proxy::http(&calls, Callee::Stripe, &stage.stripe.base_url()).await?;
        let settings = stage
            .operator_settings()
            .set("KUBECONFIG", kubeconfig.to_string_lossy())
            .set("STRIPE_API_BASE", stripe.url())
            .set("GLYPH_LOG", "info");
        let operator = self.set_up(&stage, &settings).await?;
        let (paid, gone) = (self.customers, self.gone);
        story.tell(&format!(
            "{paid} customers have paid, {gone} have ended, {gone} are unpaid"
        ));
        stage.pass_time(UNTIL_SWEPT)?;
        let begun = calls.list().len();
        swept(&calls).await?;
        // What a sweep woke is looked at to its end.
        at_rest(&calls, begun).await?;
        ensure!(operator.stop(), "the operator did not stop");
        story.tell("what happened is too old to be swept again");

        let settings = settings.set("STRIPE_MAX_REQUESTS_PER_SECOND", self.limit.to_string());
        let begun = calls.list().len();
        let _operator = Service::start(Program::Operator, settings).await?;
        let seen = at_rest(&calls, begun).await?;
        for call in seen.iter().filter(|call| count::is_cost(call)) {
            story.tell(&format!("at start: {} {}", call.method, call.what));
        }
        let start = Counted::of(&seen);
        story.tell(&format!("started: {start}"));
        let burst_peak_rps = self.outage(&stage, &calls).await?;
        story.tell("everyone is well again");
        Ok(self.report(&start, burst_peak_rps))
    }

    fn names(&self) -> impl Iterator<Item = String> + use<> {
        (0..self.customers).map(|number| format!("customer-{number}"))
    }

    /// Everyone made, and paid, ended or left unpaid, by an operator that may call as often as it likes.
    async fn set_up(&self, stage: &Stage<'_>, settings: &Settings) -> Result<Service> {
        let settings = settings
            .clone()
            .set("STRIPE_MAX_REQUESTS_PER_SECOND", "1000");
        let operator = Service::start(Program::Operator, settings).await?;
        stage
            .create(&resources::free_tier(resources::DEFAULT_TIER, None))
            .await?;
        stage.create(&resources::paid_tier(TIER)).await?;
        settled::<Tier>(stage, TIER, None).await?;
        gone::set_up(stage, self.gone).await?;
        let make = async |name: String| {
            let customer = resources::customer(&name, &stage.email(&name));
            stage.create(&customer).await?;
            let subscription = resources::subscription(&name, &name, TIER);
            stage.create(&subscription).await?;
            pay(stage, &name).await
        };
        each(self.names(), make).await?;
        each(self.names(), async |name: String| {
            settled::<GlyphCustomer>(stage, &name, None).await?;
            settled::<Subscription>(stage, &name, None).await.map(drop)
        })
        .await?;
        Ok(operator)
    }

    /// Stripe goes away, everyone has something to be done, Stripe comes back: the most calls in any one second.
    async fn outage(&self, stage: &Stage<'_>, calls: &Calls) -> Result<usize> {
        let control = stage.stripe.control();
        let begun = calls.list().len();
        control.add_fault(Fault::new(FaultKind::BadGateway { when: When::Before }));
        let ends = Instant::now() + Duration::from_secs(self.outage);
        let wake = json!({"metadata": {"annotations": {"glyphapi.ai/stripe-event": "evt_outage"}}});
        let (wake, before) = (&wake, &Mutex::new(HashMap::new()));
        each(self.names(), async |name: String| {
            let customer = settled::<GlyphCustomer>(stage, &name, None).await?;
            let subscription = settled::<Subscription>(stage, &name, None).await?;
            stage.patch::<GlyphCustomer>(&name, wake).await?;
            stage.patch::<Subscription>(&name, wake).await?;
            before.lock().await.insert(name, (customer, subscription));
            Ok(())
        })
        .await?;
        tokio::time::sleep(ends.saturating_duration_since(Instant::now())).await;
        control.clear_faults();
        each(self.names(), async |name: String| {
            let (customer, subscription) = before.lock().await.remove(&name).unzip();
            settled::<GlyphCustomer>(stage, &name, customer).await?;
            settled::<Subscription>(stage, &name, subscription)
                .await
                .map(drop)
        })
        .await?;
        let seen = calls.list().split_off(begun);
        Ok(peak(
            seen.iter()
                .filter(|c| c.callee == Callee::Stripe)
                .map(|c| c.at),
        ))
    }

    fn report(&self, start: &Counted, burst_peak_rps: usize) -> Report {
        let Counted { writes, stripe } = *start;
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let mut table = Table::new(&["", "counted", "promised"]);
        table.row(["writes to Kubernetes at start", &writes.to_string(), "0"]);
        table.row(["calls to Stripe at start", &stripe.to_string(), "under 50"]);
        let outage = format!("most calls in a second, {} s outage and after", self.outage);
        table.row([
            outage,
            burst_peak_rps.to_string(),
            format!("{limit} at most"),
        ]);
        let mut broken = Vec::new();
        if writes > 0 {
            broken.push(format!("a start with nothing to do wrote {writes} times"));
        }
        if stripe >= MOST_START_CALLS {
            broken.push(format!(
                "a start with nothing to do called Stripe {stripe} times"
            ));
        }
        if burst_peak_rps > limit {
            broken.push(format!(
                "{burst_peak_rps} calls in one second, of {limit} allowed"
            ));
        }
        let json = json!({
            "start_writes": writes, "start_stripe_calls": stripe,
            "burst_peak_rps": burst_peak_rps, "limit_rps": limit,
        });
        Report {
            table,
            json,
            broken,
        }
    }
}

/// Waits for the checkout link and pays as a person does.
async fn pay(stage: &Stage<'_>, name: &str) -> Result<()> {
    let open = |s: &Subscription| s.status.as_ref()?.checkout_session_id.clone();
    let what = "an open checkout";
    let session = stage.until(name, what, DEADLINE, open).await?;
    let paid = stage.stripe.control().pay(&session, CARD, None);
    ensure!(
        matches!(paid, Payment::Done(_)),
        "{name} could not pay: {paid:?}"
    );
    Ok(())
}

/// Waits until the operator says that all is well, for something else than `before`; gives what for.
async fn settled<K: Kind>(stage: &Stage<'_>, name: &str, before: Option<String>) -> Result<String> {
    let look = |resource: &K| {
        let resource = serde_json::to_value(resource).ok()?;
        let all = resource.pointer("/status/conditions")?.as_array()?;
        let synced = |c: &Value| c["type"] == "Synced" && c["status"] == "True";
        let settled = resource.pointer("/status/settledFor")?.as_str()?.to_owned();
        (all.iter().any(synced) && Some(&settled) != before.as_ref()).then_some(settled)
    };
    stage.until(name, "to be settled", DEADLINE, look).await
}

/// Does something for each, some at once.
async fn each<F: Future<Output = Result<()>>>(
    names: impl Iterator<Item = String>,
    work: impl Fn(String) -> F,
) -> Result<()> {
    stream::iter(names.map(Ok))
        .try_for_each_concurrent(AT_ONCE, work)
        .await
}

/// Waits until a sweep has begun and ended: the next one tells.
async fn swept(calls: &Calls) -> Result<()> {
    let begun = calls.list().len();
    let two = async || {
        let since = calls.list().split_off(begun);
        let sweeps = since.iter().filter(|call| count::begins_sweep(call));
        (sweeps.count() >= 2).then_some(())
    };
    Ok(poll_until("two sweeps", TWO_SWEEPS, two).await?)
}

/// What was counted from call `begun` until nothing but sweeps and the lease came any more.
async fn at_rest(calls: &Calls, begun: usize) -> Result<Vec<Call>> {
    let deadline = Instant::now() + DEADLINE;
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let seen = calls.list().split_off(begun);
        let last = seen
            .iter()
            .filter(|call| count::is_work(call))
            .map(|call| call.at)
            .max();
        let first = seen
            .first()
            .map(|call| call.at)
            .context("the operator asked for nothing")?;
        if last.unwrap_or(first).elapsed() > STILL {
            return Ok(seen);
        }
        ensure!(
            Instant::now() < deadline,
            "the operator does not come to rest"
        );
    }
}
