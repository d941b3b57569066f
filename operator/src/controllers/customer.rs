//! `GlyphCustomer`: its Stripe customer and its Cognito user.

use glyph_crds::entitlement::{Standing, in_charge, turning_points};
use glyph_crds::{CognitoRef, GlyphCustomer, GlyphCustomerStatus, Subscription, Tier};
use glyph_operator_core::billing::{Customer, CustomerParams};
use glyph_operator_core::customer::{
    self, Action, Billed, Identified, Observed, RECREATE, User, common_claim, is_older,
};
use glyph_operator_core::{Meta, Next, Settled};
use kube::ResourceExt;

use crate::failure::Failure;
use crate::making::{Make, make};
use crate::ports::{self, Billing, CallResult, Identity};
use crate::reconcile::Controller;
use crate::watches::{named, select};
use crate::world::{FINALIZER, USER_FINALIZER, World};
use crate::writer::{Reported, add_finalizer, remove_finalizers};

/// The controller of customers.
pub struct Customers;

impl Reported for GlyphCustomer {
    const MANAGER: &'static str = "glyph-customer-controller";
}

impl<B: Billing, I: Identity> Controller<B, I> for Customers {
    type Kind = GlyphCustomer;
    type Observed = Observed;
    type Action = Action;

    async fn observe(world: &World<B, I>, object: &GlyphCustomer) -> Result<Observed, Failure> {
        let meta = world.meta(object);
        let status = object.reported();
        let made_user = object.finalizers().iter().any(|f| f == USER_FINALIZER);
        let rival = rival(world, object, &meta);
        let retained = meta.deleting && object.spec.deletion_policy == Default::default();
        // Nothing is read that nothing will be done about.
        let (user, customer) = if retained || rival.is_some() && !meta.deleting || !meta.finalized {
            (Identified::NotAsked, Billed::Unknown)
        } else {
            (
                observe_user(world, object).await?,
                observe_customer(world, &status).await?,
            )
        };
        let (tier, tier_changes_in) = tier_in_force(world, &meta);
        let spec = object.spec.clone();
        Ok(Observed {
            meta,
            spec,
            status,
            made_user,
            rival,
            user,
            customer,
            recreate: object.annotations().get(RECREATE).cloned(),
            tier,
            tier_changes_in,
        })
    }

    fn plan(observed: &Observed) -> Next<Action> {
        customer::plan(observed)
    }

    async fn apply(
        world: &World<B, I>,
        object: &mut GlyphCustomer,
        action: Action,
    ) -> Result<(), Failure> {
        let (billing, identity) = (&world.shared.billing, &world.shared.identity);
        match action {
            Action::AddFinalizer => return add_finalizer(world, object, FINALIZER).await,
            Action::AddUserFinalizer => return add_finalizer(world, object, USER_FINALIZER).await,
            Action::MakeUser(username, email) => {
                identity.create_user(&username, &email).await?;
            }
            Action::MakeCustomer(params) => {
                return make::<MakeCustomer, _, _, _>(world, object, params, |status, made| {
                    status.stripe_customer_id = Some(made.id.clone());
                })
                .await;
            }
            Action::UpdateCustomer(id, params) => {
                billing.update_customer(&id, &params).await?;
            }
            Action::LinkUser(username, customer) => {
                identity.link_user(&username, &customer).await?
            }
            Action::DeleteCustomer(id) => billing.delete_customer(&id).await?,
            Action::DeleteUser(username) => identity.delete_user(&username).await?,
            Action::RemoveFinalizers => return remove_finalizers(world, object).await,
        }
        Ok(())
    }

    fn status(observed: &Observed, next: &Next<Action>) -> Settled<GlyphCustomerStatus> {
        customer::status(observed, next)
    }
}

/// An older resource of the namespace that claims the same.
fn rival<B, I>(
    world: &World<B, I>,
    object: &GlyphCustomer,
    meta: &Meta,
) -> Option<(String, &'static str)> {
    let rivals = select(
        &world.stores,
        &meta.owner.namespace,
        |other: &GlyphCustomer| {
            other.uid() != object.uid()
                && is_older(other, object)
                && common_claim(object, other).is_some()
        },
    );
    let first = rivals.first()?;
    Some((first.name_any(), common_claim(object, first)?))
}

async fn observe_user<B, I: Identity>(
    world: &World<B, I>,
    object: &GlyphCustomer,
) -> Result<Identified, Failure> {
    let Some(CognitoRef {
        username,
        sub,
        create,
    }) = &object.spec.cognito
    else {
        return Ok(Identified::NotAsked);
    };
    let identity = &world.shared.identity;
    if !identity.configured() {
        return Ok(Identified::NotConfigured);
    }
    let username = username.as_ref().unwrap_or(&object.spec.email);
    let (wanted, found) = match sub {
        Some(sub) => (sub, identity.user_by_sub(sub).await?),
        None => (username, identity.user(username).await?),
    };
    Ok(match found {
        Some(ports::User {
            username,
            sub,
            email: _,
            stripe_customer_id,
        }) => Identified::Found(User {
            username,
            sub,
            stripe_customer_id,
        }),
        None => Identified::Missing {
            wanted: wanted.clone(),
            create: (*create && sub.is_none()).then(|| username.clone()),
        },
    })
}

async fn observe_customer<B: Billing, I>(
    world: &World<B, I>,
    status: &GlyphCustomerStatus,
) -> Result<Billed, Failure> {
    let Some(id) = &status.stripe_customer_id else {
        return Ok(Billed::Unknown);
    };
    let found = world.shared.billing.customer(id).await?;
    Ok(match found.filter(|customer| !customer.deleted) {
        Some(customer) => Billed::Found(customer),
        None => Billed::Gone(id.clone()),
    })
}

/// The tier in force for people to read (none while payment is required), and when it changes by the passing of time.
fn tier_in_force<B, I>(
    world: &World<B, I>,
    meta: &Meta,
) -> (Option<String>, Option<std::time::Duration>) {
    let Meta { now, owner, .. } = meta;
    let all = select(&world.stores, &owner.namespace, |s: &Subscription| {
        s.spec.customer_ref.name == owner.name
    });
    let first = in_charge(&all);
    let turns = first.and_then(|s| s.status.as_ref()).map(turning_points);
    let next = turns.into_iter().flatten().filter(|at| now < at).min();
    let changes_in = next.and_then(|at| at.duration_since(*now).try_into().ok());
    let tier = match Standing::of(first, *now) {
        Standing::Subscribed { tier, .. } => Some(tier),
        Standing::Default => Some(world.shared.default_tier.clone()),
        Standing::Lapsed { tier } => {
            let lapsed: Option<Tier> = named(&world.stores, &owner.namespace, &tier);
            let grace = lapsed.and_then(|tier| tier.spec.grace);
            grace
                .and_then(|grace| grace.degrade_to)
                .map(|lower| lower.name)
        }
    };
    (tier, changes_in)
}

struct MakeCustomer;

impl<B: Billing> Make<B> for MakeCustomer {
    type Params = CustomerParams;
    type Made = Customer;
    const OPERATION: &'static str = "CreateCustomer";

    async fn look(billing: &B, params: &CustomerParams) -> CallResult<Vec<Customer>> {
        let mut found = billing.find_customers(&params.owner, &params.email).await?;
        found.retain(|customer| Some(&customer.id) != params.instead_of.as_ref());
        Ok(found)
    }

    async fn create(billing: &B, key: &str, params: &CustomerParams) -> CallResult<Customer> {
        billing.create_customer(key, params).await
    }

    fn id(made: &Customer) -> &str {
        &made.id
    }
}
