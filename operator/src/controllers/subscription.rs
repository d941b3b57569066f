//! `Subscription`: its checkout and its subscription in Stripe.

mod billed;
mod seat;

use glyph_crds::common::Intent;
use glyph_crds::common::condition::DRIFTED;
use glyph_crds::entitlement::is_final;
use glyph_crds::{GlyphCustomer, Subscription, SubscriptionStatus, Tier, TrialPaymentMethod};
use glyph_operator_core::billing::{
    CheckoutParams, CheckoutSession, CheckoutState, Owner, Schedule, ScheduleParams,
    StripeSubscription, SubscriptionParams, Terms,
};
use glyph_operator_core::happening::{self, Happening};
use glyph_operator_core::subscription::{
    self, Action, CREATE_CHECKOUT, CREATE_SCHEDULE, CREATE_SUBSCRIPTION, Observed, Payer, Plan,
    current,
};
use glyph_operator_core::{Meta, Next, Settled, intent};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use crate::failure::Failure;
use crate::making::{Make, make};
use crate::ports::{Billing, CallResult, Identity};
use crate::reconcile::Controller;
use crate::watches::named;
use crate::world::{FINALIZER, World};
use crate::writer::{Reported, add_finalizer, remove_finalizers, write_status};

pub use seat::latest_subscriptions;

/// The controller of subscriptions.
pub struct Subscriptions;

impl Reported for Subscription {
    const MANAGER: &'static str = "glyph-subscription-controller";

    fn happened(before: &SubscriptionStatus, after: &SubscriptionStatus) -> Vec<Happening> {
        happening::of_subscription(before, after)
    }
}

impl<B: Billing, I: Identity> Controller<B, I> for Subscriptions {
    type Kind = Subscription;
    type Observed = Observed;
    type Action = Action;

    async fn observe(world: &World<B, I>, object: &Subscription) -> Result<Observed, Failure> {
        let meta = world.meta(object);
        let status = object.reported();
        let namespace = meta.owner.namespace.as_str();
        let customer: Option<GlyphCustomer> =
            named(&world.stores, namespace, &object.spec.customer_ref.name);
        let customers = stripe_customers(customer.as_ref(), status.intent.as_ref());
        let stripe = &world.shared.billing;
        let Found {
            mut subscriptions,
            sessions,
            rival,
        } = if meta.finalized {
            observe_stripe(stripe, &meta, &status, &customers).await?
        } else {
            Found::default()
        };
        for subscription in &mut subscriptions {
            billed::put_first(world, namespace, status.tier.as_deref(), subscription);
        }
        let found = current(&subscriptions, status.stripe_subscription_id.as_deref());
        let price = found.and_then(|s| s.price.as_deref());
        let billed::Behind { tier, stray } =
            billed::behind(world, namespace, price, status.tier.as_deref()).await?;
        let scheduled = found.filter(|_| !meta.deleting);
        let scheduled = scheduled.and_then(|s| s.schedule.as_deref());
        Ok(Observed {
            schedule: schedule(stripe, scheduled).await?,
            in_charge: seat::other_in_charge(world, object, namespace),
            rival,
            payer: payer(customer.as_ref()),
            plan: plan_of(named(&world.stores, namespace, &object.spec.tier).as_ref()),
            spec: object.spec.clone(),
            urls: world.shared.urls.clone(),
            meta,
            status,
            subscriptions,
            sessions,
            billed: tier,
            stray_price: stray,
        })
    }

    fn plan(observed: &Observed) -> Next<Action> {
        subscription::plan(observed)
    }

