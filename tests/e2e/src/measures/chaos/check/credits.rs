//! Packs and credits: what was paid is granted, once; what was given back is taken back.

use std::collections::BTreeMap;

use glyph_crds::{CreditGrant, CreditPurchase, GrantSourceType};
use glyph_operator_core::purchase::grant_name;
use serde_json::{Value, json};

use super::super::model::{Model, PACK};
use super::super::seen::{Seen, Stripe, name, owner, uid};
use super::{id, is_true, said};

/// The sessions of packs whose money is there.
fn paid(stripe: &Stripe) -> impl Iterator<Item = &Value> {
    let all = stripe.sessions.iter();
    all.filter(|one| one["mode"] == "payment" && one["payment_status"] == "paid")
}

fn bought(grants: &[CreditGrant]) -> impl Iterator<Item = (&CreditGrant, &str)> {
    grants.iter().filter_map(|one| {
        let session = one.spec.source.id.as_deref()?;
        (one.spec.source.source_type == GrantSourceType::CheckoutSession).then_some((one, session))
    })
}

/// No credits without money, and none twice.
pub(super) fn never(seen: &Seen) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut granted = BTreeMap::<&str, usize>::new();
    for (grant, session) in bought(&seen.grants) {
        *granted.entry(session).or_default() += 1;
        if !paid(&seen.stripe).any(|one| one["id"] == session) {
            wrong.push(format!(
                "{} is granted for {session}, which is not paid",
                name(grant)
            ));
        }
    }
    let twice = granted.iter().filter(|(_, count)| **count > 1);
    wrong.extend(twice.map(|(session, count)| format!("{session} is granted {count} times")));
    let mut payments = BTreeMap::<&str, usize>::new();
    for session in paid(&seen.stripe) {
        *payments.entry(owner(session)).or_default() += 1;
    }
    let twice = payments.iter().filter(|(_, count)| **count > 1);
    wrong.extend(twice.map(|(uid, count)| format!("the purchase {uid} is paid {count} times")));
    wrong
}

/// Everything about credits.
pub(super) fn at_rest(model: &Model, seen: &Seen) -> Vec<String> {
    let mut wrong = Vec::new();
    for session in paid(&seen.stripe) {
        wrong.extend(granted(seen, session));
    }
    let names: Vec<_> = seen
        .purchases
        .iter()
        .filter(|one| one.metadata.deletion_timestamp.is_none())
        .map(|one| name(one).to_owned())
        .collect();
    let mut wanted = model.purchases.clone();
    wanted.sort();
    if names != wanted {
        wrong.push(format!(
            "there are the purchases {names:?}, and {wanted:?} should be"
        ));
    }
    seen.purchases
        .iter()
        .for_each(|one| wrong.extend(purchase(seen, one)));
    let mut given: Vec<_> = seen
        .grants
        .iter()
        .filter(|one| one.spec.source.source_type == GrantSourceType::Admin)
        .map(|one| one.spec.credits)
        .collect();
    let mut wanted = model.given.clone();
    given.sort_unstable();
    wanted.sort_unstable();
    if given != wanted {
        wrong.push(format!("an admin gave {wanted:?}, and there is {given:?}"));
    }
    wrong.extend(balance(seen));
    wrong
}

/// The one grant of a paid session.
fn granted(seen: &Seen, session: &Value) -> Vec<String> {
    let session_id = id(session);
    let wanted = grant_name(&session_id);
    let Some((grant, _)) = bought(&seen.grants).find(|(_, of)| *of == session_id) else {
        return vec![format!("{session_id} is paid, and no credits are granted")];
    };
    let mut wrong = Vec::new();
    if name(grant) != wanted || grant.spec.credits != PACK.0 {
        wrong.push(format!(
            "{session_id} is granted as {} with {} credits",
            name(grant),
            grant.spec.credits
        ));
    }
    if session["amount_total"] != PACK.1
        || seen
            .stripe
            .charge_of(session)
            .is_none_or(|charge| charge["amount"] != PACK.1)
    {
        wrong.push(format!("{session_id} was not charged its price"));
    }
    // A refund is noticed through the purchase.
    let told = seen.purchases.iter().any(|one| uid(one) == owner(session));
    let taken = grant.status.as_ref().map_or(0, |status| status.taken_back);
    let due = taken_back(&seen.stripe, session);
    if told && taken != due {
        wrong.push(format!(
            "of {session_id} {due} credits are to be taken back, and {taken} are"
        ));
    }
    if !is_true(&json!(grant), "Ready") {
        wrong.push(format!(
            "the grant of {session_id} is not ready: {}",
            said(&json!(grant))
        ));
    }
    wrong
}

