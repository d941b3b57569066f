//! `CreditPurchase`: its checkout in Stripe, and the grant that its payment makes in Kubernetes.

use glyph_crds::common::LocalRef;
use glyph_crds::{
    CreditGrant, CreditGrantSpec, CreditPack, CreditPurchase, CreditPurchaseStatus, GlyphCustomer,
    GrantSource, GrantSourceType,
};
use glyph_operator_core::billing::{CheckoutState, PackCheckout, PackCheckoutParams, Payment};
use glyph_operator_core::happening::{self, Happening};
use glyph_operator_core::purchase::{
    self, Action, CREATE_CHECKOUT, Grant, Observed, Pack, current,
};
use glyph_operator_core::{Blocker, Meta, Next, Settled, reason};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::api::PostParams;
use kube::{Api, ResourceExt};

use super::subscription::{payer, stripe_customers};
use crate::failure::Failure;
use crate::making::{Make, make};
use crate::ports::{Billing, CallResult, Identity};
use crate::reconcile::Controller;
use crate::watches::named;
use crate::world::{FINALIZER, World};
use crate::writer::{Reported, add_finalizer, remove_finalizers, write_status};

/// The controller of purchases.
pub struct Purchases;

impl Reported for CreditPurchase {
    const MANAGER: &'static str = "glyph-credit-purchase-controller";

    fn happened(before: &CreditPurchaseStatus, after: &CreditPurchaseStatus) -> Vec<Happening> {
        happening::of_purchase(before, after)
    }
}

impl<B: Billing, I: Identity> Controller<B, I> for Purchases {
    type Kind = CreditPurchase;
    type Observed = Observed;
    type Action = Action;

    async fn observe(world: &World<B, I>, object: &CreditPurchase) -> Result<Observed, Failure> {
        let meta = world.meta(object);
        let status = object.reported();
        let namespace = meta.owner.namespace.as_str();
        let customer: Option<GlyphCustomer> =
            named(&world.stores, namespace, &object.spec.customer_ref.name);
        let billing = &world.shared.billing;
        let sessions = if meta.finalized && status.grant.is_none() {
            let customers = stripe_customers(customer.as_ref(), status.intent.as_ref());
            sessions(billing, &meta, &status, &customers).await?
        } else {
            Vec::new()
        };
        let payment = payment(billing, &meta, &status, &sessions).await?;
        let pack: Option<CreditPack> = named(&world.stores, namespace, &object.spec.pack);
        Ok(Observed {
            payer: payer(customer.as_ref()),
            pack: Pack::of(pack.as_ref()),
            spec: object.spec.clone(),
            urls: world.shared.urls.clone(),
            meta,
            status,
            sessions,
            payment,
        })
    }

    fn plan(observed: &Observed) -> Next<Action> {
        purchase::plan(observed)
    }

    async fn apply(
        world: &World<B, I>,
        object: &mut CreditPurchase,
        action: Action,
    ) -> Result<(), Failure> {
        match action {
            Action::AddFinalizer => add_finalizer(world, object, FINALIZER).await,
            Action::MakeCheckout(params) => {
                make::<MakePackCheckout, _, _, _>(world, object, params, |status, made| {
                    status.checkout_session_id = Some(made.id.clone());
                    status.credits = made.credits;
                })
                .await
            }
            Action::ExpireCheckout(id) => Ok(world.shared.billing.expire_checkout(&id).await?),
            Action::Grant(grant) => make_grant(world, object, grant).await,
            Action::RemoveFinalizer => remove_finalizers(world, object).await,
        }
    }

    fn status(observed: &Observed, next: &Next<Action>) -> Settled<CreditPurchaseStatus> {
        purchase::status(observed, next)
    }
}

/// Checkout sessions of this resource: all of its Stripe customers that are marked as ours, else the recorded one.
async fn sessions<B: Billing>(
    billing: &B,
    meta: &Meta,
    status: &CreditPurchaseStatus,
    customers: &[String],
) -> Result<Vec<PackCheckout>, Failure> {
    let mut found = Vec::new();
    for customer in customers {
        let listed = billing.pack_checkouts_of(customer).await?.into_iter();
        found.extend(listed.filter(|session| meta.owns(session.owner.as_ref())));
    }
    if let (true, Some(id)) = (customers.is_empty(), &status.checkout_session_id) {
        found.extend(billing.pack_checkout(id).await?);
    }
    Ok(found)
}

