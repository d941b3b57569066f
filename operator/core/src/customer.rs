//! `GlyphCustomer`: one Stripe customer and, where asked, one Cognito user, each naming the other.
//!
//! The Cognito user comes first, so that the Stripe customer is made with its `sub`. A user that we make
//! leaves a second finalizer on the resource: only such a user is ever deleted.

use glyph_crds::common::DeletionPolicy;
use glyph_crds::{GlyphCustomer, GlyphCustomerStatus};

use crate::billing::{Customer, CustomerParams};
use crate::condition::Findings;
use crate::status::Status;
use crate::{Blocker, Meta, Next, Settled, reason};

/// Annotation by which a person asks for a new Stripe customer in the place of a deleted one, which it names.
pub const RECREATE: &str = "glyphapi.ai/recreate";

/// A Cognito user, as far as it matters here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Name in the pool.
    pub username: String,
    /// The user's `sub`.
    pub sub: String,
    /// `custom:stripe_customer_id`.
    pub stripe_customer_id: Option<String>,
}

/// What is known of the Cognito side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identified {
    /// The spec asks for no user.
    NotAsked,
    /// The spec asks for one, and no pool is configured.
    NotConfigured,
    /// The pool has it.
    Found(User),
    /// The pool does not have it; `create` holds the name to make it under, if it may be made.
    Missing {
        /// What was looked for.
        wanted: String,
        /// User name to make.
        create: Option<String>,
    },
}

/// What is known of the Stripe side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Billed {
    /// Nothing is recorded; the making of it looks first.
    Unknown,
    /// This one is recorded and stands.
    Found(Customer),
    /// The recorded one is no longer there.
    Gone(String),
}

/// What is known of a customer.
#[derive(Clone, Debug)]
pub struct Observed {
    /// The resource.
    pub meta: Meta,
    /// Its spec.
    pub spec: glyph_crds::GlyphCustomerSpec,
    /// The status as it stands.
    pub status: GlyphCustomerStatus,
    /// The finalizer of a user that we made is on it.
    pub made_user: bool,
    /// An older resource that claims the same e-mail address or user, and which of the two.
    pub rival: Option<(String, &'static str)>,
    /// The Cognito side.
    pub user: Identified,
    /// The Stripe side.
    pub customer: Billed,
    /// The deleted Stripe customer that a person wants another one instead of.
    pub recreate: Option<String>,
    /// Tier in force by the subscription in charge, or the default; none while payment is required.
    pub tier: Option<String>,
    /// When the tier in force changes by the passing of time.
    pub tier_changes_in: Option<std::time::Duration>,
}

/// What to do for a customer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Before anything external.
    AddFinalizer,
    /// Before a user is made.
    AddUserFinalizer,
    /// Make the Cognito user of this name with this address.
    MakeUser(String, String),
    /// Make the Stripe customer, or find it.
    MakeCustomer(CustomerParams),
    /// Write address, name and metadata of the Stripe customer.
    UpdateCustomer(String, CustomerParams),
    /// Write `custom:stripe_customer_id` of this user.
    LinkUser(String, String),
    /// Delete the Stripe customer.
    DeleteCustomer(String),
    /// Delete the Cognito user.
    DeleteUser(String),
    /// After everything external.
    RemoveFinalizers,
}

/// The next thing to do.
#[must_use]
pub fn plan(observed: &Observed) -> Next<Action> {
    let Observed {
        meta,
        spec,
        status: _,
        made_user,
        rival,
        user,
        customer,
        recreate: _,
        tier: _,
        tier_changes_in: _,
    } = observed;
    if meta.deleting {
        return plan_deletion(observed);
    }
    if !meta.finalized {
        return Next::Do(Action::AddFinalizer);
    }
    if let Some((older, what)) = rival {
        let message = format!(
            "GlyphCustomer {older} is older and has the same {what}: change it here, or delete one of the two"
        );
        return Blocker::person(reason::CONFLICT, message).into();
    }
    let user = match user {
        Identified::NotAsked => None,
        Identified::NotConfigured => return not_configured(),
        Identified::Found(user) => Some(user),
        Identified::Missing {
            create: Some(_), ..
        } if !made_user => {
            return Next::Do(Action::AddUserFinalizer);
        }
        Identified::Missing {
            create: Some(username),
            ..
        } => {
            return Next::Do(Action::MakeUser(username.clone(), spec.email.clone()));
        }
        Identified::Missing {
            wanted,
            create: None,
        } => {
            let message = format!(
                "the Cognito pool has no user {wanted}: register it, correct spec.cognito, or set spec.cognito.create"
            );
            return Blocker::person(reason::USER_NOT_FOUND, message).into();
        }
    };
    let params = params(observed, user);
    plan_customer(meta, customer, observed.recreate.as_ref(), params, user)
}

fn not_configured() -> Next<Action> {
    let message = "spec.cognito asks for a user, but no pool is configured: set \
                   AWS_COGNITO_USER_POOL_ID for the operator, or remove spec.cognito";
    Blocker::person(reason::COGNITO_NOT_CONFIGURED, message).into()
}

