//! Paying on a checkout page with test cards.

use glyph_stripe_sim::Payment;
use serde_json::json;

use crate::client::{Bench, id, path_of, text};

/// An open session for a subscription, and the path of its page.
async fn session(bench: &Bench, more: &str) -> (String, String) {
    let price = bench.monthly_price().await;
    let body = format!(
        "mode=subscription&line_items[0][price]={price}&line_items[0][quantity]=1&success_url=https://x.io/ok?s={{CHECKOUT_SESSION_ID}}\
         &subscription_data[metadata][uid]=u-1&metadata[uid]=u-1&{more}"
    );
    let session = bench.post("/v1/checkout/sessions", &body).await.ok();
    assert!(id(&session).starts_with("cs_test_"));
    assert_eq!(
        (text(&session, "status"), text(&session, "payment_status")),
        ("open".to_owned(), "unpaid".to_owned())
    );
    (id(&session), path_of(&text(&session, "url")))
}

#[tokio::test]
async fn the_plain_card_pays_and_everything_follows() {
    let bench = Bench::start().await;
    let customer = bench.made("/v1/customers", "email=ann@example.com").await;
    let (session, page) = session(&bench, &format!("customer={customer}")).await;
    let shown = bench.send("GET", &page, &[], "").await.expect("a page");
    assert_eq!(shown.status, 200);
    assert!(
        shown.text.contains("29.00 USD")
            && shown.text.contains("card_number")
            && shown.text.contains("Starter")
    );

    let paid = bench
        .submit(
            &page,
            "card_number=4242+4242+4242+4242&expiry=12/40&cvc=123",
        )
        .await;
    assert_eq!(
        (paid.status, paid.header("location")),
        (303, Some(format!("https://x.io/ok?s={session}").as_str()))
    );

    let done = bench
        .get(&format!(
            "/v1/checkout/sessions/{session}?expand[]=subscription&expand[]=invoice"
        ))
        .await
        .ok();
    assert_eq!(
        (&done["status"], &done["payment_status"], &done["url"]),
        (&json!("complete"), &json!("paid"), &json!(null))
    );
    let subscription = &done["subscription"];
    assert_eq!(
        (&subscription["status"], &subscription["metadata"]["uid"]),
        (&json!("active"), &json!("u-1"))
    );
    assert_eq!(subscription["customer"], customer.as_str());
    let item = &subscription["items"]["data"][0];
    assert!(item["current_period_end"].as_i64() > item["current_period_start"].as_i64());
    assert_eq!(
        (&done["invoice"]["status"], &done["invoice"]["amount_paid"]),
        (&json!("paid"), &json!(2900))
    );
    let types = bench.event_types();
    let order = [
        "customer.subscription.created",
        "invoice.paid",
        "customer.subscription.updated",
        "checkout.session.completed",
    ];
    let found: Vec<_> = order
        .iter()
        .map(|kind| types.iter().position(|have| have == kind))
        .collect();
    assert!(found.iter().all(Option::is_some), "{types:?}");
    let created = bench
        .get("/v1/events?type=customer.subscription.created")
        .await
        .ok();
    assert_eq!(created["data"][0]["data"]["object"]["status"], "incomplete");
    assert_eq!(
        types.last().map(String::as_str),
        Some("checkout.session.completed")
    );
}

#[tokio::test]
async fn the_declined_card_is_declined_visibly_and_another_may_follow() {
    let bench = Bench::start().await;
    let (_, page) = session(&bench, "").await;
    let declined = bench
        .submit(&page, "card_number=4000000000000002&email=ann@example.com")
        .await;
    assert_eq!(declined.status, 402);
    assert!(declined.text.contains("Your card was declined."));
    assert!(bench.control().objects("subscription").is_empty());
    let paid = bench
        .submit(&page, "card_number=4242424242424242&email=ann@example.com")
        .await;
    assert_eq!(paid.status, 303);
    assert_eq!(
        bench.control().objects("customer")[0]["email"],
        "ann@example.com"
    );
}

#[tokio::test]
async fn the_third_card_asks_for_confirmation_first() {
    let bench = Bench::start().await;
    let (session, page) = session(&bench, "customer_email=ann@example.com").await;
    for (answer, status) in [("fail", 402), ("complete", 303)] {
        let asked = bench.submit(&page, "card_number=4000002760003184").await;
        assert_eq!(
            (asked.status, asked.header("location")),
            (303, Some(format!("{page}/confirm").as_str()))
        );
        assert!(bench.control().objects("subscription").is_empty());
        let question = bench
            .send("GET", &format!("{page}/confirm"), &[], "")
            .await
            .expect("a page");
        assert!(question.text.contains("Your bank asks you to confirm"));
        assert_eq!(
            bench
                .submit(&format!("{page}/confirm"), &format!("answer={answer}"))
                .await
                .status,
            status
        );
    }
    assert_eq!(
        bench
            .get(&format!("/v1/checkout/sessions/{session}"))
            .await
            .ok()["status"],
        "complete"
    );
    assert_eq!(
        bench.control().objects("subscription")[0]["status"],
        "active"
    );
}

