//! The CreditPurchase, its grants, and what Stripe shows of it: a payment that comes after the order.

use std::collections::BTreeMap;

use glyph_crds::{CreditPurchaseSpec, CreditPurchaseStatus, DisputeState, PurchaseState};
use glyph_operator_core::Next;
use glyph_operator_core::billing::{CheckoutState, PackCheckout, Payment, PaymentState};
use glyph_operator_core::purchase::{self, Action, Observed};
use glyph_operator_core::subscription::Payer;
use jiff::SignedDuration;
use serde_json::json;

use super::Woken;
use super::plan::{NOW, meta, urls};

const CREDITS: i64 = 1000;

pub(super) struct Pack;

/// The purchase, and what was granted: credits by the grant's name, which Kubernetes takes once.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Bought {
    status: CreditPurchaseStatus,
    grants: BTreeMap<String, i64>,
}

impl Woken for Pack {
    type State = Bought;

    fn begin(&self) -> Result<Bought, String> {
        self.pass(&Bought::default(), 0)
    }

    fn pass(&self, state: &Bought, after: usize) -> Result<Bought, String> {
        let Bought {
            mut status,
            mut grants,
        } = state.clone();
        loop {
            let observed = observed(status, after)?;
            match purchase::plan(&observed) {
                Next::Do(Action::Grant(grant)) => {
                    grants.insert(grant.name.clone(), grant.credits);
                    // What the controller records with it.
                    status = observed.status;
                    status.checkout_session_id = Some(grant.session);
                    status.credits = Some(grant.credits);
                    status.checkout_url = None;
                    status.checkout_expires_at = None;
                    status.state = Some(PurchaseState::Paid);
                    status.grant = Some(grant.name);
                }
                Next::Do(action) => {
                    return Err(format!(
                        "pure: after {after} events a purchase asks for {action:?}"
                    ));
                }
                next => {
                    let status = purchase::status(&observed, &next).status;
                    return Ok(Bought { status, grants });
                }
            }
        }
    }
}

/// Paid, and granted once.
pub(super) fn is_bought(bought: &Bought) -> Result<(), String> {
    let granted: Vec<_> = bought.grants.values().copied().collect();
    let once = granted == [CREDITS] && bought.status.state == Some(PurchaseState::Paid);
    once.then_some(())
        .ok_or_else(|| format!("pure: in order, the purchase ends as {bought:?}"))
}

fn observed(status: CreditPurchaseStatus, after: usize) -> Result<Observed, String> {
    let meta = meta("CreditPurchase");
    let spec = json!({"customerRef": {"name": "ada"}, "pack": "thousand"});
    let spec: CreditPurchaseSpec =
        serde_json::from_value(spec).map_err(|error| error.to_string())?;
    let (complete, paid) = (after >= 5, after >= 6);
    let session = PackCheckout {
        id: "cs_pack".to_owned(),
        url: (!complete).then(|| "https://checkout.example/cs_pack".to_owned()),
        state: if complete {
            CheckoutState::Complete
        } else {
            CheckoutState::Open
        },
        paid,
        payment: complete.then(|| "pi_1".to_owned()),
        amount: Some(1900),
        currency: Some("usd".to_owned()),
        credits: Some(CREDITS),
        expires_after_days: None,
        expires_at: NOW + SignedDuration::from_hours(24),
        created: NOW,
        owner: Some(meta.owner.clone()),
    };
    let payment = complete.then(|| Payment {
        id: "pi_1".to_owned(),
        state: if paid {
            PaymentState::Succeeded
        } else {
            PaymentState::Underway
        },
        received: if paid { 1900 } else { 0 },
        refunded: 0,
        currency: "usd".to_owned(),
        dispute: DisputeState::None,
    });
    Ok(Observed {
        spec,
        payer: Payer::Ready("cus_1".to_owned()),
        pack: purchase::Pack::Sold {
            price: "price_2".to_owned(),
            credits: CREDITS,
            expires_after_days: None,
        },
        sessions: vec![session],
        payment,
        urls: urls(),
        status,
        meta,
    })
}
