//! `GET /billing/status`: the plan in force, where the subscription stands, what is used, and where to pay.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use glyph_crds::entitlement::{Standing, in_charge};
use glyph_crds::period::{Period, calendar_month};
use glyph_crds::{GlyphCustomer, Subscription, SubscriptionState};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt as _;
use serde::Serialize;
use utoipa::ToSchema;

use crate::account::Account;
use crate::account::caller::Caller;
use crate::account::problem::Answer;

/// What is used of the monthly requests.
#[derive(Serialize, ToSchema)]
pub(in crate::account) struct Quota {
    /// Requests a month; null: unlimited.
    pub(in crate::account) limit: Option<u64>,
    /// Requests used in this month; null: it cannot be told now.
    pub(in crate::account) used: Option<u64>,
    /// Requests left; null: unlimited, or it cannot be told now.
    pub(in crate::account) remaining: Option<u64>,
    /// When this month of allowance began.
    #[schema(value_type = String, format = DateTime)]
    pub(in crate::account) period_start: Timestamp,
    /// When it ends, and the next begins.
    #[schema(value_type = String, format = DateTime)]
    pub(in crate::account) period_end: Timestamp,
}

/// Prepaid credits.
#[derive(Serialize, ToSchema)]
pub(in crate::account) struct CreditBalance {
    /// Credits granted, less those taken back.
    granted: i64,
    /// Credits used of them.
    used: i64,
    /// Credits that can be spent.
    remaining: i64,
    /// When these numbers last changed; null: there never were any.
    #[schema(value_type = Option<String>, format = DateTime)]
    as_of: Option<Timestamp>,
}

/// A subscription.
#[derive(Serialize, ToSchema)]
pub(in crate::account) struct SubscriptionView {
    /// The plan that is asked for.
    tier: String,
    /// Stripe's word; null until Stripe knows of it.
    #[schema(example = "active")]
    status: Option<String>,
    /// When the present period began.
    #[schema(value_type = Option<String>, format = DateTime)]
    current_period_start: Option<Timestamp>,
    /// When it ends.
    #[schema(value_type = Option<String>, format = DateTime)]
    current_period_end: Option<Timestamp>,
    /// When the subscription ends, where that is settled.
    #[schema(value_type = Option<String>, format = DateTime)]
    ends_at: Option<Timestamp>,
    /// The plan that takes over with the next period.
    pending_tier: Option<String>,
    /// Until when everything goes on although a renewal is unpaid.
    #[schema(value_type = Option<String>, format = DateTime)]
    grace_until: Option<Timestamp>,
    /// Where the first payment is made, while it is due.
    checkout_url: Option<String>,
    /// Where an open invoice is paid or confirmed.
    invoice_url: Option<String>,
}

/// What a customer has, and has to pay.
#[derive(Serialize, ToSchema)]
pub(in crate::account) struct BillingStatus {
    /// The plan in force; null: nothing is served until the invoice is paid.
    tier: Option<String>,
    /// The subscription; null: there is none.
    subscription: Option<SubscriptionView>,
    /// What is used of the monthly requests.
    quota: Quota,
    /// Prepaid credits.
    credits: CreditBalance,
    /// Whether requests are refused until something is paid.
    payment_required: bool,
    /// Where to pay what is due.
    pay_at: Option<String>,
    /// Whether the account is suspended: every request is refused then.
    suspended: bool,
}

/// What is in force for a customer at a moment.
struct InForce {
    tier: Option<String>,
    period: Period,
}

impl Account {
    fn in_force(&self, subscription: Option<&Subscription>, now: Timestamp) -> InForce {
        let (tier, cycle) = match Standing::of(subscription, now) {
            Standing::Subscribed { tier, cycle } => (Some(tier), cycle),
            Standing::Lapsed { tier } => {
                let grace = self.tier(&tier).and_then(|tier| tier.spec.grace);
                let to = grace.and_then(|grace| grace.degrade_to);
                (to.map(|to| to.name), None)
            }
            Standing::Default => (Some(self.default_tier.clone()), None),
        };
        let period = cycle.map_or_else(|| calendar_month(now), |cycle| cycle.month(now));
        InForce { tier, period }
    }

