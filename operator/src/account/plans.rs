//! `GET /plans`: what is sold, for a price page. It needs no login.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use glyph_crds::common::{Interval, OneTimePrice, RecurringPrice};
use glyph_crds::{CreditPack, OverQuota, Tier};
use kube::ResourceExt as _;
use serde::Serialize;
use utoipa::ToSchema;

use super::Account;
use crate::watches::select;

/// How often a price is charged.
#[derive(Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Every {
    Month,
    Year,
}

/// A price.
#[derive(Serialize, ToSchema)]
pub(super) struct Price {
    /// In the currency's minor unit (cents for usd).
    amount: i64,
    /// ISO 4217 code in lower case.
    currency: String,
    /// How often it is charged; absent: once.
    #[serde(skip_serializing_if = "Option::is_none")]
    interval: Option<Every>,
}

impl From<&RecurringPrice> for Price {
    fn from(price: &RecurringPrice) -> Self {
        Self {
            amount: price.amount,
            currency: price.currency.clone(),
            interval: Some(match price.interval {
                Interval::Month => Every::Month,
                Interval::Year => Every::Year,
            }),
        }
    }
}

impl From<&OneTimePrice> for Price {
    fn from(price: &OneTimePrice) -> Self {
        Self {
            amount: price.amount,
            currency: price.currency.clone(),
            interval: None,
        }
    }
}

/// How fast a key may be used.
#[derive(Serialize, ToSchema)]
struct PlanRate {
    /// Requests a second, for ever.
    requests_per_second: u32,
    /// Requests at once after a pause.
    burst: u32,
}

/// A plan that is sold.
#[derive(Serialize, ToSchema)]
pub(super) struct Plan {
    /// What POST /billing/checkout takes as `tier`.
    #[schema(example = "starter")]
    id: String,
    /// Its name for people.
    name: String,
    /// A few sentences.
    description: Option<String>,
    /// What it costs; null: nothing, or it is sold by a person.
    price: Option<Price>,
    /// Sold by a person.
    contact_sales: bool,
    /// Whether it is what everybody has who subscribes to nothing.
    default: bool,
    /// Requests a month; null: unlimited.
    monthly_requests: Option<u64>,
    /// How fast a key may be used; null: unlimited.
    rate_limit: Option<PlanRate>,
    /// Whether credits are used past the monthly requests.
    credits_past_quota: bool,
    /// Days of trial.
    trial_days: Option<u32>,
    /// What it offers, in words.
    features: Vec<String>,
}

/// Credits that are sold.
#[derive(Serialize, ToSchema)]
pub(super) struct Pack {
    /// What POST /billing/checkout takes as `credit_pack`.
    id: String,
    /// Its name for people.
    name: String,
    /// A few sentences.
    description: Option<String>,
    /// Credits in it.
    credits: i64,
    /// What it costs.
    price: Price,
    /// Days after which what is left expires; null: never.
    expires_after_days: Option<u32>,
}

/// What is sold.
#[derive(Serialize, ToSchema)]
pub(super) struct Plans {
    /// Plans, the cheapest first.
    plans: Vec<Plan>,
    /// Credits, the cheapest first.
    credit_packs: Vec<Pack>,
}

/// What is sold.
#[utoipa::path(get, path = "/plans", tag = "Billing",
    responses((status = 200, body = Plans, description = "Plans and credits")))]
pub(super) async fn list(State(account): State<Arc<Account>>) -> Json<Plans> {
    let mut tiers = select(&account.stores, &account.namespace, |tier: &Tier| {
        is_shown(tier)
    });
    tiers.sort_by_cached_key(|tier| {
        let price = tier.spec.price.as_ref().map_or(0, |price| price.amount);
        (tier.spec.contact_sales, price, tier.name_any())
    });
    let mut packs = select(&account.stores, &account.namespace, |pack: &CreditPack| {
        pack.metadata.deletion_timestamp.is_none()
    });
    packs.sort_by_cached_key(|pack| (pack.spec.price.amount, pack.name_any()));
    Json(Plans {
        plans: tiers
            .iter()
            .map(|tier| plan(tier, &account.default_tier))
            .collect(),
        credit_packs: packs.iter().map(pack).collect(),
    })
}

fn is_shown(tier: &Tier) -> bool {
    tier.metadata.deletion_timestamp.is_none()
}

fn plan(tier: &Tier, default_tier: &str) -> Plan {
    let spec = &tier.spec;
    Plan {
        id: tier.name_any(),
        name: spec.display_name.clone(),
        description: spec.description.clone(),
        price: spec.price.as_ref().map(Into::into),
        contact_sales: spec.contact_sales,
        default: tier.name_any() == default_tier,
        monthly_requests: spec.quota.as_ref().map(|quota| quota.requests),
        rate_limit: spec.rate_limit.as_ref().map(|rate| PlanRate {
            requests_per_second: rate.requests_per_second,
            burst: rate.burst(),
        }),
        credits_past_quota: spec.over_quota == OverQuota::Credits,
        trial_days: spec.trial_days,
        features: spec.features.clone(),
    }
}

fn pack(pack: &CreditPack) -> Pack {
    let spec = &pack.spec;
    Pack {
        id: pack.name_any(),
        name: spec.display_name.clone(),
        description: spec.description.clone(),
        credits: spec.credits,
        price: (&spec.price).into(),
        expires_after_days: spec.expires_after_days,
    }
}