/// The payment of the grant, or of the session that was completed.
async fn payment<B: Billing>(
    billing: &B,
    meta: &Meta,
    status: &CreditPurchaseStatus,
    sessions: &[PackCheckout],
) -> Result<Option<Payment>, Failure> {
    let session = current(sessions, meta.now);
    let begun = session.filter(|session| session.state == CheckoutState::Complete);
    let begun = begun.and_then(|session| session.payment.as_ref());
    let recorded = status.payment_intent_id.as_ref();
    match begun.or(recorded.filter(|_| status.grant.is_some() && !meta.deleting)) {
        Some(id) => Ok(billing.payment(id).await?),
        None => Ok(None),
    }
}

/// Makes the grant, or finds that it is made, and records its name: the name is recorded after the grant is there, and
/// a recorded one is never made again, even if somebody deleted it.
async fn make_grant<B: Billing, I: Identity>(
    world: &World<B, I>,
    object: &mut CreditPurchase,
    grant: Grant,
) -> Result<(), Failure> {
    let namespace = object.namespace().unwrap_or_default();
    let api: Api<CreditGrant> = Api::namespaced(world.shared.client.clone(), &namespace);
    let wanted = resource(&grant);
    match api.create(&PostParams::default(), &wanted).await {
        Ok(_) => tracing::info!(
            grant = grant.name,
            session = grant.session,
            "credits granted"
        ),
        Err(kube::Error::Api(refused)) if refused.code == 409 => {
            let found = api.get_opt(&grant.name).await;
            let found = found.map_err(Failure::kubernetes("read the grant"))?;
            is_the_same(found.as_ref(), &wanted)?;
        }
        Err(kube::Error::Api(refused)) if is_namespace_ending(&refused, object) => {
            tracing::error!(
                namespace,
                session = grant.session,
                credits = grant.credits,
                "a paid purchase ends with its namespace before its credits were granted: refund it in Stripe"
            );
            return remove_finalizers(world, object).await;
        }
        Err(error) => return Err(Failure::kubernetes("create the grant")(error)),
    }
    let mut status = object.reported();
    status.checkout_session_id = Some(grant.session);
    status.payment_intent_id = grant.payment;
    status.credits = Some(grant.credits);
    status.checkout_url = None;
    status.checkout_expires_at = None;
    status.state = Some(glyph_crds::PurchaseState::Paid);
    status.grant = Some(grant.name);
    write_status(world, object, status).await.map(drop)
}

/// Nothing can be made any more in a namespace that is being deleted.
fn is_namespace_ending(refused: &kube::core::Status, object: &CreditPurchase) -> bool {
    object.metadata.deletion_timestamp.is_some()
        && refused.code == 403
        && refused.message.contains("is being terminated")
}

fn resource(grant: &Grant) -> CreditGrant {
    let spec = CreditGrantSpec {
        customer_ref: LocalRef {
            name: grant.customer.clone(),
        },
        credits: grant.credits,
        source: GrantSource {
            source_type: GrantSourceType::CheckoutSession,
            id: Some(grant.session.clone()),
            reason: None,
        },
        expires_at: grant.expires_at.map(Time),
    };
    CreditGrant::new(&grant.name, spec)
}

/// Somebody's grant of this name is ours if it is for the same session, customer and credits. Its end may be another:
/// it counts from when the money was first seen.
fn is_the_same(found: Option<&CreditGrant>, wanted: &CreditGrant) -> Result<(), Failure> {
    let Some(found) = found else {
        // Deleted in between: the next pass makes it.
        return Err(Failure::Outdated);
    };
    let CreditGrantSpec {
        customer_ref,
        credits,
        source,
        expires_at: _,
    } = &found.spec;
    let same = *customer_ref == wanted.spec.customer_ref
        && *credits == wanted.spec.credits
        && source.id == wanted.spec.source.id;
    if same {
        return Ok(());
    }
    let name = found.name_any();
    let message = format!(
        "CreditGrant {name} is there and is not what was paid for: delete it, and it is made as it should be"
    );
    Err(Failure::Blocked(Blocker::person(reason::CONFLICT, message)))
}

struct MakePackCheckout;

impl<B: Billing> Make<B> for MakePackCheckout {
    type Params = PackCheckoutParams;
    type Made = PackCheckout;
    const OPERATION: &'static str = CREATE_CHECKOUT;

    async fn look(billing: &B, params: &PackCheckoutParams) -> CallResult<Vec<PackCheckout>> {
        let mut all = billing.pack_checkouts_of(&params.customer).await?;
        all.retain(|session| {
            let uid = session.owner.as_ref().map(|owner| &owner.uid);
            uid == Some(&params.owner.uid) && session.state == CheckoutState::Open
        });
        Ok(all)
    }

    async fn create(
        billing: &B,
        key: &str,
        params: &PackCheckoutParams,
    ) -> CallResult<PackCheckout> {
        billing.create_pack_checkout(key, params).await
    }

    fn id(made: &PackCheckout) -> &str {
        &made.id
    }
}
