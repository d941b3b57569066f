//! Stripe's objects as the operator needs them: few fields, our own types. Wire types stay in the
//! adapter; what is here is compared, planned with, and frozen into intents.

mod plan;
mod purchase;

use std::collections::BTreeMap;

use glyph_crds::SubscriptionState;
use glyph_crds::common::Interval;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use plan::{Item, Pause};
pub use purchase::{PackCheckout, PackCheckoutParams, Payment, PaymentState};

/// Which resource an external object belongs to. It is the object's metadata in Stripe.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Owner {
    /// Kind, e.g. `GlyphCustomer`.
    pub kind: String,
    /// Namespace of the resource.
    pub namespace: String,
    /// Name of the resource.
    pub name: String,
    /// UID of the resource: another UID is another resource, whatever its name.
    pub uid: String,
}

impl Owner {
    /// Metadata key of the UID; objects are searched by it.
    pub const UID: &'static str = "glyph_uid";
    const KIND: &'static str = "glyph_kind";
    const NAMESPACE: &'static str = "glyph_namespace";
    const NAME: &'static str = "glyph_name";

    /// The metadata an object of this owner carries.
    #[must_use]
    pub fn to_metadata(&self) -> BTreeMap<String, String> {
        [
            (Self::KIND, &self.kind),
            (Self::NAMESPACE, &self.namespace),
            (Self::NAME, &self.name),
            (Self::UID, &self.uid),
        ]
        .map(|(key, value)| (key.to_owned(), value.clone()))
        .into()
    }

    /// The owner that metadata names, if it names one whole.
    #[must_use]
    pub fn from_metadata<S: std::borrow::Borrow<str> + Ord>(
        get: impl Fn(&str) -> Option<S>,
    ) -> Option<Self> {
        let text = |key: &str| get(key).map(|s| s.borrow().to_owned());
        Some(Self {
            kind: text(Self::KIND)?,
            namespace: text(Self::NAMESPACE)?,
            name: text(Self::NAME)?,
            uid: text(Self::UID)?,
        })
    }
}

/// Parameters of a Stripe customer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CustomerParams {
    /// E-mail address.
    pub email: String,
    /// Name on invoices.
    pub name: Option<String>,
    /// The Cognito user's `sub`, once known; metadata `cognito_sub`.
    pub cognito_sub: Option<String>,
    /// Whose customer it is.
    pub owner: Owner,
    /// The customer deleted in Stripe whose place it takes; a search may still find that one.
    #[serde(default)]
    pub instead_of: Option<String>,
}

/// A Stripe customer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Customer {
    /// `cus_…`
    pub id: String,
    /// Deleted in Stripe; nothing else is known then.
    pub deleted: bool,
    /// E-mail address.
    pub email: Option<String>,
    /// Name on invoices.
    pub name: Option<String>,
    /// Metadata `cognito_sub`.
    pub cognito_sub: Option<String>,
    /// Whose customer it is, if ours.
    pub owner: Option<Owner>,
}

/// Parameters of a Stripe product.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProductParams {
    /// Name that customers see.
    pub name: String,
    /// What customers read beside it; absent: nothing.
    #[serde(default)]
    pub description: Option<String>,
    /// Whose product it is.
    pub owner: Owner,
    /// When its owner was made: no product of that owner is older, by which it is found again.
    #[serde(default)]
    pub since: Timestamp,
}

/// A Stripe product.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Product {
    /// `prod_…`
    pub id: String,
    /// Name that customers see.
    pub name: String,
    /// What customers read beside it.
    pub description: Option<String>,
    /// Whether it can be sold.
    pub active: bool,
    /// Whose product it is, if ours.
    pub owner: Option<Owner>,
}

/// Parameters of a Stripe price.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PriceParams {
    /// Product the price is of.
    pub product: String,
    /// Key under which the price is found again; taken over from an older price that has it.
    pub lookup_key: String,
    /// ISO 4217, lower case.
    pub currency: String,
    /// Minor units.
    pub amount: i64,
    /// Absent: charged once.
    pub interval: Option<Interval>,
    /// Whose price it is.
    pub owner: Owner,
}

/// A Stripe price.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Price {
    /// `price_…`
    pub id: String,
    /// Product the price is of.
    pub product: String,
    /// Key under which the price is found again.
    pub lookup_key: Option<String>,
    /// ISO 4217, lower case.
    pub currency: String,
    /// Minor units; absent for tiered or decimal prices, which are not ours.
    pub amount: Option<i64>,
    /// Absent: charged once, or by an interval we do not sell.
    pub interval: Option<Interval>,
    /// Whether it can be bought.
    pub active: bool,
    /// Whose price it is, if ours.
    pub owner: Option<Owner>,
}

/// Parameters of a checkout session for a subscription.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckoutParams {
    /// Customer that pays.
    pub customer: String,
    /// Price that is subscribed to.
    pub price: String,
    /// Days of trial.
    pub trial_days: Option<u32>,
    /// The trial begins without a card, and ends the subscription if there is none by then.
    #[serde(default)]
    pub trial_without_card: bool,
    /// Where Stripe sends the person after paying.
    pub success_url: String,
    /// Where Stripe sends the person who gives up.
    pub cancel_url: String,
    /// The Subscription resource: metadata of the session and of the subscription it makes.
    pub owner: Owner,
}

/// Where a checkout session stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckoutState {
    /// Can be paid.
    Open,
    /// Was completed; look at the subscription.
    Complete,
    /// Can no longer be paid.
    Expired,
}

