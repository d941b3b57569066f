//! What people do by hand, in the customer portal and in the dashboard, and how fast a full account is.

use serde_json::{Value, json};

use crate::client::{Bench, id, path_of, text};

async fn subscribed(bench: &Bench) -> (String, String) {
    let (customer, price) = (bench.paying_customer().await, bench.monthly_price().await);
    let body = format!("customer={customer}&items[0][price]={price}");
    let subscription = bench.made("/v1/subscriptions", &body).await;
    (customer, subscription)
}

async fn read(bench: &Bench, subscription: &str) -> Value {
    bench
        .get(&format!("/v1/subscriptions/{subscription}"))
        .await
        .ok()
}

#[tokio::test]
async fn in_the_portal_a_person_changes_plan_ends_resumes_and_replaces_the_card() {
    let bench = Bench::start().await;
    let (customer, subscription) = subscribed(&bench).await;
    let dear = "currency=usd&unit_amount=9900&recurring[interval]=month&product_data[name]=Pro";
    let dear = bench.made("/v1/prices", dear).await;
    let session = bench
        .post(
            "/v1/billing_portal/sessions",
            &format!("customer={customer}"),
        )
        .await
        .ok();
    let page = path_of(&text(&session, "url"));
    let shown = bench.get(&page).await.text;
    assert!(
        shown.contains(&subscription) && shown.contains(&dear),
        "{shown}"
    );
    let chosen = format!("subscription={subscription}");
    for (action, ends) in [("cancel", true), ("resume", false)] {
        assert_eq!(
            bench
                .submit(&format!("{page}/{action}"), &chosen)
                .await
                .status,
            303
        );
        assert_eq!(
            read(&bench, &subscription).await["cancel_at_period_end"],
            ends
        );
    }
    let plan = format!("{chosen}&price={dear}");
    assert_eq!(
        bench.submit(&format!("{page}/plan"), &plan).await.status,
        303
    );
    assert_eq!(
        read(&bench, &subscription).await["items"]["data"][0]["price"]["id"],
        json!(dear)
    );
    let card = "card_number=5555555555554444";
    assert_eq!(
        bench.submit(&format!("{page}/card"), card).await.status,
        303
    );
    let path = format!("/v1/customers/{customer}?expand[]=invoice_settings.default_payment_method");
    let owner = bench.get(&path).await.ok();
    assert_eq!(
        owner["invoice_settings"]["default_payment_method"]["card"]["last4"],
        "4444"
    );

    let (_, foreign) = subscribed(&bench).await;
    let foreign = format!("subscription={foreign}");
    assert_eq!(
        bench
            .submit(&format!("{page}/cancel"), &foreign)
            .await
            .status,
        402
    );
}

#[tokio::test]
async fn the_dashboard_does_what_the_api_does_and_leaves_no_request() {
    let bench = Bench::start().await;
    let (customer, subscription) = subscribed(&bench).await;
    let dear = "currency=usd&unit_amount=9900&recurring[interval]=month&product_data[name]=Pro";
    let dear = bench.made("/v1/prices", dear).await;
    let control = bench.control();
    let before = control.requests().len();
    control
        .change_plan(&subscription, &dear)
        .expect("another plan");
    control
        .cancel_at_period_end(&subscription, true)
        .expect("a planned end");
    control
        .pause_collection(&subscription, Some("void"))
        .expect("a pause");
    let changed = control
        .pause_collection(&subscription, None)
        .expect("no pause");
    assert_eq!(changed["items"]["data"][0]["price"]["id"], json!(dear));
    control.set_active(&dear, false).expect("an archived price");
    assert!(
        control
            .in_dashboard("POST", &format!("/v1/prices/{dear}"), "unit_amount=1")
            .is_err()
    );
    control
        .delete_customer(&customer)
        .expect("a deleted customer");
    assert!(
        control.cancel_now(&subscription).is_err(),
        "it went with its customer"
    );
    assert_eq!(control.requests().len(), before);
    let events = bench.get("/v1/events?type=customer.deleted").await.ok();
    assert_eq!(events["data"][0]["request"]["id"], Value::Null);
    assert_eq!(read(&bench, &subscription).await["status"], "canceled");
}

#[tokio::test]
async fn a_full_account_is_listed_by_customer_and_searched() {
    let bench = Bench::start().await;
    let price = bench.monthly_price().await;
    let mut last = String::new();
    for number in 0..120 {
        let body = format!(
            "email=c{number}@example.com&metadata[uid]=u{number}&invoice_settings[default_payment_method]=pm_card_visa"
        );
        let customer = bench.made("/v1/customers", &body).await;
        let body = format!("customer={customer}&items[0][price]={price}");
        last = text(
            &bench.post("/v1/subscriptions", &body).await.ok(),
            "customer",
        );
    }
    bench.control().advance(61);
    let list = bench
        .get(&format!("/v1/subscriptions?customer={last}"))
        .await
        .ok();
    assert_eq!(list["data"].as_array().map(Vec::len), Some(1));
    let query = "/v1/customers/search?query=metadata['uid']:'u119'".replace('\'', "%27");
    assert_eq!(id(&bench.get(&query).await.ok()["data"][0]), last);
    bench.control().advance(40 * 86_400);
    assert_eq!(
        bench.get("/v1/invoices?status=paid&limit=100").await.ok()["has_more"],
        true
    );
}
