//! How much every customer has used of the month's quota, by the counters in Redis: for the distribution that is shown,
//! and for nothing else.

use std::collections::HashMap;

use futures::StreamExt as _;
use futures::stream;
use glyph_crds::entitlement::in_charge;
use glyph_crds::{GlyphCustomer, Subscription, Tier};
use glyph_operator_core::quota::{Allowance, Use, allowance};
use glyph_usage::{Counters, CountersError, Period};
use kube::{Resource as _, ResourceExt as _};

use crate::watches::{Watched, readable};
use crate::world::World;

/// Customers that are asked about at once, on the one connection.
const AT_ONCE: usize = 64;

/// Counts customers by the share of their quota that they have used.
///
/// # Errors
/// When the counters do not answer.
pub async fn count<B, I>(
    world: &World<B, I>,
    counters: &impl Counters,
) -> Result<Use, CountersError> {
    let asked = allowances(world)
        .into_iter()
        .map(|(uid, allowance)| async move {
            let Allowance { period, requests } = allowance;
            let period = Period {
                start: period.start.as_second(),
                end: period.end.as_second(),
            };
            let used = counters.used(&uid, period).await?;
            Ok::<_, CountersError>((used, requests))
        });
    let mut answers = stream::iter(asked).buffer_unordered(AT_ONCE);
    let mut counted = Use::default();
    while let Some(answer) = answers.next().await {
        let (used, allowed) = answer?;
        counted.add(used, allowed);
    }
    Ok(counted)
}

/// What each customer that has a quota may use, by UID.
fn allowances<B, I>(world: &World<B, I>) -> Vec<(String, Allowance)> {
    let stores = &world.stores;
    let (customers, subscriptions) = (stores.customers.state(), stores.subscriptions.state());
    let tiers = stores.tiers.state();
    let tiers: HashMap<Place<'_>, &Tier> = readable(&tiers)
        .map(|tier| (place(tier, tier.meta().name.as_deref()), tier))
        .collect();
    let mut owned = HashMap::<Place<'_>, Vec<&Subscription>>::new();
    for one in readable(&subscriptions) {
        let whose = place(one, Some(&one.spec.customer_ref.name));
        owned.entry(whose).or_default().push(one);
    }
    let of = |customer: &GlyphCustomer| {
        let own = owned.get(&place(customer, customer.meta().name.as_deref()));
        let first = in_charge(own.into_iter().flatten().copied());
        let named = |name: &str| tiers.get(&place(customer, Some(name))).copied();
        let default_tier = &world.shared.default_tier;
        let allowance = allowance(first, default_tier, named, world.now())?;
        Some((customer.uid()?, allowance))
    };
    readable(&customers).filter_map(of).collect()
}

/// A namespace, and a name in it.
type Place<'a> = (&'a str, &'a str);

/// The name in the namespace of `beside`.
fn place<'a, K: Watched>(beside: &'a K, name: Option<&'a str>) -> Place<'a> {
    let namespace = beside.meta().namespace.as_deref();
    (namespace.unwrap_or_default(), name.unwrap_or_default())
}
