//! One pass over one resource, the same for every kind: observe → plan → apply, until there is nothing to
//! do or something to wait for; then status.

use std::time::{Duration, Instant};

use glyph_operator_core::condition::Findings;
use glyph_operator_core::status::Status;
use glyph_operator_core::{Next, Settled, settled};
use glyph_runtime::random::jitter;
use kube::core::object::HasStatus;
use kube::{Resource, ResourceExt};

use crate::failure::Failure;
use crate::ports::{Billing, Identity};
use crate::world::World;
use crate::writer::{Reported, write_status};

/// When a resource is looked at again whose pass changed what the next one goes by.
const AT_ONCE: Duration = Duration::from_secs(1);
/// When a resource that is not at rest is looked at again, at the latest.
const TROUBLED: Duration = Duration::from_secs(600);
/// Actions one pass may take. More than any plan needs: past that, a service does not keep what it is told.
const MOST_STEPS: usize = 16;

/// What one kind adds to the pass that all share.
pub trait Controller<B: Billing, I: Identity>: Send + Sync + 'static {
    /// The resource.
    type Kind: Reported;
    /// What is known of it and of its external objects.
    type Observed: Send + Sync;
    /// What can be done for it.
    type Action: Send;

    /// Reads all that the plan needs.
    fn observe(
        world: &World<B, I>,
        object: &Self::Kind,
    ) -> impl Future<Output = Result<Self::Observed, Failure>> + Send;

    /// What to do next. Pure.
    fn plan(observed: &Self::Observed) -> Next<Self::Action>;

    /// Does it. `object` is as the API server has it afterwards.
    fn apply(
        world: &World<B, I>,
        object: &mut Self::Kind,
        action: Self::Action,
    ) -> impl Future<Output = Result<(), Failure>> + Send;

    /// The status that says how far it came. Pure.
    fn status(
        observed: &Self::Observed,
        next: &Next<Self::Action>,
    ) -> Settled<<Self::Kind as HasStatus>::Status>;
}

/// What a pass came to.
pub enum Outcome {
    /// All is written; look again after this long.
    Settled(Duration),
    /// Try again after so many failures in a row as the caller counts.
    Failed(Failure),
}

/// One pass. Whatever goes wrong is in the conditions, and in the log once.
pub async fn pass<C, B, I>(world: &World<B, I>, mut object: C::Kind) -> Outcome
where
    C: Controller<B, I>,
    B: Billing,
    I: Identity,
{
    let kind = C::Kind::kind(&()).into_owned();
    let version = object.resource_version();
    let resync = jitter(world.shared.resync);
    let (begun, reconciles) = (Instant::now(), &world.shared.counted.reconciles);
    let ended = steps::<C, B, I>(world, &mut object).await;
    reconciles.took(&kind, begun.elapsed());
    let failure = match ended {
        Ok(look_again) => {
            let changed = object.resource_version() != version;
            reconciles.count(&kind, if changed { "changed" } else { "unchanged" });
            return Outcome::Settled(look_again.map_or(resync, |soon| soon.min(resync)));
        }
        Err(failure) => failure,
    };
    reconciles.count(&kind, "failed");
    if failure.is_news() {
        let (namespace, name) = (object.namespace(), object.name_any());
        let error = &failure as &dyn std::error::Error;
        tracing::warn!(kind, namespace, name, error, "failed to reconcile");
    }
    let Some(status) = failed_status(world, &object, &failure) else {
        return Outcome::Failed(failure);
    };
    match write_status(world, &mut object, status).await {
        // Somebody wrote meanwhile, and nobody was told of the failure: by the next pass, which comes at once.
        Err(outdated @ Failure::Outdated) => return Outcome::Failed(outdated),
        Err(error) if error.is_news() => {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(kind, error, "failed to report");
        }
        Ok(_) | Err(_) => {}
    }
    Outcome::Failed(failure)
}

async fn steps<C, B, I>(
    world: &World<B, I>,
    object: &mut C::Kind,
) -> Result<Option<Duration>, Failure>
where
    C: Controller<B, I>,
    B: Billing,
    I: Identity,
{
    for _ in 0..MOST_STEPS {
        let meta = object.meta();
        if meta.deletion_timestamp.is_some() && object.finalizers().is_empty() {
            return Ok(None);
        }
        // Before the look: what changes meanwhile is not what was seen.
        let digest = world.digest(object);
        let observed = C::observe(world, object).await?;
        let next = C::plan(&observed);
        if let Next::Do(action) = next {
            world.lead.check()?;
            C::apply(world, object, action).await?;
            continue;
        }
        let Settled {
            mut status,
            look_again,
        } = C::status(&observed, &next);
        settled::record(&mut status, digest.as_deref(), look_again, world.now());
        world.lead.check()?;
        write_status(world, object, status).await?;
        // A pass goes by its own status too: once more, so that what is recorded is what stands there.
        if object.reported().settled_for().is_some() && world.digest(object) != digest {
            return Ok(Some(AT_ONCE));
        }
        return Ok([look_again, troubled(&*object)].into_iter().flatten().min());
    }
    Err(Failure::Restless(MOST_STEPS))
}

/// What is not at rest, or goes, may be mended outside Kubernetes, and is not left for the next full pass.
fn troubled<K: Reported>(object: &K) -> Option<Duration> {
    let goes = object.meta().deletion_timestamp.is_some();
    (goes || !settled::is_at_rest(&object.reported())).then(|| jitter(TROUBLED))
}

/// How long a resource may rest that this process sees for the first time; `None`: not at all.
pub fn rest<B, I: Identity, K: Reported>(world: &World<B, I>, object: &K) -> Option<Duration> {
    let digest = world.digest(object).filter(|_| world.covered)?;
    let resync = jitter(world.shared.resync);
    let left = settled::rest(&object.reported(), &digest, world.now())?;
    let kind = K::kind(&()).into_owned();
    world.shared.counted.reconciles.count(&kind, "settled");
    Some(left.map_or(resync, |left| left.min(resync)))
}

/// The status of a resource that could not be reconciled; none where the failure is not about it.
fn failed_status<B, I, K: Reported>(
    world: &World<B, I>,
    object: &K,
    failure: &Failure,
) -> Option<K::Status> {
    let mut status = object.reported();
    let findings = match (failure.blocker(), failure.class()) {
        (Some(blocker), _) => Findings::blocked(&blocker),
        (None, Some(class)) => Findings::failed(status.conditions(), &class, &failure.to_string()),
        (None, None) => return None,
    };
    world.lead.check().ok()?;
    status.find(findings, object.meta().generation, world.now());
    Some(status)
}
