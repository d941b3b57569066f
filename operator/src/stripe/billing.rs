//! What the controllers ask for, call by call: which request, on which route, and what an absence means.

use glyph_operator_core::billing::{
    CheckoutParams, CheckoutSession, CheckoutState, Customer, CustomerParams, FailureClass, Owner,
    Phases, PlanChange, Price, PriceParams, Product, ProductParams, Schedule, ScheduleParams,
    StripeSubscription, SubscriptionParams,
};
use glyph_operator_core::event::{About, Event};
use jiff::Timestamp;
use serde_json::Value;
use stripe_client_core::{RequestBuilder, StripeMethod};

use super::event::{self, ListEvents, WireEvent};
use super::objects;
use super::{StripeBilling, requests};
use crate::ports::{Billing, CallResult, Events};

impl Billing for StripeBilling {
    async fn create_customer(&self, key: &str, params: &CustomerParams) -> CallResult<Customer> {
        let request = requests::create_customer(params);
        self.write::<objects::Customer>(
            "create the Stripe customer",
            "/v1/customers",
            request,
            Some(key),
        )
        .await
    }

    async fn update_customer(&self, id: &str, params: &CustomerParams) -> CallResult<Customer> {
        let request = requests::update_customer(id, params);
        self.write::<objects::Customer>(
            "update the Stripe customer",
            "/v1/customers/{id}",
            request,
            None,
        )
        .await
    }

    async fn customer(&self, id: &str) -> CallResult<Option<Customer>> {
        let request = requests::by_id(StripeMethod::Get, "customers", id);
        self.read::<objects::Customer>("read the Stripe customer", "/v1/customers/{id}", request)
            .await
    }

    async fn find_customers(&self, owner: &Owner, email: &str) -> CallResult<Vec<Customer>> {
        let operation = "find the Stripe customer";
        let listed = self.pages::<objects::Customer>(operation, "/v1/customers", |cursor| {
            requests::list_customers(email, cursor)
        });
        let searched =
            self.pages::<objects::Customer>(operation, "/v1/customers/search", |cursor| {
                requests::search_customers(owner, cursor)
            });
        let (listed, searched) = futures::try_join!(listed, searched)?;
        Ok(owned_by(owner, listed, searched, |customer| {
            (&customer.id, &customer.owner)
        }))
    }

    async fn delete_customer(&self, id: &str) -> CallResult<()> {
        let request = requests::by_id(StripeMethod::Delete, "customers", id);
        self.remove("delete the Stripe customer", "/v1/customers/{id}", request)
            .await
    }

    async fn create_product(&self, key: &str, params: &ProductParams) -> CallResult<Product> {
        let request = requests::create_product(params);
        self.write::<objects::Product>(
            "create the Stripe product",
            "/v1/products",
            request,
            Some(key),
        )
        .await
    }

    async fn update_product(
        &self,
        id: &str,
        params: &ProductParams,
        active: bool,
    ) -> CallResult<Product> {
        let request = requests::update_product(id, params, active);
        self.write::<objects::Product>(
            "update the Stripe product",
            "/v1/products/{id}",
            request,
            None,
        )
        .await
    }

    async fn product(&self, id: &str) -> CallResult<Option<Product>> {
        let request = requests::by_id(StripeMethod::Get, "products", id);
        self.read::<objects::Product>("read the Stripe product", "/v1/products/{id}", request)
            .await
    }

    /// Stripe lists no products by metadata; those made since their owner was are looked through.
    async fn find_products(&self, owner: &Owner, since: Timestamp) -> CallResult<Vec<Product>> {
        let listed = self
            .pages::<objects::Product>("find the Stripe product", "/v1/products", |cursor| {
                requests::list_products(since, cursor)
            })
            .await?;
        let ours = |product: &Product| product.owner.as_ref().map(|o| &o.uid) == Some(&owner.uid);
        Ok(listed.into_iter().filter(ours).collect())
    }