    async fn apply(
        world: &World<B, I>,
        object: &mut Subscription,
        action: Action,
    ) -> Result<(), Failure> {
        let billing = &world.shared.billing;
        match action {
            Action::AddFinalizer => return add_finalizer(world, object, FINALIZER).await,
            Action::TakeOver(status) => {
                write_status(world, object, *status).await?;
            }
            Action::MakeCheckout(params) => {
                let _seat = seat::take(world, object).await?;
                return make::<MakeCheckout, _, _, _>(world, object, params, |status, made| {
                    status.checkout_session_id = Some(made.id.clone());
                })
                .await;
            }
            Action::MakeSubscription(params) => {
                let _seat = seat::take(world, object).await?;
                return make::<MakeSubscription, _, _, _>(world, object, params, |status, made| {
                    status.stripe_subscription_id = Some(made.id.clone());
                })
                .await;
            }
            Action::ExpireCheckout(id) => billing.expire_checkout(&id).await?,
            Action::ResumeCollection(id) => {
                billing.resume_collection(&id).await?;
            }
            Action::SetCancelAtPeriodEnd(id, cancel) => {
                billing.set_cancel_at_period_end(&id, cancel).await?;
            }
            Action::ChangePlan(change) => {
                billing.set_price(&change).await?;
            }
            Action::MakeSchedule(params) => {
                return make::<MakeSchedule, _, _, _>(world, object, params, |status, made| {
                    status.stripe_schedule_id = Some(made.id.clone());
                })
                .await;
            }
            Action::SetPhases(phases) => {
                billing.set_phases(&phases).await?;
            }
            Action::ReleaseSchedule(id) => {
                billing.release_schedule(&id).await?;
            }
            Action::Cancel(id) => {
                billing.cancel_subscription(&id).await?;
                // No status is written any more that would tell of it.
                let state = object.status.as_ref().and_then(|status| status.state);
                if state.is_some() && !is_final(state) {
                    world.shared.counted.happenings.count(&[Happening::Ended]);
                }
            }
            Action::RemoveFinalizer => return remove_finalizers(world, object).await,
        }
        Ok(())
    }

    fn status(observed: &Observed, next: &Next<Action>) -> Settled<SubscriptionStatus> {
        subscription::status(observed, next)
    }
}

async fn schedule<B: Billing>(billing: &B, id: Option<&str>) -> CallResult<Option<Schedule>> {
    match id {
        Some(id) => billing.schedule(id).await,
        None => Ok(None),
    }
}

/// What Stripe has of this resource, and beside it.
#[derive(Default)]
struct Found {
    subscriptions: Vec<StripeSubscription>,
    sessions: Vec<CheckoutSession>,
    /// One of another Subscription of the customer, which has not ended.
    rival: Option<StripeSubscription>,
}

/// Subscriptions and checkout sessions of this resource: those recorded, else all that are marked as ours.
async fn observe_stripe<B: Billing>(
    billing: &B,
    meta: &Meta,
    status: &SubscriptionStatus,
    customers: &[String],
) -> Result<Found, Failure> {
    let (mut subscriptions, mut rival) = (Vec::new(), None);
    if let Some(id) = &status.stripe_subscription_id {
        subscriptions.extend(billing.subscription(id).await?);
    }
    let live = subscriptions.iter().any(|s| !is_final(s.state));
    if live && !meta.deleting && status.checkout_session_id.is_none() {
        return Ok(Found {
            subscriptions,
            ..Found::default()
        });
    }
    let mut sessions = Vec::new();
    for customer in customers {
        let ours = |owner: &Option<Owner>| meta.owns(owner.as_ref());
        let listed = billing.subscriptions_of(customer).await?;
        rival = rival.or(seat::rival(&listed, meta));
        let known: Vec<_> = subscriptions.iter().map(|s| s.id.clone()).collect();
        subscriptions.extend(
            listed
                .into_iter()
                .filter(|s| ours(&s.owner) && !known.contains(&s.id)),
        );
        let listed = billing.checkouts_of(customer).await?;
        sessions.extend(listed.into_iter().filter(|s| ours(&s.owner)));
    }
    if let (true, Some(id)) = (customers.is_empty(), &status.checkout_session_id) {
        sessions.extend(billing.checkout(id).await?);
    }
    for session in sessions
        .iter()
        .filter(|s| s.state == CheckoutState::Complete)
    {
        if let Some(id) = session.subscription.as_ref()
            && !subscriptions.iter().any(|s| s.id == *id)
        {
            subscriptions.extend(billing.subscription(id).await?);
        }
    }
    Ok(Found {
        subscriptions,
        sessions,
        rival,
    })
}

/// Whether a customer's external object was changed behind our back.
pub fn is_drifted(customer: &GlyphCustomer) -> bool {
    customer.status.as_ref().is_some_and(|status| {
        let drifted = |c: &Condition| c.type_ == DRIFTED && c.status == "True";
        status.conditions.iter().any(drifted)
    })
}

/// The Stripe customers that something of a resource may be found with: its GlyphCustomer's, and the one that a create
/// under way was for, which may have gone from Kubernetes since (CASE 10).
pub fn stripe_customers(
    customer: Option<&GlyphCustomer>,
    under_way: Option<&Intent>,
) -> Vec<String> {
    let recorded = customer.and_then(|c| c.status.as_ref()?.stripe_customer_id.clone());
    let frozen = intent::customer(under_way).filter(|id| Some(id) != recorded.as_ref());
    recorded.into_iter().chain(frozen).collect()
}

