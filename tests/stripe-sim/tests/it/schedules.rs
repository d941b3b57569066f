//! Subscription schedules: a change that waits for the period's end, and what a schedule forbids meanwhile.

use serde_json::{Value, json};

use crate::client::{Bench, id, text};

/// A subscription at 99 dollars, and the price of 29 that it is to go down to.
async fn subscribed(bench: &Bench) -> (Value, String) {
    bench.control().freeze_clock(true);
    let customer = bench.paying_customer().await;
    let dear = "currency=usd&unit_amount=9900&recurring[interval]=month&product_data[name]=Pro";
    let dear = bench.made("/v1/prices", dear).await;
    let body = format!("customer={customer}&items[0][price]={dear}");
    let subscription = bench.post("/v1/subscriptions", &body).await.ok();
    (subscription, bench.monthly_price().await)
}

/// A schedule that goes down to the price when the current period ends.
async fn downgrade(bench: &Bench, subscription: &Value, price: &str) -> Value {
    let from = format!("from_subscription={}", id(subscription));
    let schedule = bench.post("/v1/subscription_schedules", &from).await.ok();
    let phase = &schedule["phases"][0];
    let path = format!("/v1/subscription_schedules/{}", id(&schedule));
    let body = format!(
        "end_behavior=release&phases[0][start_date]={}&phases[0][end_date]={}&phases[0][items][0][price]={}&phases[0][items][0][quantity]=1\
         &phases[1][items][0][price]={price}&phases[1][items][0][quantity]=1&phases[1][duration][interval]=month\
         &phases[1][proration_behavior]=none",
        phase["start_date"],
        phase["end_date"],
        text(&phase["items"][0], "price"),
    );
    bench.post(&path, &body).await.ok()
}

async fn read(bench: &Bench, subscription: &Value) -> Value {
    let path = format!(
        "/v1/subscriptions/{}?expand[]=latest_invoice",
        id(subscription)
    );
    bench.get(&path).await.ok()
}

#[tokio::test]
async fn a_downgrade_waits_for_the_periods_end_and_the_schedule_lets_go_after_its_last_phase() {
    let bench = Bench::start().await;
    let (subscription, price) = subscribed(&bench).await;
    let schedule = downgrade(&bench, &subscription, &price).await;
    let waiting = read(&bench, &subscription).await;
    assert_eq!(waiting["schedule"], schedule["id"]);
    assert_eq!(waiting["items"]["data"][0]["price"]["unit_amount"], 9900);
    assert_eq!(waiting["latest_invoice"]["total"], 9900);

    let end = waiting["items"]["data"][0]["current_period_end"]
        .as_i64()
        .expect("an end");
    bench.control().set_clock(end);
    let lower = read(&bench, &subscription).await;
    let item = &lower["items"]["data"][0];
    assert_eq!(
        (&item["price"]["id"], &item["current_period_start"]),
        (&json!(price), &json!(end))
    );
    assert_eq!(
        (
            &lower["latest_invoice"]["total"],
            &lower["latest_invoice"]["billing_reason"]
        ),
        (&json!(2900), &json!("subscription_cycle"))
    );
    assert_eq!(
        lower["schedule"], schedule["id"],
        "its last phase has only begun"
    );

    bench.control().advance(32 * 86_400);
    let free = read(&bench, &subscription).await;
    assert_eq!(
        (&free["schedule"], &free["status"]),
        (&Value::Null, &json!("active"))
    );
    let path = format!("/v1/subscription_schedules/{}", id(&schedule));
    let released = bench.get(&path).await.ok();
    assert_eq!(
        (
            &released["status"],
            &released["released_subscription"],
            &released["subscription"]
        ),
        (&json!("released"), &subscription["id"], &Value::Null)
    );
    let kinds = bench.event_types();
    for kind in ["created", "updated", "released"] {
        assert!(
            kinds.contains(&format!("subscription_schedule.{kind}")),
            "{kind}"
        );
    }
}

#[tokio::test]
async fn a_schedule_is_refused_a_second_time_and_alone_decides_about_the_end() {
    let bench = Bench::start().await;
    let (subscription, price) = subscribed(&bench).await;
    let from = format!("from_subscription={}", id(&subscription));
    let with_more = bench
        .post(
            "/v1/subscription_schedules",
            &format!("{from}&metadata[a]=b"),
        )
        .await;
    assert_eq!(
        with_more.status, 400,
        "nothing else goes with from_subscription"
    );
    let schedule = downgrade(&bench, &subscription, &price).await;
    let second = bench.post("/v1/subscription_schedules", &from).await;
    assert_eq!(second.status, 400);
    assert!(
        second.error("message").contains(&id(&schedule)),
        "{}",
        second.text
    );

    let path = format!("/v1/subscriptions/{}", id(&subscription));
    let refused = bench.post(&path, "cancel_at_period_end=true").await;
    assert_eq!(refused.status, 400);
    assert!(
        refused
            .error("message")
            .contains("is managed by the subscription schedule")
    );

    let schedules = format!("/v1/subscription_schedules/{}", id(&schedule));
    bench.post(&format!("{schedules}/release"), "").await.ok();
    assert_eq!(
        bench.post(&format!("{schedules}/release"), "").await.status,
        400
    );
    assert_eq!(
        bench.post(&path, "cancel_at_period_end=true").await.ok()["cancel_at_period_end"],
        true
    );
}

#[tokio::test]
async fn phases_must_begin_with_the_current_one_and_follow_each_other() {
    let bench = Bench::start().await;
    let (subscription, price) = subscribed(&bench).await;
    let schedule = downgrade(&bench, &subscription, &price).await;
    let path = format!("/v1/subscription_schedules/{}", id(&schedule));
    let start = &schedule["phases"][0]["start_date"];
    let end = schedule["phases"][0]["end_date"].as_i64().expect("an end");
    let first = format!("phases[0][items][0][price]={price}");
    for body in [
        format!("{first}&phases[0][end_date]={end}"),
        format!(
            "{first}&phases[0][start_date]={end}&phases[0][end_date]={}",
            end + 1
        ),
        format!("{first}&phases[0][start_date]={start}"),
        format!("phases[0][start_date]={start}&phases[0][end_date]={end}"),
        format!(
            "{first}&phases[0][start_date]={start}&phases[0][end_date]={end}&phases[1][items][0][price]={price}&phases[1][start_date]={}&phases[1][end_date]={}",
            end + 5,
            end + 9
        ),
    ] {
        assert_eq!(bench.post(&path, &body).await.status, 400, "{body}");
    }
    assert_eq!(
        read(&bench, &subscription).await["items"]["data"][0]["price"]["unit_amount"],
        9900
    );
}

#[tokio::test]
async fn a_subscription_that_is_canceled_takes_its_schedule_along() {
    let bench = Bench::start().await;
    let (subscription, price) = subscribed(&bench).await;
    let schedule = downgrade(&bench, &subscription, &price).await;
    bench
        .delete(&format!("/v1/subscriptions/{}", id(&subscription)))
        .await
        .ok();
    let path = format!("/v1/subscription_schedules/{}", id(&schedule));
    assert_eq!(bench.get(&path).await.ok()["status"], "canceled");
    assert!(
        bench
            .event_types()
            .contains(&"subscription_schedule.canceled".to_owned())
    );
}
