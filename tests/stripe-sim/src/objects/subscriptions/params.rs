//! The parameters that subscriptions take: <https://docs.stripe.com/api/subscriptions/create>,
//! <https://docs.stripe.com/api/subscriptions/update>.

use crate::params::{Kind, Param, opt, req};

/// Only of creating.
pub(super) const CREATE: &[Param] = &[
    opt("customer", Kind::Str),
    opt("items[].price", Kind::Str),
    opt("items[].quantity", Kind::Int),
    opt("items[].metadata", Kind::Map),
    opt("trial_period_days", Kind::Int),
    opt("cancel_at", Kind::Int),
];

/// Of creating and updating.
pub(super) const FIELDS: &[Param] = &[
    opt("cancel_at_period_end", Kind::Bool),
    opt(
        "collection_method",
        Kind::Enum(&["charge_automatically", "send_invoice"]),
    ),
    opt("days_until_due", Kind::Int),
    opt("default_payment_method", Kind::Str),
    opt("metadata", Kind::Map),
    opt("off_session", Kind::Bool),
    opt(
        "payment_behavior",
        Kind::Enum(&[
            "allow_incomplete",
            "default_incomplete",
            "error_if_incomplete",
        ]),
    ),
    opt(
        "payment_settings.save_default_payment_method",
        Kind::Enum(&["off", "on_subscription"]),
    ),
    opt("proration_behavior", Kind::Enum(PRORATION)),
    opt("trial_end", Kind::IntOr(&["now"])),
    req(
        "trial_settings.end_behavior.missing_payment_method",
        Kind::Enum(&["cancel", "create_invoice", "pause"]),
    ),
];

/// What a change does about the rest of the period.
pub(crate) const PRORATION: &[&str] = &["always_invoice", "create_prorations", "none"];

/// Only of updating.
pub(super) const UPDATE: &[Param] = &[
    opt("items[].id", Kind::Str),
    opt("items[].deleted", Kind::Bool),
    opt("items[].price", Kind::Str),
    opt("items[].quantity", Kind::Int),
    opt("items[].metadata", Kind::Map),
    opt("cancel_at", Kind::Int).clearable(),
    opt("description", Kind::Str).clearable(),
    opt("pause_collection", Kind::Unset),
    req(
        "pause_collection.behavior",
        Kind::Enum(&["keep_as_draft", "mark_uncollectible", "void"]),
    ),
    opt("pause_collection.resumes_at", Kind::Int),
];

/// Of resuming a paused subscription.
pub(super) const RESUME: &[Param] = &[
    opt("billing_cycle_anchor", Kind::Enum(&["now"])),
    opt("proration_behavior", Kind::Enum(PRORATION)),
];

/// Only of canceling.
pub(super) const CANCEL: &[Param] = &[opt("invoice_now", Kind::Bool), opt("prorate", Kind::Bool)];

/// Why it ends: of updating and canceling.
pub(super) const DETAILS: &[Param] = &[
    opt("cancellation_details.comment", Kind::Str).clearable(),
    opt(
        "cancellation_details.feedback",
        Kind::Enum(&[
            "customer_service",
            "low_quality",
            "missing_features",
            "other",
            "switched_service",
            "too_complex",
            "too_expensive",
            "unused",
        ]),
    )
    .clearable(),
];

const STATUSES: &[&str] = &[
    "active",
    "all",
    "canceled",
    "ended",
    "incomplete",
    "incomplete_expired",
    "past_due",
    "paused",
    "trialing",
    "unpaid",
];

/// Of the list.
pub(super) const FILTERS: &[Param] = &[
    opt("customer", Kind::Str),
    opt("price", Kind::Str),
    opt("test_clock", Kind::Str),
    opt("status", Kind::Enum(STATUSES)),
    opt(
        "collection_method",
        Kind::Enum(&["charge_automatically", "send_invoice"]),
    ),
];
