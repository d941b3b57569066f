//! The whole state of the simulated account, behind one mutex (held by `server`).
//!
//! Everything here is synchronous: no socket, no task. `now` is the simulated second in which a step happens; when the
//! clock has jumped, what fell due on the way is done first, each thing at its own time. A step about objects on a test clock
//! happens at that clock's second (`at`).

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::clock::{SimClock, wall_seconds};
use crate::doc::{Doc, previous_attributes, visible};
use crate::error::ApiError;
use crate::faults::Faults;
use crate::idempotency::Idempotency;
use crate::ids::Ids;
use crate::journal::Journal;
use crate::objects::{self, RESOURCES, test_clocks};
use crate::options::Options;
use crate::search::SearchIndex;
use crate::store::Store;
use crate::timers::Timers;
use crate::webhooks::Outbox;

/// The API version that the simulator speaks.
pub const API_VERSION: &str = "2026-09-30.endive";

/// What becomes of a subscription whose payments were all tried in vain: a setting of the account,
/// <https://docs.stripe.com/billing/revenue-recovery/smart-retries#configure-retries>.
#[derive(Clone, Copy, Debug, Default, serde::Deserialize, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AfterRetries {
    /// It is canceled.
    #[default]
    Canceled,
    /// It is `unpaid`: invoices go on as drafts that nobody collects.
    Unpaid,
    /// It stays `past_due`.
    PastDue,
}

/// Which request makes the changes at hand; empty for what the clock does.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cause {
    pub(crate) request_id: Option<String>,
    pub(crate) idempotency_key: Option<String>,
}

/// The simulated account and everything around it.
pub(crate) struct World {
    pub(crate) clock: SimClock,
    pub(crate) now: i64,
    pub(crate) ids: Ids,
    pub(crate) store: Store,
    pub(crate) timers: Timers,
    /// The same for what lives by each test clock.
    pub(crate) clocked: BTreeMap<String, Timers>,
    /// The account's second, while a step happens at a test clock's.
    outside: Option<i64>,
    pub(crate) search: SearchIndex,
    pub(crate) outbox: Outbox,
    pub(crate) idempotency: Idempotency,
    pub(crate) faults: Faults,
    pub(crate) journal: Journal,
    pub(crate) cause: Cause,
    pub(crate) api_key: String,
    pub(crate) after_retries: AfterRetries,
    signs_at_simulated_time: bool,
    /// Where the simulator is reached, for the links in its answers.
    pub(crate) base_url: String,
}

impl World {
    /// An account with nothing in it but the webhook endpoints asked for.
    pub(crate) fn new(options: &Options, base_url: &str, seed: u64) -> Self {
        let clock = SimClock::default();
        let mut world = Self {
            now: clock.now(),
            clock,
            ids: Ids::new(seed),
            store: Store::default(),
            timers: Timers::default(),
            clocked: BTreeMap::new(),
            outside: None,
            search: SearchIndex::new(options.search_lag_seconds),
            outbox: Outbox::default(),
            idempotency: Idempotency::default(),
            faults: Faults::default(),
            journal: Journal::default(),
            cause: Cause::default(),
            api_key: options.api_key.clone(),
            after_retries: AfterRetries::default(),
            signs_at_simulated_time: options.signs_at_simulated_time,
            base_url: base_url.to_owned(),
        };
        for hook in &options.webhooks {
            objects::webhook_endpoints::register(&mut world, hook);
        }
        world
    }

    /// Forgets every object, request, fault and delivery. Clock, key, search lag and webhook endpoints stay.
    pub(crate) fn reset(&mut self) {
        let kept = ["webhook_endpoint", objects::thin_events::DESTINATION];
        let endpoints: Vec<Value> = kept
            .iter()
            .flat_map(|kind| self.store.all(kind))
            .cloned()
            .collect();
        self.store = Store::default();
        self.timers = Timers::default();
        self.clocked = BTreeMap::new();
        self.search = SearchIndex::new(self.search.lag_seconds);
        self.outbox = Outbox::default();
        self.idempotency = Idempotency::default();
        self.faults = Faults::default();
        self.journal = Journal::default();
        for endpoint in endpoints {
            self.store.put(endpoint);
        }
    }

    /// The time that webhook signatures carry, in Unix seconds.
    pub(crate) fn signing_time(&self) -> i64 {
        if self.signs_at_simulated_time {
            self.clock.now()
        } else {
            wall_seconds()
        }
    }

    /// Whether the accepted key is a live one.
    pub(crate) fn livemode(&self) -> bool {
        self.api_key.contains("_live_")
    }

    /// Does everything that has fallen due by the clock, in order of time.
    pub(crate) fn catch_up(&mut self) {
        let target = self.clock.now();
        let cause = std::mem::take(&mut self.cause);
        while let Some((at, resource, id)) = self.timers.first(target) {
            self.now = at;
            self.fire(resource, &id);
        }
        self.now = target;
        let clocks: Vec<String> = self.clocked.keys().cloned().collect();
        for clock in clocks {
            let frozen = self.get(test_clocks::KIND, &clock);
            if let Ok(frozen) = frozen.map(|clock| clock.int("frozen_time")) {
                self.catch_up_with(&clock, frozen);
            }
        }
        self.cause = cause;
    }

