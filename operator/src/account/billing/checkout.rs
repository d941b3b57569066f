//! `POST /billing/checkout`: a plan, or credits. A customer has one subscription that speaks for it, and so one payable
//! session for a plan, however often it is asked for (CASES 22, 23). What is bought comes from the caller; what it costs
//! and where the page leads back to do not (CASE 35).

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use glyph_crds::{CreditPack, CreditPurchase, Subscription};
use http::{StatusCode, header};
use jiff::Timestamp;
use kube::ResourceExt as _;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::account::Account;
use crate::account::caller::Caller;
use crate::account::idempotency::{Asked, IdempotencyKey};
use crate::account::input::{Id, Input};
use crate::account::problem::{Answer, Problem, ProblemCode, ProblemDocument};
use crate::account::waiting::until;
use crate::watches::named;
use standing::{Stand, of_purchase, of_subscription};

mod buying;
mod standing;

/// What is to be bought: a plan, or credits.
#[derive(Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::account) struct Wish {
    /// The `id` of a plan.
    #[schema(example = "starter")]
    tier: Option<String>,
    /// The `id` of a credit pack.
    credit_pack: Option<String>,
    /// How many packs, from 1 to 100; 1 unless said.
    #[schema(minimum = 1, maximum = 100)]
    quantity: Option<u32>,
}

/// What is bought.
#[derive(Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum What {
    Subscription,
    Credits,
}

/// Where it stands.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum CheckoutStatus {
    /// It can be paid at `url`.
    Open,
    /// The link is being made: look again.
    Pending,
    /// The money is on its way.
    Processing,
    /// It is paid, or nothing had to be paid.
    Complete,
    /// It failed, or has ended.
    Failed,
}

/// A checkout.
#[derive(Serialize, ToSchema)]
pub(in crate::account) struct Checkout {
    /// Its id.
    #[schema(example = "co_0f3d2c1b4a5968778695a4b3c2d1e0ff")]
    id: String,
    /// What is bought.
    kind: What,
    /// Where it stands.
    status: CheckoutStatus,
    /// Stripe's page to pay at, while it is open.
    url: Option<String>,
    /// When that page ends; it can be asked for again.
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
    /// The plan.
    #[serde(skip_serializing_if = "Option::is_none")]
    tier: Option<String>,
    /// Where the plan takes over only with the next period.
    #[serde(skip_serializing_if = "Option::is_none")]
    pending_tier: Option<String>,
    /// The credit pack.
    #[serde(skip_serializing_if = "Option::is_none")]
    credit_pack: Option<String>,
    /// How many.
    #[serde(skip_serializing_if = "Option::is_none")]
    quantity: Option<u32>,
}

/// The wish, as far as it makes sense.
enum Bought {
    Tier(String),
    Pack(String, u32),
}

impl Wish {
    fn read(&self, account: &Account) -> Answer<Bought> {
        match (&self.tier, &self.credit_pack) {
            (Some(tier), None) if self.quantity.is_none() => {
                account.on_sale(tier)?;
                Ok(Bought::Tier(tier.clone()))
            }
            (None, Some(pack)) => {
                let quantity = self.quantity.unwrap_or(1);
                if !(1..=100).contains(&quantity) {
                    return Err(Problem::value(
                        "quantity",
                        "Buy from 1 to 100 packs at once.",
                    ));
                }
                let known: Option<CreditPack> = named(&account.stores, &account.namespace, pack);
                if known.is_none_or(|pack| pack.metadata.deletion_timestamp.is_some()) {
                    let detail = "There is no credit pack of this id; GET /plans lists them.";
                    return Err(Problem::value("credit_pack", detail));
                }
                Ok(Bought::Pack(pack.clone(), quantity))
            }
            (Some(_), None) => Err(Problem::value(
                "quantity",
                "A plan is bought once; leave quantity out.",
            )),
            _ => Err(Problem::value(
                "tier",
                "Say what to buy: either tier or credit_pack.",
            )),
        }
    }
}

impl Account {
    /// Refuses a plan that cannot be bought.
    fn on_sale(&self, tier: &str) -> Answer<()> {
        let tier = self
            .tier(tier)
            .filter(|tier| tier.metadata.deletion_timestamp.is_none());
        let Some(tier) = tier else {
            return Err(Problem::value(
                "tier",
                "There is no plan of this id; GET /plans lists them.",
            ));
        };
        if tier.spec.contact_sales {
            let detail = "This plan is sold by a person: write to the sales of this API.";
            return Err(Problem::new(ProblemCode::NotForSale, detail));
        }
        if tier.spec.price.is_none() {
            let detail = "This plan costs nothing and is not bought; to go back to it, end the subscription in the portal.";
            return Err(Problem::new(ProblemCode::NotForSale, detail));
        }
        Ok(())
    }
}

fn id(uid: Option<String>) -> String {
    format!("co_{}", uid.unwrap_or_default().replace('-', ""))
}

