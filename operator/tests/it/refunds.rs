//! Money that comes late, goes back or is disputed, and the credits that follow it.

use glyph_crds::{
    CreditGrant, CreditGrantStatus, CreditPurchase, DisputeState, GrantState, PurchaseState,
};
use glyph_stripe_sim::{Payment, WebhookMode};
use kube::api::ListParams;

use crate::credits::{CREDITS, granted, link, one_grant, pay, wish};
use crate::stage::Stage;

/// All credits of a purchase of `wish`.
const ALL: i64 = 2 * CREDITS;

/// Waits until the grant stands like this; gives its status.
async fn stands(stage: &Stage, grant: &str, state: GrantState, taken: i64) -> CreditGrantStatus {
    let what = format!("{state:?}, {taken} taken back");
    stage
        .until(grant, &what, |grant: &CreditGrant| {
            let status = grant.status.clone()?;
            (status.state == Some(state) && status.taken_back == taken).then_some(status)
        })
        .await
}

/// A paid purchase's payment and the name of its grant.
async fn bought(stage: &Stage) -> (String, String) {
    wish(stage).await;
    pay(stage).await;
    let status = granted(stage).await;
    (status.payment_intent_id.unwrap(), status.grant.unwrap())
}

#[tokio::test]
async fn a_refund_takes_its_part_back_and_the_rest_of_it_all() {
    let stage = Stage::new("refund").await;
    let _operator = stage.operator().await;
    let (payment, grant) = bought(&stage).await;
    stage.stripe.control().refund(&payment, Some(950)).unwrap();
    stands(&stage, &grant, GrantState::Granted, ALL / 4).await;
    stage.told(&grant, "TakenBack").await;
    stage.told("ada", "Refunded").await;
    stage.stripe.control().refund(&payment, None).unwrap();
    let status = stands(&stage, &grant, GrantState::TakenBack, ALL).await;
    assert_eq!(status.owed, 0, "none of them had been used");
}

#[tokio::test]
async fn a_dispute_takes_all_back_until_it_is_won_and_for_good_when_it_is_lost() {
    let stage = Stage::new("dispute").await;
    let _operator = stage.operator().await;
    let (payment, grant) = bought(&stage).await;
    let dispute = stage.stripe.control().dispute(&payment).unwrap();
    stands(&stage, &grant, GrantState::TakenBack, ALL).await;
    stage
        .stripe
        .control()
        .close_dispute(&dispute, true)
        .unwrap();
    stands(&stage, &grant, GrantState::Granted, 0).await;
    let purchase = stage.get::<CreditPurchase>("ada").await.status.unwrap();
    assert_eq!(purchase.disputed, DisputeState::Won);
}

#[tokio::test]
async fn a_lost_dispute_told_four_times_and_in_reverse_keeps_all() {
    let stage = Stage::new("lost").await;
    let _operator = stage.operator().await;
    let (payment, grant) = bought(&stage).await;
    let mode = WebhookMode {
        held: true,
        dropped: false,
        copies: 4,
    };
    stage.stripe.control().set_webhook_mode(mode);
    let dispute = stage.stripe.control().dispute(&payment).unwrap();
    stage
        .stripe
        .control()
        .close_dispute(&dispute, false)
        .unwrap();
    stage.stripe.control().release_webhooks(true);
    stands(&stage, &grant, GrantState::TakenBack, ALL).await;
    let purchase = stage.get::<CreditPurchase>("ada").await.status.unwrap();
    assert_eq!(purchase.disputed, DisputeState::Lost);
}

/// (CASE 26)
#[tokio::test]
async fn credits_of_a_bank_debit_are_granted_when_the_bank_has_paid_and_never_when_it_has_not() {
    for (name, pays) in [("debit", true), ("bounced", false)] {
        let stage = Stage::new(name).await;
        let _operator = stage.operator().await;
        wish(&stage).await;
        let session = link(&stage).await;
        let ordered = stage.stripe.control().pay_by_bank(&session, None, !pays);
        assert!(matches!(ordered, Payment::Done(_)), "{ordered:?}");
        stage
            .condition::<CreditPurchase>("ada", "Ready", "False", "PaymentProcessing")
            .await;
        let grants = stage.namespace.api::<CreditGrant>();
        let none = grants.list(&ListParams::default()).await.unwrap().items;
        assert_eq!(none, [], "ordered is not paid");
        assert!(stage.stripe.control().conclude_debit(&session, pays));
        if pays {
            granted(&stage).await;
            assert_eq!(one_grant(&stage).await.spec.credits, ALL);
            continue;
        }
        stage
            .condition::<CreditPurchase>("ada", "Ready", "False", "PaymentFailed")
            .await;
        let failed = stage.get::<CreditPurchase>("ada").await.status.unwrap();
        assert_eq!(
            (failed.state, failed.grant),
            (Some(PurchaseState::Failed), None)
        );
        let none = grants.list(&ListParams::default()).await.unwrap().items;
        assert_eq!(none, []);
    }
}
