//! Deliveries of events to webhook endpoints: the queue, its disturbances, signatures, retries.
//!
//! <https://docs.stripe.com/webhooks>. Nothing here opens a socket: `deliver` does.

use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::Sha256;

use crate::doc::{Doc, visible};
use crate::objects::thin_events;
use crate::world::World;

/// When a failed delivery is tried again, in seconds after the failure: for up to three days, further and further apart.
const RETRY_AFTER: [i64; 8] = [300, 1800, 7200, 18_000, 36_000, 43_200, 43_200, 43_200];

/// How deliveries are disturbed.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct WebhookMode {
    /// Deliveries wait until they are released.
    pub held: bool,
    /// Deliveries of events made from now on never happen, and are not tried again.
    pub dropped: bool,
    /// How often each delivery is made.
    pub copies: u32,
}

impl Default for WebhookMode {
    fn default() -> Self {
        Self {
            held: false,
            dropped: false,
            copies: 1,
        }
    }
}

/// One delivery that was tried (or dropped), as it went.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct DeliveryRecord {
    /// The event.
    pub event: String,
    /// Its type.
    pub kind: String,
    /// The endpoint's id.
    pub endpoint: String,
    /// 1 for the first attempt.
    pub attempt: u32,
    /// Simulated Unix seconds.
    pub at: i64,
    /// The receiver's HTTP status; `None` when there was no answer.
    pub status: Option<u16>,
}

/// A delivery that waits.
#[derive(Clone, Debug)]
pub(crate) struct Delivery {
    event: String,
    kind: String,
    endpoint: String,
    attempt: u32,
    due: i64,
    held: bool,
}

/// A delivery on its way: everything that goes over the wire.
#[derive(Clone, Debug)]
pub(crate) struct Outgoing {
    pub(crate) url: String,
    pub(crate) signature: String,
    pub(crate) body: Vec<u8>,
    delivery: Delivery,
}

/// Everything that waits to be delivered and what became of the rest.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    pub(crate) mode: WebhookMode,
    waiting: Vec<Delivery>,
    /// Released deliveries, to be made one after the other in this order.
    released: Vec<Delivery>,
    pub(crate) records: Vec<DeliveryRecord>,
}

impl Outbox {
    /// Queues an event for an endpoint, as the mode says.
    pub(crate) fn queue(&mut self, event: &Value, endpoint: &str, now: i64) {
        let delivery = Delivery {
            event: event.id(),
            kind: event.text("type").to_owned(),
            endpoint: endpoint.to_owned(),
            attempt: 1,
            due: now,
            held: self.mode.held,
        };
        if self.mode.dropped {
            self.record(&delivery, now, None);
            return;
        }
        for _ in 0..self.mode.copies {
            self.waiting.push(delivery.clone());
        }
    }

    /// How many deliveries are held.
    pub(crate) fn held(&self) -> usize {
        self.waiting.iter().filter(|delivery| delivery.held).count()
    }

    /// Stops holding, and lets what is held go, one after the other: in the order of the events, or backwards.
    pub(crate) fn release(&mut self, reversed: bool) -> usize {
        self.mode.held = false;
        let (mut held, waiting): (Vec<_>, Vec<_>) = std::mem::take(&mut self.waiting)
            .into_iter()
            .partition(|delivery| delivery.held);
        self.waiting = waiting;
        if reversed {
            held.reverse();
        }
        let count = held.len();
        self.released.extend(held);
        count
    }

    fn record(&mut self, delivery: &Delivery, at: i64, status: Option<u16>) {
        self.records.push(DeliveryRecord {
            event: delivery.event.clone(),
            kind: delivery.kind.clone(),
            endpoint: delivery.endpoint.clone(),
            attempt: delivery.attempt,
            at,
            status,
        });
    }
}

