//! Puts the id of an event on a resource, as the annotation whose change wakes the controllers.

use glyph_crds::{CreditPack, CreditPurchase, GlyphCustomer, Subscription, Tier};
use glyph_operator_core::billing::Owner;
use kube::api::{ApiResource, DynamicObject, Patch, PatchParams};
use kube::{Api, Client, ResourceExt};
use serde_json::json;

use crate::watches::STRIPE_EVENT;

/// Who writes the annotation, to Kubernetes.
const FIELD_MANAGER: &str = "glyph-webhook";

/// What became of a mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Marked {
    /// Kubernetes holds it, since now.
    Marked,
    /// Kubernetes held it already.
    Known,
    /// There is no such resource, or another one of that name.
    Foreign,
}

/// Makes `event` the last event of the resource that `owner` names by kind, name and UID. A resource that carries it
/// already is not written to (CASE 21).
pub(crate) async fn mark(client: &Client, owner: &Owner, event: &str) -> kube::Result<Marked> {
    let Some(kind) = kind(&owner.kind) else {
        return Ok(Marked::Foreign);
    };
    if !is_name(&owner.namespace) || !is_name(&owner.name) {
        return Ok(Marked::Foreign);
    }
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), &owner.namespace, &kind);
    let found = match api.get_metadata_opt(&owner.name).await? {
        Some(found) if found.uid().as_ref() == Some(&owner.uid) => found,
        _ => return Ok(Marked::Foreign),
    };
    if found
        .annotations()
        .get(STRIPE_EVENT)
        .is_some_and(|known| known == event)
    {
        return Ok(Marked::Known);
    }
    match patch(&api, owner, event).await {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(Marked::Foreign),
        Err(error) => Err(error),
        Ok(()) => Ok(Marked::Marked),
    }
}

/// The write. It makes no resource that is not there, and the UID in it makes the API server refuse one that took the
/// name in the meantime.
pub(crate) async fn patch(
    api: &Api<DynamicObject>,
    owner: &Owner,
    event: &str,
) -> kube::Result<()> {
    let params = PatchParams {
        field_manager: Some(FIELD_MANAGER.to_owned()),
        ..PatchParams::default()
    };
    let patch = json!({"metadata": {"uid": owner.uid, "annotations": {STRIPE_EVENT: event}}});
    api.patch_metadata(&owner.name, &params, &Patch::Merge(patch))
        .await
        .map(drop)
}

/// The kinds that Stripe's objects belong to.
fn kind(name: &str) -> Option<ApiResource> {
    match name {
        "CreditPack" => Some(ApiResource::erase::<CreditPack>(&())),
        "CreditPurchase" => Some(ApiResource::erase::<CreditPurchase>(&())),
        "GlyphCustomer" => Some(ApiResource::erase::<GlyphCustomer>(&())),
        "Subscription" => Some(ApiResource::erase::<Subscription>(&())),
        "Tier" => Some(ApiResource::erase::<Tier>(&())),
        _ => None,
    }
}

/// Whether Kubernetes takes this for a name. Metadata are editable in Stripe's dashboard, and names become paths.
fn is_name(text: &str) -> bool {
    let fits = |byte: u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.')
    };
    !text.is_empty() && !text.starts_with('.') && text.bytes().all(fits)
}
