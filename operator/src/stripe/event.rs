//! Stripe's events, of which only what leads to an owner is read: snapshots
//! (<https://docs.stripe.com/api/events/object>), which carry their object, and thin ones
//! (<https://docs.stripe.com/api/v2/core/events/event-types>), which say where it is. Types and shapes we do not know
//! are read as well as they go.

use glyph_operator_core::billing::Owner;
use glyph_operator_core::event::{About, Event};
use jiff::Timestamp;
use jiff::fmt::serde::timestamp::second;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::objects::Wire;
use super::requests::PAGE;

/// An event of either form, as it comes over the wire.
#[derive(Deserialize)]
pub(super) struct WireEvent {
    id: String,
    #[serde(rename = "type")]
    event_type: String,
    livemode: bool,
    /// Seconds in a snapshot, a text in a thin event.
    #[serde(default)]
    created: Value,
    #[serde(default)]
    data: Data,
    #[serde(default)]
    related_object: Option<Related>,
}

#[derive(Default, Deserialize)]
struct Data {
    #[serde(default)]
    object: Value,
}

#[derive(Deserialize)]
struct Related {
    id: String,
    #[serde(default)]
    url: Option<String>,
}

impl Wire for WireEvent {
    type Object = Event;
    fn id(&self) -> &str {
        &self.id
    }
}

impl From<WireEvent> for Event {
    fn from(wire: WireEvent) -> Self {
        let WireEvent {
            id,
            event_type,
            livemode,
            created,
            data,
            related_object,
        } = wire;
        let mut about = about(&data.object);
        let url = related_object.and_then(|related| {
            about.ids.push(related.id);
            related.url
        });
        let created = created
            .as_i64()
            .and_then(|seconds| Timestamp::from_second(seconds).ok());
        Self {
            id,
            event_type,
            livemode,
            created,
            about,
            url,
        }
    }
}

/// The event that a webhook's body is.
///
/// # Errors
/// When it is none.
pub fn parse(body: &[u8]) -> serde_json::Result<Event> {
    serde_json::from_slice::<WireEvent>(body).map(Event::from)
}

/// Where an object names its owner: an invoice carries its subscription's metadata under `parent` (CASE 28).
const METADATA: [&str; 2] = ["/metadata", "/parent/subscription_details/metadata"];
/// Where it names itself and what it belongs to.
const IDS: [&str; 6] = [
    "/id",
    "/subscription",
    "/parent/subscription_details/subscription",
    "/product",
    "/payment_intent",
    "/charge",
];

/// What an object tells of its owner.
pub(super) fn about(object: &Value) -> About {
    let ids = IDS.into_iter().filter_map(|pointer| id_at(object, pointer));
    let owner = METADATA.into_iter().find_map(|pointer| {
        let metadata = object.pointer(pointer)?;
        Owner::from_metadata(|key| metadata.get(key)?.as_str())
    });
    About {
        owner,
        ids: ids.collect(),
        customer: id_at(object, "/customer"),
    }
}

/// An id, or the id of the whole object that stands in its place.
fn id_at(object: &Value, pointer: &str) -> Option<String> {
    let found = object.pointer(pointer)?;
    found
        .as_str()
        .or_else(|| found.get("id")?.as_str())
        .map(str::to_owned)
}

/// Parameters of the list of events (<https://docs.stripe.com/api/events/list>).
#[derive(Serialize)]
pub(super) struct ListEvents {
    created: Range,
    limit: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    starting_after: Option<String>,
}

#[derive(Serialize)]
struct Range {
    #[serde(with = "second::required")]
    gte: Timestamp,
}

impl ListEvents {
    /// The page of events since a time after the event `after`, newest first. Stripe's `types` takes twenty at most.
    pub(super) fn since(gte: Timestamp, after: Option<String>) -> Self {
        Self {
            created: Range { gte },
            limit: PAGE,
            starting_after: after,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event(object: Value) -> Event {
        let event =
            json!({"id": "evt_1", "type": "a.b", "livemode": false, "data": {"object": object}});
        parse(event.to_string().as_bytes()).unwrap()
    }

    fn metadata() -> Value {
        json!({"glyph_kind": "Subscription", "glyph_namespace": "shop", "glyph_name": "ada", "glyph_uid": "u-1"})
    }

    /// CASE 28, an invoice's subscription.
    #[test]
    fn an_invoice_names_its_subscription_and_its_owner_under_parent() {
        let details = json!({"subscription": "sub_1", "metadata": metadata()});
        let invoice = event(json!({
            "id": "in_1", "customer": "cus_1", "metadata": {}, "parent": {"subscription_details": details},
        }));
        assert_eq!(invoice.about.ids, ["in_1", "sub_1"]);
        assert_eq!(invoice.about.customer.as_deref(), Some("cus_1"));
        let owner = invoice.about.owner.unwrap();
        assert_eq!(owner.uid, "u-1");
    }

    #[test]
    fn an_object_in_place_of_an_id_is_read_by_its_id() {
        let session = event(
            json!({"id": "cs_1", "subscription": {"id": "sub_1"}, "customer": {"id": "cus_1"}}),
        );
        assert_eq!(session.about.ids, ["cs_1", "sub_1"]);
        assert_eq!(session.about.customer.as_deref(), Some("cus_1"));
    }

    #[test]
    fn a_dispute_names_the_charge_and_the_payment_it_is_about() {
        let dispute = event(json!({"id": "du_1", "charge": "ch_1", "payment_intent": "pi_1"}));
        assert_eq!(dispute.about.ids, ["du_1", "pi_1", "ch_1"]);
    }

    #[test]
    fn half_an_owner_is_none() {
        let mut half = metadata();
        half.as_object_mut().unwrap().remove("glyph_uid");
        for metadata in [half, json!({"glyph_uid": 7})] {
            assert_eq!(event(json!({"metadata": metadata})).about.owner, None);
        }
    }

    #[test]
    fn a_thin_event_names_its_object_and_where_it_is() {
        let thin = json!({
            "id": "evt_1", "object": "v2.core.event", "type": "v1.invoice.paid", "livemode": false,
            "created": "2026-11-23T10:00:00.000Z", "context": null,
            "related_object": {"id": "in_1", "type": "invoice", "url": "/v1/invoices/in_1"},
        });
        let thin = parse(thin.to_string().as_bytes()).unwrap();
        assert_eq!(thin.about.ids, ["in_1"]);
        assert_eq!(thin.url.as_deref(), Some("/v1/invoices/in_1"));
    }

    #[test]
    fn an_event_without_an_object_is_read() {
        let bare = json!({"id": "evt_1", "type": "a.b", "livemode": false, "related_object": null});
        let bare = parse(bare.to_string().as_bytes()).unwrap();
        assert_eq!((bare.about, bare.url), (About::default(), None));
    }
}
