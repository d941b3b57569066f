//! Subscriptions through time: first payments, renewals, failures, trials, changes, ends.

use serde_json::{Value, json};

use crate::client::{Bench, id, path_of, text};

const DAY: i64 = 86_400;

async fn subscribe(bench: &Bench, customer: &str, more: &str) -> Value {
    let price = bench.monthly_price().await;
    bench
        .post(
            "/v1/subscriptions",
            &format!("customer={customer}&items[0][price]={price}&{more}"),
        )
        .await
        .ok()
}

async fn now(bench: &Bench, subscription: &Value) -> Value {
    bench
        .get(&format!(
            "/v1/subscriptions/{}?expand[]=latest_invoice",
            id(subscription)
        ))
        .await
        .ok()
}

#[tokio::test]
async fn a_subscription_renews_when_its_period_ends() {
    let bench = Bench::start().await;
    bench.control().freeze_clock(true);
    bench.control().set_clock(1_893_456_000); // 2030-01-01
    let customer = bench.paying_customer().await;
    let first = subscribe(&bench, &customer, "metadata[uid]=u").await;
    assert_eq!(first["status"], "active");
    let period = |subscription: &Value| {
        let item = &subscription["items"]["data"][0];
        (
            item["current_period_start"].as_i64().expect("a start"),
            item["current_period_end"].as_i64().expect("an end"),
        )
    };
    assert_eq!(period(&first), (1_893_456_000, 1_893_456_000 + 31 * DAY));
    bench.control().advance(31 * DAY);
    let renewed = now(&bench, &first).await;
    assert_eq!(
        period(&renewed),
        (1_893_456_000 + 31 * DAY, 1_893_456_000 + 59 * DAY)
    );
    assert_eq!(
        (
            &renewed["latest_invoice"]["status"],
            &renewed["latest_invoice"]["billing_reason"]
        ),
        (&json!("draft"), &json!("subscription_cycle"))
    );
    bench.control().advance(3600);
    assert_eq!(
        now(&bench, &first).await["latest_invoice"]["status"],
        "paid"
    );
    bench.control().advance(365 * DAY);
    assert_eq!(now(&bench, &first).await["status"], "active");
    assert_eq!(bench.control().objects("invoice").len(), 14);
    let starts: Vec<_> = bench
        .control()
        .objects("invoice")
        .iter()
        .map(|invoice| invoice["created"].as_i64())
        .collect();
    assert!(starts.is_sorted());
}

#[tokio::test]
async fn a_customer_without_a_card_is_refused_or_starts_incomplete() {
    let bench = Bench::start().await;
    let (customer, price) = (
        bench.made("/v1/customers", "").await,
        bench.monthly_price().await,
    );
    let body = format!("customer={customer}&items[0][price]={price}");
    let refused = bench.post("/v1/subscriptions", &body).await;
    assert_eq!(
        (refused.status, refused.error("code").as_str()),
        (400, "resource_missing")
    );
    assert!(bench.control().objects("subscription").is_empty());
    let waiting = bench
        .post(
            "/v1/subscriptions",
            &format!("{body}&payment_behavior=default_incomplete"),
        )
        .await
        .ok();
    assert_eq!(waiting["status"], "incomplete");
    bench.control().advance(23 * 3600 + 1);
    let expired = now(&bench, &waiting).await;
    assert_eq!(
        (&expired["status"], &expired["latest_invoice"]["status"]),
        (&json!("incomplete_expired"), &json!("void"))
    );
}

#[tokio::test]
async fn a_confirmed_payment_intent_completes_an_incomplete_subscription() {
    let bench = Bench::start().await;
    let customer = bench.made("/v1/customers", "").await;
    let waiting = subscribe(
        &bench,
        &customer,
        "payment_behavior=default_incomplete&expand[]=latest_invoice.payments",
    )
    .await;
    let intent = text(
        &waiting["latest_invoice"]["payments"]["data"][0]["payment"],
        "payment_intent",
    );
    let path = format!("/v1/payment_intents/{intent}/confirm");
    let declined = bench
        .post(&path, "payment_method=pm_card_chargeCustomerFail")
        .await;
    assert_eq!(
        (declined.status, declined.error("decline_code").as_str()),
        (402, "generic_decline")
    );
    let asked = bench
        .post(
            &path,
            "payment_method=pm_card_authenticationRequired&return_url=https://x.io/back",
        )
        .await
        .ok();
    assert_eq!(asked["status"], "requires_action");
    assert_eq!(now(&bench, &waiting).await["status"], "incomplete");
    let page = path_of(&text(&asked["next_action"]["redirect_to_url"], "url"));
    assert_eq!(
        bench
            .submit(&page, "answer=complete")
            .await
            .header("location"),
        Some("https://x.io/back")
    );
    assert_eq!(now(&bench, &waiting).await["status"], "active");
}

