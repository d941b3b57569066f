//! Attempts to collect an invoice: which count, what moves the next one, what awaits the payer.

use glyph_stripe_sim::AfterRetries;
use serde_json::{Value, json};

use crate::client::{Bench, id, text};

const DAY: i64 = 86_400;

/// A subscription, with its newest invoice and that one's payments.
async fn read(bench: &Bench, subscription: &str) -> Value {
    let path = format!("/v1/subscriptions/{subscription}?expand[]=latest_invoice.payments");
    bench.get(&path).await.ok()
}

/// A subscription, and a card of its customer that can be attached but never charged.
async fn subscribed(bench: &Bench) -> (String, String) {
    bench.control().freeze_clock(true);
    bench.control().set_clock(1_893_456_000); // 2030-01-01, a month of 31 days
    let (customer, price) = (bench.paying_customer().await, bench.monthly_price().await);
    let body = format!("customer={customer}&items[0][price]={price}");
    let subscription = bench.made("/v1/subscriptions", &body).await;
    let attach = "/v1/payment_methods/pm_card_chargeCustomerFail/attach";
    let bad = bench.made(attach, &format!("customer={customer}")).await;
    (subscription, bad)
}

fn schedule(subscription: &Value) -> (Value, Value) {
    let invoice = &subscription["latest_invoice"];
    (
        invoice["attempt_count"].clone(),
        invoice["next_payment_attempt"].clone(),
    )
}

fn intent(subscription: &Value) -> String {
    let payment = &subscription["latest_invoice"]["payments"]["data"][0]["payment"];
    text(payment, "payment_intent")
}

#[tokio::test]
async fn an_attempt_by_hand_leaves_the_schedule_of_retries_alone() {
    let bench = Bench::start().await;
    let (subscription, bad) = subscribed(&bench).await;
    let path = format!("/v1/subscriptions/{subscription}");
    let card = format!("default_payment_method={bad}");
    bench.post(&path, &card).await.ok();
    bench.control().advance(31 * DAY + 3600);
    let late = read(&bench, &subscription).await;
    let retry = json!(bench.control().now() + 3 * DAY);
    assert_eq!(schedule(&late), (json!(1), retry.clone()));

    let pay = format!("/v1/invoices/{}/pay", id(&late["latest_invoice"]));
    let confirm = format!("/v1/payment_intents/{}/confirm", intent(&late));
    bench.control().advance(DAY);
    for _ in 0..4 {
        assert_eq!(bench.post(&pay, "").await.status, 402);
        let body = format!("payment_method={bad}");
        assert_eq!(bench.post(&confirm, &body).await.status, 402);
    }
    let still = read(&bench, &subscription).await;
    assert_eq!(still["status"], "past_due");
    assert_eq!(schedule(&still), (json!(1), retry));
    bench.control().advance(2 * DAY);
    assert_eq!(schedule(&read(&bench, &subscription).await).0, 2);
}

#[tokio::test]
async fn an_invoice_that_nobody_collects_is_not_given_up_when_a_payment_by_hand_fails() {
    let bench = Bench::start().await;
    let (subscription, bad) = subscribed(&bench).await;
    let path = format!("/v1/subscriptions/{subscription}");
    let keep = "pause_collection[behavior]=keep_as_draft";
    bench.post(&path, keep).await.ok();
    bench.control().advance(31 * DAY + 3600);
    let draft = read(&bench, &subscription).await["latest_invoice"].clone();
    assert_eq!(draft["status"], "draft");
    let pay = format!("/v1/invoices/{}/pay", id(&draft));
    let body = format!("payment_method={bad}");
    assert_eq!(bench.post(&pay, &body).await.status, 402);
    let after = read(&bench, &subscription).await;
    assert_eq!(after["status"], "past_due");
    assert_eq!(schedule(&after), (json!(1), Value::Null));
}

#[tokio::test]
async fn a_change_that_awaits_the_payer_is_past_due_until_its_invoice_is_paid() {
    let bench = Bench::start().await;
    let (subscription, bad) = subscribed(&bench).await;
    let item = id(&read(&bench, &subscription).await["items"]["data"][0]);
    let dear = "currency=usd&unit_amount=9900&recurring[interval]=month&product_data[name]=Pro";
    let dear = bench.made("/v1/prices", dear).await;
    let change = format!(
        "items[0][id]={item}&items[0][price]={dear}&proration_behavior=always_invoice&payment_behavior=default_incomplete"
    );
    let path = format!("/v1/subscriptions/{subscription}");
    bench.post(&path, &change).await.ok();
    let waiting = read(&bench, &subscription).await;
    assert_eq!(
        (&waiting["status"], &waiting["latest_invoice"]["status"]),
        (&json!("past_due"), &json!("open"))
    );
    assert_eq!(schedule(&waiting), (json!(0), Value::Null));

    let confirm = format!("/v1/payment_intents/{}/confirm", intent(&waiting));
    let refused = bench.post(&confirm, &format!("payment_method={bad}")).await;
    assert_eq!(refused.status, 402);
    let counted = schedule(&read(&bench, &subscription).await).0;
    assert_eq!(counted, 1, "any attempt counts as the first");
    bench
        .post(&confirm, "payment_method=pm_card_visa")
        .await
        .ok();
    assert_eq!(read(&bench, &subscription).await["status"], "active");
}

#[tokio::test]
async fn a_voided_invoice_says_nothing_about_what_is_owed() {
    let bench = Bench::start().await;
    bench.control().set_after_retries(AfterRetries::PastDue);
    let (subscription, bad) = subscribed(&bench).await;
    let path = format!("/v1/subscriptions/{subscription}");
    let card = format!("default_payment_method={bad}");
    bench.post(&path, &card).await.ok();
    let mut owed = Vec::new();
    for days in [31, 28] {
        bench.control().advance(days * DAY + 3600);
        owed.push(id(&read(&bench, &subscription).await["latest_invoice"]));
    }
    bench
        .post(&path, "pause_collection[behavior]=void")
        .await
        .ok();
    bench.control().advance(31 * DAY + 3600);
    let late = read(&bench, &subscription).await;
    assert_eq!(
        (&late["status"], &late["latest_invoice"]["status"]),
        (&json!("past_due"), &json!("void"))
    );
    for (invoice, status) in owed.iter().zip(["past_due", "active"]) {
        let pay = format!("/v1/invoices/{invoice}/pay");
        bench.post(&pay, "payment_method=pm_card_visa").await.ok();
        assert_eq!(read(&bench, &subscription).await["status"], status);
    }
}
