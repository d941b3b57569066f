//! Glyph's resources as the measures and tests make them: the fewest fields that say what is meant.

use glyph_crds::common::{DeletionPolicy, Interval, LocalRef, RecurringPrice};
use glyph_crds::{
    ApiKey, ApiKeySpec, CognitoRef, CreditPack, CreditPurchase, DriftPolicy, Environment,
    ExistingSubscribers, GlyphCustomer, GlyphCustomerSpec, OverQuota, PaymentMethod, Quota,
    Rotation, Subscription, SubscriptionSpec, Tier, TierSpec, TrialPaymentMethod,
};
use serde_json::json;

/// Long enough for every test to read the Secret.
const REVEAL: std::time::Duration = std::time::Duration::from_secs(3600);

/// The tier of customers without a subscription, in every world.
pub const DEFAULT_TIER: &str = "free";

/// A tier without a price, which gives keys at once. `quota` is in requests a month; absent: unlimited.
#[must_use]
pub fn free_tier(name: &str, quota: Option<u64>) -> Tier {
    Tier::new(
        name,
        TierSpec {
            keys_before_payment: true,
            ..tier_spec(name, quota)
        },
    )
}

/// A tier for $29.00 a month, which gives keys after payment.
#[must_use]
pub fn paid_tier(name: &str) -> Tier {
    let price = RecurringPrice {
        currency: "usd".to_owned(),
        amount: 2900,
        interval: Interval::Month,
    };
    Tier::new(
        name,
        TierSpec {
            price: Some(price),
            ..tier_spec(name, Some(10_000))
        },
    )
}

fn tier_spec(name: &str, quota: Option<u64>) -> TierSpec {
    TierSpec {
        display_name: format!("Tier {name}"),
        description: None,
        price: None,
        contact_sales: false,
        stripe: None,
        existing_subscribers: ExistingSubscribers::Keep,
        quota: quota.map(|requests| Quota { requests }),
        rate_limit: None,
        over_quota: OverQuota::Deny,
        trial_days: None,
        trial_payment_method: TrialPaymentMethod::Required,
        grace: None,
        keys_before_payment: false,
        features: Vec::new(),
    }
}

/// A customer with keys only.
#[must_use]
pub fn customer(name: &str, email: &str) -> GlyphCustomer {
    GlyphCustomer::new(
        name,
        GlyphCustomerSpec {
            email: email.to_owned(),
            display_name: None,
            cognito: None,
            suspended: false,
            deletion_policy: DeletionPolicy::Retain,
        },
    )
}

/// A customer for whom a Cognito user is made.
#[must_use]
pub fn customer_with_user(name: &str, email: &str) -> GlyphCustomer {
    let mut customer = customer(name, email);
    customer.spec.cognito = Some(CognitoRef {
        create: true,
        ..CognitoRef::default()
    });
    customer
}

/// A subscription that is paid through checkout.
#[must_use]
pub fn subscription(name: &str, customer: &str, tier: &str) -> Subscription {
    Subscription::new(
        name,
        SubscriptionSpec {
            customer_ref: reference(customer),
            tier: tier.to_owned(),
            payment: PaymentMethod::Checkout,
            trial_days: None,
            days_until_due: None,
            cancel_at_period_end: false,
            drift_policy: DriftPolicy::Accept,
        },
    )
}

/// A key that works until it is revoked.
#[must_use]
pub fn api_key(name: &str, customer: &str) -> ApiKey {
    ApiKey::new(
        name,
        ApiKeySpec {
            customer_ref: reference(customer),
            display_name: None,
            environment: Environment::Live,
            expires_at: None,
            revoked: false,
            rate_limit: None,
            allowed_cidrs: Vec::new(),
            scopes: Vec::new(),
            rotation: Rotation::default(),
            secret_name: None,
            reveal_ttl: REVEAL.into(),
        },
    )
}

fn reference(name: &str) -> LocalRef {
    LocalRef {
        name: name.to_owned(),
    }
}

/// A pack of so many credits for $19.00.
///
/// # Errors
/// When the kind has come to need more.
pub fn credit_pack(name: &str, credits: i64) -> anyhow::Result<CreditPack> {
    let price = json!({"currency": "usd", "amount": 1900});
    let spec = json!({"displayName": format!("Pack {name}"), "credits": credits, "price": price});
    Ok(CreditPack::new(name, serde_json::from_value(spec)?))
}

/// A purchase of one pack.
///
/// # Errors
/// When the kind has come to need more.
pub fn credit_purchase(name: &str, customer: &str, pack: &str) -> anyhow::Result<CreditPurchase> {
    let spec = json!({"customerRef": reference(customer), "pack": pack});
    Ok(CreditPurchase::new(name, serde_json::from_value(spec)?))
}
