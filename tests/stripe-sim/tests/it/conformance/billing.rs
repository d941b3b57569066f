//! The part of the way that goes past subscriptions, their invoices and schedules, and test clocks.

use crate::client::{Bench, id, path_of, text};

pub(super) async fn subscriptions(bench: &Bench, customer: &str, price: &str) {
    let waiting = bench.post("/v1/subscriptions", &format!("customer={customer}&items[0][price]={price}&items[0][quantity]=2&payment_behavior=default_incomplete&payment_settings[save_default_payment_method]=on_subscription&metadata[a]=b&description=d&expand[]=latest_invoice.payments&expand[]=latest_invoice.confirmation_secret")).await.ok();
    let intent = text(
        &waiting["latest_invoice"]["payments"]["data"][0]["payment"],
        "payment_intent",
    );
    assert_eq!(
        bench
            .post(
                &format!("/v1/payment_intents/{intent}/confirm"),
                "payment_method=pm_card_chargeCustomerFail"
            )
            .await
            .status,
        402
    );
    let asked = bench
        .post(
            &format!("/v1/payment_intents/{intent}/confirm"),
            "payment_method=pm_card_authenticationRequired&return_url=https://x.io",
        )
        .await
        .ok();
    bench
        .get(&format!("/v1/payment_intents/{intent}?expand[]=customer"))
        .await
        .ok();
    bench
        .submit(
            &path_of(&text(&asked["next_action"]["redirect_to_url"], "url")),
            "answer=complete",
        )
        .await;
    bench
        .get(&format!("/v1/payment_intents?customer={customer}"))
        .await
        .ok();

    let path = format!("/v1/subscriptions/{}", id(&waiting));
    let item = id(&waiting["items"]["data"][0]);
    bench.post(&path, &format!("items[0][id]={item}&items[0][quantity]=3&proration_behavior=always_invoice&cancel_at_period_end=true&metadata[c]=d&cancellation_details[feedback]=other")).await.ok();
    bench
        .get(&format!(
            "{path}?expand[]=items.data.price.product&expand[]=default_payment_method"
        ))
        .await
        .ok();
    bench
        .get(&format!(
            "/v1/subscriptions?customer={customer}&status=all&price={price}"
        ))
        .await
        .ok();
    bench
        .get("/v1/subscriptions/search?query=status:%27active%27")
        .await
        .ok();
    bench
        .get(&format!("/v1/subscription_items/{item}"))
        .await
        .ok();
    bench
        .post(
            &format!("/v1/subscription_items/{item}"),
            "quantity=1&metadata[e]=f",
        )
        .await
        .ok();
    bench
        .get(&format!(
            "/v1/subscription_items?subscription={}",
            id(&waiting)
        ))
        .await
        .ok();
    let added = bench
        .made(
            "/v1/prices",
            "currency=usd&unit_amount=100&recurring[interval]=month&product_data[name]=Extra",
        )
        .await;
    let added = bench
        .made(
            "/v1/subscription_items",
            &format!("subscription={}&price={added}", id(&waiting)),
        )
        .await;
    bench
        .delete(&format!("/v1/subscription_items/{added}"))
        .await
        .ok();
    schedules(bench, &id(&waiting), price).await;
    bench.delete(&path).await.ok();

    let sent = bench.post("/v1/subscriptions", &format!("customer={customer}&items[0][price]={price}&collection_method=send_invoice&days_until_due=3")).await.ok();
    let invoice = text(&sent, "latest_invoice");
    bench
        .post(
            &format!("/v1/invoices/{invoice}/pay"),
            "paid_out_of_band=true",
        )
        .await
        .ok();
    bench
        .made(
            "/v1/subscriptions",
            &format!("customer={customer}&items[0][price]={price}&trial_period_days=5"),
        )
        .await;
    bench
        .post(
            &format!("/v1/subscriptions/{}", id(&sent)),
            "pause_collection[behavior]=void&pause_collection[resumes_at]=4000000000",
        )
        .await
        .ok();
    let poor = bench.made("/v1/customers", "").await;
    let paused = bench.made("/v1/subscriptions", &format!("customer={poor}&items[0][price]={price}&trial_period_days=5&trial_settings[end_behavior][missing_payment_method]=pause")).await;
    bench.control().advance(40 * 86_400);
    bench
        .post(
            &format!("/v1/subscriptions/{paused}/resume"),
            "billing_cycle_anchor=now&proration_behavior=none",
        )
        .await
        .ok();
    bench.get(&format!("/v1/invoices/{invoice}?expand[]=payments&expand[]=customer&expand[]=parent.subscription_details.subscription")).await.ok();
    bench
        .get(&format!("/v1/invoices?customer={customer}&status=paid"))
        .await
        .ok();
    let drafts = bench
        .get("/v1/invoices?status=open&expand[]=data.payments")
        .await
        .ok();
    if let Some(open) = drafts["data"].as_array().and_then(|all| all.first()) {
        bench
            .post(
                &format!("/v1/invoices/{}/pay", id(open)),
                "payment_method=pm_card_visa",
            )
            .await
            .ok();
    }
}

