//! The one way from here into the API server: statuses, finalizers and Events of our resources.
//!
//! Every write names the resource version it was decided on. A status write that meets another version
//! goes on only if the status itself is still what was observed, so that nothing recorded is lost (CASES
//! 2, 3) and a webhook's annotation does not hold it up.

use glyph_operator_core::condition::{Note, notes};
use glyph_operator_core::happening::Happening;
use glyph_operator_core::status::Status;
use kube::ResourceExt;
use kube::api::{Patch, PatchParams};
use kube::core::object::HasStatus;
use kube::runtime::events::{Event, EventType};
use serde::Serialize;
use serde_json::json;

use crate::failure::Failure;
use crate::watches::Watched;
use crate::world::World;

/// Longest note of an Event, in bytes (`events.k8s.io/v1`).
const LONGEST_NOTE: usize = 1024;
/// How often a status write is tried against newer versions of its object.
const TRIES: usize = 3;

/// A resource whose status we write.
pub trait Reported: Watched + HasStatus<Status: Status + Serialize + Send + Sync> {
    /// Field manager of its controller.
    const MANAGER: &'static str;

    /// Its status as it stands.
    fn reported(&self) -> Self::Status {
        self.status().cloned().unwrap_or_default()
    }

    /// What a change of its status tells of the business.
    fn happened(_before: &Self::Status, _after: &Self::Status) -> Vec<Happening> {
        Vec::new()
    }
}

/// Writes `status`, if it differs; `object` is then as the API server has it, and new findings become
/// Events. Says whether anything was written.
///
/// # Errors
/// [`Failure::Outdated`] when somebody else wrote the status, or the object is gone.
pub async fn write_status<B, I, K: Reported>(
    world: &World<B, I>,
    object: &mut K,
    status: K::Status,
) -> Result<bool, Failure> {
    if object.status() == Some(&status) {
        return Ok(false);
    }
    let before = object.reported();
    let api = world.api(object);
    let params = PatchParams::apply(K::MANAGER).force();
    for _ in 0..TRIES {
        let patch = json!({
            "apiVersion": K::api_version(&()),
            "kind": K::kind(&()),
            "metadata": {
                "name": object.name_any(),
                "uid": object.uid(),
                "resourceVersion": object.resource_version(),
            },
            "status": &status,
        });
        match api
            .patch_status(&object.name_any(), &params, &Patch::Apply(&patch))
            .await
        {
            Ok(written) => {
                *object = written;
                let happened = K::happened(&before, &status);
                world.shared.counted.happenings.count(&happened);
                tell(
                    world,
                    object,
                    &notes(before.conditions(), status.conditions()),
                )
                .await;
                return Ok(true);
            }
            Err(kube::Error::Api(error)) if error.code == 404 => return Err(Failure::Outdated),
            Err(kube::Error::Api(error)) if error.code == 409 => {
                let fresh = api.get_opt(&object.name_any()).await;
                let fresh = fresh.map_err(Failure::kubernetes("read the resource again"))?;
                match fresh {
                    Some(fresh) if fresh.uid() == object.uid() && fresh.reported() == before => {
                        *object = fresh;
                    }
                    Some(_) | None => return Err(Failure::Outdated),
                }
            }
            Err(error) => return Err(Failure::kubernetes("write the status")(error)),
        }
    }
    Err(Failure::Outdated)
}

/// Writes the list of finalizers; `object` is then as the API server has it.
///
/// # Errors
/// [`Failure::Outdated`] when the object has changed or is gone.
pub async fn write_finalizers<B, I, K: Reported>(
    world: &World<B, I>,
    object: &mut K,
    finalizers: Vec<String>,
) -> Result<(), Failure> {
    let patch = json!({
        "metadata": {
            "uid": object.uid(),
            "resourceVersion": object.resource_version(),
            "finalizers": finalizers,
        },
    });
    let params = PatchParams {
        field_manager: Some(K::MANAGER.to_owned()),
        ..PatchParams::default()
    };
    let written = world
        .api(object)
        .patch(&object.name_any(), &params, &Patch::Merge(&patch))
        .await;
    match written {
        Ok(written) => {
            *object = written;
            Ok(())
        }
        Err(kube::Error::Api(error)) if matches!(error.code, 404 | 409) => Err(Failure::Outdated),
        Err(error) => Err(Failure::kubernetes("write the finalizers")(error)),
    }
}

/// Adds one of our finalizers.
///
/// # Errors
/// As [`write_finalizers`].
pub async fn add_finalizer<B, I, K: Reported>(
    world: &World<B, I>,
    object: &mut K,
    finalizer: &str,
) -> Result<(), Failure> {
    let mut finalizers = object.finalizers().to_vec();
    finalizers.push(finalizer.to_owned());
    write_finalizers(world, object, finalizers).await
}

/// Takes our finalizers off.
///
/// # Errors
/// As [`write_finalizers`].
pub async fn remove_finalizers<B, I, K: Reported>(
    world: &World<B, I>,
    object: &mut K,
) -> Result<(), Failure> {
    use crate::world::{FINALIZER, USER_FINALIZER};
    let others = object
        .finalizers()
        .iter()
        .filter(|f| *f != FINALIZER && *f != USER_FINALIZER);
    let others = others.cloned().collect();
    write_finalizers(world, object, others).await
}

/// Publishes notes as Events. One that cannot be published is not worth failing for.
async fn tell<B, I, K: Reported>(world: &World<B, I>, object: &K, notes: &[Note]) {
    let reference = object.object_ref(&());
    for Note {
        reason,
        message,
        warning,
    } in notes
    {
        let mut note = message.clone();
        note.truncate(note.floor_char_boundary(LONGEST_NOTE));
        let event = Event {
            type_: if *warning {
                EventType::Warning
            } else {
                EventType::Normal
            },
            reason: reason.clone(),
            note: Some(note),
            action: "Reconcile".to_owned(),
            secondary: None,
        };
        if let Err(error) = world.shared.recorder.publish(&event, &reference).await {
            tracing::debug!(%error, reason, "failed to publish an Event");
        }
    }
}
