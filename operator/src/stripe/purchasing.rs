//! One-time payments in Stripe: a checkout session in payment mode, its payment intent with its latest charge, and the
//! disputes of it.

use std::collections::BTreeMap;

use glyph_crds::DisputeState;
use glyph_operator_core::billing::{self, PackCheckout, PackCheckoutParams, PaymentState};
use jiff::Timestamp;
use jiff::fmt::serde::timestamp::second;
use serde::Deserialize;
use stripe_checkout::checkout_session::{
    CreateCheckoutSession, CreateCheckoutSessionLineItems, CreateCheckoutSessionPaymentIntentData,
};
use stripe_client_core::{RequestBuilder, StripeMethod, StripeRequest};
use stripe_shared::CheckoutSessionMode;

use super::StripeBilling;
use super::objects::{Metadata, Reference, Wire, owner, state};
use super::requests::{by_id, list_checkouts, metadata};
use crate::ports::{CallResult, Purchasing};

/// Metadata key of the credits that a session sells.
const CREDITS: &str = "glyph_credits";
/// Metadata key of the days after which they expire.
const EXPIRES_AFTER_DAYS: &str = "glyph_expires_after_days";

impl Purchasing for StripeBilling {
    async fn create_pack_checkout(
        &self,
        key: &str,
        params: &PackCheckoutParams,
    ) -> CallResult<PackCheckout> {
        let request = create_request(params);
        self.write::<Session>(
            "create the checkout session",
            "/v1/checkout/sessions",
            request,
            Some(key),
        )
        .await
    }

    async fn pack_checkout(&self, id: &str) -> CallResult<Option<PackCheckout>> {
        let request = by_id(StripeMethod::Get, "checkout/sessions", id);
        let route = "/v1/checkout/sessions/{id}";
        self.read::<Session>("read the checkout session", route, request)
            .await
    }

    async fn pack_checkouts_of(&self, customer: &str) -> CallResult<Vec<PackCheckout>> {
        self.pages::<Session>(
            "list the customer's checkout sessions",
            "/v1/checkout/sessions",
            |cursor| list_checkouts(customer, cursor),
        )
        .await
    }

    /// The charge says whether there ever was a dispute, and not how it ended: only then are they listed.
    async fn payment(&self, id: &str) -> CallResult<Option<billing::Payment>> {
        let request = by_id(StripeMethod::Get, "payment_intents", id)
            .query(&BTreeMap::from([("expand[]", "latest_charge")]));
        let route = "/v1/payment_intents/{id}";
        let found = self
            .read::<Intent>("read the payment", route, request)
            .await?;
        let Some(IntentRead {
            mut payment,
            disputed,
        }) = found
        else {
            return Ok(None);
        };
        if disputed {
            let operation = "list the disputes of the payment";
            let disputes = self.pages::<Dispute>(operation, "/v1/disputes", |cursor| {
                list_disputes(id, cursor)
            });
            payment.dispute = worst(&disputes.await?);
        }
        Ok(Some(payment))
    }
}

fn create_request(params: &PackCheckoutParams) -> RequestBuilder {
    let owner = metadata(&params.owner);
    let mut sold = owner.clone();
    sold.insert(CREDITS.to_owned(), params.credits.to_string());
    if let Some(days) = params.expires_after_days {
        sold.insert(EXPIRES_AFTER_DAYS.to_owned(), days.to_string());
    }
    let mut item = CreateCheckoutSessionLineItems::new();
    item.price = Some(params.price.clone());
    item.quantity = Some(u64::from(params.quantity));
    // Stripe copies them to the charge, by whose events the purchase is found.
    let mut payment = CreateCheckoutSessionPaymentIntentData::new();
    payment.metadata = Some(owner);
    CreateCheckoutSession::new()
        .mode(CheckoutSessionMode::Payment)
        .customer(&params.customer)
        .client_reference_id(&params.owner.uid)
        .line_items([item])
        .payment_intent_data(payment)
        .metadata(sold)
        .success_url(&params.success_url)
        .cancel_url(&params.cancel_url)
        .build()
}

fn list_disputes(payment: &str, after: Option<String>) -> RequestBuilder {
    let mut query = BTreeMap::from([
        ("payment_intent", payment.to_owned()),
        ("limit", "100".to_owned()),
    ]);
    query.extend(after.map(|after| ("starting_after", after)));
    RequestBuilder::new(StripeMethod::Get, "/disputes").query(&query)
}

