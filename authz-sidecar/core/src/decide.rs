//! The decision, in two pure steps around the counters: [`authorize`] says who asks and what it would cost, and
//! [`Admission::settle`] turns what the counters said into a verdict.

mod admission;
mod asked;
mod asker;

use std::sync::Arc;

use glyph_crds::api_key_format::{Peppers, marker};
use glyph_crds::period::calendar_month;
use glyph_crds::{Endpoint, Environment, OverQuota};
use glyph_usage::{Grant, Outcome, Period, Rate};
use jiff::Timestamp;

use asked::Asked;
use asker::Asker;

use crate::credential::{self, Credential, Unusable};
use crate::index::{CustomerEntry, InForce, Index, KeyEntry, ObjectName, TierEntry};
use crate::limits::Limits;
use crate::request::RequestView;
use crate::token::Verifier;
use crate::verdict::{Code, Denial, Identity, Permit, Whose};

/// What the platform engineer has set.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Which keys this gateway accepts.
    pub environment: Environment,
    /// Name of the tier of customers without a subscription in force, in the customer's namespace.
    pub default_tier: String,
    /// Where callers pay or upgrade, when there is no checkout link of their own.
    pub billing_url: Option<Arc<str>>,
}

/// Everything a decision is based on besides the request.
#[derive(Clone, Copy)]
pub struct Basis<'a> {
    /// What is known of the world.
    pub index: &'a Index,
    /// What presented keys are hashed under.
    pub peppers: &'a Peppers,
    /// What presented tokens are verified by.
    pub verifier: Verifier<'a>,
    /// What is set.
    pub policy: &'a Policy,
    /// When.
    pub now: Timestamp,
}

/// A request that may pass if the counters have room for it.
pub struct Admission {
    identity: Identity,
    endpoint: Option<Arc<Endpoint>>,
    inbound_headers: Vec<String>,
    cost: u64,
    period: Period,
    quota: Option<u64>,
    over_quota: OverQuota,
    grants: Box<[Grant]>,
    rate: Option<Rate>,
    upgrade_at: Option<Arc<str>>,
    now: Timestamp,
}

/// What came of asking the counters.
#[derive(Clone, Debug)]
pub enum Counted {
    /// They have judged.
    Judged(Outcome),
    /// They are away; policy admits the request, uncounted.
    AwayAdmitted,
    /// They are away, and policy refuses the request.
    AwayRefused,
}

/// The service a customer has at a moment.
struct Service<'a> {
    name: ObjectName,
    tier: &'a TierEntry,
    period: Period,
}

/// A request that passes the first step.
pub enum Authorized {
    /// No credential is needed and none was read: it passes, uncounted.
    Open(Box<Permit>),
    /// It passes if the counters have room for it.
    Metered(Box<Admission>),
}

/// Who asks, whether they may, and what the request takes.
///
/// # Errors
/// The [`Denial`], when the counters need not be asked.
pub fn authorize(request: &RequestView<'_>, basis: Basis<'_>) -> Result<Authorized, Denial> {
    if !basis.index.is_synced() {
        return Err(Denial::unavailable("the index has not synced yet"));
    }
    let asked = asked::of(request, basis.index)?;
    if asked.is_open(request) {
        return Ok(Authorized::Open(Box::new(Permit {
            identity: None,
            endpoint: asked.endpoint.cloned(),
            inbound_headers: inbound_headers(request),
            limits: Limits::default(),
            credits_taken: 0,
            returnable: None,
        })));
    }
    admit(request, &asked, basis)
        .map(|admission| Authorized::Metered(Box::new(admission)))
        .map_err(|denial| denial.at(asked.endpoint))
}