fn plan_customer(
    meta: &Meta,
    customer: &Billed,
    recreate: Option<&String>,
    params: CustomerParams,
    user: Option<&User>,
) -> Next<Action> {
    let customer = match customer {
        Billed::Unknown => return Next::Do(Action::MakeCustomer(params)),
        Billed::Gone(id) if recreate == Some(id) => {
            let instead_of = Some(id.clone());
            let params = CustomerParams {
                instead_of,
                ..params
            };
            return Next::Do(Action::MakeCustomer(params));
        }
        Billed::Gone(id) => {
            let message = format!(
                "customer {id} was deleted in Stripe, and its subscriptions with it: to go on with a new one, \
                 annotate this resource with {RECREATE}={id}; else delete it"
            );
            return Blocker::drift(reason::DELETED_IN_STRIPE, message).into();
        }
        Billed::Found(customer) => customer,
    };
    let written = same_address(customer.email.as_deref(), &params.email)
        && (params.name.is_none() || customer.name == params.name)
        && customer.cognito_sub == params.cognito_sub
        && meta.owns(customer.owner.as_ref());
    if !written {
        return Next::Do(Action::UpdateCustomer(customer.id.clone(), params));
    }
    match user {
        Some(user) if user.stripe_customer_id.as_ref() != Some(&customer.id) => {
            Next::Do(Action::LinkUser(user.username.clone(), customer.id.clone()))
        }
        _ => Next::Done,
    }
}

fn params(observed: &Observed, user: Option<&User>) -> CustomerParams {
    CustomerParams {
        email: observed.spec.email.clone(),
        name: observed.spec.display_name.clone(),
        cognito_sub: user.map(|user| user.sub.clone()),
        owner: observed.meta.owner.clone(),
        instead_of: None,
    }
}

/// E-mail addresses are compared without case: services differ in whether they keep it.
fn same_address(found: Option<&str>, wanted: &str) -> bool {
    found.is_some_and(|found| found.eq_ignore_ascii_case(wanted))
}

fn plan_deletion(observed: &Observed) -> Next<Action> {
    let Observed {
        meta,
        spec,
        status,
        made_user,
        rival: _,
        user,
        customer,
        recreate: _,
        tier: _,
        tier_changes_in: _,
    } = observed;
    if !meta.finalized && !made_user {
        return Next::Done;
    }
    if spec.deletion_policy == DeletionPolicy::Retain {
        return Next::Do(Action::RemoveFinalizers);
    }
    match customer {
        // A create that was under way may have happened: it is found under its key, and then deleted (CASE 10).
        Billed::Unknown if status.intent.is_some() => {
            return Next::Do(Action::MakeCustomer(params(observed, None)));
        }
        Billed::Found(customer) if meta.owns(customer.owner.as_ref()) => {
            return Next::Do(Action::DeleteCustomer(customer.id.clone()));
        }
        Billed::Unknown | Billed::Found(_) | Billed::Gone(_) => {}
    }
    match user {
        Identified::Found(user) if *made_user && is_our_user(user, status) => {
            Next::Do(Action::DeleteUser(user.username.clone()))
        }
        Identified::NotConfigured if *made_user => not_configured(),
        _ => Next::Do(Action::RemoveFinalizers),
    }
}

/// Whether a user that we may have made names no other Stripe customer than ours.
fn is_our_user(user: &User, status: &GlyphCustomerStatus) -> bool {
    user.stripe_customer_id.is_none() || user.stripe_customer_id == status.stripe_customer_id
}

/// The status that says how far it came.
#[must_use]
pub fn status(observed: &Observed, next: &Next<Action>) -> Settled<GlyphCustomerStatus> {
    let Observed {
        meta,
        spec,
        status,
        made_user: _,
        rival: _,
        user,
        customer,
        recreate: _,
        tier,
        tier_changes_in,
    } = observed;
    let mut status = status.clone();
    status.observed_generation = meta.generation;
    if let Identified::Found(user) = user {
        status.cognito_sub = Some(user.sub.clone());
    } else if *user == Identified::NotAsked {
        status.cognito_sub = None;
    }
    if let Billed::Found(customer) = customer {
        status.stripe_customer_id = Some(customer.id.clone());
        status.intent = None;
    }
    status.tier.clone_from(tier);
    let findings = match next {
        Next::Wait(blocker) => Findings::blocked(blocker),
        Next::Do(_) => Findings::blocked(&Blocker::wait(
            if meta.deleting {
                reason::DELETING
            } else {
                reason::PROGRESSING
            },
            "Stripe and Cognito are being brought in line",
        )),
        Next::Done => Findings::ready(reason::LINKED, linked(spec.suspended, &status)),
    };
    status.find(findings, meta.generation, meta.now);
    Settled {
        status,
        look_again: *tier_changes_in,
    }
}

fn linked(suspended: bool, status: &GlyphCustomerStatus) -> String {
    let stripe = status.stripe_customer_id.as_deref().unwrap_or_default();
    let tier = match &status.tier {
        Some(tier) => format!("on tier {tier}"),
        None => "on no tier until its invoice is paid".to_owned(),
    };
    let user = match &status.cognito_sub {
        Some(sub) => format!(" and Cognito user {sub}"),
        None => String::new(),
    };
    let suspended = if suspended {
        "; suspended: every request is refused"
    } else {
        ""
    };
    format!("Stripe customer {stripe}{user}, {tier}{suspended}")
}

/// Which of two resources has a claim: the older; at the same age, the one with the smaller UID.
#[must_use]
pub fn is_older(one: &GlyphCustomer, other: &GlyphCustomer) -> bool {
    let age = |c: &GlyphCustomer| {
        let made = c.metadata.creation_timestamp.as_ref().map(|t| t.0);
        (made, c.metadata.uid.clone())
    };
    age(one) < age(other)
}

/// What two customers both claim, if anything.
#[must_use]
pub fn common_claim(one: &GlyphCustomer, other: &GlyphCustomer) -> Option<&'static str> {
    if one.spec.email.eq_ignore_ascii_case(&other.spec.email) {
        return Some("e-mail address");
    }
    let (Some(one), Some(other)) = (&one.spec.cognito, &other.spec.cognito) else {
        return None;
    };
    let same = |a: &Option<String>, b: &Option<String>| a.is_some() && a == b;
    (same(&one.username, &other.username) || same(&one.sub, &other.sub)).then_some("Cognito user")
}

#[cfg(test)]
mod tests;