    async fn quota(&self, customer: &GlyphCustomer, in_force: &InForce) -> Quota {
        let tier = in_force.tier.as_deref().and_then(|name| self.tier(name));
        let limit = match (&in_force.tier, tier) {
            (None, _) => Some(0),
            (Some(_), tier) => tier
                .and_then(|tier| tier.spec.quota)
                .map(|quota| quota.requests),
        };
        let Period { start, end } = in_force.period;
        let period = glyph_usage::Period {
            start: start.as_second(),
            end: end.as_second(),
        };
        let used = self
            .counters
            .used(&customer.uid().unwrap_or_default(), period)
            .await;
        Quota {
            limit,
            used,
            remaining: limit
                .zip(used)
                .map(|(limit, used)| limit.saturating_sub(used)),
            period_start: start,
            period_end: end,
        }
    }

    /// What a customer has used of its month, and its credits.
    pub(in crate::account) async fn balance(
        &self,
        customer: &GlyphCustomer,
    ) -> Answer<(Quota, CreditBalance)> {
        let subscriptions = self.subscriptions_of(&customer.name_any()).await?;
        let in_force = self.in_force(in_charge(&subscriptions), self.now());
        Ok((self.quota(customer, &in_force).await, credits(customer)))
    }

    /// What a customer has, and has to pay.
    pub(in crate::account) async fn billing_status(
        &self,
        customer: &GlyphCustomer,
    ) -> Answer<BillingStatus> {
        let subscriptions = self.subscriptions_of(&customer.name_any()).await?;
        let charge = in_charge(&subscriptions);
        let in_force = self.in_force(charge, self.now());
        let subscription = charge.map(view);
        let pay_at = subscription.as_ref().and_then(|s| {
            let first = s.checkout_url.as_ref();
            first.or(s.invoice_url.as_ref()).cloned()
        });
        Ok(BillingStatus {
            payment_required: in_force.tier.is_none(),
            quota: self.quota(customer, &in_force).await,
            tier: in_force.tier,
            subscription,
            credits: credits(customer),
            pay_at,
            suspended: customer.spec.suspended,
        })
    }
}

fn credits(customer: &GlyphCustomer) -> CreditBalance {
    let credits = customer
        .status
        .as_ref()
        .and_then(|status| status.credits.as_ref());
    CreditBalance {
        granted: credits.map_or(0, |credits| credits.granted),
        used: credits.map_or(0, |credits| credits.used),
        remaining: credits.map_or(0, |credits| credits.left),
        as_of: credits.map(|credits| credits.as_of.0),
    }
}

/// Stripe's word.
fn word(state: SubscriptionState) -> Option<String> {
    let word = serde_json::to_value(state).ok()?;
    word.as_str().map(str::to_owned)
}

fn view(subscription: &Subscription) -> SubscriptionView {
    let status = subscription.status.clone().unwrap_or_default();
    let at = |time: Option<Time>| time.map(|time| time.0);
    let period = status.current_period;
    SubscriptionView {
        tier: subscription.spec.tier.clone(),
        status: status.state.and_then(word),
        current_period_start: period.as_ref().map(|period| period.start.0),
        current_period_end: period.map(|period| period.end.0),
        ends_at: at(status.ends_at),
        pending_tier: status.pending_tier,
        grace_until: at(status.grace_until),
        checkout_url: status.checkout_url,
        invoice_url: status.invoice_url,
    }
}

/// What you have, and have to pay.
#[utoipa::path(get, path = "/billing/status", tag = "Billing", security(("access_token" = [])),
    responses((status = 200, body = BillingStatus, description = "Plan, subscription, usage, credits")))]
pub(in crate::account) async fn status(
    State(account): State<Arc<Account>>,
    caller: Caller,
) -> Answer<Json<BillingStatus>> {
    account.billing_status(&caller.customer).await.map(Json)
}
