//! One-time payments: charges, refunds, disputes, bank debits that are paid or refused days later.

use glyph_stripe_sim::{AfterRetries, Payment};
use serde_json::{Value, json};

use crate::client::{Bench, id, path_of, text};

/// A session that sells credits for 5 dollars.
async fn session(bench: &Bench) -> String {
    let price = "currency=usd&product_data[name]=Credits&unit_amount=500";
    let price = bench.made("/v1/prices", price).await;
    let body = format!(
        "mode=payment&customer_email=ann@example.com&line_items[0][price]={price}&line_items[0][quantity]=1\
         &success_url=https://x.io&payment_intent_data[metadata][grant]=g1"
    );
    bench.made("/v1/checkout/sessions", &body).await
}

/// A paid session's payment intent, with its charge.
async fn paid(bench: &Bench) -> Value {
    let session = session(bench).await;
    let payment = bench.control().pay(&session, "4242424242424242", None);
    assert!(matches!(payment, Payment::Done(_)), "{payment:?}");
    let path = format!("/v1/checkout/sessions/{session}?expand[]=payment_intent.latest_charge");
    bench.get(&path).await.ok()["payment_intent"].clone()
}

#[tokio::test]
async fn metadata_of_the_payment_reaches_its_charge() {
    let bench = Bench::start().await;
    let intent = paid(&bench).await;
    let charge = &intent["latest_charge"];
    assert_eq!(
        (&charge["metadata"]["grant"], &charge["status"]),
        (&json!("g1"), &json!("succeeded"))
    );
    let list = bench
        .get(&format!("/v1/charges?payment_intent={}", id(&intent)))
        .await
        .ok();
    assert_eq!(id(&list["data"][0]), id(charge));
}

#[tokio::test]
async fn a_charge_is_refunded_in_parts_and_never_more_than_it_was() {
    let bench = Bench::start().await;
    let intent = paid(&bench).await;
    let body = format!(
        "payment_intent={}&amount=200&reason=requested_by_customer",
        id(&intent)
    );
    let refund = bench.post("/v1/refunds", &body).await.ok();
    assert_eq!(
        (&refund["amount"], &refund["status"]),
        (&json!(200), &json!("succeeded"))
    );
    let charge = id(&intent["latest_charge"]);
    let too_much = bench
        .post("/v1/refunds", &format!("charge={charge}&amount=301"))
        .await;
    assert_eq!(too_much.status, 400);
    assert!(bench.control().refund(&charge, None).is_ok());
    let whole = bench
        .get(&format!("/v1/charges/{charge}?expand[]=refunds"))
        .await
        .ok();
    assert_eq!(
        (&whole["refunded"], &whole["amount_refunded"]),
        (&json!(true), &json!(500))
    );
    assert_eq!(whole["refunds"]["data"].as_array().map(Vec::len), Some(2));
    let again = bench.post("/v1/refunds", &format!("charge={charge}")).await;
    assert_eq!(again.error("code"), "charge_already_refunded");
    let kinds = bench.event_types();
    let count = |kind: &str| kinds.iter().filter(|have| *have == kind).count();
    assert_eq!((count("charge.refunded"), count("refund.created")), (2, 2));
}

#[tokio::test]
async fn a_dispute_takes_the_money_and_gives_it_back_only_when_won() {
    let bench = Bench::start().await;
    for won in [true, false] {
        let intent = paid(&bench).await;
        let dispute = bench.control().dispute(&id(&intent)).expect("a dispute");
        let path = format!(
            "/v1/disputes?payment_intent={}&expand[]=data.charge",
            id(&intent)
        );
        let open = bench.get(&path).await.ok()["data"][0].clone();
        assert_eq!(
            (id(&open), &open["status"]),
            (dispute.clone(), &json!("needs_response"))
        );
        assert_eq!(open["charge"]["disputed"], true);
        let refund = bench
            .post("/v1/refunds", &format!("payment_intent={}", id(&intent)))
            .await;
        assert_eq!(refund.error("code"), "charge_disputed");
        bench
            .control()
            .close_dispute(&dispute, won)
            .expect("a closed dispute");
        assert!(bench.control().close_dispute(&dispute, won).is_err());
    }
    let given_back = id(&paid(&bench).await);
    bench.control().refund(&given_back, None).expect("a refund");
    assert!(bench.control().dispute(&given_back).is_err());
    let kinds = bench.event_types();
    let count = |kind: &str| kinds.iter().filter(|have| *have == kind).count();
    for (kind, times) in [
        ("created", 2),
        ("funds_withdrawn", 2),
        ("closed", 2),
        ("funds_reinstated", 1),
    ] {
        assert_eq!(count(&format!("charge.dispute.{kind}")), times, "{kind}");
    }
}

