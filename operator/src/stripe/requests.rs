//! Our parameters as async-stripe's typed requests. Nothing is sent here.

use std::collections::HashMap;
use std::convert::Infallible;

use glyph_crds::common::Interval;
use glyph_operator_core::billing::{
    CheckoutParams, Collection, CustomerParams, Owner, Phases, PlanChange, PriceParams,
    ProductParams, SubscriptionParams,
};
use jiff::Timestamp;
use stripe_billing::subscription::CreateSubscriptionTrialSettingsEndBehaviorMissingPaymentMethod as WithoutCard;
use stripe_billing::subscription::{
    CreateSubscription, CreateSubscriptionItems, CreateSubscriptionTrialSettings,
    CreateSubscriptionTrialSettingsEndBehavior, ListSubscription, ListSubscriptionStatus,
    RetrieveSubscription, UpdateSubscription, UpdateSubscriptionItems,
    UpdateSubscriptionPaymentBehavior, UpdateSubscriptionProrationBehavior,
};
use stripe_billing::subscription_schedule::{
    CreateSubscriptionSchedule, ReleaseSubscriptionSchedule, UpdateSubscriptionSchedule,
    UpdateSubscriptionSchedulePhases, UpdateSubscriptionSchedulePhasesDuration,
    UpdateSubscriptionSchedulePhasesDurationInterval, UpdateSubscriptionSchedulePhasesEndDate,
    UpdateSubscriptionSchedulePhasesItems, UpdateSubscriptionSchedulePhasesProrationBehavior,
    UpdateSubscriptionSchedulePhasesStartDate,
};
use stripe_checkout::checkout_session::CreateCheckoutSessionPaymentMethodCollection as CardCollection;
use stripe_checkout::checkout_session::CreateCheckoutSessionSubscriptionDataTrialSettings as TrialSettings;
use stripe_checkout::checkout_session::CreateCheckoutSessionSubscriptionDataTrialSettingsEndBehavior as TrialEnd;
use stripe_checkout::checkout_session::CreateCheckoutSessionSubscriptionDataTrialSettingsEndBehaviorMissingPaymentMethod as NoCard;
use stripe_checkout::checkout_session::{
    CreateCheckoutSession, CreateCheckoutSessionLineItems, CreateCheckoutSessionSubscriptionData,
    ExpireCheckoutSession, ListCheckoutSession,
};
use stripe_client_core::{RequestBuilder, StripeMethod, StripeRequest};
use stripe_core::customer::{CreateCustomer, ListCustomer, SearchCustomer, UpdateCustomer};
use stripe_product::price::{
    CreatePrice, CreatePriceRecurring, CreatePriceRecurringInterval, ListPrice, UpdatePrice,
};
use stripe_product::product::{CreateProduct, ListProduct, UpdateProduct};
use stripe_shared::{
    CheckoutSessionMode, SubscriptionCollectionMethod, SubscriptionScheduleEndBehavior,
};
use stripe_types::{Currency, RangeQueryTs};

/// Metadata key of the Cognito user's `sub`.
pub(super) const COGNITO_SUB: &str = "cognito_sub";

/// How far Kubernetes' clock may be ahead of Stripe's, in seconds.
const CLOCKS_APART: i64 = 3600;
/// Field of a subscription that is read whole.
const LATEST_INVOICE: &str = "latest_invoice";

/// Stripe's largest page.
pub(super) const PAGE: i64 = 100;

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
    let request = CreateProduct::new(&params.name).metadata(metadata(&params.owner));
    match &params.description {
        Some(text) => request.description(text).build(),
        None => request.build(),
    }
}

/// An empty description unsets it (<https://docs.stripe.com/api/products/update>).
pub(super) fn update_product(id: &str, params: &ProductParams, active: bool) -> RequestBuilder {
    UpdateProduct::new(id)
        .name(&params.name)
        .description(params.description.as_deref().unwrap_or_default())
        .active(active)
        .metadata(metadata(&params.owner))
        .build()
}

