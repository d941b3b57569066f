//! What a person does by hand in Stripe's dashboard, without the API and without being recorded as a request.

use serde_json::Value;

use super::{Control, said};
use crate::dispatch;
use crate::doc::Doc;
use crate::objects::thin_events;

impl Control {
    /// Does in the dashboard what this API request does: no key, no faults, not among the recorded requests; events say that
    /// no request made them. `body` is form-encoded.
    ///
    /// # Errors
    /// Stripe's sentence when it is refused.
    pub fn in_dashboard(&self, method: &str, path: &str, body: &str) -> Result<Value, String> {
        self.act(|world| dispatch::by_hand(world, method, path, body))
            .map_err(said)
    }

    /// Moves a subscription with one item to another price.
    ///
    /// # Errors
    /// Stripe's sentence when it is refused.
    pub fn change_plan(&self, subscription: &str, price: &str) -> Result<Value, String> {
        let path = format!("/v1/subscriptions/{subscription}");
        let item = self.in_dashboard("GET", &path, "")?["items"]["data"][0].id();
        self.in_dashboard(
            "POST",
            &path,
            &format!("items[0][id]={item}&items[0][price]={price}"),
        )
    }

    /// Cancels a subscription at once.
    ///
    /// # Errors
    /// Stripe's sentence when it is refused.
    pub fn cancel_now(&self, subscription: &str) -> Result<Value, String> {
        self.in_dashboard("DELETE", &format!("/v1/subscriptions/{subscription}"), "")
    }

    /// Lets a subscription end with its period, or not.
    ///
    /// # Errors
    /// Stripe's sentence when it is refused.
    pub fn cancel_at_period_end(&self, subscription: &str, ends: bool) -> Result<Value, String> {
        let path = format!("/v1/subscriptions/{subscription}");
        self.in_dashboard("POST", &path, &format!("cancel_at_period_end={ends}"))
    }

    /// Pauses the collection of payments (`void`, `keep_as_draft`, `mark_uncollectible`), or goes on with it.
    ///
    /// # Errors
    /// Stripe's sentence when it is refused.
    pub fn pause_collection(
        &self,
        subscription: &str,
        behavior: Option<&str>,
    ) -> Result<Value, String> {
        let path = format!("/v1/subscriptions/{subscription}");
        let body = behavior.map_or_else(
            || "pause_collection=".to_owned(),
            |behavior| format!("pause_collection[behavior]={behavior}"),
        );
        self.in_dashboard("POST", &path, &body)
    }

    /// Deletes a customer, whose subscriptions are canceled.
    ///
    /// # Errors
    /// Stripe's sentence when it is refused.
    pub fn delete_customer(&self, customer: &str) -> Result<Value, String> {
        self.in_dashboard("DELETE", &format!("/v1/customers/{customer}"), "")
    }

    /// Archives a product or price, by its id, or brings it back.
    ///
    /// # Errors
    /// Stripe's sentence when it is refused.
    pub fn set_active(&self, id: &str, active: bool) -> Result<Value, String> {
        let kind = if id.starts_with("price_") {
            "prices"
        } else {
            "products"
        };
        self.in_dashboard(
            "POST",
            &format!("/v1/{kind}/{id}"),
            &format!("active={active}"),
        )
    }

    /// Adds a destination for thin events (`v1.customer.created`, or `*` for all), signed with this secret; its id.
    pub fn add_thin_destination(&self, url: &str, secret: &str, types: &[&str]) -> String {
        self.act(|world| thin_events::add_destination(world, url, secret, types))
    }
}