/// The deliveries to make now: each inner list one after the other, the lists side by side.
pub(crate) fn take_due(world: &mut World) -> Vec<Vec<Outgoing>> {
    let now = world.now;
    let waiting = std::mem::take(&mut world.outbox.waiting);
    let (due, waiting): (Vec<_>, Vec<_>) = waiting
        .into_iter()
        .partition(|delivery| !delivery.held && delivery.due <= now);
    world.outbox.waiting = waiting;
    let released = std::mem::take(&mut world.outbox.released);
    let mut groups: Vec<Vec<Delivery>> = due.into_iter().map(|delivery| vec![delivery]).collect();
    groups.push(released);
    let sendable = |group: Vec<Delivery>| {
        group
            .into_iter()
            .filter_map(|delivery| outgoing(world, delivery))
            .collect()
    };
    groups
        .into_iter()
        .map(sendable)
        .filter(|group: &Vec<_>| !group.is_empty())
        .collect()
}

/// A delivery to an endpoint that is gone or disabled is not made.
fn outgoing(world: &World, delivery: Delivery) -> Option<Outgoing> {
    let store = &world.store;
    let endpoint = world
        .get("webhook_endpoint", &delivery.endpoint)
        .ok()
        .or_else(|| store.find(thin_events::DESTINATION, &delivery.endpoint))?;
    let event = store
        .find("event", &delivery.event)
        .or_else(|| store.find(thin_events::EVENT, &delivery.event))?;
    let body = serde_json::to_vec_pretty(&visible(event)).ok()?;
    (endpoint.text("status") == "enabled").then(|| Outgoing {
        url: endpoint.text("url").to_owned(),
        signature: signature(endpoint.text("_secret"), world.signing_time(), &body),
        body,
        delivery,
    })
}

/// Queues an event again for every endpoint that listens, as `stripe events resend` does.
pub(crate) fn resend(world: &mut World, event: &Value) {
    for endpoint in crate::objects::webhook_endpoints::listening_to(world, event.text("type")) {
        world.outbox.queue(event, &endpoint, world.now);
    }
}

/// Takes note of what the receiver answered; anything but 2xx is tried again later.
pub(crate) fn settle(world: &mut World, sent: &Outgoing, status: Option<u16>) {
    let now = world.clock.now();
    world.outbox.record(&sent.delivery, now, status);
    if status.is_some_and(|status| (200..300).contains(&status)) {
        if world.store.find("event", &sent.delivery.event).is_some() {
            world.change("event", &sent.delivery.event, None, |event| {
                let pending = event.int("pending_webhooks");
                event.set("pending_webhooks", (pending - 1).max(0));
            });
        }
        return;
    }
    let tried = usize::try_from(sent.delivery.attempt).unwrap_or(usize::MAX);
    if let Some(after) = RETRY_AFTER.get(tried - 1) {
        let retry = Delivery {
            attempt: sent.delivery.attempt + 1,
            due: now + after,
            ..sent.delivery.clone()
        };
        world.outbox.waiting.push(retry);
    }
}

/// The value of `Stripe-Signature` for these exact bytes. As in Stripe's test mode, a `v0` that proves nothing is added.
pub fn signature(secret: &str, wall_seconds: i64, body: &[u8]) -> String {
    let v1 = hmac_hex(secret.as_bytes(), wall_seconds, body);
    let v0 = hmac_hex(b"not a secret", wall_seconds, body);
    format!("t={wall_seconds},v1={v1},v0={v0}")
}

fn hmac_hex(key: &[u8], wall_seconds: i64, body: &[u8]) -> String {
    // HMAC takes a key of any length, so there is no error to speak of.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else {
        return String::new();
    };
    mac.update(format!("{wall_seconds}.").as_bytes());
    mac.update(body);
    mac.finalize()
        .into_bytes()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_stripes() {
        // printf '1700000000.{"id":"evt_1"}' | openssl dgst -sha256 -hmac whsec_test
        let expected =
            "t=1700000000,v1=c89214b5b5da833daed6f0b8c5bb6bd58cea9022bd80ccc78230f3942d632925";
        let have = signature("whsec_test", 1_700_000_000, br#"{"id":"evt_1"}"#);
        assert!(have.starts_with(expected), "{have}");
    }
}