/// Products made since then. A list is always right, where search lags.
pub(super) fn list_products(since: Timestamp, after: Option<String>) -> RequestBuilder {
    let since = (since.as_second() - CLOCKS_APART).max(0);
    let request = ListProduct::new()
        .created(RangeQueryTs::gte(since))
        .limit(PAGE);
    match after {
        Some(id) => request.starting_after(id).build(),
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

/// Prices that a product is on sale for.
pub(super) fn prices_of(product: &str, after: Option<String>) -> RequestBuilder {
    let request = ListPrice::new().product(product).active(true).limit(PAGE);
    match after {
        Some(id) => request.starting_after(id).build(),
        None => request.build(),
    }
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
    let mut metadata = metadata(&params.owner);
    let mut item = CreateCheckoutSessionLineItems::new();
    item.price = Some(params.price.clone());
    item.quantity = Some(1);
    let mut subscription = CreateCheckoutSessionSubscriptionData::new();
    subscription.metadata = Some(metadata.clone());
    subscription.trial_period_days = trial(params.trial_days);
    if params.trial_without_card {
        subscription.trial_settings = Some(TrialSettings::new(TrialEnd::new(NoCard::Cancel)));
    }
    metadata.insert(CheckoutParams::OFFER.to_owned(), params.offer());
    CreateCheckoutSession::new()
        .mode(CheckoutSessionMode::Subscription)
        .customer(&params.customer)
        .client_reference_id(&params.owner.uid)
        .line_items([item])
        .subscription_data(subscription)
        .metadata(metadata)
        .success_url(&params.success_url)
        .cancel_url(&params.cancel_url)
        .payment_method_collection(if params.trial_without_card {
            CardCollection::IfRequired
        } else {
            CardCollection::Always
        })
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
    if params.trial_without_card && params.collection == Collection::Automatic {
        let mut end = CreateSubscriptionTrialSettingsEndBehavior::new();
        end.missing_payment_method = Some(WithoutCard::Cancel);
        request = request.trial_settings(CreateSubscriptionTrialSettings::new(end));
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
        .expand([format!("data.{LATEST_INVOICE}")])
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

/// An empty value ends the pause (<https://docs.stripe.com/billing/subscriptions/pause-payment#resume>).
pub(super) fn resume_collection(id: &str) -> RequestBuilder {
    by_id(StripeMethod::Post, "subscriptions", id).form(&HashMap::from([("pause_collection", "")]))
}

/// A subscription with its latest invoice, which has the page to pay it on.
pub(super) fn subscription(id: &str) -> RequestBuilder {
    RetrieveSubscription::new(id)
        .expand([LATEST_INVOICE.to_owned()])
        .build()
}

/// With a charge, the difference is invoiced at once, and nothing changes if it cannot be paid.
pub(super) fn set_price(change: &PlanChange) -> RequestBuilder {
    let mut moved = UpdateSubscriptionItems::new();
    // Without the item's id Stripe would add a second item.
    moved.id = Some(change.item.clone());
    moved.price = Some(change.price.clone());
    let request = UpdateSubscription::new(change.subscription.as_str()).items(vec![moved]);
    if change.charge {
        request
            .proration_behavior(UpdateSubscriptionProrationBehavior::AlwaysInvoice)
            .payment_behavior(UpdateSubscriptionPaymentBehavior::ErrorIfIncomplete)
    } else {
        request.proration_behavior(UpdateSubscriptionProrationBehavior::None)
    }
    .build()
}

pub(super) fn create_schedule(subscription: &str) -> RequestBuilder {
    CreateSubscriptionSchedule::new()
        .from_subscription(subscription)
        .build()
}

pub(super) fn release_schedule(id: &str) -> RequestBuilder {
    ReleaseSubscriptionSchedule::new(id).build()
}

/// The present phase as it is, then one interval at the next price, then the subscription runs on by itself.
pub(super) fn set_phases(phases: &Phases) -> RequestBuilder {
    let item = |price: &str| {
        let mut item = UpdateSubscriptionSchedulePhasesItems::new();
        item.price = Some(price.to_owned());
        item.quantity = Some(1);
        vec![item]
    };
    let unprorated = Some(UpdateSubscriptionSchedulePhasesProrationBehavior::None);
    let (start, end) = phases.period;
    let mut present = UpdateSubscriptionSchedulePhases::new(item(&phases.price));
    present.start_date = Some(UpdateSubscriptionSchedulePhasesStartDate::Timestamp(
        start.as_second(),
    ));
    present.end_date = Some(UpdateSubscriptionSchedulePhasesEndDate::Timestamp(
        end.as_second(),
    ));
    present.proration_behavior.clone_from(&unprorated);
    let mut next = UpdateSubscriptionSchedulePhases::new(item(&phases.next));
    next.duration = Some(UpdateSubscriptionSchedulePhasesDuration::new(
        match phases.next_interval {
            Interval::Month => UpdateSubscriptionSchedulePhasesDurationInterval::Month,
            Interval::Year => UpdateSubscriptionSchedulePhasesDurationInterval::Year,
        },
    ));
    next.proration_behavior = unprorated;
    UpdateSubscriptionSchedule::new(phases.schedule.as_str())
        .end_behavior(SubscriptionScheduleEndBehavior::Release)
        .metadata(metadata(&phases.owner))
        .phases(vec![present, next])
        .build()
}

/// Stripe takes one day at least; none is no trial.
fn trial(days: Option<u32>) -> Option<u32> {
    days.filter(|&days| days > 0)
}

pub(super) fn metadata(owner: &Owner) -> HashMap<String, String> {
    owner.to_metadata().into_iter().collect()
}

/// The search for what carries this owner's UID (<https://docs.stripe.com/search#metadata>).
fn of(owner: &Owner) -> String {
    format!("metadata['{}']:'{}'", Owner::UID, owner.uid)
}
