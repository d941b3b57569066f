//! Our parameters as async-stripe's typed requests. Nothing is sent here.

use std::collections::HashMap;
use std::convert::Infallible;

use glyph_crds::common::Interval;
use glyph_operator_core::billing::{
    CheckoutParams, Collection, CustomerParams, Owner, PriceParams, ProductParams,
    SubscriptionParams,
};
use stripe_billing::subscription::{
    CreateSubscription, CreateSubscriptionItems, ListSubscription, ListSubscriptionStatus,
    UpdateSubscription, UpdateSubscriptionItems,
};
use stripe_checkout::checkout_session::{
    CreateCheckoutSession, CreateCheckoutSessionLineItems, CreateCheckoutSessionSubscriptionData,
    ExpireCheckoutSession, ListCheckoutSession,
};
use stripe_client_core::{RequestBuilder, StripeMethod, StripeRequest};
use stripe_core::customer::{CreateCustomer, ListCustomer, SearchCustomer, UpdateCustomer};
use stripe_product::price::{
    CreatePrice, CreatePriceRecurring, CreatePriceRecurringInterval, ListPrice, UpdatePrice,
};
use stripe_product::product::{CreateProduct, ListProduct, SearchProduct, UpdateProduct};
use stripe_shared::{CheckoutSessionMode, SubscriptionCollectionMethod};
use stripe_types::Currency;

/// Metadata key of the Cognito user's `sub`.
pub(super) const COGNITO_SUB: &str = "cognito_sub";

/// Stripe's largest page.
const PAGE: i64 = 100;

/// Reads or deletes one object of a collection.
pub(super) fn by_id(method: StripeMethod, collection: &str, id: &str) -> RequestBuilder {
    RequestBuilder::new(method, format!("/{collection}/{id}"))
}

pub(super) fn create_customer(params: &CustomerParams) -> RequestBuilder {
    let mut metadata = metadata(&params.owner);
    if let Some(sub) = &params.cognito_sub {
        metadata.insert(COGNITO_SUB.to_owned(), sub.clone());
    }
    let mut request = CreateCustomer::new()
        .email(&params.email)
        .metadata(metadata);
    if let Some(name) = &params.name {
        request = request.name(name);
    }
    request.build()
}

/// An empty metadata text unsets it. Stripe's API has no way to unset a name: without one, the last stays.
pub(super) fn update_customer(id: &str, params: &CustomerParams) -> RequestBuilder {
    let mut metadata = metadata(&params.owner);
    let sub = params.cognito_sub.clone().unwrap_or_default();
    metadata.insert(COGNITO_SUB.to_owned(), sub);
    let mut request = UpdateCustomer::new(id)
        .email(&params.email)
        .metadata(metadata);
    if let Some(name) = &params.name {
        request = request.name(name);
    }
    request.build()
}

pub(super) fn list_customers(email: &str, after: Option<String>) -> RequestBuilder {
    let request = ListCustomer::new().email(email).limit(PAGE);
    match after {
        Some(id) => request.starting_after(id).build(),
        None => request.build(),
    }
}

pub(super) fn search_customers(owner: &Owner, page: Option<String>) -> RequestBuilder {
    let request = SearchCustomer::new(of(owner)).limit(PAGE);
    match page {
        Some(page) => request.page(page).build(),
        None => request.build(),
    }
}

pub(super) fn create_product(params: &ProductParams) -> RequestBuilder {
    CreateProduct::new(&params.name)
        .metadata(metadata(&params.owner))
        .build()
}

pub(super) fn update_product(id: &str, params: &ProductParams, active: bool) -> RequestBuilder {
    UpdateProduct::new(id)
        .name(&params.name)
        .active(active)
        .metadata(metadata(&params.owner))
        .build()
}

pub(super) fn newest_products() -> RequestBuilder {
    ListProduct::new().limit(PAGE).build()
}

pub(super) fn search_products(owner: &Owner, page: Option<String>) -> RequestBuilder {
    let request = SearchProduct::new(of(owner)).limit(PAGE);
    match page {
        Some(page) => request.page(page).build(),
        None => request.build(),
    }
}

