//! The resource kinds, one file each. Schemas, CEL rules and printer columns stand with the types;
//! `crdgen` writes them to `crds/yaml/`.

mod api_key;
mod credit_grant;
mod credit_pack;
mod credit_purchase;
mod customer;
mod glyph_api;
mod subscription;
mod tier;

pub use api_key::{ApiKey, ApiKeySpec, ApiKeyStatus, Environment, HashedKey, Rotation};
pub use credit_grant::{
    CreditGrant, CreditGrantSpec, CreditGrantStatus, GrantSource, GrantSourceType, GrantState,
};
pub use credit_pack::{CreditPack, CreditPackSpec, CreditPackStatus};
pub use credit_purchase::{
    CreditPurchase, CreditPurchaseSpec, CreditPurchaseStatus, DisputeState, PurchaseState,
};
pub use customer::{CognitoRef, Credits, GlyphCustomer, GlyphCustomerSpec, GlyphCustomerStatus};
pub use glyph_api::{
    Auth, ChargeOn, Endpoint, GlyphApi, GlyphApiSpec, GlyphApiStatus, Method, Unmatched,
};
pub use subscription::{
    DriftPolicy, PaymentMethod, Subscription, SubscriptionSpec, SubscriptionState,
    SubscriptionStatus,
};
pub use tier::{
    ExistingSubscribers, Grace, OverQuota, Quota, Tier, TierSpec, TierStatus, TrialPaymentMethod,
};