/// (CASE 26)
#[tokio::test]
async fn a_bank_debit_completes_unpaid_and_is_paid_when_the_bank_says_so() {
    let bench = Bench::start().await;
    for (means, status, event) in [
        ("us_bank_account", "paid", "succeeded"),
        ("us_bank_account_failing", "unpaid", "failed"),
    ] {
        let session = session(&bench).await;
        let page = format!("/c/pay/{session}");
        assert_eq!(
            bench
                .submit(&page, &format!("payment_method={means}"))
                .await
                .status,
            303
        );
        let path = format!("/v1/checkout/sessions/{session}?expand[]=payment_intent");
        let waiting = bench.get(&path).await.ok();
        assert_eq!(
            (
                &waiting["status"],
                &waiting["payment_status"],
                &waiting["payment_intent"]["status"]
            ),
            (&json!("complete"), &json!("unpaid"), &json!("processing"))
        );
        bench.control().advance(5 * 86_400);
        assert_eq!(bench.get(&path).await.ok()["payment_status"], status);
        assert!(
            bench
                .event_types()
                .contains(&format!("checkout.session.async_payment_{event}"))
        );
        assert!(
            !bench.control().conclude_debit(&session, true),
            "the bank has spoken"
        );
    }
}

/// (CASE 27)
#[tokio::test]
async fn a_paid_invoice_is_told_twice_and_a_sent_one_becomes_overdue() {
    let bench = Bench::start().await;
    let (customer, price) = (bench.paying_customer().await, bench.monthly_price().await);
    let body = format!("customer={customer}&items[0][price]={price}");
    bench.made("/v1/subscriptions", &body).await;
    let kinds = bench.event_types();
    assert!(
        ["invoice.paid", "invoice.payment_succeeded"]
            .iter()
            .all(|kind| kinds.iter().any(|have| have == kind))
    );

    let sent = format!("{body}&collection_method=send_invoice&days_until_due=7");
    let sent = bench.made("/v1/subscriptions", &sent).await;
    bench.control().advance(7 * 86_400 + 1);
    let path = format!("/v1/subscriptions/{sent}?expand[]=latest_invoice");
    let late = bench.get(&path).await.ok();
    assert_eq!(
        (&late["status"], &late["latest_invoice"]["status"]),
        (&json!("past_due"), &json!("open"))
    );
    let page = path_of(&text(&late["latest_invoice"], "hosted_invoice_url"));
    assert_eq!(
        bench
            .submit(&page, "card_number=4242424242424242")
            .await
            .status,
        303
    );
    assert_eq!(bench.get(&path).await.ok()["status"], "active");
}

/// A subscription whose renewals fail, after its first one did.
async fn failing(bench: &Bench, card: &str) -> String {
    let (customer, price) = (bench.paying_customer().await, bench.monthly_price().await);
    let body = format!("customer={customer}&items[0][price]={price}");
    let subscription = bench.made("/v1/subscriptions", &body).await;
    let attach = format!("/v1/payment_methods/{card}/attach");
    let bad = bench.made(&attach, &format!("customer={customer}")).await;
    let path = format!("/v1/subscriptions/{subscription}");
    bench
        .post(&path, &format!("default_payment_method={bad}"))
        .await
        .ok();
    bench.control().advance(31 * 86_400 + 3601);
    path
}

#[tokio::test]
async fn what_follows_the_last_retry_is_a_setting() {
    for (after, status) in [
        (AfterRetries::Canceled, "canceled"),
        (AfterRetries::Unpaid, "unpaid"),
        (AfterRetries::PastDue, "past_due"),
    ] {
        let bench = Bench::start().await;
        bench.control().set_after_retries(after);
        let path = failing(&bench, "pm_card_chargeCustomerFail").await;
        assert_eq!(bench.get(&path).await.ok()["status"], "past_due");
        bench.control().advance(16 * 86_400);
        assert_eq!(bench.get(&path).await.ok()["status"], status);
        let invoice = text(&bench.get(&path).await.ok(), "latest_invoice");
        let pay = format!("/v1/invoices/{invoice}/pay");
        bench.post(&pay, "payment_method=pm_card_visa").await.ok();
        let paid = bench.get(&path).await.ok();
        let expected = if status == "canceled" {
            status
        } else {
            "active"
        };
        assert_eq!(paid["status"], expected);
    }
}

#[tokio::test]
async fn a_renewal_that_must_be_confirmed_waits_on_the_invoices_page() {
    let bench = Bench::start().await;
    let path = failing(&bench, "pm_card_authenticationRequired").await;
    let late = bench
        .get(&format!("{path}?expand[]=latest_invoice.payments"))
        .await
        .ok();
    assert_eq!(late["status"], "past_due");
    let kinds = bench.event_types();
    for kind in ["invoice.payment_action_required", "invoice.payment_failed"] {
        assert!(kinds.iter().any(|have| have == kind), "{kind}");
    }
    let page = path_of(&text(&late["latest_invoice"], "hosted_invoice_url"));
    let asked = bench.submit(&page, "card_number=4000002760003184").await;
    let confirm = asked.header("location").expect("a page").to_owned();
    bench.submit(&confirm, "answer=complete").await;
    assert_eq!(bench.get(&path).await.ok()["status"], "active");
}