#[tokio::test]
async fn a_renewal_that_fails_is_tried_again_and_ends_the_subscription_at_last() {
    let bench = Bench::start().await;
    let customer = bench
        .made(
            "/v1/customers",
            "invoice_settings[default_payment_method]=pm_card_authenticationRequiredOnSetup",
        )
        .await;
    let subscription = subscribe(&bench, &customer, "off_session=true").await;
    assert_eq!(subscription["status"], "active");
    let bad = bench
        .post(
            "/v1/payment_methods/pm_card_chargeCustomerFail/attach",
            &format!("customer={customer}"),
        )
        .await
        .ok();
    bench
        .post(
            &format!("/v1/customers/{customer}"),
            &format!("invoice_settings[default_payment_method]={}", id(&bad)),
        )
        .await
        .ok();
    bench.control().advance(31 * DAY + 3601);
    let late = now(&bench, &subscription).await;
    assert_eq!(
        (&late["status"], &late["latest_invoice"]["status"]),
        (&json!("past_due"), &json!("open"))
    );
    assert!(late["latest_invoice"]["next_payment_attempt"].is_i64());
    bench.control().advance(3 * DAY + 1);
    assert_eq!(
        now(&bench, &subscription).await["latest_invoice"]["attempt_count"],
        2
    );
    bench.control().advance(12 * DAY + 1);
    let ended = now(&bench, &subscription).await;
    assert_eq!(
        (&ended["status"], &ended["cancellation_details"]["reason"]),
        (&json!("canceled"), &json!("payment_failed"))
    );
    assert_eq!(
        bench
            .event_types()
            .iter()
            .filter(|kind| *kind == "invoice.payment_failed")
            .count(),
        4
    );
}

#[tokio::test]
async fn paying_a_late_invoice_makes_the_subscription_active_again() {
    let bench = Bench::start().await;
    let customer = bench.paying_customer().await;
    let subscription = subscribe(&bench, &customer, "").await;
    let bad = bench
        .post(
            "/v1/payment_methods/pm_card_chargeCustomerFail/attach",
            &format!("customer={customer}"),
        )
        .await
        .ok();
    bench
        .post(
            &format!("/v1/subscriptions/{}", id(&subscription)),
            &format!("default_payment_method={}", id(&bad)),
        )
        .await
        .ok();
    bench.control().advance(31 * DAY + 3601);
    let late = now(&bench, &subscription).await;
    assert_eq!(late["status"], "past_due");
    let pay = format!("/v1/invoices/{}/pay", id(&late["latest_invoice"]));
    assert_eq!(bench.post(&pay, "").await.status, 402);
    assert_eq!(
        bench.post(&pay, "payment_method=pm_card_visa").await.ok()["status"],
        "paid"
    );
    assert_eq!(now(&bench, &subscription).await["status"], "active");
    assert_eq!(
        bench.post(&pay, "").await.error("code"),
        "invoice_already_paid"
    );
}

#[tokio::test]
async fn a_trial_is_announced_and_becomes_a_paid_period() {
    let bench = Bench::start().await;
    let customer = bench.paying_customer().await;
    let trial = subscribe(
        &bench,
        &customer,
        "trial_period_days=14&expand[]=latest_invoice",
    )
    .await;
    assert_eq!(
        (
            &trial["status"],
            &trial["latest_invoice"]["status"],
            &trial["latest_invoice"]["total"]
        ),
        (&json!("trialing"), &json!("paid"), &json!(0))
    );
    bench.control().advance(11 * DAY + 1);
    assert!(
        bench
            .event_types()
            .contains(&"customer.subscription.trial_will_end".to_owned())
    );
    bench.control().advance(3 * DAY + 3600);
    let paying = now(&bench, &trial).await;
    assert_eq!(
        (&paying["status"], &paying["latest_invoice"]["amount_paid"]),
        (&json!("active"), &json!(2900))
    );
    assert_eq!(
        paying["items"]["data"][0]["current_period_start"],
        trial["trial_end"]
    );
}

