//! One run of a flow: a namespace and a Stripe of its own, the operator behind the counting proxies, and at the
//! given point SIGKILL.

use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use glyph_harness::proxy::{Call, CallKind, Callee, Calls, Proxy, Trap};
use glyph_harness::{ControlPlane, Program, Service};
use hyper::Method;

use super::point::Point;
use crate::flow::{self, End, Flow};
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
    let stage = Stage::start(plane, "kill").await?;
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
    flow.apply(&stage).await?;
    let victim = point.map(|point| set_trap(&calls, point));
    let operator = Arc::new(Service::spawn(Program::Operator, settings).await?);
    if let Some(victim) = victim {
        // The trap waits for it, should it spring first.
        victim
            .send(Arc::clone(&operator))
            .context("the trap is gone")?;
    }
    let watched = watch(&stage, flow, &calls, &operator).await;
    watched.with_context(|| format!("the operator's log ends with\n{}", tail(&operator.log())))?;
    let end = End::of(&stage, flow).await?;
    Ok(Run {
        calls: counted(&calls),
        killed_at: calls.sprung(),
        end,
    })
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
        if now != last || !acted {
            (last, since) = (now, Instant::now());
        }
        if since.elapsed() > QUIET && is_settled(stage).await? {
            return Ok(());
        }
        tokio::time::sleep(POLL).await;
    }
    let unsettled: Vec<_> = Flow::resources(stage)
        .await?
        .into_iter()
        .filter(|(_, one)| !flow::is_settled(one))
        .collect();
    bail!(
        "expected everything settled {} s after the start; came {}",
        DEADLINE.as_secs(),
        serde_json::to_string_pretty(&unsettled)?
    )
}

async fn is_settled(stage: &Stage<'_>) -> Result<bool> {
    let all = Flow::resources(stage).await?;
    Ok(all.iter().all(|(_, resource)| flow::is_settled(resource)))
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