/// A checkout as it stands, whatever there is to say of it.
fn subscription_checkout(subscription: &Subscription, stand: Option<Stand>) -> Answer<Checkout> {
    let checkout = stand_of(stand)?;
    Ok(Checkout {
        id: id(subscription.uid()),
        kind: What::Subscription,
        tier: Some(subscription.spec.tier.clone()),
        pending_tier: subscription
            .status
            .as_ref()
            .and_then(|s| s.pending_tier.clone()),
        ..checkout
    })
}

fn purchase_checkout(purchase: &CreditPurchase, stand: Option<Stand>) -> Answer<Checkout> {
    let checkout = stand_of(stand)?;
    Ok(Checkout {
        id: id(purchase.uid()),
        credit_pack: Some(purchase.spec.pack.clone()),
        quantity: Some(purchase.spec.quantity),
        ..checkout
    })
}

fn stand_of(stand: Option<Stand>) -> Answer<Checkout> {
    let (status, url, expires_at) = match stand {
        None => (CheckoutStatus::Pending, None, None),
        Some(Stand::Open { url, until }) => (CheckoutStatus::Open, Some(url), until),
        Some(Stand::Processing) => (CheckoutStatus::Processing, None, None),
        Some(Stand::Complete) => (CheckoutStatus::Complete, None, None),
        Some(Stand::Failed) => (CheckoutStatus::Failed, None, None),
        Some(Stand::Refused(problem)) => return Err(*problem),
    };
    Ok(Checkout {
        id: String::new(),
        kind: What::Credits,
        status,
        url,
        expires_at,
        tier: None,
        pending_tier: None,
        credit_pack: None,
        quantity: None,
    })
}

/// Buy a plan or credits.
///
/// Answers with Stripe's page to pay at. Who has a plan already moves to the one asked for: to a dearer one at once, for the
/// difference, and to a cheaper one with the next period. Asked twice, it is bought once. If the page is not ready in time,
/// the answer is 202 and says where to look.
#[utoipa::path(post, path = "/billing/checkout", tag = "Billing", request_body = Wish,
    params(("idempotency-key" = Option<String>, Header, description = "The same key buys the same thing once")),
    security(("access_token" = [])), responses(
    (status = 200, body = Checkout, description = "Where to pay, or that nothing is left to be paid"),
    (status = 202, body = Checkout, description = "The page is being made"),
    (status = 402, body = ProblemDocument, content_type = "application/problem+json",
        description = "The change of plan could not be charged")))]
pub(in crate::account) async fn checkout(
    State(account): State<Arc<Account>>,
    caller: Caller,
    key: IdempotencyKey,
    Input(wish): Input<Wish>,
) -> Answer<Response> {
    caller.may_act()?;
    let wait = account.settings.wait();
    let checkout = match wish.read(&account)? {
        Bought::Tier(tier) => {
            let asked = Asked::new(&caller.uid(), &key, &wish);
            let made = account.subscribe(&caller, &tier, &asked).await?;
            let api = account.api::<Subscription>();
            let newer = |seen: &Subscription| Some((seen.clone(), of_subscription(seen)?));
            match until(api, &made.name_any(), wait, newer).await {
                Some((seen, stand)) => {
                    if let Stand::Refused(_) = stand {
                        account.put_back(&seen).await;
                    }
                    subscription_checkout(&seen, Some(stand))?
                }
                None => subscription_checkout(&made, None)?,
            }
        }
        Bought::Pack(pack, quantity) => {
            let made = account.purchase(&caller, &pack, quantity, &key).await?;
            let api = account.api::<CreditPurchase>();
            let newer = |seen: &CreditPurchase| Some((seen.clone(), of_purchase(seen)?));
            match until(api, &made.name_any(), wait, newer).await {
                Some((seen, stand)) => purchase_checkout(&seen, Some(stand))?,
                None => purchase_checkout(&made, None)?,
            }
        }
    };
    let location = [(
        header::LOCATION,
        format!("/billing/checkout/{}", checkout.id),
    )];
    let status = match checkout.status {
        CheckoutStatus::Pending => StatusCode::ACCEPTED,
        _ => StatusCode::OK,
    };
    Ok((status, location, Json(checkout)).into_response())
}

/// Look at a checkout.
#[utoipa::path(get, path = "/billing/checkout/{checkout_id}", tag = "Billing",
    params(("checkout_id" = String, Path, description = "Its id")),
    security(("access_token" = [])), responses((status = 200, body = Checkout, description = "Where it stands"),
    (status = 402, body = ProblemDocument, content_type = "application/problem+json",
        description = "The change of plan could not be charged")))]
pub(in crate::account) async fn look(
    State(account): State<Arc<Account>>,
    caller: Caller,
    Id(wanted): Id,
) -> Answer<Json<Checkout>> {
    let subscriptions = account.subscriptions_of(&caller.name()).await?;
    if let Some(found) = subscriptions.iter().find(|s| id(s.uid()) == wanted) {
        return subscription_checkout(found, of_subscription(found)).map(Json);
    }
    let purchases = account.purchases_of(&caller.name()).await?;
    let found = purchases
        .iter()
        .find(|purchase| id(purchase.uid()) == wanted);
    let found = found.ok_or_else(Problem::not_found)?;
    purchase_checkout(found, of_purchase(found)).map(Json)
}