async fn schedules(bench: &Bench, subscription: &str, price: &str) {
    bench
        .post(
            &format!("/v1/subscriptions/{subscription}"),
            "cancel_at_period_end=false",
        )
        .await
        .ok();
    let from = format!("from_subscription={subscription}");
    for end in ["release", "cancel"] {
        let schedule = bench.post("/v1/subscription_schedules", &from).await.ok();
        let path = format!("/v1/subscription_schedules/{}", id(&schedule));
        let phase = &schedule["phases"][0];
        let (start, until) = (&phase["start_date"], &phase["end_date"]);
        bench.post(&path, &format!("end_behavior=release&metadata[a]=b&proration_behavior=none&phases[0][items][0][price]={price}&phases[0][items][0][quantity]=1&phases[0][start_date]={start}&phases[0][end_date]={until}&phases[1][items][0][price]={price}&phases[1][items][0][quantity]=5&phases[1][items][0][metadata][c]=d&phases[1][duration][interval]=month&phases[1][duration][interval_count]=1&phases[1][proration_behavior]=none&phases[1][metadata][e]=f")).await.ok();
        bench
            .get(&format!("{path}?expand[]=subscription&expand[]=customer"))
            .await
            .ok();
        bench
            .get("/v1/subscription_schedules?scheduled=false")
            .await
            .ok();
        if end == "release" {
            bench.post(&format!("{path}/release"), "").await.ok();
        }
    }
    let other = bench
        .get(&format!(
            "/v1/subscriptions/{subscription}?expand[]=schedule"
        ))
        .await
        .ok();
    let held = text(&other["schedule"], "id");
    bench
        .post(&format!("/v1/subscription_schedules/{held}/release"), "")
        .await
        .ok();
    let customer = bench.paying_customer().await;
    let more = bench
        .made(
            "/v1/subscriptions",
            &format!("customer={customer}&items[0][price]={price}"),
        )
        .await;
    let schedule = bench
        .made(
            "/v1/subscription_schedules",
            &format!("from_subscription={more}"),
        )
        .await;
    bench
        .post(
            &format!("/v1/subscription_schedules/{schedule}/cancel"),
            "invoice_now=false&prorate=false",
        )
        .await
        .ok();
}

pub(super) async fn test_clocks(bench: &Bench, price: &str) {
    let all = "/v1/test_helpers/test_clocks";
    let clock = bench.made(all, "frozen_time=1893456000&name=Renewal").await;
    let customer = bench
        .made(
            "/v1/customers",
            &format!("test_clock={clock}&invoice_settings[default_payment_method]=pm_card_visa"),
        )
        .await;
    let subscription = bench
        .made(
            "/v1/subscriptions",
            &format!("customer={customer}&items[0][price]={price}"),
        )
        .await;
    bench
        .made(
            "/v1/subscription_schedules",
            &format!("from_subscription={subscription}&expand[]=test_clock"),
        )
        .await;
    let path = format!("{all}/{clock}");
    let advance = format!("{path}/advance");
    bench.post(&advance, "frozen_time=1896200000").await.ok();
    bench.get(&path).await.ok();
    bench.get(&format!("{all}?limit=2")).await.ok();
    bench
        .get(&format!(
            "/v1/customers?test_clock={clock}&expand[]=data.test_clock"
        ))
        .await
        .ok();
    bench
        .get(&format!(
            "/v1/subscriptions?test_clock={clock}&expand[]=data.test_clock"
        ))
        .await
        .ok();
    bench
        .get(&format!(
            "/v1/invoices?subscription={subscription}&expand[]=data.test_clock"
        ))
        .await
        .ok();
    bench.delete(&path).await.ok();
}
