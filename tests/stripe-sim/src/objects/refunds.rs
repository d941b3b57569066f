//! Refunds: <https://docs.stripe.com/api/refunds>, <https://docs.stripe.com/refunds>. Cards' only, so they succeed at once.

use serde_json::{Value, json};

use super::common::{self, equal, merge_metadata};
use super::{Call, Expandable, Resource, Route, charges};
use crate::doc::Doc;
use crate::error::ApiError;
use crate::params::{CREATED, Kind, PAGE, Param, opt};
use crate::world::World;

const URL: &str = "/v1/refunds";

const OF: &[Param] = &[opt("charge", Kind::Str), opt("payment_intent", Kind::Str)];

const CREATE: &[Param] = &[
    opt("amount", Kind::Int),
    opt("metadata", Kind::Map),
    opt(
        "reason",
        Kind::Enum(&["duplicate", "fraudulent", "requested_by_customer"]),
    ),
];

pub(crate) const RESOURCE: Resource = Resource {
    kind: "refund",
    routes: &[
        Route {
            method: "POST",
            path: URL,
            params: &[OF, CREATE],
            run: create,
        },
        Route {
            method: "GET",
            path: URL,
            params: &[PAGE, CREATED, OF],
            run: list,
        },
        Route {
            method: "GET",
            path: "/v1/refunds/{refund}",
            params: &[],
            run: |world, call| common::retrieve(world, "refund", call),
        },
    ],
    expandable: &[Expandable::id("charge"), Expandable::id("payment_intent")],
    timer: None,
};

fn create(world: &mut World, call: &Call) -> Result<Value, ApiError> {
    let id = match (call.text("charge"), call.text("payment_intent")) {
        (Some(charge), None) => world.referred("charge", charge, "charge")?.id(),
        (None, Some(intent)) => world
            .referred("payment_intent", intent, "payment_intent")?
            .id(),
        (Some(_), Some(_)) => {
            return Err(ApiError::invalid(
                "You may only specify one of these parameters: charge, payment_intent.",
            ));
        }
        (None, None) => {
            let message = "One of the following params should be provided for this request: payment_intent or charge.";
            return Err(ApiError::invalid(message));
        }
    };
    let refund = refund(world, &id, call.int("amount"), call.text("reason"))?;
    Ok(world.change("refund", &refund, None, |refund| {
        merge_metadata(refund, call.get("metadata"))
    }))
}

/// Gives money of a charge (or a payment intent's) back: an amount in minor units, or all that is left. The refund's id.
///
/// # Errors
/// 400 when there is no such money: not charged, already given back, or taken by the bank in a dispute.
pub(crate) fn refund(
    world: &mut World,
    id: &str,
    amount: Option<i64>,
    reason: Option<&str>,
) -> Result<String, ApiError> {
    let charge = charges::of(world, id).filter(|charge| charge.flag("paid"));
    let charge = charge.ok_or_else(|| {
        let message =
            format!("This PaymentIntent ({id}) does not have a successful charge to refund.");
        ApiError::invalid(message)
    })?;
    let left = charge.int("amount") - charge.int("amount_refunded");
    let amount = amount.unwrap_or(left);
    let ch = charge.text("id");
    if charge.flag("disputed") && !won(world, ch) {
        let message = format!("Charge {ch} has been charged back; cannot issue a refund.");
        return Err(ApiError::invalid(message).code("charge_disputed"));
    }
    if left == 0 {
        let message = format!("Charge {ch} has already been refunded.");
        return Err(ApiError::invalid(message).code("charge_already_refunded"));
    }
    if amount < 1 || amount > left {
        let message = format!(
            "Refund amount ({amount}) is greater than unrefunded amount on charge ({left})"
        );
        return Err(ApiError::invalid(message).param("amount"));
    }
    let refund = json!({
        "id": world.new_id("re_", 24), "object": "refund", "amount": amount, "balance_transaction": null, "charge": charge["id"],
        "created": world.now, "currency": charge["currency"], "customer": charge["customer"], "metadata": {},
        "destination_details": { "type": "card", "card": { "reference_status": "pending", "reference_type": "acquirer_reference_number", "type": "refund" } },
        "payment_intent": charge["payment_intent"], "reason": reason, "receipt_number": null, "source_transfer_reversal": null,
        "status": "succeeded", "transfer_reversal": null,
    });
    let refund = world.create(refund, Some("refund.created"));
    world.change("charge", ch, Some("charge.refunded"), |charge| {
        charge.set("amount_refunded", charge.int("amount_refunded") + amount);
        charge.set("refunded", amount == left);
    });
    Ok(refund.id())
}

fn won(world: &World, charge: &str) -> bool {
    let mut disputes = world.store.all("dispute");
    disputes.any(|dispute| dispute.text("charge") == charge && dispute.text("status") == "won")
}

fn list(world: &mut World, call: &Call) -> Result<Value, ApiError> {
    common::list(world, "refund", URL, call, |refund| {
        equal(call, refund, &["charge", "payment_intent"])
    })
}
