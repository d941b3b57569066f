//! What must hold, as sentences about what does not. Pure: from the model and what was seen.

mod credits;
mod subscription;

use std::collections::BTreeSet;

use serde_json::Value;

use super::model::Model;
use super::seen::{Seen, Stripe, is_live, owner, uid};

/// What may never be, not for a moment.
pub(super) fn never(seen: &Seen) -> Vec<String> {
    let mut wrong = never_in_stripe(&seen.stripe);
    wrong.extend(credits::never(seen));
    wrong
}

fn never_in_stripe(stripe: &Stripe) -> Vec<String> {
    let mut wrong = Vec::new();
    let live: Vec<_> = stripe
        .subscriptions
        .iter()
        .filter(|one| is_live(one))
        .map(id)
        .collect();
    if live.len() > 1 {
        wrong.push(format!(
            "several subscriptions live: {}",
            live.join(" and ")
        ));
    }
    if stripe.customers.len() > 1 {
        let ids: Vec<_> = stripe.customers.iter().map(id).collect();
        wrong.push(format!(
            "there are several customers: {}",
            ids.join(" and ")
        ));
    }
    let mut payable = BTreeSet::new();
    for session in stripe.sessions.iter().filter(|one| one["status"] == "open") {
        if !payable.insert(owner(session)) {
            wrong.push(format!("{} is a second open link of one wish", id(session)));
        }
    }
    wrong
}

/// What must hold once all has come to rest.
pub(super) fn at_rest(model: &Model, seen: &Seen) -> Vec<String> {
    let mut wrong = never(seen);
    for resource in seen.resources() {
        wrong.extend(unsettled(seen, &resource));
    }
    wrong.extend(customer(seen));
    wrong.extend(subscription::at_rest(model, seen));
    wrong.extend(credits::at_rest(model, seen));
    wrong
}

/// What holds of every resource.
fn unsettled(seen: &Seen, resource: &Value) -> Vec<String> {
    let (kind, name) = (&resource["kind"], &resource["metadata"]["name"]);
    let (kind, name) = (
        kind.as_str().unwrap_or_default(),
        name.as_str().unwrap_or_default(),
    );
    let status = &resource["status"];
    let mut wrong = Vec::new();
    if !status["intent"].is_null() {
        wrong.push(format!(
            "{kind} {name} still has the intent {}",
            status["intent"]
        ));
    }
    let uid = resource["metadata"]["uid"].as_str().unwrap_or_default();
    if is_deleted(resource) && !credits::is_under_way(seen, uid) {
        wrong.push(format!("{kind} {name} is deleted, and still there"));
    }
    let sold = ["Tier", "CreditPack", "GlyphCustomer"].contains(&kind);
    if sold && !is_true(resource, "Ready") {
        wrong.push(format!("{kind} {name} is not ready: {}", said(resource)));
    }
    // A Subscription's may wait for what it is told of apart.
    if kind != "Subscription" && status["observedGeneration"] != resource["metadata"]["generation"]
    {
        wrong.push(format!("the status of {kind} {name} is of a former spec"));
    }
    wrong
}

fn customer(seen: &Seen) -> Vec<String> {
    let mut wrong = Vec::new();
    for resource in &seen.customers {
        let recorded = resource
            .status
            .as_ref()
            .and_then(|status| status.stripe_customer_id.as_deref());
        let ours = seen
            .stripe
            .customers
            .iter()
            .find(|one| owner(one) == uid(resource));
        if ours.map(id).as_deref() != recorded || recorded.is_none() {
            wrong.push(format!(
                "the customer is {recorded:?}, and Stripe's of this UID is {:?}",
                ours.map(id)
            ));
        }
        if ours.is_some_and(|one| one["email"] != resource.spec.email.as_str()) {
            wrong.push("Stripe's customer has another address than the spec".to_owned());
        }
    }
    for (amount, what) in super::operation::Level::ALL.map(|level| (level.amount(), level.name())) {
        let on_sale = seen.stripe.prices.iter();
        let on_sale = on_sale
            .filter(|price| price["unit_amount"] == amount && price["active"] == true)
            .count();
        if on_sale != 1 {
            wrong.push(format!("tier {what} is on sale by {on_sale} prices"));
        }
    }
    wrong
}

fn is_deleted(resource: &Value) -> bool {
    !resource["metadata"]["deletionTimestamp"].is_null()
}

/// Whether a condition is True.
fn is_true(resource: &Value, condition: &str) -> bool {
    let all = resource["status"]["conditions"].as_array();
    all.is_some_and(|all| {
        all.iter()
            .any(|one| one["type"] == condition && one["status"] == "True")
    })
}

/// The reasons and sentences of a resource's conditions.
fn said(resource: &Value) -> String {
    let all = resource["status"]["conditions"].as_array();
    let words = all.into_iter().flatten().map(|one| {
        format!(
            "{} {} {}: {}",
            one["type"], one["status"], one["reason"], one["message"]
        )
    });
    words.collect::<Vec<_>>().join("; ")
}

/// The id of an object of Stripe's.
fn id(object: &Value) -> String {
    object["id"].as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests;