    /// Does everything that has fallen due by a test clock, in order of time.
    pub(crate) fn catch_up_with(&mut self, clock: &str, until: i64) {
        let next = |world: &Self| world.clocked.get(clock)?.first(until);
        while let Some((at, resource, id)) = next(self) {
            self.at(at, |world| world.fire(resource, &id));
        }
    }

    fn fire(&mut self, resource: usize, id: &str) {
        if let Some(timer) = &RESOURCES[resource].timer {
            (timer.fire)(self, id);
        }
    }

    /// Does something at a test clock's second.
    pub(crate) fn at<T>(&mut self, second: i64, act: impl FnOnce(&mut Self) -> T) -> T {
        let before = (self.now, self.outside);
        self.outside = Some(self.account_now());
        self.now = second;
        let done = act(self);
        (self.now, self.outside) = before;
        done
    }

    /// The account's second in which this step happens, also when it happens at a test clock's.
    pub(crate) fn account_now(&self) -> i64 {
        self.outside.unwrap_or(self.now)
    }

    /// A new object's id.
    pub(crate) fn new_id(&mut self, prefix: &str, length: usize) -> String {
        self.ids.next(prefix, length)
    }

    /// Stores a new object and, where one is due, tells of it by an event.
    pub(crate) fn create(&mut self, mut object: Value, event: Option<&str>) -> Value {
        test_clocks::stamp(self, &mut object);
        self.put(object.clone());
        if let Some(event) = event {
            self.emit(event, &object, None);
        }
        object
    }

    /// Changes an object in place. An event is sent only if something the caller can see did change.
    pub(crate) fn change(
        &mut self,
        kind: &str,
        id: &str,
        event: Option<&str>,
        edit: impl FnOnce(&mut Value),
    ) -> Value {
        let old = self.store.find(kind, id).cloned().unwrap_or_default();
        let mut new = old.clone();
        edit(&mut new);
        self.put(new.clone());
        let previous = previous_attributes(&old, &new);
        if let Some(event) = event.filter(|_| !previous.is_empty()) {
            self.emit(event, &new, event.ends_with(".updated").then_some(previous));
        }
        new
    }

    fn put(&mut self, object: Value) {
        self.search.note(self.account_now(), &object);
        let kind = object.text("object");
        let resource = RESOURCES.iter().position(|resource| resource.kind == kind);
        if let Some((at, timer)) =
            resource.and_then(|at| RESOURCES[at].timer.as_ref().map(|timer| (at, timer)))
        {
            let timers = match object[test_clocks::FIELD].as_str() {
                Some(clock) => self.clocked.entry(clock.to_owned()).or_default(),
                None => &mut self.timers,
            };
            timers.note(at, object.text("id"), (timer.due)(&object));
        }
        self.store.put(object);
    }

    /// Makes an event and queues its deliveries.
    pub(crate) fn emit(
        &mut self,
        kind: &str,
        object: &Value,
        previous: Option<Map<String, Value>>,
    ) {
        let mut data = json!({ "object": visible(object) });
        if let Some(previous) = previous {
            data.set("previous_attributes", previous);
        }
        let endpoints = objects::webhook_endpoints::listening_to(self, kind);
        let event = json!({
            "id": self.new_id("evt_", 24), "object": "event", "api_version": API_VERSION, "created": self.account_now(),
            "data": data, "livemode": self.livemode(), "pending_webhooks": endpoints.len(), "type": kind,
            "request": { "id": self.cause.request_id, "idempotency_key": self.cause.idempotency_key },
        });
        for endpoint in endpoints {
            self.outbox.queue(&event, &endpoint, self.account_now());
        }
        self.store.put(event.clone());
        objects::thin_events::announce(self, &event);
    }

    /// The object under an id from the path.
    ///
    /// # Errors
    /// 404 `resource_missing`, also when it was deleted.
    pub(crate) fn get(&self, kind: &str, id: &str) -> Result<&Value, ApiError> {
        self.live(kind, id)
            .ok_or_else(|| ApiError::no_such(noun(kind), id))
    }

    /// The object that a parameter points to.
    ///
    /// # Errors
    /// 400 `resource_missing` that blames the parameter.
    pub(crate) fn referred(&self, kind: &str, id: &str, param: &str) -> Result<&Value, ApiError> {
        self.live(kind, id)
            .ok_or_else(|| ApiError::no_such_reference(noun(kind), id, param))
    }

    fn live(&self, kind: &str, id: &str) -> Option<&Value> {
        self.store
            .find(kind, id)
            .filter(|object| !object.flag("deleted"))
    }
}

/// What Stripe's sentences call an object.
fn noun(kind: &str) -> &str {
    match kind {
        "payment_method" => "PaymentMethod",
        test_clocks::KIND => "test clock",
        other => other,
    }
}