/// A refund takes back its share, rounded up; an open or lost dispute all; one that is won gives it back.
fn taken_back(stripe: &Stripe, session: &Value) -> i64 {
    let Some(charge) = stripe.charge_of(session) else {
        return 0;
    };
    let mut disputes = stripe
        .disputes
        .iter()
        .filter(|one| one["charge"] == charge["id"]);
    if disputes.any(|one| one["status"] != "won") {
        return PACK.0;
    }
    let refunded = charge["amount_refunded"].as_i64().unwrap_or_default();
    (PACK.0 * refunded + PACK.1 - 1) / PACK.1
}

/// Whether a purchase's money is on its way: ordered, and neither there nor refused.
pub(super) fn is_under_way(seen: &Seen, uid: &str) -> bool {
    let ordered = |one: &&Value| {
        owner(one) == uid && one["status"] == "complete" && one["payment_status"] == "unpaid"
    };
    let charges = &seen.stripe.charges;
    seen.stripe.sessions.iter().filter(ordered).any(|session| {
        charges.iter().any(|charge| {
            charge["payment_intent"] == session["payment_intent"] && charge["status"] == "pending"
        })
    })
}

/// What a purchase says is what Stripe says of its sessions.
fn purchase(seen: &Seen, resource: &CreditPurchase) -> Vec<String> {
    let ours = || {
        seen.stripe
            .sessions
            .iter()
            .filter(|one| owner(one) == uid(resource))
    };
    let status = json!(resource.status);
    let done = ours().find(|one| one["status"] == "complete");
    let open = seen.open_sessions(uid(resource));
    let debit = done.is_some_and(|one| one["payment_status"] != "paid");
    let failed = debit && !is_under_way(seen, uid(resource));
    let state = match done {
        Some(_) if failed => "Failed",
        Some(_) if debit => "Processing",
        Some(_) => "Paid",
        None => "Open",
    };
    let what = name(resource);
    let mut wrong = Vec::new();
    if status["state"] != state {
        wrong.push(format!(
            "{what} is {}, and by Stripe {state}: {}",
            status["state"],
            said(&json!(resource))
        ));
    }
    let links = usize::from(done.is_none());
    if open.len() != links {
        wrong.push(format!(
            "{what} has {} open links, and {links} should be",
            open.len()
        ));
    }
    let link = open.first().map_or(Value::Null, |one| one["url"].clone());
    if done.is_none() && status["checkoutUrl"] != link
        || done.is_some() && !status["checkoutUrl"].is_null()
    {
        wrong.push(format!(
            "{what} shows the link {}, and Stripe's open one is {link}",
            status["checkoutUrl"]
        ));
    }
    if let Some(charge) = done.and_then(|one| seen.stripe.charge_of(one)) {
        let refunded = charge["amount_refunded"]
            .as_i64()
            .filter(|amount| *amount > 0);
        if status["amountPaid"] != charge["amount"] || status["amountRefunded"].as_i64() != refunded
        {
            wrong.push(format!(
                "{what} says that {} was paid and {} refunded",
                status["amountPaid"], status["amountRefunded"]
            ));
        }
    }
    wrong
}

/// The customer's balance is the sum of what the grants say.
fn balance(seen: &Seen) -> Vec<String> {
    let Some(customer) = seen.customers.first().filter(|_| !seen.grants.is_empty()) else {
        return Vec::new();
    };
    let taken = |one: &CreditGrant| one.status.as_ref().map_or(0, |status| status.taken_back);
    let sum: i64 = seen
        .grants
        .iter()
        .map(|one| one.spec.credits - taken(one))
        .sum();
    let status = json!(customer.status);
    if status["credits"]["granted"] == sum {
        return Vec::new();
    }
    vec![format!(
        "the customer's credits are {}, and the grants come to {sum}",
        status["credits"]
    )]
}
