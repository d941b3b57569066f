//! The way in behind the API: clock, faults, webhooks, records. The admin paths and in-process tests both use it.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::clock::wall_seconds;
use crate::doc::visible;
use crate::error::ApiError;
use crate::faults::Fault;
use crate::journal::RecordedRequest;
use crate::objects::cards;
use crate::objects::checkout_sessions::{self, Means, Paid};
use crate::objects::{disputes, payment_intents, refunds, test_clocks};
use crate::options::Options;
use crate::server::{Shared, router};
use crate::webhooks::{self, DeliveryRecord, WebhookMode};
use crate::world::{AfterRetries, World};

mod person;

/// How many objects of a kind there are.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct Count {
    /// Those that live.
    pub live: usize,
    /// Those that were deleted.
    pub deleted: usize,
}

/// What a card did to a checkout session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payment {
    /// Paid; the person is sent to this address.
    Done(String),
    /// The person has to confirm.
    MustConfirm,
    /// Refused, with the sentence the page shows.
    Refused(String),
}

/// A handle on a simulator's inside; clones share it.
#[derive(Clone)]
pub struct Control {
    pub(crate) shared: Arc<Shared>,
}

impl Control {
    /// A simulator without a server, for `app`.
    pub fn new(options: &Options, base_url: &str) -> Self {
        let port = base_url
            .rsplit(':')
            .next()
            .and_then(|port| port.parse::<u64>().ok())
            .unwrap_or_default();
        let seed = options
            .seed
            .unwrap_or_else(|| wall_seconds().unsigned_abs() << 16 | port);
        Self {
            shared: Arc::new(Shared::new(World::new(options, base_url, seed))),
        }
    }

    /// Everything it serves, to be driven without a socket (where a reset shows as an empty answer).
    pub fn app(&self) -> Router {
        router(self.shared.clone())
    }

    /// The simulated time, in Unix seconds.
    pub fn now(&self) -> i64 {
        self.shared.world().clock.now()
    }

    /// Sets the clock. Going forward, everything that falls due on the way happens before this returns.
    pub fn set_clock(&self, now: i64) {
        self.with_clock(|world| world.clock.set(now));
    }

    /// Moves the clock forward by so many seconds, as `set_clock`.
    pub fn advance(&self, seconds: i64) {
        self.with_clock(|world| {
            let now = world.clock.now();
            world.clock.set(now + seconds);
        });
    }

    /// Stops the clock, or lets it run on.
    pub fn freeze_clock(&self, frozen: bool) {
        self.with_clock(|world| world.clock.freeze(frozen));
    }

    /// Whether the clock stands still.
    pub fn clock_is_frozen(&self) -> bool {
        self.shared.world().clock.is_frozen()
    }

    fn with_clock(&self, change: impl FnOnce(&mut World)) {
        let mut world = self.shared.world();
        change(&mut world);
        world.catch_up();
        drop(world);
        self.shared.wake.notify_one();
    }

    /// Adds a fault.
    pub fn add_fault(&self, fault: Fault) {
        self.shared.world().faults.active.push(fault);
    }

    /// The faults in force.
    pub fn faults(&self) -> Vec<Fault> {
        self.shared.world().faults.active.clone()
    }

    /// Takes every fault away.
    pub fn clear_faults(&self) {
        self.shared.world().faults.active.clear();
    }

    /// How webhooks are disturbed from now on. What was held stays held until it is released.
    pub fn set_webhook_mode(&self, mode: WebhookMode) {
        self.shared.world().outbox.mode = mode;
    }

    /// How webhooks are disturbed, and how many deliveries are held.
    pub fn webhook_mode(&self) -> (WebhookMode, usize) {
        let world = self.shared.world();
        (world.outbox.mode, world.outbox.held())
    }

    /// Stops holding webhooks and delivers what was held, one after the other; returns how many.
    pub fn release_webhooks(&self, reversed: bool) -> usize {
        let released = self.shared.world().outbox.release(reversed);
        self.shared.wake.notify_one();
        released
    }

    /// Delivers an event once more to every endpoint that listens; false when there is no such event.
    pub fn resend(&self, event: &str) -> bool {
        let mut world = self.shared.world();
        let Some(event) = world.store.find("event", event).cloned() else {
            return false;
        };
        webhooks::resend(&mut world, &event);
        drop(world);
        self.shared.wake.notify_one();
        true
    }

    /// Every delivery so far, in the order in which it ended.
    pub fn deliveries(&self) -> Vec<DeliveryRecord> {
        self.shared.world().outbox.records.clone()
    }

    /// The requests so far, oldest first (the newest 20,000).
    pub fn requests(&self) -> Vec<RecordedRequest> {
        self.shared
            .world()
            .journal
            .requests
            .iter()
            .cloned()
            .collect()
    }

    /// Forgets the requests so far.
    pub fn clear_requests(&self) {
        self.shared.world().journal.requests.clear();
    }