/// <https://docs.stripe.com/api/checkout/sessions/object>; `payment_status` as on
/// <https://docs.stripe.com/checkout/fulfillment>: `unpaid` until the money of a delayed method is there.
#[derive(Deserialize)]
struct Session {
    id: String,
    url: Option<String>,
    #[serde(default)]
    status: Option<String>,
    #[serde(default)]
    payment_status: Option<String>,
    payment_intent: Option<Reference>,
    amount_total: Option<i64>,
    currency: Option<String>,
    #[serde(with = "second::required")]
    expires_at: Timestamp,
    #[serde(with = "second::required")]
    created: Timestamp,
    #[serde(default)]
    metadata: Option<Metadata>,
}

impl Wire for Session {
    type Object = PackCheckout;
    fn id(&self) -> &str {
        &self.id
    }
}

impl From<Session> for PackCheckout {
    fn from(wire: Session) -> Self {
        let number = |key: &str| wire.metadata.as_ref()?.get(key);
        Self {
            state: state(wire.status.as_deref()),
            paid: matches!(
                wire.payment_status.as_deref(),
                Some("paid" | "no_payment_required")
            ),
            credits: number(CREDITS).and_then(|text| text.parse().ok()),
            expires_after_days: number(EXPIRES_AFTER_DAYS).and_then(|text| text.parse().ok()),
            owner: wire.metadata.as_ref().and_then(owner),
            id: wire.id,
            url: wire.url,
            payment: wire.payment_intent.map(Reference::into_id),
            amount: wire.amount_total,
            currency: wire.currency,
            expires_at: wire.expires_at,
            created: wire.created,
        }
    }
}

/// <https://docs.stripe.com/api/payment_intents/object>, with `latest_charge` expanded.
#[derive(Deserialize)]
struct Intent {
    id: String,
    status: String,
    currency: String,
    #[serde(default)]
    amount_received: i64,
    latest_charge: Option<Charge>,
}

/// <https://docs.stripe.com/api/charges/object>
#[derive(Deserialize)]
struct Charge {
    #[serde(default)]
    amount_refunded: i64,
    #[serde(default)]
    disputed: bool,
}

/// A payment, whose disputes are still to be listed if there are any.
struct IntentRead {
    payment: billing::Payment,
    disputed: bool,
}

impl Wire for Intent {
    type Object = IntentRead;
    fn id(&self) -> &str {
        &self.id
    }
}

impl From<Intent> for IntentRead {
    fn from(wire: Intent) -> Self {
        let charge = wire.latest_charge.as_ref();
        Self {
            disputed: charge.is_some_and(|charge| charge.disputed),
            payment: billing::Payment {
                // <https://docs.stripe.com/payments/paymentintents/lifecycle>: a failed one asks for another method.
                state: match wire.status.as_str() {
                    "succeeded" => PaymentState::Succeeded,
                    "requires_payment_method" | "canceled" => PaymentState::Failed,
                    _ => PaymentState::Underway,
                },
                received: wire.amount_received,
                refunded: charge.map_or(0, |charge| charge.amount_refunded),
                dispute: DisputeState::None,
                id: wire.id,
                currency: wire.currency,
            },
        }
    }
}

/// <https://docs.stripe.com/api/disputes/object>
#[derive(Deserialize)]
struct Dispute {
    id: String,
    status: String,
}

impl Wire for Dispute {
    type Object = DisputeState;
    fn id(&self) -> &str {
        &self.id
    }
}

impl From<Dispute> for DisputeState {
    /// An inquiry (`warning_…`) and a prevented dispute move no money.
    fn from(wire: Dispute) -> Self {
        match wire.status.as_str() {
            "lost" => Self::Lost,
            "won" => Self::Won,
            "warning_needs_response" | "warning_under_review" | "warning_closed" | "prevented" => {
                Self::None
            }
            _ => Self::Open,
        }
    }
}

/// What several disputes of one payment come to: one that is open keeps the money away, and so does one that was lost.
fn worst(disputes: &[DisputeState]) -> DisputeState {
    let any = |state| disputes.contains(&state);
    [DisputeState::Open, DisputeState::Lost, DisputeState::Won]
        .into_iter()
        .find(|state| any(*state))
        .unwrap_or_default()
}