#[tokio::test]
async fn a_subscription_can_end_now_or_with_its_period_or_change_its_mind() {
    let bench = Bench::start().await;
    let customer = bench.paying_customer().await;
    let subscription = subscribe(&bench, &customer, "").await;
    let path = format!("/v1/subscriptions/{}", id(&subscription));
    let planned = bench.post(&path, "cancel_at_period_end=true").await.ok();
    assert_eq!(
        (&planned["status"], &planned["cancel_at"]),
        (
            &json!("active"),
            &planned["items"]["data"][0]["current_period_end"]
        )
    );
    assert_eq!(
        bench.post(&path, "cancel_at_period_end=false").await.ok()["cancel_at"],
        Value::Null
    );
    bench.post(&path, "cancel_at_period_end=true").await.ok();
    bench.control().advance(32 * DAY);
    assert_eq!(now(&bench, &subscription).await["status"], "canceled");
    assert_eq!(
        bench.control().objects("invoice").len(),
        1,
        "no invoice for a period that never began"
    );

    let another = subscribe(&bench, &customer, "").await;
    let path = format!("/v1/subscriptions/{}", id(&another));
    assert_eq!(bench.delete(&path).await.ok()["status"], "canceled");
    assert_eq!(bench.delete(&path).await.status, 404);
    assert_eq!(
        bench.post(&path, "cancel_at_period_end=true").await.status,
        400
    );
    let bench = &bench;
    let listed = |query: &'static str| async move {
        bench.get(&format!("/v1/subscriptions?{query}")).await.ok()["data"]
            .as_array()
            .map(Vec::len)
    };
    assert_eq!(
        (
            listed("").await,
            listed("status=all").await,
            listed("status=canceled").await
        ),
        (Some(0), Some(2), Some(2))
    );
}

#[tokio::test]
async fn a_change_of_price_is_prorated() {
    let bench = Bench::start().await;
    bench.control().freeze_clock(true);
    let customer = bench.paying_customer().await;
    let subscription = subscribe(&bench, &customer, "").await;
    let item = subscription["items"]["data"][0].clone();
    let dearer = bench
        .made(
            "/v1/prices",
            "currency=usd&unit_amount=9900&recurring[interval]=month&product_data[name]=Pro",
        )
        .await;
    let (start, end) = (
        item["current_period_start"].as_i64().expect("a start"),
        item["current_period_end"].as_i64().expect("an end"),
    );
    bench.control().advance((end - start) / 2);
    let path = format!("/v1/subscriptions/{}", id(&subscription));
    let body = format!(
        "items[0][id]={}&items[0][price]={dearer}&proration_behavior=always_invoice&expand[]=latest_invoice",
        id(&item)
    );
    let changed = bench.post(&path, &body).await.ok();
    assert_eq!(
        (
            &changed["latest_invoice"]["total"],
            &changed["latest_invoice"]["status"]
        ),
        (&json!(3500), &json!("paid"))
    );
    assert_eq!(changed["items"]["data"][0]["current_period_end"], end);

    let yearly = bench
        .made(
            "/v1/prices",
            "currency=usd&unit_amount=90000&recurring[interval]=year&product_data[name]=Pro",
        )
        .await;
    let changed = bench
        .post(
            &path,
            &format!(
                "items[0][id]={}&items[0][price]={yearly}&expand[]=latest_invoice",
                id(&item)
            ),
        )
        .await
        .ok();
    assert_eq!(
        changed["items"]["data"][0]["current_period_start"],
        bench.control().now()
    );
    assert_eq!(changed["latest_invoice"]["total"], 90_000 - 4950);
}

#[tokio::test]
async fn items_can_be_added_changed_and_taken_away() {
    let bench = Bench::start().await;
    let customer = bench.paying_customer().await;
    let subscription = id(&subscribe(&bench, &customer, "").await);
    let second = bench.monthly_price().await;
    let item = bench
        .made(
            "/v1/subscription_items",
            &format!("subscription={subscription}&price={second}&quantity=2"),
        )
        .await;
    assert_eq!(
        bench
            .post(
                &format!("/v1/subscription_items/{item}"),
                "quantity=3&metadata[a]=b"
            )
            .await
            .ok()["quantity"],
        3
    );
    let list = bench
        .get(&format!(
            "/v1/subscription_items?subscription={subscription}"
        ))
        .await
        .ok();
    assert_eq!(list["data"].as_array().map(Vec::len), Some(2));
    assert_eq!(
        bench
            .delete(&format!("/v1/subscription_items/{item}"))
            .await
            .ok()["deleted"],
        true
    );
    let last = id(&list["data"][0]);
    assert_eq!(
        bench
            .delete(&format!("/v1/subscription_items/{last}"))
            .await
            .status,
        400
    );
}

