//! Stripe's objects as they come over the wire, of which only what we need is read: an unknown field, enum value or
//! a `null` where we can do without never fails a call.

use std::collections::BTreeMap;

use glyph_crds::SubscriptionState;
use glyph_crds::common::Interval;
use glyph_operator_core::billing::{self, CheckoutParams, CheckoutState, Owner};
use jiff::Timestamp;
use jiff::fmt::serde::timestamp::second;
use serde::de::{DeserializeOwned, IntoDeserializer, value};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::requests::COGNITO_SUB;

/// An object of the wire, and what it becomes.
pub(super) trait Wire: DeserializeOwned {
    /// Ours.
    type Object: From<Self>;
    /// Stripe's id, by which lists go on.
    fn id(&self) -> &str;
}

/// A page of a list, or of a search, which names its next page itself.
#[derive(Deserialize)]
pub(super) struct Page<W> {
    pub(super) data: Vec<W>,
    #[serde(default)]
    has_more: bool,
    #[serde(default)]
    next_page: Option<String>,
}

impl<W: Wire> Page<W> {
    /// What the next page is asked for with, if there is one.
    pub(super) fn cursor(&self) -> Option<String> {
        let last = || self.data.last().map(|object| object.id().to_owned());
        (self.has_more).then(|| self.next_page.clone().or_else(last))?
    }
}

/// A reference that Stripe gives as an id, or whole.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Reference {
    Id(String),
    Whole { id: String },
}

impl Reference {
    pub(super) fn into_id(self) -> String {
        match self {
            Self::Id(id) | Self::Whole { id } => id,
        }
    }
}

pub(super) type Metadata = BTreeMap<String, String>;

pub(super) fn owner(metadata: &Metadata) -> Option<Owner> {
    Owner::from_metadata(|key| metadata.get(key).map(String::as_str))
}

/// A word of an enum of ours; `None` for one that we do not know.
fn known<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Option<T>, D::Error> {
    let word: Option<String> = Deserialize::deserialize(from)?;
    let known =
        |word: String| T::deserialize(IntoDeserializer::<value::Error>::into_deserializer(word));
    Ok(word.and_then(|word| known(word).ok()))
}

/// <https://docs.stripe.com/api/customers/object>; a deleted one has no more than `id` and `deleted`.
#[derive(Deserialize)]
pub(super) struct Customer {
    id: String,
    #[serde(default)]
    deleted: bool,
    email: Option<String>,
    name: Option<String>,
    #[serde(default)]
    metadata: Metadata,
}

impl Wire for Customer {
    type Object = billing::Customer;
    fn id(&self) -> &str {
        &self.id
    }
}

impl From<Customer> for billing::Customer {
    fn from(wire: Customer) -> Self {
        Self {
            id: wire.id,
            deleted: wire.deleted,
            email: wire.email,
            name: wire.name,
            cognito_sub: wire.metadata.get(COGNITO_SUB).cloned(),
            owner: owner(&wire.metadata),
        }
    }
}

/// <https://docs.stripe.com/api/products/object>
#[derive(Deserialize)]
pub(super) struct Product {
    id: String,
    name: String,
    description: Option<String>,
    active: bool,
    #[serde(default)]
    metadata: Metadata,
}

impl Wire for Product {
    type Object = billing::Product;
    fn id(&self) -> &str {
        &self.id
    }
}

impl From<Product> for billing::Product {
    fn from(wire: Product) -> Self {
        Self {
            id: wire.id,
            name: wire.name,
            description: wire.description.filter(|text| !text.is_empty()),
            active: wire.active,
            owner: owner(&wire.metadata),
        }
    }
}

/// <https://docs.stripe.com/api/prices/object>
#[derive(Deserialize)]
pub(super) struct Price {
    id: String,
    product: Reference,
    lookup_key: Option<String>,
    currency: String,
    unit_amount: Option<i64>,
    recurring: Option<Recurring>,
    active: bool,
    #[serde(default)]
    metadata: Metadata,
}

#[derive(Deserialize)]
struct Recurring {
    interval: String,
    interval_count: u32,
}

impl Recurring {
    /// `None` for what we do not sell: weeks, days, several months at once.
    fn interval(&self) -> Option<Interval> {
        match (self.interval.as_str(), self.interval_count) {
            ("month", 1) => Some(Interval::Month),
            ("year", 1) => Some(Interval::Year),
            _ => None,
        }
    }
}

