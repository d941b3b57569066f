//! Test clocks: customers whose time passes apart from the account's.

use serde_json::{Value, json};

use crate::client::{Bench, id, text};

const URL: &str = "/v1/test_helpers/test_clocks";
const DAY: i64 = 86_400;
/// 2030-01-01, a month of 31 days.
const JANUARY: i64 = 1_893_456_000;
const FEBRUARY: i64 = JANUARY + 31 * DAY;

async fn clock(bench: &Bench) -> String {
    bench.made(URL, &format!("frozen_time={JANUARY}")).await
}

/// A customer on the clock who can be charged.
async fn customer(bench: &Bench, clock: &str) -> String {
    let body = format!(
        "test_clock={clock}&email=ann@example.com&invoice_settings[default_payment_method]=pm_card_visa"
    );
    bench.made("/v1/customers", &body).await
}

async fn price(bench: &Bench, amount: i64, interval: &str) -> String {
    let body = format!(
        "currency=usd&unit_amount={amount}&recurring[interval]={interval}&product_data[name]=P"
    );
    bench.made("/v1/prices", &body).await
}

async fn subscribe(bench: &Bench, customer: &str, more: &str) -> Value {
    let price = price(bench, 5000, "month").await;
    let body = format!("customer={customer}&items[0][price]={price}&{more}");
    bench.post("/v1/subscriptions", &body).await.ok()
}

/// Advances a clock and waits, as a client of Stripe has to, until it is ready.
async fn advance(bench: &Bench, clock: &str, to: i64) {
    let path = format!("{URL}/{clock}");
    let body = format!("frozen_time={to}");
    let advancing = bench.post(&format!("{path}/advance"), &body).await.ok();
    assert_eq!(
        (
            &advancing["status"],
            &advancing["status_details"]["advancing"]["target_frozen_time"]
        ),
        (&json!("advancing"), &json!(to))
    );
    let ready = bench.get(&path).await.ok();
    assert_eq!(
        (&ready["status"], &ready["frozen_time"]),
        (&json!("ready"), &json!(to))
    );
}

async fn now(bench: &Bench, subscription: &Value) -> Value {
    let path = format!(
        "/v1/subscriptions/{}?expand[]=latest_invoice",
        id(subscription)
    );
    bench.get(&path).await.ok()
}

fn period(subscription: &Value) -> (Option<i64>, Option<i64>) {
    let item = &subscription["items"]["data"][0];
    (
        item["current_period_start"].as_i64(),
        item["current_period_end"].as_i64(),
    )
}

#[tokio::test]
async fn a_subscription_on_a_test_clock_renews_by_it_and_not_by_the_accounts_clock() {
    let bench = Bench::start().await;
    let clock = clock(&bench).await;
    let customer = customer(&bench, &clock).await;
    let first = subscribe(&bench, &customer, "").await;
    assert_eq!(first["created"], JANUARY);
    assert_eq!(first["test_clock"], json!(clock));
    assert_eq!(period(&first), (Some(JANUARY), Some(FEBRUARY)));

    bench.control().advance(20 * DAY);
    assert_eq!(period(&now(&bench, &first).await), period(&first));

    advance(&bench, &clock, FEBRUARY).await;
    let renewed = now(&bench, &first).await;
    let invoice = &renewed["latest_invoice"];
    assert_eq!(period(&renewed).0, Some(FEBRUARY));
    assert_eq!(
        (
            &invoice["status"],
            &invoice["created"],
            &invoice["test_clock"]
        ),
        (&json!("draft"), &json!(FEBRUARY), &json!(clock))
    );
    advance(&bench, &clock, FEBRUARY + 3600).await;
    assert_eq!(
        now(&bench, &first).await["latest_invoice"]["status"],
        "paid"
    );
}

/// <https://docs.stripe.com/billing/testing/test-clocks/api-advanced-usage#test-prorations>
#[tokio::test]
async fn an_upgrade_in_the_middle_of_a_month_is_on_the_next_invoice_as_stripes_page_counts_it() {
    let bench = Bench::start().await;
    let clock = clock(&bench).await;
    let customer = customer(&bench, &clock).await;
    let basic = subscribe(&bench, &customer, "").await;
    advance(&bench, &clock, JANUARY + 31 * DAY / 2).await;
    let premium = price(&bench, 10_000, "month").await;
    let item = id(&basic["items"]["data"][0]);
    bench
        .post(
            &format!("/v1/subscription_items/{item}"),
            &format!("price={premium}"),
        )
        .await
        .ok();
    advance(&bench, &clock, FEBRUARY).await;
    let invoice = now(&bench, &basic).await["latest_invoice"].clone();
    let amounts: Vec<&Value> = invoice["lines"]["data"]
        .as_array()
        .expect("lines")
        .iter()
        .map(|line| &line["amount"])
        .collect();
    assert_eq!(amounts, [&json!(-2500), &json!(5000), &json!(10_000)]);
    assert_eq!(invoice["total"], 12_500);
}

