//! Disputes: <https://docs.stripe.com/api/disputes>, <https://docs.stripe.com/disputes/how-disputes-work>. Opened and decided
//! by the bank, which is `Control` here.

use serde_json::{Map, Value, json};

use super::common::{self, equal};
use super::{Call, Expandable, Resource, Route, charges};
use crate::doc::Doc;
use crate::error::ApiError;
use crate::params::{CREATED, Kind, PAGE, opt};
use crate::world::World;

const URL: &str = "/v1/disputes";

const WEEK: i64 = 7 * 86_400;

pub(crate) const RESOURCE: Resource = Resource {
    kind: "dispute",
    routes: &[
        Route {
            method: "GET",
            path: URL,
            params: &[
                PAGE,
                CREATED,
                &[opt("charge", Kind::Str), opt("payment_intent", Kind::Str)],
            ],
            run: list,
        },
        Route {
            method: "GET",
            path: "/v1/disputes/{dispute}",
            params: &[],
            run: |world, call| common::retrieve(world, "dispute", call),
        },
        Route {
            method: "POST",
            path: "/v1/disputes/{dispute}/close",
            params: &[],
            run: accept,
        },
    ],
    expandable: &[Expandable::id("charge"), Expandable::id("payment_intent")],
    timer: None,
};

/// The fields of `evidence`, each null until somebody sends some.
const EVIDENCE: &str = "access_activity_log billing_address cancellation_policy cancellation_policy_disclosure \
    cancellation_rebuttal customer_communication customer_email_address customer_name customer_purchase_ip customer_signature \
    duplicate_charge_documentation duplicate_charge_explanation duplicate_charge_id product_description receipt refund_policy \
    refund_policy_disclosure refund_refusal_explanation service_date service_documentation shipping_address shipping_carrier \
    shipping_date shipping_documentation shipping_tracking_number uncategorized_file uncategorized_text";

/// A customer's bank takes the rest of a charge (or a payment intent's) back; the dispute's id.
///
/// # Errors
/// 400 when there is nothing to take, or it was disputed before.
pub(crate) fn open(world: &mut World, id: &str) -> Result<String, ApiError> {
    let charge = charges::of(world, id)
        .filter(|charge| {
            charge.flag("paid") && !charge.flag("disputed") && !charge.flag("refunded")
        })
        .ok_or_else(|| ApiError::invalid(format!("{id} has no charge that can be disputed.")))?;
    let amount = charge.int("amount") - charge.int("amount_refunded");
    let mut evidence: Map<String, Value> = EVIDENCE
        .split_whitespace()
        .map(|field| (field.to_owned(), Value::Null))
        .collect();
    evidence.insert("enhanced_evidence".to_owned(), json!({}));
    let dispute = json!({
        "id": world.new_id("du_", 24), "object": "dispute", "amount": amount, "balance_transactions": [], "charge": charge["id"],
        "created": world.now, "currency": charge["currency"], "enhanced_eligibility_types": [], "evidence": evidence,
        "evidence_details": {
            "due_by": world.now + WEEK, "enhanced_eligibility": {}, "has_evidence": false, "past_due": false, "submission_count": 0,
        },
        "is_charge_refundable": false, "livemode": world.livemode(), "metadata": {}, "payment_intent": charge["payment_intent"],
        "payment_method_details": {
            "type": "card",
            "card": { "brand": "visa", "case_type": "chargeback", "network": "visa", "network_reason_code": "10.4" },
        },
        "reason": "fraudulent", "status": "needs_response",
    });
    world.change(
        "charge",
        charge.text("id"),
        Some("charge.updated"),
        |charge| charge.set("disputed", true),
    );
    let dispute = world.create(dispute, Some("charge.dispute.created"));
    world.emit("charge.dispute.funds_withdrawn", &dispute, None);
    Ok(dispute.id())
}

/// The bank's word: won (after evidence), or lost.
///
/// # Errors
/// 404 when there is none, 400 when it is closed already.
pub(crate) fn close(world: &mut World, id: &str, won: bool) -> Result<Value, ApiError> {
    let status = world.get("dispute", id)?.text("status").to_owned();
    if matches!(status.as_str(), "won" | "lost") {
        return Err(ApiError::invalid("This dispute is already closed"));
    }
    if won {
        world.change("dispute", id, Some("charge.dispute.updated"), |dispute| {
            dispute.set("status", "under_review");
            dispute["evidence_details"].set("has_evidence", true);
            dispute["evidence_details"].set("submission_count", 1);
        });
    }
    let closed = world.change("dispute", id, Some("charge.dispute.closed"), |dispute| {
        dispute.set("status", if won { "won" } else { "lost" });
    });
    if won {
        world.emit("charge.dispute.funds_reinstated", &closed, None);
    }
    Ok(closed)
}

fn accept(world: &mut World, call: &Call) -> Result<Value, ApiError> {
    close(world, call.arg(0), false)
}

fn list(world: &mut World, call: &Call) -> Result<Value, ApiError> {
    common::list(world, "dispute", URL, call, |dispute| {
        equal(call, dispute, &["charge", "payment_intent"])
    })
}
