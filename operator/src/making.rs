//! Making one external object exactly once: the acting side of [`glyph_operator_core::intent`].

use glyph_crds::common::Intent;
use glyph_operator_core::billing::FailureClass;
use glyph_operator_core::intent::{self, Step};
use glyph_operator_core::status::{Intends, Status};
use glyph_operator_core::{Blocker, reason};
use glyph_runtime::random::base62;
use kube::ResourceExt;
use kube::core::object::HasStatus;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::failure::Failure;
use crate::ports::{Billing, CallResult, Identity};
use crate::world::World;
use crate::writer::{Reported, write_status};

/// Characters that tell one intent's key from the next.
const NONCE_LENGTH: usize = 8;

/// Something that is made in Stripe.
pub trait Make<B: Billing> {
    /// What it is made from; frozen in the intent.
    type Params: Serialize + DeserializeOwned + Send + Sync;
    /// What comes of it.
    type Made: Send + Sync;
    /// Name of the operation in the intent, e.g. `CreateCustomer`.
    const OPERATION: &'static str;

    /// Those that exist already for this owner.
    fn look(
        billing: &B,
        params: &Self::Params,
    ) -> impl Future<Output = CallResult<Vec<Self::Made>>> + Send;

    /// Makes one under an idempotency key.
    fn create(
        billing: &B,
        key: &str,
        params: &Self::Params,
    ) -> impl Future<Output = CallResult<Self::Made>> + Send;

    /// Its id in Stripe.
    fn id(made: &Self::Made) -> &str;
}

/// Has the object of `params` made, or finds it, and records what `learn` puts into the status.
///
/// # Errors
/// Whatever goes wrong; the intent in the status then tells the next pass where to go on.
pub async fn make<M, B, I, K>(
    world: &World<B, I>,
    object: &mut K,
    params: M::Params,
    learn: impl FnOnce(&mut K::Status, &M::Made) + Send,
) -> Result<(), Failure>
where
    M: Make<B>,
    B: Billing,
    I: Identity,
    K: Reported + HasStatus<Status: Intends>,
{
    let billing = &world.shared.billing;
    let mut found: Option<Vec<M::Made>> = None;
    let (mut spent, mut renewed) = (false, false);
    let made = loop {
        let frozen = recorded::<M, B, K>(object);
        let intent = frozen.as_ref().map(|(intent, _)| intent);
        world.lead.check()?;
        match intent::next_step(intent, spent, found.as_ref().map(Vec::len), world.now()) {
            Step::Look => {
                let params = frozen.as_ref().map_or(&params, |(_, frozen)| frozen);
                found = Some(M::look(billing, params).await?);
            }
            Step::Adopt | Step::Twice => match found.take().map(single::<M, B>) {
                Some(one) => break one?,
                None => continue,
            },
            Step::Record => {
                let nonce = base62(NONCE_LENGTH)?;
                let uid = object.uid().unwrap_or_default();
                let intent = intent::new(&uid, M::OPERATION, &params, &nonce, world.now())?;
                write_intent(world, object, Some(intent)).await?;
                (renewed, spent) = (spent, false);
            }
            Step::Call => {
                let Some((intent, frozen)) = frozen else {
                    continue;
                };
                match M::create(billing, &intent.idempotency_key, &frozen).await {
                    Ok(made) => break made,
                    Err(error) => match error.class {
                        FailureClass::IdempotencyMismatch | FailureClass::StoredFailure
                            if !renewed =>
                        {
                            tracing::info!(operation = M::OPERATION, %error, "looking before a new key");
                            (spent, found) = (true, None);
                        }
                        // It had no effect, and never will: the next pass begins with the spec as it is then.
                        FailureClass::Invalid => {
                            write_intent(world, object, None).await?;
                            return Err(error.into());
                        }
                        _ => return Err(error.into()),
                    },
                }
            }
        }
    };
    let mut status = object.reported();
    learn(&mut status, &made);
    status.set_intent(None);
    write_status(world, object, status).await?;
    tracing::info!(
        operation = M::OPERATION,
        id = M::id(&made),
        name = object.name_any(),
        "made or found"
    );
    Ok(())
}

/// The intent for this operation and its frozen parameters, if they can be read back.
fn recorded<M: Make<B>, B: Billing, K>(object: &K) -> Option<(Intent, M::Params)>
where
    K: Reported + HasStatus<Status: Intends>,
{
    let intent = object.status()?.intent()?.clone();
    let params = intent::frozen(Some(&intent), M::OPERATION)?;
    Some((intent, params))
}

async fn write_intent<B, I, K>(
    world: &World<B, I>,
    object: &mut K,
    intent: Option<Intent>,
) -> Result<(), Failure>
where
    K: Reported + HasStatus<Status: Intends>,
{
    let mut status = object.reported();
    status.set_intent(intent);
    status.set_settled_for(None);
    write_status(world, object, status).await.map(|_| ())
}

/// The one that was found; or says that there are several, and touches none (CASE 8).
///
/// # Errors
/// [`Failure::Blocked`] unless it is exactly one.
pub fn single<M: Make<B>, B: Billing>(mut found: Vec<M::Made>) -> Result<M::Made, Failure> {
    match (found.pop(), found.is_empty()) {
        (Some(one), true) => Ok(one),
        (last, _) => {
            let ids: Vec<_> = found.iter().chain(&last).map(M::id).collect();
            let message = format!(
                "Stripe has {} for this one resource: delete all but one of them in Stripe's dashboard",
                ids.join(" and ")
            );
            Err(Failure::Blocked(Blocker::person(
                reason::DUPLICATE,
                message,
            )))
        }
    }
}