    async fn create_price(&self, key: &str, params: &PriceParams) -> CallResult<Price> {
        let request = requests::create_price(params);
        self.write::<objects::Price>("create the Stripe price", "/v1/prices", request, Some(key))
            .await
    }

    async fn set_price_active(&self, id: &str, active: bool) -> CallResult<Price> {
        let request = requests::set_price_active(id, active);
        self.write::<objects::Price>("update the Stripe price", "/v1/prices/{id}", request, None)
            .await
    }

    async fn price(&self, id: &str) -> CallResult<Option<Price>> {
        let request = requests::by_id(StripeMethod::Get, "prices", id);
        self.read::<objects::Price>("read the Stripe price", "/v1/prices/{id}", request)
            .await
    }

    async fn find_price(&self, lookup_key: &str) -> CallResult<Option<Price>> {
        let found = self
            .pages::<objects::Price>("find the Stripe price", "/v1/prices", |cursor| {
                requests::list_prices(lookup_key, cursor)
            })
            .await?;
        Ok(found.into_iter().next())
    }

    async fn prices_of(&self, product: &str) -> CallResult<Vec<Price>> {
        self.pages::<objects::Price>("list the product's prices", "/v1/prices", |cursor| {
            requests::prices_of(product, cursor)
        })
        .await
    }

    async fn create_checkout(
        &self,
        key: &str,
        params: &CheckoutParams,
    ) -> CallResult<CheckoutSession> {
        let request = requests::create_checkout(params);
        self.write::<objects::Checkout>(
            "create the checkout session",
            "/v1/checkout/sessions",
            request,
            Some(key),
        )
        .await
    }

    async fn checkout(&self, id: &str) -> CallResult<Option<CheckoutSession>> {
        let request = requests::by_id(StripeMethod::Get, "checkout/sessions", id);
        self.read::<objects::Checkout>(
            "read the checkout session",
            "/v1/checkout/sessions/{id}",
            request,
        )
        .await
    }

    async fn checkouts_of(&self, customer: &str) -> CallResult<Vec<CheckoutSession>> {
        self.pages::<objects::Checkout>(
            "list the customer's checkout sessions",
            "/v1/checkout/sessions",
            |cursor| requests::list_checkouts(customer, cursor),
        )
        .await
    }

    /// Stripe refuses to expire what is not open, in words only: what was refused is looked at.
    async fn expire_checkout(&self, id: &str) -> CallResult<()> {
        let request = requests::expire_checkout(id);
        let expired = self
            .write::<objects::Checkout>(
                "expire the checkout session",
                "/v1/checkout/sessions/{id}/expire",
                request,
                None,
            )
            .await;
        let Err(refused) = expired else { return Ok(()) };
        if refused.class != FailureClass::Invalid {
            return Err(refused);
        }
        match self.checkout(id).await? {
            Some(session) if session.state == CheckoutState::Open => Err(refused),
            _ => Ok(()),
        }
    }

    async fn create_subscription(
        &self,
        key: &str,
        params: &SubscriptionParams,
    ) -> CallResult<StripeSubscription> {
        let request = requests::create_subscription(params);
        self.write::<objects::Subscription>(
            "create the Stripe subscription",
            "/v1/subscriptions",
            request,
            Some(key),
        )
        .await
    }

    async fn subscription(&self, id: &str) -> CallResult<Option<StripeSubscription>> {
        let request = requests::subscription(id);
        self.read::<objects::Subscription>(
            "read the Stripe subscription",
            "/v1/subscriptions/{id}",
            request,
        )
        .await
    }

    async fn subscriptions_of(&self, customer: &str) -> CallResult<Vec<StripeSubscription>> {
        self.pages::<objects::Subscription>(
            "list the customer's Stripe subscriptions",
            "/v1/subscriptions",
            |cursor| requests::list_subscriptions(customer, cursor),
        )
        .await
    }

