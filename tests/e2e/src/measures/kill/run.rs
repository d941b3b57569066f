//! One run of a flow: a namespace and a Stripe of its own, the operator behind the counting proxies, and at the
//! given point SIGKILL.

use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use glyph_harness::net::get;
use glyph_harness::proxy::{Call, CallKind, Callee, Calls, Proxy, Trap};
use glyph_harness::{ControlPlane, Program, Service, Settings, poll_until};
use hyper::Method;

use super::point::Point;
use crate::flow::{End, Flow};
use crate::world::Stage;

/// A run is over when everything is settled and no call was made for so long.
const QUIET: Duration = Duration::from_millis(1000);
/// A run that is not over by then never will be.
const DEADLINE: Duration = Duration::from_secs(180);
const POLL: Duration = Duration::from_millis(50);

/// How a run went.
pub(super) struct Run {
    /// How many calls counted.
    pub(super) calls: usize,
    /// The call at which the operator was killed, if it came that far.
    pub(super) killed_at: Option<Call>,
    /// What stands in the end.
    pub(super) end: End,
}

/// Runs `flow`, killing the operator once at `point` and starting it again.
pub(super) async fn run(plane: &ControlPlane, flow: Flow, point: Option<Point>) -> Result<Run> {
    let stage = if flow.passes_time() {
        Stage::start_movable(plane, "kill").await?
    } else {
        Stage::start(plane, "kill").await?
    };
    let calls = Calls::new();
    let (_kubernetes, kubeconfig) = Proxy::kubernetes(&calls, plane).await?;
    let stripe = Proxy::http(&calls, Callee::Stripe, &stage.stripe.base_url()).await?;
    let cognito = Proxy::http(&calls, Callee::Cognito, stage.cognito.url()).await?;
    let settings = stage
        .operator_settings()
        .set("KUBECONFIG", kubeconfig.to_string_lossy())
        .set("STRIPE_API_BASE", stripe.url())
        .set("AWS_ENDPOINT_URL", cognito.url())
        // The killed operator's lease is waited for.
        .set("GLYPH_LEASE_DURATION", "2");
    let (operator, before) = begin(&stage, flow, point, &calls, settings).await?;
    let watched = watch(&stage, flow, &calls, &operator).await;
    watched.with_context(|| format!("the operator's log ends with\n{}", tail(&operator.log())))?;
    let end = End::of(&stage, flow).await?;
    Ok(Run {
        calls: counted(&calls) - before,
        killed_at: calls.sprung(),
        end,
    })
}

/// Starts the operator, plays undisturbed what comes before, sets the trap and applies the flow; a flow with nothing
/// before it is applied first, so that it meets the operator's start. Gives also how many calls had counted before
/// the trap was set.
async fn begin(
    stage: &Stage<'_>,
    flow: Flow,
    point: Option<Point>,
    calls: &Calls,
    settings: Settings,
) -> Result<(Arc<Service>, usize)> {
    let set_trap = || point.map(|point| set_trap(calls, point));
    let tell = |victim: Option<mpsc::Sender<_>>, operator: &Arc<Service>| match victim {
        // The trap waits for it, should it spring first.
        Some(victim) => victim
            .send(Arc::clone(operator))
            .context("the trap is gone"),
        None => Ok(()),
    };
    if !flow.has_before() {
        flow.apply(stage).await?;
        let victim = set_trap();
        let operator = Arc::new(Service::spawn(Program::Operator, settings).await?);
        tell(victim, &operator)?;
        return Ok((operator, 0));
    }
    let operator = Arc::new(Service::start(Program::Operator, settings).await?);
    flow.prepare(stage).await?;
    at_rest(calls).await?;
    let before = counted(calls);
    tell(set_trap(), &operator)?;
    flow.apply(stage).await?;
    Ok((operator, before))
}

/// Waits until no call has been made for a while.
async fn at_rest(calls: &Calls) -> Result<()> {
    let (mut last, mut since) = (counted(calls), Instant::now());
    let rest = poll_until("the operator to come to rest", DEADLINE, async || {
        let now = counted(calls);
        if now != last {
            (last, since) = (now, Instant::now());
        }
        (since.elapsed() > QUIET).then_some(())
    });
    Ok(rest.await?)
}

/// Sets the trap that kills the operator, which is told to it by what is returned.
fn set_trap(calls: &Calls, point: Point) -> mpsc::Sender<Arc<Service>> {
    let (tell, told) = mpsc::channel::<Arc<Service>>();
    let kill = move || {
        if let Ok(operator) = told.recv() {
            operator.kill();
        }
    };
    calls.set(Trap {
        at: point.call,
        moment: point.moment,
        counted: counts,
        action: Box::new(kill),
    });
    tell
}

/// Plays the customer, starts the operator again after its death, and returns once all has come to rest.
async fn watch(stage: &Stage<'_>, flow: Flow, calls: &Calls, operator: &Service) -> Result<()> {
    let begun = Instant::now();
    let (mut restarted, mut acted) = (false, false);
    let (mut last, mut since) = (0, Instant::now());
    while begun.elapsed() < DEADLINE {
        if !restarted && calls.sprung().is_some() {
            operator.start_again().await?;
            restarted = true;
        }
        if !acted {
            acted = flow.act(stage).await?;
        }
        let now = counted(calls);
        if now != last || !acted || !leads(operator).await {
            (last, since) = (now, Instant::now());
        }
        if since.elapsed() > QUIET && flow.unsettled(stage).await?.is_empty() {
            return Ok(());
        }
        tokio::time::sleep(POLL).await;
    }
    let unsettled = flow.unsettled(stage).await?;
    bail!(
        "expected everything settled {} s after the start; came {}",
        DEADLINE.as_secs(),
        serde_json::to_string_pretty(&unsettled)?
    )
}

/// Whether the operator acts: after a kill, all can look settled while it still waits for the dead one's lease.
async fn leads(operator: &Service) -> bool {
    let metrics = get(&format!("{}/metrics", operator.admin_url())).await;
    metrics.is_ok_and(|answer| {
        let text = answer.text();
        text.lines().any(|line| line.ends_with("leader 1"))
    })
}

/// Every call counts but the renewals of the lease, which come by the clock.
fn counts(call: &Call) -> bool {
    call.kind != CallKind::Lease || call.method == Method::POST
}

fn counted(calls: &Calls) -> usize {
    calls.list().iter().filter(|call| counts(call)).count()
}

fn tail(log: &str) -> String {
    let lines: Vec<_> = log.lines().collect();
    lines[lines.len().saturating_sub(40)..].join("\n")
}
