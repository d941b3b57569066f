//! A one-time payment for credits as the operator needs it.

use glyph_crds::DisputeState;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{CheckoutState, Owner};

/// Parameters of a checkout session for a credit pack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackCheckoutParams {
    /// Customer that pays.
    pub customer: String,
    /// Price of one pack.
    pub price: String,
    /// How many packs.
    pub quantity: u32,
    /// Credits that are sold in all; the session carries them, so that a pack edited later changes nothing.
    pub credits: i64,
    /// Days from the payment on after which they expire.
    pub expires_after_days: Option<u32>,
    /// Where Stripe sends the person after paying.
    pub success_url: String,
    /// Where Stripe sends the person who gives up.
    pub cancel_url: String,
    /// The CreditPurchase: metadata of the session and of the payment.
    pub owner: Owner,
}

/// A checkout session for a credit pack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackCheckout {
    /// `cs_…`
    pub id: String,
    /// Where the person pays, while open.
    pub url: Option<String>,
    /// Where it stands.
    pub state: CheckoutState,
    /// The money is there, or none is needed. A complete session can still be waiting for it (CASE 26).
    pub paid: bool,
    /// The payment (`pi_…`); absent where none is needed or was begun.
    pub payment: Option<String>,
    /// Minor units in all.
    pub amount: Option<i64>,
    /// ISO 4217, lower case.
    pub currency: Option<String>,
    /// Credits that were sold by it, if its metadata say so.
    pub credits: Option<i64>,
    /// Days from the payment on after which they expire.
    pub expires_after_days: Option<u32>,
    /// When it can no longer be paid.
    pub expires_at: Timestamp,
    /// When Stripe made it.
    pub created: Timestamp,
    /// Whose session it is, if ours.
    pub owner: Option<Owner>,
}

/// Where a payment stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PaymentState {
    /// The money is there.
    Succeeded,
    /// It may still come.
    Underway,
    /// It did not come.
    Failed,
}

/// A payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payment {
    /// `pi_…`
    pub id: String,
    /// Where it stands.
    pub state: PaymentState,
    /// Minor units that came in.
    pub received: i64,
    /// Minor units that went back.
    pub refunded: i64,
    /// ISO 4217, lower case.
    pub currency: String,
    /// Whether it is disputed.
    pub dispute: DisputeState,
}