    async fn set_price(&self, change: &PlanChange) -> CallResult<StripeSubscription> {
        self.write::<objects::Subscription>(
            "change the plan of the Stripe subscription",
            "/v1/subscriptions/{id}",
            requests::set_price(change),
            change.key.as_deref(),
        )
        .await
    }

    async fn create_schedule(&self, key: &str, params: &ScheduleParams) -> CallResult<Schedule> {
        self.write::<objects::Schedule>(
            "create the Stripe subscription schedule",
            "/v1/subscription_schedules",
            requests::create_schedule(&params.subscription),
            Some(key),
        )
        .await
    }

    async fn schedule(&self, id: &str) -> CallResult<Option<Schedule>> {
        let request = requests::by_id(StripeMethod::Get, "subscription_schedules", id);
        self.read::<objects::Schedule>(
            "read the Stripe subscription schedule",
            "/v1/subscription_schedules/{id}",
            request,
        )
        .await
    }

    async fn set_phases(&self, phases: &Phases) -> CallResult<Schedule> {
        self.write::<objects::Schedule>(
            "update the Stripe subscription schedule",
            "/v1/subscription_schedules/{id}",
            requests::set_phases(phases),
            None,
        )
        .await
    }

    async fn release_schedule(&self, id: &str) -> CallResult<Schedule> {
        self.write::<objects::Schedule>(
            "release the Stripe subscription schedule",
            "/v1/subscription_schedules/{id}/release",
            requests::release_schedule(id),
            None,
        )
        .await
    }

    async fn set_cancel_at_period_end(
        &self,
        id: &str,
        cancel: bool,
    ) -> CallResult<StripeSubscription> {
        let request = requests::set_cancel_at_period_end(id, cancel);
        self.write::<objects::Subscription>(
            "update the Stripe subscription",
            "/v1/subscriptions/{id}",
            request,
            None,
        )
        .await
    }

    async fn resume_collection(&self, id: &str) -> CallResult<StripeSubscription> {
        self.write::<objects::Subscription>(
            "resume the collection of the Stripe subscription",
            "/v1/subscriptions/{id}",
            requests::resume_collection(id),
            None,
        )
        .await
    }

    async fn cancel_subscription(&self, id: &str) -> CallResult<()> {
        let request = requests::by_id(StripeMethod::Delete, "subscriptions", id);
        self.remove(
            "cancel the Stripe subscription",
            "/v1/subscriptions/{id}",
            request,
        )
        .await
    }
}

impl Events for StripeBilling {
    async fn events_since(&self, since: Timestamp) -> CallResult<Vec<Event>> {
        let request = |after| {
            RequestBuilder::new(StripeMethod::Get, "/events")
                .query(&ListEvents::since(since, after))
        };
        self.pages::<WireEvent>("list Stripe's events", "/v1/events", request)
            .await
    }

    async fn about(&self, url: &str) -> CallResult<Option<About>> {
        let Some(path) = url.strip_prefix("/v1") else {
            return Ok(None);
        };
        let request = RequestBuilder::new(StripeMethod::Get, path);
        let found = self.0.call::<Value>("/v1/{related object}", request, None);
        match found.await {
            Ok(object) => Ok(Some(event::about(&object))),
            Err(failure) if failure.missing => Ok(None),
            Err(failure) => Err(failure.during("read the object of a Stripe event")),
        }
    }
}

/// Those of `first` and then `second` that are `owner`'s by UID, each once.
fn owned_by<T>(
    owner: &Owner,
    first: Vec<T>,
    second: Vec<T>,
    parts: impl Fn(&T) -> (&String, &Option<Owner>),
) -> Vec<T> {
    let mut found: Vec<T> = Vec::new();
    for object in first.into_iter().chain(second) {
        let (id, of) = parts(&object);
        let ours = of.as_ref().is_some_and(|of| of.uid == owner.uid);
        if ours && found.iter().all(|known| parts(known).0 != id) {
            found.push(object);
        }
    }
    found
}