impl Wire for Price {
    type Object = billing::Price;
    fn id(&self) -> &str {
        &self.id
    }
}

impl From<Price> for billing::Price {
    fn from(wire: Price) -> Self {
        Self {
            id: wire.id,
            product: wire.product.into_id(),
            lookup_key: wire.lookup_key,
            currency: wire.currency,
            amount: wire.unit_amount,
            interval: wire.recurring.as_ref().and_then(Recurring::interval),
            active: wire.active,
            owner: owner(&wire.metadata),
        }
    }
}

/// <https://docs.stripe.com/api/checkout/sessions/object>
#[derive(Deserialize)]
pub(super) struct Checkout {
    id: String,
    url: Option<String>,
    #[serde(default)]
    status: Option<String>,
    customer: Option<Reference>,
    subscription: Option<Reference>,
    #[serde(with = "second::required")]
    expires_at: Timestamp,
    #[serde(default)]
    metadata: Option<Metadata>,
}

impl Wire for Checkout {
    type Object = billing::CheckoutSession;
    fn id(&self) -> &str {
        &self.id
    }
}

/// Where a checkout session stands. A word of tomorrow is not one that can be paid.
pub(super) fn state(status: Option<&str>) -> CheckoutState {
    match status {
        Some("open") => CheckoutState::Open,
        Some("complete") => CheckoutState::Complete,
        _ => CheckoutState::Expired,
    }
}

impl From<Checkout> for billing::CheckoutSession {
    fn from(wire: Checkout) -> Self {
        Self {
            id: wire.id,
            url: wire.url,
            state: state(wire.status.as_deref()),
            customer: wire.customer.map(Reference::into_id),
            subscription: wire.subscription.map(Reference::into_id),
            expires_at: wire.expires_at,
            offer: wire
                .metadata
                .as_ref()
                .and_then(|metadata| metadata.get(CheckoutParams::OFFER).cloned()),
            owner: wire.metadata.as_ref().and_then(owner),
        }
    }
}

/// <https://docs.stripe.com/api/subscriptions/object>; the period lives on its items.
#[derive(Deserialize)]
pub(super) struct Subscription {
    id: String,
    customer: Reference,
    #[serde(deserialize_with = "known")]
    status: Option<SubscriptionState>,
    items: Items,
    #[serde(default)]
    currency: Option<String>,
    #[serde(default)]
    pause_collection: Option<Pause>,
    #[serde(default)]
    cancel_at_period_end: bool,
    #[serde(default, with = "second::optional")]
    cancel_at: Option<Timestamp>,
    #[serde(default, with = "second::optional")]
    billing_cycle_anchor: Option<Timestamp>,
    #[serde(default)]
    schedule: Option<Reference>,
    #[serde(default)]
    latest_invoice: Value,
    #[serde(with = "second::required")]
    created: Timestamp,
    #[serde(default, with = "second::optional")]
    start_date: Option<Timestamp>,
    #[serde(default, with = "second::optional")]
    trial_end: Option<Timestamp>,
    #[serde(default, with = "second::optional")]
    ended_at: Option<Timestamp>,
    #[serde(default)]
    metadata: Metadata,
}

#[derive(Deserialize)]
struct Items {
    data: Vec<Item>,
}

/// The price of an item: whole, or its id alone.
#[derive(Deserialize)]
#[serde(untagged)]
enum ItemPrice {
    Id(String),
    Whole(Box<Price>),
    Other { id: String },
}

/// <https://docs.stripe.com/api/subscriptions/object#subscription_object-pause_collection>
#[derive(Deserialize)]
struct Pause {
    #[serde(default)]
    behavior: String,
    #[serde(default, with = "second::optional")]
    resumes_at: Option<Timestamp>,
}

impl ItemPrice {
    /// Whether it says that it is a Tier's.
    fn is_a_tiers(&self) -> bool {
        match self {
            Self::Whole(price) => owner(&price.metadata).is_some_and(|owner| owner.kind == "Tier"),
            Self::Id(_) | Self::Other { .. } => false,
        }
    }

