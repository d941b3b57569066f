//! `status.credits` of every customer: the sum over their grants, as the statuses of these have it. It is this module's
//! one field of that status, under a field manager of its own: the rest is the customers' controller's, whose passes
//! ask Stripe, which a used credit is no reason for.

use std::collections::HashMap;

use glyph_crds::common::LocalRef;
use glyph_crds::{CreditGrant, Credits, GlyphCustomer};
use glyph_operator_core::grant::balance;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::api::{Patch, PatchParams};
use kube::{Resource, ResourceExt};
use serde_json::json;

use crate::world::World;

/// Who writes it, to Kubernetes.
const FIELD_MANAGER: &str = "glyph-credits";

/// Writes the balances that differ from what is recorded.
pub(super) async fn write<B, I>(world: &World<B, I>) {
    let mut grants = HashMap::<(String, LocalRef), Vec<CreditGrant>>::new();
    for grant in world.stores.grants.state() {
        let Ok(grant) = &grant.0 else { continue };
        let key = (
            grant.namespace().unwrap_or_default(),
            grant.spec.customer_ref.clone(),
        );
        grants.entry(key).or_default().push(grant.clone());
    }
    for customer in world.stores.customers.state() {
        let Ok(customer) = &customer.0 else { continue };
        let name = customer.name_any();
        let key = (customer.namespace().unwrap_or_default(), LocalRef { name });
        if let Some(credits) = due(world, customer, grants.get(&key))
            && let Err(error) = patch(world, customer, &credits).await
        {
            tracing::debug!(%error, name = key.1.name, "failed to write a balance; trying again");
        }
    }
}

/// The balance, if it is not what the status says.
fn due<B, I>(
    world: &World<B, I>,
    customer: &GlyphCustomer,
    grants: Option<&Vec<CreditGrant>>,
) -> Option<Credits> {
    let recorded = customer.status.as_ref().and_then(|s| s.credits.as_ref());
    let deleting = customer.metadata.deletion_timestamp.is_some();
    if deleting || (grants.is_none() && recorded.is_none()) {
        return None;
    }
    let now = world.now();
    let (granted, used, left) = balance(grants.into_iter().flatten(), now);
    let same = |known: &Credits| (known.granted, known.used, known.left) == (granted, used, left);
    (!recorded.is_some_and(same)).then_some(Credits {
        granted,
        used,
        left,
        as_of: Time(now),
    })
}

async fn patch<B, I>(
    world: &World<B, I>,
    customer: &GlyphCustomer,
    credits: &Credits,
) -> kube::Result<()> {
    if world.lead.check().is_err() {
        return Ok(());
    }
    let name = customer.name_any();
    let patch = json!({
        "apiVersion": GlyphCustomer::api_version(&()),
        "kind": GlyphCustomer::kind(&()),
        "metadata": {"name": name, "uid": customer.uid()},
        "status": {"credits": credits},
    });
    let params = PatchParams::apply(FIELD_MANAGER).force();
    let api = world.api(customer);
    api.patch_status(&name, &params, &Patch::Apply(&patch))
        .await
        .map(drop)
}
