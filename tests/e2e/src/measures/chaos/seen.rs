//! What Kubernetes and Stripe say at a moment, as it is looked at. Only reading.

use anyhow::Result;
use glyph_crds::{
    CreditGrant, CreditPack, CreditPurchase, GlyphCustomer, Subscription, SubscriptionState, Tier,
};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::operation::Level;
use crate::world::{Kind, Stage};

/// Both sides at a moment.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    /// The simulated time.
    pub(super) now: Timestamp,
    /// What Stripe has.
    pub(super) stripe: Stripe,
    /// Every resource but the following, as JSON.
    pub(super) others: Vec<Value>,
    pub(super) customers: Vec<GlyphCustomer>,
    pub(super) subscriptions: Vec<Subscription>,
    pub(super) purchases: Vec<CreditPurchase>,
    pub(super) grants: Vec<CreditGrant>,
}

/// What Stripe has.
#[derive(Clone, Debug, Default)]
pub(super) struct Stripe {
    pub(super) customers: Vec<Value>,
    pub(super) subscriptions: Vec<Value>,
    pub(super) schedules: Vec<Value>,
    pub(super) sessions: Vec<Value>,
    pub(super) charges: Vec<Value>,
    pub(super) disputes: Vec<Value>,
    pub(super) prices: Vec<Value>,
}

impl Seen {
    /// Looks at both.
    pub(super) async fn of(stage: &Stage<'_>) -> Result<Self> {
        let mut others = list::<Tier>(stage)
            .await?
            .iter()
            .map(|one| json!(one))
            .collect::<Vec<_>>();
        others.extend(
            list::<CreditPack>(stage)
                .await?
                .iter()
                .map(|one| json!(one)),
        );
        let (customers, subscriptions) = (list(stage).await?, list(stage).await?);
        let (purchases, grants) = (list(stage).await?, list(stage).await?);
        Ok(Self {
            // Last, so that Stripe is never older than what is said of it.
            now: now(stage),
            stripe: Stripe::of(stage),
            others,
            customers,
            subscriptions,
            purchases,
            grants,
        })
    }

    /// Every resource as JSON.
    pub(super) fn resources(&self) -> Vec<Value> {
        let mut all = self.others.clone();
        all.extend(self.customers.iter().map(|one| json!(one)));
        all.extend(self.subscriptions.iter().map(|one| json!(one)));
        all.extend(self.purchases.iter().map(|one| json!(one)));
        all.extend(self.grants.iter().map(|one| json!(one)));
        all
    }

    /// The Stripe subscription that stands for a resource: one that lives, else the newest.
    pub(super) fn subscription_of(&self, uid: &str) -> Option<&Value> {
        let ours = || {
            self.stripe
                .subscriptions
                .iter()
                .filter(|one| owner(one) == uid)
        };
        let living = ours().find(|one| is_live(one));
        living.or_else(|| ours().max_by_key(|one| one["created"].as_i64()))
    }

    /// The open checkout sessions of a resource.
    pub(super) fn open_sessions(&self, uid: &str) -> Vec<&Value> {
        let all = self.stripe.sessions.iter();
        all.filter(|one| owner(one) == uid && self.is_open(one))
            .collect()
    }

    /// Whether a session can be paid.
    pub(super) fn is_open(&self, session: &Value) -> bool {
        session["status"] == "open" && session["expires_at"].as_i64() > Some(self.now.as_second())
    }

    /// The tier that a subscription is to be on after its period, by its schedule.
    pub(super) fn pending(&self, subscription: &Value) -> Option<Level> {
        let id = subscription["schedule"].as_str()?;
        let schedule = self.stripe.schedules.iter().find(|one| one["id"] == id)?;
        let mut coming = schedule["phases"].as_array()?.iter();
        let now = self.now.as_second();
        let next = coming.find(|phase| phase["start_date"].as_i64() > Some(now))?;
        let price = next["items"][0]["price"].as_str()?;
        let price = self.stripe.prices.iter().find(|one| one["id"] == price)?;
        level_of(price)
    }
}

impl Stripe {
    /// What the simulator has now.
    pub(super) fn of(stage: &Stage<'_>) -> Self {
        let control = stage.stripe.control();
        let [customers, subscriptions, schedules, sessions] = [
            "customer",
            "subscription",
            "subscription_schedule",
            "checkout.session",
        ]
        .map(|kind| control.objects(kind));
        let [charges, disputes, prices] =
            ["charge", "dispute", "price"].map(|kind| control.objects(kind));
        Self {
            customers,
            subscriptions,
            schedules,
            sessions,
            charges,
            disputes,
            prices,
        }
    }

    /// The charge of a session's payment that went through.
    pub(super) fn charge_of(&self, session: &Value) -> Option<&Value> {
        let mut all = self.charges.iter();
        all.find(|one| one["payment_intent"] == session["payment_intent"] && one["paid"] == true)
    }
}

/// The simulated time.
pub(super) fn now(stage: &Stage<'_>) -> Timestamp {
    Timestamp::from_second(stage.stripe.control().now()).unwrap_or_default()
}

/// Every resource of a kind.
pub(super) async fn list<K: Kind>(stage: &Stage<'_>) -> Result<Vec<K>> {
    Ok(stage
        .namespace
        .api::<K>()
        .list(&Default::default())
        .await?
        .items)
}

/// The UID of the resource that an object of Stripe's is marked with; empty without one.
pub(super) fn owner(object: &Value) -> &str {
    object["metadata"]["glyph_uid"].as_str().unwrap_or_default()
}

/// Whether a subscription can still come to something.
pub(super) fn is_live(subscription: &Value) -> bool {
    let status = &subscription["status"];
    status != "canceled" && status != "incomplete_expired"
}

/// Stripe's word, as the resource has it.
pub(super) fn state_of(subscription: &Value) -> Option<SubscriptionState> {
    serde_json::from_value(subscription["status"].clone()).ok()
}

/// The tier of a price.
pub(super) fn level_of(price: &Value) -> Option<Level> {
    let amount = price["unit_amount"].as_i64()?;
    Level::ALL
        .into_iter()
        .find(|level| level.amount() == amount)
}

/// The tier that a subscription is billed for.
pub(super) fn billed(subscription: &Value) -> Option<Level> {
    level_of(&subscription["items"]["data"][0]["price"])
}

/// The UID of a resource.
pub(super) fn uid<K: Kind>(resource: &K) -> &str {
    resource.meta().uid.as_deref().unwrap_or_default()
}

/// The name of a resource.
pub(super) fn name<K: Kind>(resource: &K) -> &str {
    resource.meta().name.as_deref().unwrap_or_default()
}
