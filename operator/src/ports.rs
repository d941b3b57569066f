//! What the controllers ask of Stripe and Cognito. The traits live here, with their consumer; the
//! adapters (`stripe`, `cognito`) implement them, and their wire types stop there.

use std::future::Future;

use glyph_operator_core::billing::{
    CheckoutParams, CheckoutSession, Customer, CustomerParams, FailureClass, Owner, Phases,
    PlanChange, Price, PriceParams, Product, ProductParams, Schedule, ScheduleParams,
    StripeSubscription, SubscriptionParams,
};
use glyph_operator_core::event::{About, Event};
use jiff::Timestamp;
use thiserror::Error;

mod purchasing;

pub use purchasing::Purchasing;

/// A call to Stripe or Cognito that failed. Its text holds no secret.
#[derive(Clone, Debug, Error)]
#[error("failed to {operation}: {message}")]
pub struct CallError {
    /// What was attempted, e.g. `create the Stripe customer`.
    pub operation: &'static str,
    /// The service's sentence, or the network's.
    pub message: String,
    /// What to do about it.
    pub class: FailureClass,
    /// The service's id of the request, for its support.
    pub request_id: Option<String>,
}

/// Result of a call.
pub type CallResult<T> = Result<T, CallError>;

/// What is asked of Stripe. Every create takes the idempotency key of its intent; reads return `None`
/// for what does not exist. Finds by UID list first (strongly consistent) and search last (lags).
pub trait Billing: Purchasing {
    /// Makes a customer.
    fn create_customer(
        &self,
        key: &str,
        params: &CustomerParams,
    ) -> impl Future<Output = CallResult<Customer>> + Send;
    /// Writes a customer's e-mail address, name and metadata.
    fn update_customer(
        &self,
        id: &str,
        params: &CustomerParams,
    ) -> impl Future<Output = CallResult<Customer>> + Send;
    /// Reads a customer; one deleted in Stripe is `deleted`.
    fn customer(&self, id: &str) -> impl Future<Output = CallResult<Option<Customer>>> + Send;
    /// Customers whose metadata name this owner's UID: those listed with `email`, then those searched.
    fn find_customers(
        &self,
        owner: &Owner,
        email: &str,
    ) -> impl Future<Output = CallResult<Vec<Customer>>> + Send;
    /// Deletes a customer; one already gone is no error.
    fn delete_customer(&self, id: &str) -> impl Future<Output = CallResult<()>> + Send;

    /// Makes a product.
    fn create_product(
        &self,
        key: &str,
        params: &ProductParams,
    ) -> impl Future<Output = CallResult<Product>> + Send;
    /// Writes a product's name, metadata and `active`.
    fn update_product(
        &self,
        id: &str,
        params: &ProductParams,
        active: bool,
    ) -> impl Future<Output = CallResult<Product>> + Send;
    /// Reads a product.
    fn product(&self, id: &str) -> impl Future<Output = CallResult<Option<Product>>> + Send;
    /// Products whose metadata name this owner's UID; none is older than the owner.
    fn find_products(
        &self,
        owner: &Owner,
        since: Timestamp,
    ) -> impl Future<Output = CallResult<Vec<Product>>> + Send;

    /// Makes a price; it takes its lookup key over from an older one.
    fn create_price(
        &self,
        key: &str,
        params: &PriceParams,
    ) -> impl Future<Output = CallResult<Price>> + Send;
    /// Sets whether a price can be bought.
    fn set_price_active(
        &self,
        id: &str,
        active: bool,
    ) -> impl Future<Output = CallResult<Price>> + Send;
    /// Reads a price.
    fn price(&self, id: &str) -> impl Future<Output = CallResult<Option<Price>>> + Send;
    /// Prices that a product is on sale for, whoever made them.
    fn prices_of(&self, product: &str) -> impl Future<Output = CallResult<Vec<Price>>> + Send;
    /// The price that has this lookup key.
    fn find_price(
        &self,
        lookup_key: &str,
    ) -> impl Future<Output = CallResult<Option<Price>>> + Send;

    /// Makes a checkout session.
    fn create_checkout(
        &self,
        key: &str,
        params: &CheckoutParams,
    ) -> impl Future<Output = CallResult<CheckoutSession>> + Send;
    /// Reads a checkout session.
    fn checkout(
        &self,
        id: &str,
    ) -> impl Future<Output = CallResult<Option<CheckoutSession>>> + Send;
    /// Checkout sessions of a customer, newest first.
    fn checkouts_of(
        &self,
        customer: &str,
    ) -> impl Future<Output = CallResult<Vec<CheckoutSession>>> + Send;
    /// Ends an open session; one that is complete or expired is no error.
    fn expire_checkout(&self, id: &str) -> impl Future<Output = CallResult<()>> + Send;