#[tokio::test]
async fn an_upgrade_that_cannot_be_paid_changes_nothing() {
    let bench = Bench::start().await;
    bench.control().freeze_clock(true);
    let path = {
        let (customer, price) = (bench.paying_customer().await, bench.monthly_price().await);
        let body = format!("customer={customer}&items[0][price]={price}");
        let subscription = bench.made("/v1/subscriptions", &body).await;
        let bad = "/v1/payment_methods/pm_card_chargeCustomerFail/attach";
        let bad = bench.made(bad, &format!("customer={customer}")).await;
        let path = format!("/v1/subscriptions/{subscription}");
        bench
            .post(&path, &format!("default_payment_method={bad}"))
            .await
            .ok();
        path
    };
    let before = bench.get(&path).await.ok();
    let item = id(&before["items"]["data"][0]);
    let dear = "currency=usd&unit_amount=9900&recurring[interval]=month&product_data[name]=Pro";
    let dear = bench.made("/v1/prices", dear).await;
    let change = format!(
        "items[0][id]={item}&items[0][price]={dear}&proration_behavior=always_invoice&payment_behavior=error_if_incomplete"
    );
    let refused = bench.post(&path, &change).await;
    assert_eq!(
        (refused.status, refused.error("code").as_str()),
        (402, "card_declined")
    );
    assert_eq!(bench.get(&path).await.ok(), before);
    let euros = "currency=eur&unit_amount=9900&recurring[interval]=month&product_data[name]=Pro";
    let euros = bench.made("/v1/prices", euros).await;
    let other = bench
        .post(
            &path,
            &format!("items[0][id]={item}&items[0][price]={euros}"),
        )
        .await;
    assert_eq!(other.status, 400);
    assert!(other.error("message").contains("expected currency"));
}

#[tokio::test]
async fn a_trial_without_a_card_completes_its_page_and_pauses_and_resumes() {
    let bench = Bench::start().await;
    let price = bench.monthly_price().await;
    let body = format!(
        "mode=subscription&line_items[0][price]={price}&line_items[0][quantity]=1&success_url=https://x.io\
         &payment_method_collection=if_required&subscription_data[trial_period_days]=5\
         &subscription_data[trial_settings][end_behavior][missing_payment_method]=pause"
    );
    let session = bench.made("/v1/checkout/sessions", &body).await;
    let page = format!("/c/pay/{session}");
    assert_eq!(
        bench.submit(&page, "email=ann@example.com").await.status,
        303
    );
    let path = format!("/v1/checkout/sessions/{session}?expand[]=subscription");
    let done = bench.get(&path).await.ok();
    assert_eq!(
        (&done["payment_status"], &done["subscription"]["status"]),
        (&json!("no_payment_required"), &json!("trialing"))
    );
    bench.control().advance(6 * 86_400);
    let path = format!("/v1/subscriptions/{}", id(&done["subscription"]));
    assert_eq!(bench.get(&path).await.ok()["status"], "paused");
    let customer = text(&done, "customer");
    let card = bench
        .made(
            "/v1/payment_methods/pm_card_visa/attach",
            &format!("customer={customer}"),
        )
        .await;
    bench
        .post(&path, &format!("default_payment_method={card}"))
        .await
        .ok();
    let resumed = bench
        .post(&format!("{path}/resume"), "billing_cycle_anchor=now")
        .await
        .ok();
    assert_eq!(resumed["status"], "active");
    assert_eq!(
        resumed["items"]["data"][0]["current_period_start"],
        resumed["billing_cycle_anchor"]
    );
}

#[tokio::test]
async fn a_pause_of_collection_voids_or_keeps_the_invoices_and_the_status_stays() {
    let bench = Bench::start().await;
    let (customer, price) = (bench.paying_customer().await, bench.monthly_price().await);
    let body = format!("customer={customer}&items[0][price]={price}");
    for (behavior, status) in [
        ("void", "void"),
        ("mark_uncollectible", "uncollectible"),
        ("keep_as_draft", "draft"),
    ] {
        let subscription = bench.made("/v1/subscriptions", &body).await;
        let path = format!("/v1/subscriptions/{subscription}");
        bench
            .post(&path, &format!("pause_collection[behavior]={behavior}"))
            .await
            .ok();
        bench.control().advance(31 * 86_400 + 3601);
        let held = bench
            .get(&format!("{path}?expand[]=latest_invoice"))
            .await
            .ok();
        assert_eq!(
            (&held["status"], &held["latest_invoice"]["status"]),
            (&json!("active"), &json!(status))
        );
        assert_eq!(
            bench.post(&path, "pause_collection=").await.ok()["pause_collection"],
            Value::Null
        );
    }
}
