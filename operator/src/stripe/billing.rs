//! What the controllers ask for, call by call: which request, on which route, and what an absence means.

use glyph_operator_core::billing::{
    CheckoutParams, CheckoutSession, CheckoutState, Customer, CustomerParams, FailureClass, Owner,
    Price, PriceParams, Product, ProductParams, StripeSubscription, SubscriptionParams,
};
use stripe_client_core::StripeMethod;

use super::objects::{self, Page};
use super::{StripeBilling, requests};
use crate::ports::{Billing, CallResult};

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

    /// Stripe lists no products by metadata, and its search lags: the newest hundred are looked through as well.
    async fn find_products(&self, owner: &Owner) -> CallResult<Vec<Product>> {
        let operation = "find the Stripe product";
        let newest = async {
            let page: Page<objects::Product> = (self
                .0
                .call("/v1/products", requests::newest_products(), None)
                .await)
                .map_err(|failure| failure.during(operation))?;
            Ok(page.data.into_iter().map(Product::from).collect())
        };
        let searched = self.pages::<objects::Product>(operation, "/v1/products/search", |cursor| {
            requests::search_products(owner, cursor)
        });
        let (newest, searched) = futures::try_join!(newest, searched)?;
        Ok(owned_by(owner, newest, searched, |product| {
            (&product.id, &product.owner)
        }))
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
        let request = requests::by_id(StripeMethod::Get, "subscriptions", id);
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

    async fn set_price(&self, id: &str, item: &str, price: &str) -> CallResult<StripeSubscription> {
        self.write::<objects::Subscription>(
            "change the plan of the Stripe subscription",
            "/v1/subscriptions/{id}",
            requests::set_price(id, item, price),
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