#[tokio::test]
async fn a_session_is_paid_once_however_often_it_is_tried() {
    let bench = Bench::start().await;
    let (session, page) = session(&bench, "customer_email=ann@example.com").await;
    let pay = || bench.submit(&page, "card_number=4242424242424242");
    let (first, second) = tokio::join!(pay(), pay());
    let mut statuses = [first.status, second.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 303]);
    assert!(matches!(
        bench.control().pay(&session, "4242424242424242", None),
        Payment::Refused(_)
    ));
    assert_eq!(bench.control().objects("subscription").len(), 1);
}

#[tokio::test]
async fn a_session_expires_after_a_day_or_when_asked() {
    let bench = Bench::start().await;
    let (by_time, page) = session(&bench, "").await;
    let (by_hand, _) = session(&bench, "").await;
    assert_eq!(
        bench
            .post(&format!("/v1/checkout/sessions/{by_hand}/expire"), "")
            .await
            .ok()["status"],
        "expired"
    );
    assert_eq!(
        bench
            .post(&format!("/v1/checkout/sessions/{by_hand}/expire"), "")
            .await
            .status,
        400
    );
    bench.control().advance(86_401);
    assert_eq!(
        bench
            .get(&format!("/v1/checkout/sessions/{by_time}"))
            .await
            .ok()["status"],
        "expired"
    );
    assert_eq!(
        bench
            .submit(&page, "card_number=4242424242424242&email=a@x.io")
            .await
            .status,
        410
    );
    assert_eq!(
        bench
            .event_types()
            .iter()
            .filter(|kind| *kind == "checkout.session.expired")
            .count(),
        2
    );
}

#[tokio::test]
async fn a_one_time_payment_makes_a_payment_intent() {
    let bench = Bench::start().await;
    let price = bench
        .made(
            "/v1/prices",
            "currency=usd&unit_amount=500&product_data[name]=Credits",
        )
        .await;
    let body = format!(
        "mode=payment&line_items[0][price]={price}&line_items[0][quantity]=3&success_url=https://x.io"
    );
    let session = bench.made("/v1/checkout/sessions", &body).await;
    let refused = bench
        .control()
        .pay(&session, "4000000000000002", Some("a@x.io"));
    assert_eq!(
        refused,
        Payment::Refused("Your card was declined.".to_owned())
    );
    assert_eq!(
        bench.control().pay(&session, "4242424242424242", None),
        Payment::Done("https://x.io".to_owned())
    );
    let done = bench
        .get(&format!(
            "/v1/checkout/sessions/{session}?expand[]=payment_intent&expand[]=line_items"
        ))
        .await
        .ok();
    assert_eq!(
        (
            &done["payment_intent"]["status"],
            &done["payment_intent"]["amount_received"]
        ),
        (&json!("succeeded"), &json!(1500))
    );
    assert_eq!(done["line_items"]["data"][0]["amount_total"], 1500);
    assert_eq!(bench.control().objects("payment_intent").len(), 1);
    let recurring = bench.monthly_price().await;
    let mixed = format!(
        "mode=payment&line_items[0][price]={recurring}&line_items[0][quantity]=1&success_url=https://x.io"
    );
    assert_eq!(
        bench.post("/v1/checkout/sessions", &mixed).await.status,
        400
    );
}

#[tokio::test]
async fn a_trial_from_checkout_starts_without_payment() {
    let bench = Bench::start().await;
    let (session, _) = session(
        &bench,
        "customer_email=a@x.io&subscription_data[trial_period_days]=14",
    )
    .await;
    assert!(matches!(
        bench.control().pay(&session, "4242424242424242", None),
        Payment::Done(_)
    ));
    let done = bench
        .get(&format!(
            "/v1/checkout/sessions/{session}?expand[]=subscription"
        ))
        .await
        .ok();
    assert_eq!(
        (&done["payment_status"], &done["subscription"]["status"]),
        (&json!("no_payment_required"), &json!("trialing"))
    );
}

#[tokio::test]
async fn the_portal_shows_subscriptions_and_lets_them_end() {
    let bench = Bench::start().await;
    let (customer, price) = (bench.paying_customer().await, bench.monthly_price().await);
    let subscription = bench
        .made(
            "/v1/subscriptions",
            &format!("customer={customer}&items[0][price]={price}"),
        )
        .await;
    let portal = bench
        .post(
            "/v1/billing_portal/sessions",
            &format!("customer={customer}&return_url=https://x.io/back"),
        )
        .await
        .ok();
    let page = path_of(&text(&portal, "url"));
    let shown = bench.send("GET", &page, &[], "").await.expect("a page");
    assert!(shown.text.contains(&subscription) && shown.text.contains("https://x.io/back"));
    assert_eq!(
        bench
            .submit(
                &format!("{page}/cancel"),
                &format!("subscription={subscription}")
            )
            .await
            .status,
        303
    );
    assert_eq!(
        bench
            .get(&format!("/v1/subscriptions/{subscription}"))
            .await
            .ok()["cancel_at_period_end"],
        true
    );
    assert_eq!(
        bench
            .submit(&format!("{page}/cancel"), "subscription=sub_none")
            .await
            .status,
        402
    );
}
