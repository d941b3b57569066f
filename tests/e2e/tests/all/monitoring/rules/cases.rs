//! What makes each alert fire, and what is close to it and does not, over an hour and a half.

/// A series and its values, one a minute, as promtool writes them.
pub(super) type Series = (&'static str, &'static str);

/// An alert, what makes it fire after an hour, and what does not.
pub(super) struct Case {
    pub(super) alert: &'static str,
    pub(super) fires: &'static [Series],
    pub(super) silent: &'static [Series],
}

const fn case(alert: &'static str, fires: &'static [Series], silent: &'static [Series]) -> Case {
    Case {
        alert,
        fires,
        silent,
    }
}

const ADMITTED: Series = (r#"glyph_authz_decisions_total{code="ok"}"#, "0+600x90");
/// One of a hundred.
const FEW: &str = "0+6x90";
/// Many of a sudden, for the last ten minutes.
const SUDDENLY: &str = "0+6x80 486+400x10";
/// As many all the time, which is usual then.
const ALWAYS: &str = "0+400x90";

/// Every alert has one.
pub(super) const CASES: &[Case] = &[
    case(
        "GlyphNoLeader",
        &[
            ("glyph_leader{instance=\"a\"}", "0x90"),
            ("glyph_leader{instance=\"b\"}", "0x90"),
        ],
        &[
            ("glyph_leader{instance=\"a\"}", "0x90"),
            ("glyph_leader{instance=\"b\"}", "1x90"),
        ],
    ),
    case("GlyphNoLeader", &[], &[("glyph_leader", "1x90")]),
    // Of two releases one leads, which is no comfort to the other.
    case(
        "GlyphNoLeader",
        &[
            (r#"glyph_leader{namespace="a"}"#, "1x90"),
            (r#"glyph_leader{namespace="b"}"#, "0x90"),
        ],
        &[
            (r#"glyph_leader{namespace="a"}"#, "1x90"),
            (r#"glyph_leader{namespace="b"}"#, "1x90"),
        ],
    ),
    case(
        "GlyphReconcilesFailing",
        &[
            (
                r#"glyph_reconciles_total{kind="Tier",outcome="failed"}"#,
                "0+4x90",
            ),
            (
                r#"glyph_reconciles_total{kind="Tier",outcome="unchanged"}"#,
                "0+4x90",
            ),
            (
                r#"glyph_reconciles_total{kind="Tier",outcome="settled"}"#,
                "0+99x90",
            ),
        ],
        &[
            (
                r#"glyph_reconciles_total{kind="Tier",outcome="failed"}"#,
                "0+1x90",
            ),
            (
                r#"glyph_reconciles_total{kind="Tier",outcome="unchanged"}"#,
                "0+9x90",
            ),
        ],
    ),
    case(
        "GlyphResourcesStuck",
        &[(
            r#"glyph_unsynced_resources{kind="Tier",reason="Unavailable"}"#,
            "1x90",
        )],
        &[
            (
                r#"glyph_unsynced_resources{kind="Tier",reason="Unavailable"}"#,
                "0x80 1x5 0x5",
            ),
            (
                r#"glyph_unsynced_resources{kind="Subscription",reason="AwaitingPayment"}"#,
                "7x90",
            ),
        ],
    ),
    case(
        "GlyphStripeErrors",
        &[
            (r#"glyph_stripe_calls_total{outcome="transient"}"#, "0+3x90"),
            (r#"glyph_stripe_calls_total{outcome="ok"}"#, "0+7x90"),
        ],
        &[
            (r#"glyph_stripe_calls_total{outcome="missing"}"#, "0+9x90"),
            (r#"glyph_stripe_calls_total{outcome="throttled"}"#, "0+1x90"),
            (r#"glyph_stripe_calls_total{outcome="ok"}"#, "0+9x90"),
        ],
    ),
    case(
        "GlyphStripeLimitReached",
        &[
            ("glyph_stripe_limit_wait_seconds_sum", "0+20x90"),
            ("glyph_stripe_limit_wait_seconds_count", "0+10x90"),
        ],
        &[
            ("glyph_stripe_limit_wait_seconds_sum", "0+5x90"),
            ("glyph_stripe_limit_wait_seconds_count", "0+10x90"),
        ],
    ),
    case(
        "GlyphCognitoErrors",
        &[
            (
                r#"glyph_cognito_calls_total{outcome="credential"}"#,
                "0+3x90",
            ),
            (r#"glyph_cognito_calls_total{outcome="ok"}"#, "0+3x90"),
        ],
        &[
            (r#"glyph_cognito_calls_total{outcome="missing"}"#, "0+3x90"),
            (r#"glyph_cognito_calls_total{outcome="ok"}"#, "0+3x90"),
        ],
    ),
    case(
        "GlyphWebhooksLate",
        &[
            (r#"glyph_webhook_age_seconds_bucket{le="60.0"}"#, "0+7x90"),
            (r#"glyph_webhook_age_seconds_bucket{le="300.0"}"#, "0+10x90"),
            (r#"glyph_webhook_age_seconds_bucket{le="+Inf"}"#, "0+10x90"),
        ],
        &[
            (r#"glyph_webhook_age_seconds_bucket{le="60.0"}"#, "0+95x90"),
            (
                r#"glyph_webhook_age_seconds_bucket{le="300.0"}"#,
                "0+100x90",
            ),
            (r#"glyph_webhook_age_seconds_bucket{le="+Inf"}"#, "0+100x90"),
        ],
    ),
    case(
        "GlyphWebhooksRefused",
        &[
            (
                r#"glyph_webhook_events_total{event_type="unknown",outcome="bad_signature"}"#,
                "0+3x90",
            ),
            (
                r#"glyph_webhook_events_total{event_type="invoice.paid",outcome="accepted"}"#,
                "0+3x90",
            ),
        ],
        &[
            (
                r#"glyph_webhook_events_total{event_type="unknown",outcome="bad_signature"}"#,
                "0+1x90",
            ),
            (
                r#"glyph_webhook_events_total{event_type="other",outcome="unowned"}"#,
                "0+20x90",
            ),
            (
                r#"glyph_webhook_events_total{event_type="invoice.paid",outcome="accepted"}"#,
                "0+5x90",
            ),
        ],
    ),
    case(
        "GlyphWebhooksMissing",
        &[
            ("glyph_events_healed_total", "0+1x90"),
            (r#"glyph_webhook_events_total{outcome="accepted"}"#, "9x90"),
        ],
        &[
            ("glyph_events_healed_total", "0+1x90"),
            (
                r#"glyph_webhook_events_total{outcome="accepted"}"#,
                "0+9x90",
            ),
        ],
    ),
    case(
        "GlyphEventSweepStale",
        &[("glyph_event_sweep_timestamp_seconds", "0+60x60 3600x30")],
        &[("glyph_event_sweep_timestamp_seconds", "0+60x90")],
    ),
    case(
        "GlyphRevenueDrop",
        &[
            (
                r#"glyph_mrr_minor_units{tier="a",currency="usd"}"#,
                "5000x90",
            ),
            (
                r#"glyph_mrr_minor_units{tier="b",currency="usd"}"#,
                "5000x70 1000x20",
            ),
        ],
        // A leader that changes is counted twice for a moment, and that is no drop afterwards.
        &[
            (
                r#"glyph_mrr_minor_units{instance="a",tier="a",currency="usd"}"#,
                "5000x40 _x50",
            ),
            (
                r#"glyph_mrr_minor_units{instance="b",tier="a",currency="usd"}"#,
                "_x38 5000x52",
            ),
            (
                r#"glyph_mrr_minor_units{tier="b",currency="eur"}"#,
                "5000x70 4600x20",
            ),
        ],
    ),
    case(
        "GlyphIndexNotSynced",
        &[
            (
                r#"glyph_authz_index_synced{instance="a",kind="Tier"}"#,
                "1x90",
            ),
            (
                r#"glyph_authz_index_synced{instance="b",kind="Tier"}"#,
                "0x90",
            ),
        ],
        &[(
            r#"glyph_authz_index_synced{instance="a",kind="Tier"}"#,
            "1x88 0x1 1x1",
        )],
    ),
    case(
        "GlyphIndexStale",
        &[(
            r#"glyph_authz_index_age_seconds{kind="ApiKey"}"#,
            "0x80 0+60x10",
        )],
        &[(
            r#"glyph_authz_index_age_seconds{kind="ApiKey"}"#,
            "0x80 30x10",
        )],
    ),
    case(
        "GlyphTokenKeysStale",
        &[(r#"glyph_authz_jwks_age_seconds{pool="p"}"#, "0+60x90")],
        &[(r#"glyph_authz_jwks_age_seconds{pool="p"}"#, "0+30x90")],
    ),
    case(
        "GlyphRedisAway",
        &[
            (r#"glyph_authz_redis_available{instance="a"}"#, "1x90"),
            (r#"glyph_authz_redis_available{instance="b"}"#, "1x80 0x10"),
        ],
        &[(
            r#"glyph_authz_redis_available{instance="b"}"#,
            "1x88 0x1 1x1",
        )],
    ),
    case(
        "GlyphRedisSlow",
        &[
            (
                r#"glyph_authz_redis_duration_seconds_bucket{outcome="ok",le="0.01"}"#,
                "0+90x90",
            ),
            (
                r#"glyph_authz_redis_duration_seconds_bucket{outcome="ok",le="0.025"}"#,
                "0+100x90",
            ),
            (
                r#"glyph_authz_redis_duration_seconds_bucket{outcome="ok",le="+Inf"}"#,
                "0+100x90",
            ),
        ],
        &[
            (
                r#"glyph_authz_redis_duration_seconds_bucket{outcome="ok",le="0.005"}"#,
                "0+100x90",
            ),
            (
                r#"glyph_authz_redis_duration_seconds_bucket{outcome="ok",le="0.01"}"#,
                "0+100x90",
            ),
            (
                r#"glyph_authz_redis_duration_seconds_bucket{outcome="ok",le="+Inf"}"#,
                "0+100x90",
            ),
            (
                r#"glyph_authz_redis_duration_seconds_bucket{outcome="unavailable",le="+Inf"}"#,
                "0+100x90",
            ),
        ],
    ),
    case(
        "GlyphMalformedResources",
        &[(
            r#"glyph_authz_malformed_resources_total{kind="ApiKey"}"#,
            "0x85 1x5",
        )],
        &[(
            r#"glyph_authz_malformed_resources_total{kind="ApiKey"}"#,
            "0x30 1x60",
        )],
    ),
    case(
        "GlyphMalformedResources",
        &[(r#"glyph_malformed_resources{kind="Tier"}"#, "1x90")],
        &[(r#"glyph_malformed_resources{kind="Tier"}"#, "0x90")],
    ),
    case(
        "GlyphUnavailable",
        &[
            ADMITTED,
            (
                r#"glyph_authz_decisions_total{code="unavailable"}"#,
                "0+20x90",
            ),
        ],
        &[
            ADMITTED,
            (
                r#"glyph_authz_decisions_total{code="unavailable"}"#,
                "0+1x90",
            ),
        ],
    ),
    case(
        "GlyphManyUnauthorized",
        &[
            ADMITTED,
            (
                r#"glyph_authz_decisions_total{code="invalid_credential"}"#,
                SUDDENLY,
            ),
        ],
        &[
            ADMITTED,
            (
                r#"glyph_authz_decisions_total{code="invalid_credential"}"#,
                ALWAYS,
            ),
        ],
    ),
    case(
        "GlyphManyUnauthorized",
        &[
            ADMITTED,
            (
                r#"glyph_authz_decisions_total{code="key_revoked"}"#,
                SUDDENLY,
            ),
        ],
        &[
            ADMITTED,
            (r#"glyph_authz_decisions_total{code="key_revoked"}"#, FEW),
        ],
    ),
    case(
        "GlyphManyUnpaid",
        &[
            ADMITTED,
            (
                r#"glyph_authz_decisions_total{code="payment_required"}"#,
                SUDDENLY,
            ),
        ],
        &[
            ADMITTED,
            (
                r#"glyph_authz_decisions_total{code="payment_required"}"#,
                ALWAYS,
            ),
        ],
    ),
    case(
        "GlyphManyLimited",
        &[
            ADMITTED,
            (
                r#"glyph_authz_decisions_total{code="quota_exceeded"}"#,
                SUDDENLY,
            ),
        ],
        &[
            ADMITTED,
            (
                r#"glyph_authz_decisions_total{code="rate_limited"}"#,
                ALWAYS,
            ),
        ],
    ),
    // A few requests at night, all without a key, are nothing to wake anybody for.
    case(
        "GlyphManyUnauthorized",
        &[(
            r#"glyph_authz_decisions_total{code="missing_credential"}"#,
            "_x80 0+60x10",
        )],
        &[(
            r#"glyph_authz_decisions_total{code="missing_credential"}"#,
            "_x80 0+1x10",
        )],
    ),
];