    fn into_parts(self) -> (String, Option<billing::Terms>) {
        match self {
            Self::Id(id) | Self::Other { id } => (id, None),
            Self::Whole(price) => {
                let price = billing::Price::from(*price);
                let terms = price.amount.zip(price.interval);
                let terms = terms.map(|(amount, interval)| billing::Terms {
                    currency: price.currency,
                    amount,
                    interval,
                });
                (price.id, terms)
            }
        }
    }
}

/// The page of an invoice that is read whole, while there is something to pay on it.
fn open_page(invoice: &Value) -> Option<String> {
    let page = invoice.get("hosted_invoice_url")?.as_str()?;
    (invoice.get("status")? == "open").then(|| page.to_owned())
}

#[derive(Deserialize)]
struct Item {
    id: String,
    price: ItemPrice,
    /// Absent where use is metered.
    #[serde(default)]
    quantity: Option<u64>,
    #[serde(default, with = "second::optional")]
    current_period_start: Option<Timestamp>,
    #[serde(default, with = "second::optional")]
    current_period_end: Option<Timestamp>,
}

impl From<Item> for billing::Item {
    fn from(wire: Item) -> Self {
        let (price, terms) = wire.price.into_parts();
        Self {
            id: wire.id,
            price,
            terms,
            quantity: wire.quantity.unwrap_or(1),
            period: wire.current_period_start.zip(wire.current_period_end),
        }
    }
}

impl Wire for Subscription {
    type Object = billing::StripeSubscription;
    fn id(&self) -> &str {
        &self.id
    }
}

impl From<Subscription> for billing::StripeSubscription {
    fn from(wire: Subscription) -> Self {
        let mut items = wire.items.data;
        items.sort_by_key(|item| !item.price.is_a_tiers());
        let mut items = items.into_iter().map(billing::Item::from);
        let first = items.next();
        let invoice = &wire.latest_invoice;
        let invoice = invoice.as_str().or_else(|| invoice.get("id")?.as_str());
        Self {
            id: wire.id,
            customer: wire.customer.into_id(),
            state: wire.status,
            price: first.as_ref().map(|item| item.price.clone()),
            quantity: first.as_ref().map_or(1, |item| item.quantity),
            period: first.as_ref().and_then(|item| item.period),
            terms: first.as_ref().and_then(|item| item.terms.clone()),
            item: first.map(|item| item.id),
            others: items.collect(),
            currency: wire.currency,
            pause: wire.pause_collection.map(|pause| billing::Pause {
                behavior: pause.behavior,
                resumes_at: pause.resumes_at,
            }),
            schedule: wire.schedule.map(Reference::into_id),
            invoice: invoice.map(str::to_owned),
            invoice_url: open_page(&wire.latest_invoice),
            cancel_at_period_end: wire.cancel_at_period_end,
            cancel_at: wire.cancel_at,
            billing_cycle_anchor: wire.billing_cycle_anchor,
            created: wire.created,
            started: wire.start_date,
            trial_end: wire.trial_end,
            ended: wire.ended_at,
            owner: owner(&wire.metadata),
        }
    }
}

/// <https://docs.stripe.com/api/subscription_schedules/object>
#[derive(Deserialize)]
pub(super) struct Schedule {
    id: String,
    current_phase: Option<Span>,
    phases: Vec<Phase>,
    #[serde(default)]
    metadata: Option<Metadata>,
}

#[derive(Deserialize)]
struct Span {
    #[serde(with = "second::required")]
    start_date: Timestamp,
    #[serde(with = "second::required")]
    end_date: Timestamp,
}

#[derive(Deserialize)]
struct Phase {
    #[serde(flatten)]
    span: Span,
    items: Vec<PhaseItem>,
}

#[derive(Deserialize)]
struct PhaseItem {
    price: Reference,
}

impl Wire for Schedule {
    type Object = billing::Schedule;
    fn id(&self) -> &str {
        &self.id
    }
}

impl From<Schedule> for billing::Schedule {
    fn from(wire: Schedule) -> Self {
        let current = wire
            .current_phase
            .map(|span| (span.start_date, span.end_date));
        let comes = |phase: &Phase| current.is_some_and(|(_, end)| phase.span.start_date >= end);
        let next = wire.phases.into_iter().find(comes);
        let item = next.and_then(|phase| phase.items.into_iter().next());
        Self {
            id: wire.id,
            current,
            next: item.map(|item| item.price.into_id()),
            owner: wire.metadata.as_ref().and_then(owner),
        }
    }
}

#[cfg(test)]
mod tests;