pub(super) fn create_price(params: &PriceParams) -> RequestBuilder {
    let currency: Result<Currency, Infallible> = params.currency.parse();
    let Ok(currency) = currency;
    let mut request = CreatePrice::new(currency)
        .product(&params.product)
        .unit_amount(params.amount)
        .lookup_key(&params.lookup_key)
        .transfer_lookup_key(true)
        .metadata(metadata(&params.owner));
    if let Some(interval) = params.interval {
        request = request.recurring(CreatePriceRecurring::new(match interval {
            Interval::Month => CreatePriceRecurringInterval::Month,
            Interval::Year => CreatePriceRecurringInterval::Year,
        }));
    }
    request.build()
}

pub(super) fn set_price_active(id: &str, active: bool) -> RequestBuilder {
    UpdatePrice::new(id).active(active).build()
}

pub(super) fn list_prices(lookup_key: &str, after: Option<String>) -> RequestBuilder {
    let request = ListPrice::new()
        .lookup_keys([lookup_key.to_owned()])
        .limit(PAGE);
    match after {
        Some(id) => request.starting_after(id).build(),
        None => request.build(),
    }
}

pub(super) fn create_checkout(params: &CheckoutParams) -> RequestBuilder {
    let metadata = metadata(&params.owner);
    let mut item = CreateCheckoutSessionLineItems::new();
    item.price = Some(params.price.clone());
    item.quantity = Some(1);
    let mut subscription = CreateCheckoutSessionSubscriptionData::new();
    subscription.metadata = Some(metadata.clone());
    subscription.trial_period_days = trial(params.trial_days);
    CreateCheckoutSession::new()
        .mode(CheckoutSessionMode::Subscription)
        .customer(&params.customer)
        .client_reference_id(&params.owner.uid)
        .line_items([item])
        .subscription_data(subscription)
        .metadata(metadata)
        .success_url(&params.success_url)
        .cancel_url(&params.cancel_url)
        .build()
}

pub(super) fn list_checkouts(customer: &str, after: Option<String>) -> RequestBuilder {
    let request = ListCheckoutSession::new().customer(customer).limit(PAGE);
    match after {
        Some(id) => request.starting_after(id).build(),
        None => request.build(),
    }
}

pub(super) fn expire_checkout(id: &str) -> RequestBuilder {
    ExpireCheckoutSession::new(id).build()
}

pub(super) fn create_subscription(params: &SubscriptionParams) -> RequestBuilder {
    let mut item = CreateSubscriptionItems::new();
    item.price = Some(params.price.clone());
    item.quantity = Some(1);
    let mut request = CreateSubscription::new()
        .customer(&params.customer)
        .items([item])
        .metadata(metadata(&params.owner));
    if let Some(days) = trial(params.trial_days) {
        request = request.trial_period_days(days);
    }
    match params.collection {
        Collection::Automatic => {
            request.collection_method(SubscriptionCollectionMethod::ChargeAutomatically)
        }
        Collection::Invoice { days_until_due } => request
            .collection_method(SubscriptionCollectionMethod::SendInvoice)
            .days_until_due(days_until_due),
    }
    .build()
}

pub(super) fn list_subscriptions(customer: &str, after: Option<String>) -> RequestBuilder {
    let request = ListSubscription::new()
        .customer(customer)
        .status(ListSubscriptionStatus::All)
        .limit(PAGE);
    match after {
        Some(id) => request.starting_after(id).build(),
        None => request.build(),
    }
}

pub(super) fn set_cancel_at_period_end(id: &str, cancel: bool) -> RequestBuilder {
    UpdateSubscription::new(id)
        .cancel_at_period_end(cancel)
        .build()
}

pub(super) fn set_price(id: &str, item: &str, price: &str) -> RequestBuilder {
    let mut moved = UpdateSubscriptionItems::new();
    // Without the item's id Stripe would add a second item.
    moved.id = Some(item.to_owned());
    moved.price = Some(price.to_owned());
    UpdateSubscription::new(id).items(vec![moved]).build()
}

/// Stripe takes one day at least; none is no trial.
fn trial(days: Option<u32>) -> Option<u32> {
    days.filter(|&days| days > 0)
}

fn metadata(owner: &Owner) -> HashMap<String, String> {
    owner.to_metadata().into_iter().collect()
}

/// The search for what carries this owner's UID (<https://docs.stripe.com/search#metadata>).
fn of(owner: &Owner) -> String {
    format!("metadata['{}']:'{}'", Owner::UID, owner.uid)
}