/// What is known of a customer who is to pay.
pub fn payer(customer: Option<&GlyphCustomer>) -> Payer {
    let Some(customer) = customer.filter(|c| c.metadata.deletion_timestamp.is_none()) else {
        return Payer::Missing;
    };
    let drifted = is_drifted(customer);
    let status = customer.status.as_ref();
    match status.and_then(|status| status.stripe_customer_id.clone()) {
        Some(id) if !drifted => Payer::Ready(id),
        Some(_) | None => Payer::NotReady,
    }
}

fn plan_of(tier: Option<&Tier>) -> Plan {
    let Some(tier) = tier.filter(|tier| tier.metadata.deletion_timestamp.is_none()) else {
        return Plan::Missing;
    };
    let Some(sold) = tier
        .spec
        .price
        .as_ref()
        .filter(|_| !tier.spec.contact_sales)
    else {
        return Plan::NotSold;
    };
    match tier
        .status
        .as_ref()
        .and_then(|status| status.stripe_price_id.clone())
    {
        Some(price) => Plan::Sold {
            price,
            terms: Terms {
                currency: sold.currency.clone(),
                amount: sold.amount,
                interval: sold.interval,
            },
            trial_days: tier.spec.trial_days,
            trial_without_card: tier.spec.trial_payment_method == TrialPaymentMethod::Optional,
            existing: tier.spec.existing_subscribers,
        },
        None => Plan::NotReady,
    }
}

struct MakeCheckout;

impl<B: Billing> Make<B> for MakeCheckout {
    type Params = CheckoutParams;
    type Made = CheckoutSession;
    const OPERATION: &'static str = CREATE_CHECKOUT;

    async fn look(billing: &B, params: &CheckoutParams) -> CallResult<Vec<CheckoutSession>> {
        let all = billing.checkouts_of(&params.customer).await?;
        let ours =
            |s: &CheckoutSession| s.owner.as_ref().map(|o| &o.uid) == Some(&params.owner.uid);
        Ok(all
            .into_iter()
            .filter(|s| ours(s) && s.state == CheckoutState::Open)
            .collect())
    }

    async fn create(
        billing: &B,
        key: &str,
        params: &CheckoutParams,
    ) -> CallResult<CheckoutSession> {
        billing.create_checkout(key, params).await
    }

    fn id(made: &CheckoutSession) -> &str {
        &made.id
    }
}

struct MakeSubscription;

impl<B: Billing> Make<B> for MakeSubscription {
    type Params = SubscriptionParams;
    type Made = StripeSubscription;
    const OPERATION: &'static str = CREATE_SUBSCRIPTION;

    async fn look(billing: &B, params: &SubscriptionParams) -> CallResult<Vec<StripeSubscription>> {
        let all = billing.subscriptions_of(&params.customer).await?;
        let ours =
            |s: &StripeSubscription| s.owner.as_ref().map(|o| &o.uid) == Some(&params.owner.uid);
        Ok(all
            .into_iter()
            .filter(|s| ours(s) && !is_final(s.state))
            .collect())
    }

    async fn create(
        billing: &B,
        key: &str,
        params: &SubscriptionParams,
    ) -> CallResult<StripeSubscription> {
        billing.create_subscription(key, params).await
    }

    fn id(made: &StripeSubscription) -> &str {
        &made.id
    }
}

struct MakeSchedule;

impl<B: Billing> Make<B> for MakeSchedule {
    type Params = ScheduleParams;
    type Made = Schedule;
    const OPERATION: &'static str = CREATE_SCHEDULE;

    /// The one that is in charge of the subscription: Stripe lets there be no second.
    async fn look(billing: &B, params: &ScheduleParams) -> CallResult<Vec<Schedule>> {
        let subscription = billing.subscription(&params.subscription).await?;
        let schedule = match subscription.and_then(|found| found.schedule) {
            Some(id) => billing.schedule(&id).await?,
            None => None,
        };
        Ok(schedule.into_iter().collect())
    }

    async fn create(billing: &B, key: &str, params: &ScheduleParams) -> CallResult<Schedule> {
        billing.create_schedule(key, params).await
    }

    fn id(made: &Schedule) -> &str {
        &made.id
    }
}
