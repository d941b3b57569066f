//! How much every customer has used of the month's quota, by the counters in Redis: for the distribution that is shown,
//! and for nothing else.

use std::collections::HashMap;

use futures::StreamExt as _;
use futures::stream;
use glyph_crds::entitlement::in_charge;
use glyph_crds::{GlyphCustomer, Subscription, Tier};
use glyph_operator_core::quota::{Allowance, Use, allowance};
use glyph_usage::{Counters, CountersError, Period};
use kube::ResourceExt as _;

use crate::watches::everywhere;
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
            Ok((used, requests))
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
    let place =
        |namespace: Option<String>, name: &str| (namespace.unwrap_or_default(), name.to_owned());
    let tiers: HashMap<_, _> = everywhere(&world.stores, |_: &Tier| true)
        .into_iter()
        .map(|tier| (place(tier.namespace(), &tier.name_any()), tier))
        .collect();
    let mut subscriptions = HashMap::<_, Vec<Subscription>>::new();
    for one in everywhere(&world.stores, |_: &Subscription| true) {
        let whose = place(one.namespace(), &one.spec.customer_ref.name);
        subscriptions.entry(whose).or_default().push(one);
    }
    let customers = everywhere(&world.stores, |_: &GlyphCustomer| true);
    let of = |customer: GlyphCustomer| {
        let namespace = customer.namespace();
        let own = subscriptions.get(&place(namespace.clone(), &customer.name_any()));
        let first = in_charge(own.into_iter().flatten());
        let named = |name: &str| tiers.get(&place(namespace.clone(), name));
        let default_tier = &world.shared.default_tier;
        let allowance = allowance(first, default_tier, named, world.now())?;
        Some((customer.uid()?, allowance))
    };
    customers.into_iter().filter_map(of).collect()
}
