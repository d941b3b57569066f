//! async-stripe's strict decoder, made from 2026-09-30.endive, accepts every object the simulator answers with.

use miniserde::Deserialize;
use serde_json::Value;
use stripe_shared::{
    Charge, CheckoutSession, Customer, Dispute, Event, Invoice, PaymentIntent, PaymentMethod,
    Price, Product, Refund, Subscription, SubscriptionItem, SubscriptionSchedule,
};

use crate::client::{Bench, id};

/// Decodes every object of a kind; there must be some.
fn all_decode<T: Deserialize>(bench: &Bench, kind: &str) {
    let objects = bench.control().objects(kind);
    assert!(!objects.is_empty(), "no {kind} to decode");
    for object in objects {
        decodes::<T>(&object);
    }
}

fn decodes<T: Deserialize>(object: &Value) {
    assert!(
        miniserde::json::from_str::<T>(&object.to_string()).is_ok(),
        "not decoded: {object:#}"
    );
}

#[tokio::test]
async fn every_object_is_decoded_in_every_state_it_comes_to() {
    let bench = Bench::start().await;
    let (customer, price) = (bench.paying_customer().await, bench.monthly_price().await);
    for more in [
        "",
        "payment_behavior=default_incomplete",
        "trial_period_days=5",
        "collection_method=send_invoice&days_until_due=3",
    ] {
        bench
            .made(
                "/v1/subscriptions",
                &format!("customer={customer}&items[0][price]={price}&{more}"),
            )
            .await;
    }
    let scheduled = bench.control().objects("subscription")[0].clone();
    bench
        .made(
            "/v1/subscription_schedules",
            &format!("from_subscription={}", id(&scheduled)),
        )
        .await;
    let session = format!(
        "mode=subscription&line_items[0][price]={price}&line_items[0][quantity]=1&success_url=https://x.io"
    );
    let session = bench.made("/v1/checkout/sessions", &session).await;
    bench
        .made(
            "/v1/prices",
            "currency=usd&unit_amount_decimal=0.5&product_data[name]=P",
        )
        .await;
    let all = |bench: &Bench| {
        all_decode::<Customer>(bench, "customer");
        all_decode::<Product>(bench, "product");
        all_decode::<Price>(bench, "price");
        all_decode::<PaymentMethod>(bench, "payment_method");
        all_decode::<CheckoutSession>(bench, "checkout.session");
        all_decode::<Subscription>(bench, "subscription");
        all_decode::<Invoice>(bench, "invoice");
        all_decode::<PaymentIntent>(bench, "payment_intent");
        all_decode::<SubscriptionSchedule>(bench, "subscription_schedule");
        all_decode::<Charge>(bench, "charge");
        all_decode::<Event>(bench, "event");
    };
    all(&bench);
    bench
        .submit(
            &format!("/c/pay/{session}"),
            "card_number=4242424242424242&email=b@x.io",
        )
        .await;
    bench.control().advance(100 * 86_400);
    all(&bench);
    let charge = id(&bench.control().objects("charge")[0]);
    bench.control().refund(&charge, Some(5)).expect("a refund");
    bench.control().dispute(&charge).expect("a dispute");
    all_decode::<Refund>(&bench, "refund");
    all_decode::<Dispute>(&bench, "dispute");
    all_decode::<Event>(&bench, "event");
    let expanded = bench.get("/v1/subscriptions?status=all&expand[]=data.customer&expand[]=data.latest_invoice.payments").await.ok();
    for subscription in expanded["data"].as_array().expect("a list") {
        decodes::<Subscription>(subscription);
        decodes::<SubscriptionItem>(&subscription["items"]["data"][0]);
    }
    let session = bench
        .get(&format!(
            "/v1/checkout/sessions/{session}?expand[]=line_items&expand[]=customer"
        ))
        .await
        .ok();
    decodes::<CheckoutSession>(&session);
    assert!(!id(&session).is_empty());
}