    /// Makes a subscription without checkout.
    fn create_subscription(
        &self,
        key: &str,
        params: &SubscriptionParams,
    ) -> impl Future<Output = CallResult<StripeSubscription>> + Send;
    /// Reads a subscription, ended ones too.
    fn subscription(
        &self,
        id: &str,
    ) -> impl Future<Output = CallResult<Option<StripeSubscription>>> + Send;
    /// Subscriptions of a customer, ended ones too, newest first.
    fn subscriptions_of(
        &self,
        customer: &str,
    ) -> impl Future<Output = CallResult<Vec<StripeSubscription>>> + Send;
    /// Sets whether a subscription ends with its period.
    fn set_cancel_at_period_end(
        &self,
        id: &str,
        cancel: bool,
    ) -> impl Future<Output = CallResult<StripeSubscription>> + Send;
    /// Ends a pause of a subscription's collection.
    fn resume_collection(
        &self,
        id: &str,
    ) -> impl Future<Output = CallResult<StripeSubscription>> + Send;
    /// Moves a subscription's item to another price now. One that cannot be charged is refused, and nothing changes.
    fn set_price(
        &self,
        change: &PlanChange,
    ) -> impl Future<Output = CallResult<StripeSubscription>> + Send;
    /// Makes a schedule that is in charge of a subscription from now on, and changes nothing yet.
    fn create_schedule(
        &self,
        key: &str,
        params: &ScheduleParams,
    ) -> impl Future<Output = CallResult<Schedule>> + Send;
    /// Reads a schedule.
    fn schedule(&self, id: &str) -> impl Future<Output = CallResult<Option<Schedule>>> + Send;
    /// Writes what a schedule is to do, and whose it is.
    fn set_phases(&self, phases: &Phases) -> impl Future<Output = CallResult<Schedule>> + Send;
    /// Takes a schedule off its subscription, which goes on as it stands.
    fn release_schedule(&self, id: &str) -> impl Future<Output = CallResult<Schedule>> + Send;
    /// Ends a subscription now; one already ended is no error.
    fn cancel_subscription(&self, id: &str) -> impl Future<Output = CallResult<()>> + Send;
}

/// What is asked of Stripe about its events.
pub trait Events: Send + Sync + 'static {
    /// All events since a time, newest first.
    fn events_since(&self, since: Timestamp)
    -> impl Future<Output = CallResult<Vec<Event>>> + Send;
    /// What the object at `url` (`/v1/…`), of which a thin event tells, says of its owner; `None` when it is not there.
    fn about(&self, url: &str) -> impl Future<Output = CallResult<Option<About>>> + Send;
}

/// A webhook endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// `we_…`
    pub id: String,
    /// Where its events are sent.
    pub url: String,
    /// The types it listens to.
    pub events: Vec<String>,
    /// Whether events are sent at all.
    pub enabled: bool,
    /// Which operator made it.
    pub mark: Option<String>,
}

/// A webhook endpoint that was just made. It has no Debug: it holds a secret.
pub struct NewEndpoint {
    /// `we_…`
    pub id: String,
    /// The signing secret, which is told this once.
    pub secret: String,
}

/// What is asked of Stripe about webhook endpoints.
pub trait Endpoints: Send + Sync + 'static {
    /// All endpoints.
    fn endpoints(&self) -> impl Future<Output = CallResult<Vec<Endpoint>>> + Send;
    /// Makes one that bears `mark`.
    fn create_endpoint(
        &self,
        url: &str,
        mark: &str,
        events: &[&str],
    ) -> impl Future<Output = CallResult<NewEndpoint>> + Send;
    /// Sets what one listens to, that it does, and the mark that it bears.
    fn update_endpoint(
        &self,
        id: &str,
        mark: &str,
        events: &[&str],
    ) -> impl Future<Output = CallResult<()>> + Send;
    /// Deletes one; one that is gone is no error.
    fn delete_endpoint(&self, id: &str) -> impl Future<Output = CallResult<()>> + Send;
}

/// A Cognito user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Name in the pool.
    pub username: String,
    /// The user's `sub`.
    pub sub: String,
    /// `email`, if set.
    pub email: Option<String>,
    /// `custom:stripe_customer_id`, if set.
    pub stripe_customer_id: Option<String>,
}

/// What is asked of Cognito.
pub trait Identity: Send + Sync + 'static {
    /// Whether a user pool is configured at all; without one, customers have keys only.
    fn configured(&self) -> bool;
    /// The user of this name.
    fn user(&self, username: &str) -> impl Future<Output = CallResult<Option<User>>> + Send;
    /// The user with this `sub`.
    fn user_by_sub(&self, sub: &str) -> impl Future<Output = CallResult<Option<User>>> + Send;
    /// Makes a user who sets a password on first use; one that exists is returned as it is.
    fn create_user(
        &self,
        username: &str,
        email: &str,
    ) -> impl Future<Output = CallResult<User>> + Send;
    /// Writes `custom:stripe_customer_id`.
    fn link_user(
        &self,
        username: &str,
        stripe_customer_id: &str,
    ) -> impl Future<Output = CallResult<()>> + Send;
    /// Deletes a user; one already gone is no error.
    fn delete_user(&self, username: &str) -> impl Future<Output = CallResult<()>> + Send;
}