#[tokio::test]
async fn an_invoice_that_is_sent_is_paid_on_its_page() {
    let bench = Bench::start().await;
    let customer = bench.made("/v1/customers", "email=a@x.io").await;
    let body = "collection_method=send_invoice&days_until_due=7&expand[]=latest_invoice";
    let subscription = subscribe(&bench, &customer, body).await;
    let invoice = &subscription["latest_invoice"];
    assert_eq!(
        (&subscription["status"], &invoice["status"]),
        (&json!("active"), &json!("open"))
    );
    let page = path_of(&text(invoice, "hosted_invoice_url"));
    assert_eq!(
        bench
            .submit(&page, "card_number=4000000000000341")
            .await
            .status,
        402
    );
    assert_eq!(
        bench
            .submit(&page, "card_number=4242424242424242")
            .await
            .status,
        303
    );
    assert_eq!(
        bench
            .get(&format!("/v1/invoices/{}", id(invoice)))
            .await
            .ok()["status"],
        "paid"
    );
}

#[tokio::test]
async fn a_trial_without_a_card_ends_as_its_settings_say() {
    let bench = Bench::start().await;
    let customer = bench.made("/v1/customers", "").await;
    let ends = "trial_settings[end_behavior][missing_payment_method]=cancel&trial_period_days=1";
    let ended = subscribe(&bench, &customer, ends).await;
    let late = subscribe(&bench, &customer, "trial_period_days=1").await;
    bench.control().advance(DAY + 3601);
    assert_eq!(now(&bench, &ended).await["status"], "canceled");
    assert_eq!(now(&bench, &late).await["status"], "past_due");
}

#[tokio::test]
async fn a_trial_can_be_ended_now_and_is_charged_at_once() {
    let bench = Bench::start().await;
    let customer = bench.paying_customer().await;
    let trial = subscribe(&bench, &customer, "trial_period_days=10").await;
    let path = format!("/v1/subscriptions/{}", id(&trial));
    assert_eq!(bench.post(&path, "trial_end=1").await.status, 400);
    bench.post(&path, "trial_end=now").await.ok();
    let paying = now(&bench, &trial).await;
    assert_eq!(
        (&paying["status"], &paying["latest_invoice"]["amount_paid"]),
        (&json!("active"), &json!(2900))
    );
}

#[tokio::test]
async fn what_is_set_at_the_start_is_in_the_first_event_and_one_update_makes_one_event() {
    let bench = Bench::start().await;
    let customer = bench.made("/v1/customers", "").await;
    let more = "payment_behavior=default_incomplete&cancel_at_period_end=true&metadata[uid]=u\
        &payment_settings[save_default_payment_method]=on_subscription&expand[]=latest_invoice.payments";
    let waiting = subscribe(&bench, &customer, more).await;
    let created = bench
        .get("/v1/events?type=customer.subscription.created")
        .await
        .ok();
    let first = &created["data"][0]["data"]["object"];
    assert_eq!(
        (&first["cancel_at_period_end"], &first["metadata"]["uid"]),
        (&json!(true), &json!("u"))
    );
    let intent = text(
        &waiting["latest_invoice"]["payments"]["data"][0]["payment"],
        "payment_intent",
    );
    let paid = bench
        .post(
            &format!("/v1/payment_intents/{intent}/confirm"),
            "payment_method=pm_card_visa",
        )
        .await
        .ok();
    let active = now(&bench, &waiting).await;
    assert_eq!(active["default_payment_method"], paid["payment_method"]);
    let updates = || {
        bench
            .event_types()
            .iter()
            .filter(|kind| *kind == "customer.subscription.updated")
            .count()
    };
    let before = updates();
    let path = format!("/v1/subscriptions/{}", id(&waiting));
    let body = "cancel_at_period_end=false&metadata[a]=b&description=d";
    bench.post(&path, body).await.ok();
    bench.post(&path, body).await.ok();
    assert_eq!(updates(), before + 1);
}