#[tokio::test]
async fn a_clock_goes_forward_only_and_at_most_two_intervals_of_its_shortest_subscription() {
    let bench = Bench::start().await;
    let clock = clock(&bench).await;
    let path = format!("{URL}/{clock}/advance");
    let refused = async |to: i64| {
        let reply = bench.post(&path, &format!("frozen_time={to}")).await;
        (reply.status, reply.error("param")) == (400, "frozen_time".to_owned())
    };
    assert!(refused(JANUARY).await);
    assert!(refused(JANUARY - 1).await);
    assert!(refused(JANUARY + 2 * 365 * DAY + 1).await, "two years");
    let customer = customer(&bench, &clock).await;
    subscribe(&bench, &customer, "").await;
    let march = FEBRUARY + 28 * DAY;
    assert!(refused(march + 1).await, "two months");
    advance(&bench, &clock, march).await;
    assert_eq!(bench.post(&path, "").await.error("param"), "frozen_time");
    assert_eq!(
        bench
            .post(
                &format!("{URL}/clock_none/advance"),
                &format!("frozen_time={march}")
            )
            .await
            .status,
        404
    );
}

#[tokio::test]
async fn a_clock_takes_three_customers_with_three_subscriptions_each() {
    let bench = Bench::start().await;
    let clock = clock(&bench).await;
    let first = customer(&bench, &clock).await;
    customer(&bench, &clock).await;
    let third = customer(&bench, &clock).await;
    let body = format!("test_clock={clock}");
    let fourth = bench.post("/v1/customers", &body).await;
    assert_eq!(
        (fourth.status, fourth.error("param").as_str()),
        (400, "test_clock")
    );
    bench.delete(&format!("/v1/customers/{third}")).await.ok();
    bench.post("/v1/customers", &body).await.ok();
    let unknown = bench.post("/v1/customers", "test_clock=clock_none").await;
    assert_eq!(unknown.error("code"), "resource_missing");

    for _ in 0..3 {
        subscribe(&bench, &first, "").await;
    }
    let price = price(&bench, 100, "month").await;
    let fourth = format!("customer={first}&items[0][price]={price}");
    assert_eq!(bench.post("/v1/subscriptions", &fourth).await.status, 400);
}

#[tokio::test]
async fn deleting_a_clock_deletes_its_customers_and_cancels_their_subscriptions() {
    let bench = Bench::start().await;
    let clock = clock(&bench).await;
    let customer = customer(&bench, &clock).await;
    let subscription = subscribe(&bench, &customer, "").await;
    let deleted = bench.delete(&format!("{URL}/{clock}")).await.ok();
    assert_eq!(
        deleted,
        json!({ "id": clock, "object": "test_helpers.test_clock", "deleted": true })
    );
    assert_eq!(bench.get(&format!("{URL}/{clock}")).await.status, 404);
    assert_eq!(
        bench.get(&format!("/v1/customers/{customer}")).await.ok()["deleted"],
        true
    );
    let ended = now(&bench, &subscription).await;
    assert_eq!(
        (&ended["status"], &ended["ended_at"]),
        (&json!("canceled"), &json!(JANUARY))
    );
    let kinds = bench.event_types();
    let last = &kinds[kinds.len() - 3..];
    assert_eq!(
        last,
        [
            "customer.subscription.deleted",
            "customer.deleted",
            "test_helpers.test_clock.deleted"
        ]
    );
}

#[tokio::test]
async fn a_clock_is_deleted_by_itself_after_thirty_days() {
    let bench = Bench::start().await;
    let clock = clock(&bench).await;
    let path = format!("{URL}/{clock}");
    bench.control().advance(29 * DAY);
    bench.get(&path).await.ok();
    bench.control().advance(2 * DAY);
    assert_eq!(bench.get(&path).await.status, 404);
}

#[tokio::test]
async fn each_step_of_a_clock_is_told_by_an_event_at_the_accounts_time() {
    let bench = Bench::start().await;
    let clock = clock(&bench).await;
    let customer = customer(&bench, &clock).await;
    subscribe(&bench, &customer, "").await;
    advance(&bench, &clock, FEBRUARY + 3600).await;
    let kinds = bench.event_types();
    let at = |kind: &str| kinds.iter().rposition(|one| one == kind).expect(kind);
    let steps = [
        "test_helpers.test_clock.created",
        "test_helpers.test_clock.advancing",
        "invoice.paid",
        "test_helpers.test_clock.ready",
    ];
    assert!(steps.map(at).is_sorted(), "{kinds:?}");
    // Payments are not billing: they keep the account's time too.
    let ours = bench.control().now();
    for kind in ["event", "payment_intent", "charge"] {
        for object in bench.control().objects(kind) {
            let created = object["created"].as_i64().expect("a time");
            assert!((ours - created).abs() < 60, "{object}");
        }
    }
}

