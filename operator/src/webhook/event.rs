//! A Stripe event, of which only what leads to its owner is read (<https://docs.stripe.com/api/events/object>). Types
//! and shapes we do not know are read as well as they go.

use glyph_operator_core::billing::Owner;
use serde::Deserialize;
use serde_json::Value;

/// An event.
#[derive(Debug, Deserialize)]
pub(super) struct Event {
    /// `evt_…`
    pub(super) id: String,
    /// e.g. `customer.subscription.updated`
    #[serde(rename = "type")]
    pub(super) event_type: String,
    /// Whether real money moved.
    pub(super) livemode: bool,
    #[serde(default)]
    data: Data,
}

#[derive(Debug, Default, Deserialize)]
struct Data {
    #[serde(default)]
    object: Value,
}

/// Where an object names others; an invoice's subscription is under `parent` (CASE 28).
const SUBSCRIPTION: [&str; 2] = ["/subscription", "/parent/subscription_details/subscription"];
const METADATA: [&str; 2] = ["/metadata", "/parent/subscription_details/metadata"];

impl Event {
    /// The owner that the object's metadata name; an invoice carries its subscription's.
    pub(super) fn owner(&self) -> Option<Owner> {
        METADATA.iter().find_map(|pointer| {
            let metadata = self.data.object.pointer(pointer)?;
            Owner::from_metadata(|key| metadata.get(key)?.as_str())
        })
    }

    /// Stripe's ids of the object itself, and of the subscription, product or price it belongs to.
    pub(super) fn ids(&self) -> impl Iterator<Item = &str> {
        let pointers = ["/id"].into_iter().chain(SUBSCRIPTION).chain(["/product"]);
        pointers.filter_map(|pointer| self.id_at(pointer))
    }

    /// Stripe's id of the customer whose object it is.
    pub(super) fn customer(&self) -> Option<&str> {
        self.id_at("/customer")
    }

    /// An id, or the id of the whole object that stands in its place.
    fn id_at(&self, pointer: &str) -> Option<&str> {
        let found = self.data.object.pointer(pointer)?;
        found.as_str().or_else(|| found.get("id")?.as_str())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event(object: Value) -> Event {
        let event =
            json!({"id": "evt_1", "type": "a.b", "livemode": false, "data": {"object": object}});
        serde_json::from_value(event).unwrap()
    }

    fn metadata() -> Value {
        json!({"glyph_kind": "Subscription", "glyph_namespace": "shop", "glyph_name": "ada", "glyph_uid": "u-1"})
    }

    #[test]
    fn an_invoice_names_its_subscription_and_its_owner_under_parent() {
        let details = json!({"subscription": "sub_1", "metadata": metadata()});
        let invoice = event(json!({
            "id": "in_1", "customer": "cus_1", "metadata": {}, "parent": {"subscription_details": details},
        }));
        assert_eq!(invoice.ids().collect::<Vec<_>>(), ["in_1", "sub_1"]);
        assert_eq!(invoice.customer(), Some("cus_1"));
        assert_eq!(
            invoice.owner().map(|owner| owner.uid).as_deref(),
            Some("u-1")
        );
    }

    #[test]
    fn an_object_in_place_of_an_id_is_read_by_its_id() {
        let session = event(
            json!({"id": "cs_1", "subscription": {"id": "sub_1"}, "customer": {"id": "cus_1"}}),
        );
        assert_eq!(session.ids().collect::<Vec<_>>(), ["cs_1", "sub_1"]);
        assert_eq!(session.customer(), Some("cus_1"));
    }

    #[test]
    fn half_an_owner_is_none() {
        let mut half = metadata();
        half.as_object_mut().unwrap().remove("glyph_uid");
        assert_eq!(event(json!({"metadata": half})).owner(), None);
        assert_eq!(event(json!({"metadata": {"glyph_uid": 7}})).owner(), None);
    }

    #[test]
    fn an_event_without_an_object_is_read() {
        let thin = json!({"id": "evt_1", "type": "v2.core.event", "livemode": false});
        let thin: Event = serde_json::from_value(thin).unwrap();
        assert_eq!(thin.ids().count(), 0);
        assert_eq!((thin.owner(), thin.customer()), (None, None));
    }
}