/// A checkout session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckoutSession {
    /// `cs_…`
    pub id: String,
    /// Where the person pays, while open.
    pub url: Option<String>,
    /// Where it stands.
    pub state: CheckoutState,
    /// Customer that pays.
    pub customer: Option<String>,
    /// Subscription it made (`sub_…`).
    pub subscription: Option<String>,
    /// When it can no longer be paid.
    pub expires_at: Timestamp,
    /// What it sells ([`CheckoutParams::offer`]), if it says so.
    pub offer: Option<String>,
    /// Whose session it is, if ours.
    pub owner: Option<Owner>,
}

/// How a subscription that is made without checkout collects its money.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Collection {
    /// Charge the customer's default payment method.
    Automatic,
    /// Send an invoice that is due after so many days.
    Invoice {
        /// Days until due.
        days_until_due: u32,
    },
}

/// Parameters of a subscription that is made without checkout.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubscriptionParams {
    /// Customer that pays.
    pub customer: String,
    /// Price that is subscribed to.
    pub price: String,
    /// Days of trial.
    pub trial_days: Option<u32>,
    /// The trial ends the subscription if there is no card by then. Only where money is collected by itself.
    #[serde(default)]
    pub trial_without_card: bool,
    /// How money is collected.
    pub collection: Collection,
    /// The Subscription resource.
    pub owner: Owner,
}

/// What a recurring price comes to: enough to tell which of two is dearer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// ISO 4217, lower case.
    pub currency: String,
    /// Minor units, each interval.
    pub amount: i64,
    /// How often.
    pub interval: Interval,
}

impl Terms {
    /// Minor units a year.
    #[must_use]
    pub fn a_year(&self) -> i64 {
        self.interval.a_year(self.amount)
    }
}

/// A change of plan that takes effect at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanChange {
    /// `sub_…`
    pub subscription: String,
    /// Its item (`si_…`).
    pub item: String,
    /// The price to bill by.
    pub price: String,
    /// Charge the difference for the rest of the period now, and change nothing if that fails. Not in a trial, where
    /// nothing is owed yet.
    pub charge: bool,
    /// Idempotency key of a charge. It is the same for an hour, for which Stripe repeats its refusal of a card and does
    /// not try the card again, however often we are woken.
    pub key: Option<String>,
}

/// Parameters of a subscription schedule: Stripe takes no others when it is made from a subscription.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScheduleParams {
    /// The subscription that it takes charge of.
    pub subscription: String,
}

/// What a schedule is to do: the present price to the end of the period, then another, then leave the subscription alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Phases {
    /// `sub_sched_…`
    pub schedule: String,
    /// First instant and end of the present period.
    pub period: (Timestamp, Timestamp),
    /// Price until then.
    pub price: String,
    /// Price from then on.
    pub next: String,
    /// How often `next` is charged.
    pub next_interval: Interval,
    /// Whose schedule it is.
    pub owner: Owner,
}

/// A subscription schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// `sub_sched_…`
    pub id: String,
    /// First instant and end of the phase that is on.
    pub current: Option<(Timestamp, Timestamp)>,
    /// Price of the phase after it.
    pub next: Option<String>,
    /// Whose schedule it is, if ours.
    pub owner: Option<Owner>,
}

/// A Stripe subscription. Periods live on its item (CASE 28).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StripeSubscription {
    /// `sub_…`
    pub id: String,
    /// Customer that pays.
    pub customer: String,
    /// Stripe's state; absent for a word that we do not know yet.
    pub state: Option<SubscriptionState>,
    /// Price of its first item: the one that is a Tier's, if any is.
    pub price: Option<String>,
    /// What that price comes to; absent for one that is not ours to compare.
    pub terms: Option<Terms>,
    /// Id of its first item (`si_…`).
    pub item: Option<String>,
    /// How many of its first item.
    pub quantity: u64,
    /// Its further items: Glyph sells one.
    pub others: Vec<Item>,
    /// ISO 4217, lower case: the one currency it can be billed in.
    pub currency: Option<String>,
    /// Set while nothing is collected.
    pub pause: Option<Pause>,
    /// The schedule that is in charge of it.
    pub schedule: Option<String>,
    /// Its latest invoice (`in_…`): another one after each charge.
    pub invoice: Option<String>,
    /// Where that is paid or confirmed, while it is open.
    pub invoice_url: Option<String>,
    /// Period of its first item: start and end.
    pub period: Option<(Timestamp, Timestamp)>,
    /// Ends with the period.
    pub cancel_at_period_end: bool,
    /// When it is to end.
    pub cancel_at: Option<Timestamp>,
    /// The instant whose day of the month its periods begin at.
    pub billing_cycle_anchor: Option<Timestamp>,
    /// When Stripe made it; the oldest of several wins.
    pub created: Timestamp,
    /// When it began.
    pub started: Option<Timestamp>,
    /// When its trial ends or ended.
    pub trial_end: Option<Timestamp>,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// Whose subscription it is, if ours.
    pub owner: Option<Owner>,
}

/// What went wrong in a call, classed by what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FailureClass {
    /// The call is wrong and stays wrong until something changes.
    Invalid,
    /// The credential is missing or refused; the setting's name.
    Credential(&'static str),
    /// Too many calls; when to come back, if the service said so.
    Throttled(Option<std::time::Duration>),
    /// The same idempotency key was used with other parameters.
    IdempotencyMismatch,
    /// Network, timeout, 5xx: nobody knows whether it had an effect. Repeat under the same key.
    Transient,
    /// A 5xx that the service will replay under this key for ever: look, then use a new key.
    StoredFailure,
}