fn admit(
    request: &RequestView<'_>,
    asked: &Asked<'_>,
    basis: Basis<'_>,
) -> Result<Admission, Denial> {
    let asker = asker_of(request, basis)?;
    let customer = customer_of(asker.customer(), basis.index)?;
    let whose = Whose {
        uid: Arc::clone(&customer.uid),
        customer: asker.customer().clone(),
        counted_by: Arc::clone(asker.rate_key()),
    };
    admit_customer(request, asked, basis, (&asker, customer, &whose))
        .map_err(|denial| denial.of(&whose))
}

fn admit_customer(
    request: &RequestView<'_>,
    asked: &Asked<'_>,
    basis: Basis<'_>,
    (asker, customer, whose): (&Asker<'_>, &CustomerEntry, &Whose),
) -> Result<Admission, Denial> {
    if customer.suspended {
        let detail = "This customer is suspended; ask the provider of this API why.";
        return Err(Denial::new(Code::Suspended, detail));
    }
    if let Asker::Key(key) = asker
        && !key.allows(request.client)
    {
        let detail = "This API key may not be used from this address; its owner can change the allowed addresses.";
        return Err(Denial::new(Code::AddressDenied, detail));
    }
    asked.permits(asker)?;
    let name = asker.customer();
    let service = service_of(name, basis)?;
    let subscription = basis.index.subscription_of(name);
    let checkout = subscription.and_then(|subscription| subscription.checkout_url.clone());
    let grants = match (service.tier.over_quota, service.tier.quota) {
        (OverQuota::Credits, Some(_)) => basis.index.grants_of(name, basis.now),
        _ => Box::default(),
    };
    Ok(Admission {
        cost: asked.cost,
        period: service.period,
        quota: service.tier.quota,
        over_quota: service.tier.over_quota,
        grants,
        rate: asker.rate(service.tier),
        upgrade_at: checkout.or_else(|| basis.policy.billing_url.clone()),
        now: basis.now,
        identity: Identity {
            whose: whose.clone(),
            subject: customer.subject.clone(),
            tier: service.name,
            key_id: asker.key_id().cloned(),
        },
        endpoint: asked.endpoint.cloned(),
        inbound_headers: inbound_headers(request),
    })
}

fn inbound_headers(request: &RequestView<'_>) -> Vec<String> {
    request.ours.iter().map(ToString::to_string).collect()
}

/// Who asks by the request's credential, if that is good now.
fn asker_of<'a>(request: &RequestView<'_>, basis: Basis<'a>) -> Result<Asker<'a>, Denial> {
    let takes_tokens = !basis.verifier.trust.is_empty();
    match credential::read(request).map_err(|why| unusable(why, takes_tokens))? {
        Credential::ApiKey { key, environment } => key_of(key, environment, basis).map(Asker::Key),
        Credential::Token(token) => asker::user_of(token, basis),
    }
}

/// The key that is written `text`, if it is good now.
fn key_of<'a>(
    text: &str,
    environment: Environment,
    basis: Basis<'a>,
) -> Result<&'a KeyEntry, Denial> {
    let wanted = basis.policy.environment;
    let elsewhere = || {
        let detail = format!(
            "This gateway accepts keys that begin with {}.",
            marker(wanted)
        );
        Denial::new(Code::InvalidCredential, detail)
    };
    if environment != wanted {
        return Err(elsewhere());
    }
    let known = basis
        .peppers
        .iter()
        .find_map(|pepper| basis.index.key(pepper, &pepper.hash(text)));
    let Some((key, hash)) = known else {
        let detail = "The API key is not known; check that it is complete, or make a new one.";
        return Err(Denial::new(Code::InvalidCredential, detail));
    };
    let over = |end: Option<Timestamp>| end.is_some_and(|end| end <= basis.now);
    if key.environment != wanted {
        Err(elsewhere())
    } else if key.revoked {
        Err(Denial::new(
            Code::KeyRevoked,
            "The API key was revoked; use another one.",
        ))
    } else if over(key.expires_at) {
        Err(Denial::new(
            Code::KeyExpired,
            "The API key has expired; make a new one.",
        ))
    } else if over(hash.not_after) {
        Err(Denial::new(
            Code::KeyExpired,
            "The API key was replaced by a newer one; use that.",
        ))
    } else {
        Ok(key)
    }
}