    /// How many objects of each kind there are.
    pub fn counts(&self) -> BTreeMap<String, Count> {
        let counts = self.shared.world().store.counts();
        counts
            .into_iter()
            .map(|(kind, (live, deleted))| (kind, Count { live, deleted }))
            .collect()
    }

    /// Every living object of a kind (`customer`, `checkout.session`, …), oldest first.
    pub fn objects(&self, kind: &str) -> Vec<Value> {
        self.shared.world().store.all(kind).map(visible).collect()
    }

    /// Changes how long search lags behind, in simulated seconds.
    pub fn set_search_lag(&self, seconds: i64) {
        self.shared.world().search.lag_seconds = seconds;
    }

    /// Changes the one secret key that is accepted.
    pub fn set_api_key(&self, key: &str) {
        self.shared.world().api_key = key.to_owned();
    }

    /// Changes what becomes of a subscription after the last retry of a payment.
    pub fn set_after_retries(&self, after: AfterRetries) {
        self.shared.world().after_retries = after;
    }

    /// Forgets every object, request, fault and delivery; clock, key, search lag and webhook endpoints stay.
    pub fn reset(&self) {
        self.shared.world().reset();
    }

    /// Pays a checkout session as its page would, with a test card's number.
    pub fn pay(&self, session: &str, card_number: &str, email: Option<&str>) -> Payment {
        let card = cards::by_number(card_number).ok_or_else(unknown_card);
        self.on_page(session, |world| {
            card.and_then(|card| checkout_sessions::pay(world, session, Means::Card(card), email))
        })
    }

    /// Pays a checkout session from a bank account: it completes unpaid, and the bank speaks later (after four days of the
    /// simulator's clock, or by `conclude_debit`). `fails`: the bank will say no.
    pub fn pay_by_bank(&self, session: &str, email: Option<&str>, fails: bool) -> Payment {
        self.on_page(session, |world| {
            checkout_sessions::pay(world, session, Means::Bank { fails }, email)
        })
    }

    /// Completes a checkout session that asks for nothing: a trial, or a free price, with `payment_method_collection`
    /// `if_required`.
    pub fn complete_without_card(&self, session: &str, email: Option<&str>) -> Payment {
        self.on_page(session, |world| {
            checkout_sessions::pay(world, session, Means::Nothing, email)
        })
    }

    /// The bank's word on the debit of a checkout session or payment intent; false when none is under way.
    pub fn conclude_debit(&self, id: &str, paid: bool) -> bool {
        self.act(|world| {
            let session = world.store.find("checkout.session", id);
            let intent = session
                .and_then(|session| session["payment_intent"].as_str())
                .unwrap_or(id)
                .to_owned();
            payment_intents::conclude_debit(world, &intent, paid)
        })
    }

    /// Gives money back as a person in the dashboard does: by a charge's or payment intent's id, an amount in minor units
    /// or all that is left. The refund's id.
    ///
    /// # Errors
    /// Stripe's sentence when it cannot be.
    pub fn refund(&self, id: &str, amount: Option<i64>) -> Result<String, String> {
        self.act(|world| refunds::refund(world, id, amount, None))
            .map_err(said)
    }

    /// Opens a dispute about a charge, named by its or its payment intent's id. The dispute's id.
    ///
    /// # Errors
    /// A sentence when there is nothing to dispute.
    pub fn dispute(&self, id: &str) -> Result<String, String> {
        self.act(|world| disputes::open(world, id)).map_err(said)
    }

    /// Closes a dispute, won or lost.
    ///
    /// # Errors
    /// A sentence when there is none, or it is closed.
    pub fn close_dispute(&self, id: &str, won: bool) -> Result<(), String> {
        self.act(|world| disputes::close(world, id, won))
            .map(drop)
            .map_err(said)
    }

    /// Does something at the present moment, and lets its events go out.
    fn act<T>(&self, act: impl FnOnce(&mut World) -> T) -> T {
        let mut world = self.shared.world();
        world.catch_up();
        let done = act(&mut world);
        drop(world);
        self.shared.wake.notify_one();
        done
    }

    /// Answers the confirmation page of a checkout session.
    pub fn confirm(&self, session: &str, agreed: bool) -> Payment {
        self.on_page(session, |world| {
            checkout_sessions::answer_confirmation(world, session, agreed)
        })
    }

    /// Does what a person on the page of the object with this id asks for.
    pub(crate) fn on_page(
        &self,
        id: &str,
        act: impl FnOnce(&mut World) -> Result<Paid, ApiError>,
    ) -> Payment {
        match self.act(|world| test_clocks::by_clock_of(world, &[id], act)) {
            Ok(Paid::Done(url)) => Payment::Done(url),
            Ok(Paid::MustConfirm) => Payment::MustConfirm,
            Err(error) => Payment::Refused(error.message().to_owned()),
        }
    }
}

fn said(error: ApiError) -> String {
    error.message().to_owned()
}

/// What a page says to a number that is no test card's.
fn unknown_card() -> ApiError {
    ApiError::card(
        "incorrect_number",
        None,
        "Your card number is incorrect. (The simulator takes Stripe's test cards only.)",
    )
}