#[tokio::test]
async fn lists_show_what_is_on_a_clock_only_when_asked_for_it() {
    let bench = Bench::start().await;
    let clock = clock(&bench).await;
    let customer = customer(&bench, &clock).await;
    subscribe(&bench, &customer, "").await;
    let count = async |path: String| {
        bench.get(&path).await.ok()["data"]
            .as_array()
            .map_or(0, Vec::len)
    };
    for (path, expected) in [
        ("/v1/customers".to_owned(), 0),
        (format!("/v1/customers?test_clock={clock}"), 1),
        ("/v1/subscriptions".to_owned(), 0),
        (format!("/v1/subscriptions?customer={customer}"), 1),
        (format!("/v1/subscriptions?test_clock={clock}"), 1),
        (format!("/v1/invoices?customer={customer}"), 1),
        (URL.to_owned(), 1),
    ] {
        assert_eq!(count(path.clone()).await, expected, "{path}");
    }
}

#[tokio::test]
async fn a_trial_and_a_failing_card_take_their_course_by_the_clock() {
    let bench = Bench::start().await;
    let clock = clock(&bench).await;
    let customer = customer(&bench, &clock).await;
    let trial = subscribe(&bench, &customer, "trial_period_days=7").await;
    assert_eq!(trial["trial_end"], JANUARY + 7 * DAY);
    let bad = text(
        &bench
            .post(
                "/v1/payment_methods/pm_card_chargeCustomerFail/attach",
                &format!("customer={customer}"),
            )
            .await
            .ok(),
        "id",
    );
    bench
        .post(
            &format!("/v1/customers/{customer}"),
            &format!("invoice_settings[default_payment_method]={bad}"),
        )
        .await
        .ok();
    advance(&bench, &clock, JANUARY + 4 * DAY).await;
    let told = "customer.subscription.trial_will_end".to_owned();
    assert!(bench.event_types().contains(&told));
    advance(&bench, &clock, JANUARY + 7 * DAY + 3600).await;
    assert_eq!(now(&bench, &trial).await["status"], "past_due");
    let retry = now(&bench, &trial).await["latest_invoice"]["next_payment_attempt"].clone();
    assert_eq!(retry, JANUARY + 10 * DAY + 3600);
    advance(&bench, &clock, JANUARY + 23 * DAY).await;
    assert_eq!(now(&bench, &trial).await["status"], "canceled");
}

#[tokio::test]
async fn a_schedule_passes_to_its_next_phase_by_the_clock() {
    let bench = Bench::start().await;
    let clock = clock(&bench).await;
    let customer = customer(&bench, &clock).await;
    let subscription = subscribe(&bench, &customer, "").await;
    let from = format!("from_subscription={}", id(&subscription));
    let schedule = bench.post("/v1/subscription_schedules", &from).await.ok();
    assert_eq!(schedule["test_clock"], json!(clock));
    let (old, new) = (
        text(&schedule["phases"][0]["items"][0], "price"),
        price(&bench, 900, "month").await,
    );
    let body = format!(
        "phases[0][start_date]={JANUARY}&phases[0][end_date]={FEBRUARY}&phases[0][items][0][price]={old}\
         &phases[1][items][0][price]={new}&phases[1][duration][interval]=month"
    );
    let path = format!("/v1/subscription_schedules/{}", id(&schedule));
    bench.post(&path, &body).await.ok();
    advance(&bench, &clock, FEBRUARY).await;
    let lower = now(&bench, &subscription).await;
    assert_eq!(lower["items"]["data"][0]["price"]["id"], json!(new));
    assert_eq!(lower["latest_invoice"]["total"], 900);
}

#[tokio::test]
async fn a_checkout_session_is_open_by_the_accounts_clock_and_starts_a_subscription_at_the_test_clocks()
 {
    let bench = Bench::start().await;
    let clock = clock(&bench).await;
    let customer = customer(&bench, &clock).await;
    let price = price(&bench, 900, "month").await;
    let body = format!(
        "mode=subscription&customer={customer}&line_items[0][price]={price}&line_items[0][quantity]=1&success_url=https://x.io"
    );
    let session = bench.post("/v1/checkout/sessions", &body).await.ok();
    let open_for = session["expires_at"].as_i64().expect("a time") - bench.control().now();
    assert!((open_for - DAY).abs() < 60, "{open_for}");
    let page = format!("/c/pay/{}", id(&session));
    assert_eq!(
        bench
            .submit(&page, "card_number=4242424242424242")
            .await
            .status,
        303
    );
    let list = format!("/v1/subscriptions?customer={customer}");
    assert_eq!(bench.get(&list).await.ok()["data"][0]["created"], JANUARY);
}