fn unusable(why: Unusable, takes_tokens: bool) -> Denial {
    let (code, detail) = match why {
        Unusable::Missing if takes_tokens => (
            Code::MissingCredential,
            "Send an API key or an access token in the header `Authorization: Bearer …`, or an API key in `x-api-key`.",
        ),
        Unusable::Missing => (
            Code::MissingCredential,
            "Send an API key in the header `Authorization: Bearer glyph_sk_…` or `x-api-key: glyph_sk_…`.",
        ),
        Unusable::InUrl => (
            Code::MissingCredential,
            "Send the API key in the header `Authorization: Bearer …`, not in the URL, and replace this key: URLs are logged.",
        ),
        Unusable::Doubled => (
            Code::InvalidCredential,
            "The request carries more than one credential; send one, in `Authorization` or in `x-api-key`.",
        ),
        Unusable::NotBearer if takes_tokens => (
            Code::InvalidCredential,
            "The `Authorization` header must be `Bearer`, one space, and an API key or an access token.",
        ),
        Unusable::NotBearer => (
            Code::InvalidCredential,
            "The `Authorization` header must be `Bearer`, one space, and an API key.",
        ),
        Unusable::Malformed => (
            Code::InvalidCredential,
            "The credential is not an API key; a key is glyph_sk_live_ or glyph_sk_dev_ and 32 letters or digits.",
        ),
    };
    Denial::new(code, detail)
}

/// The customer of a good credential. A key whose customer is gone is nobody's.
fn customer_of<'a>(name: &ObjectName, index: &'a Index) -> Result<&'a CustomerEntry, Denial> {
    index.customer(name).ok_or_else(|| {
        let detail = "The API key belongs to a customer that does not exist (any more).";
        Denial::new(Code::InvalidCredential, detail)
    })
}

/// The tier in force and the month its quota counts in. Without a subscription, and after one lapsed, months are
/// those of the calendar.
fn service_of<'a>(customer: &ObjectName, basis: Basis<'a>) -> Result<Service<'a>, Denial> {
    let subscription = basis.index.subscription_of(customer);
    let in_force = subscription.map_or(&InForce::Default, |subscription| {
        subscription.in_force(basis.now)
    });
    let (name, cycle) = match in_force {
        InForce::Subscribed { tier, cycle } => (tier.clone(), *cycle),
        InForce::Default => (customer.sibling(&basis.policy.default_tier), None),
        InForce::Lapsed { tier } => {
            let degraded = basis
                .index
                .tier(tier)
                .and_then(|tier| tier.degrade_to.clone());
            let pay_at = subscription.and_then(|subscription| subscription.checkout_url.clone());
            let pay_at = pay_at.or_else(|| basis.policy.billing_url.clone());
            (degraded.ok_or_else(|| unpaid(tier, pay_at))?, None)
        }
    };
    let Some(tier) = basis.index.tier(&name) else {
        return Err(Denial::unavailable(format!(
            "the tier {name} of the customer {customer} does not exist"
        )));
    };
    let month = cycle.map_or_else(|| calendar_month(basis.now), |cycle| cycle.month(basis.now));
    let period = Period {
        start: month.start.as_second(),
        end: month.end.as_second(),
    };
    Ok(Service { name, tier, period })
}

fn unpaid(tier: &ObjectName, pay_at: Option<Arc<str>>) -> Denial {
    let detail = match &pay_at {
        Some(url) => format!("The subscription is unpaid; pay at {url} to go on."),
        None => "The subscription is unpaid; pay the open invoice to go on.".to_owned(),
    };
    Denial::new(Code::PaymentRequired, detail)
        .link("pay_at", pay_at)
        .on_tier(tier)
}

#[cfg(test)]
mod tests;
