//! What Stripe refuses, and how: keys, versions, parameters, references.

use base64::Engine;

use crate::client::{Bench, KEY};

#[tokio::test]
async fn a_wrong_or_missing_key_is_401_and_never_shown() {
    let bench = Bench::start().await;
    let wrong = bench
        .send(
            "GET",
            "/v1/customers",
            &[("authorization", "Bearer sk_test_ABCDEFGHIJKLwxyz")],
            "",
        )
        .await
        .expect("an answer");
    assert_eq!(
        (wrong.status, wrong.error("type").as_str()),
        (401, "invalid_request_error")
    );
    assert_eq!(
        wrong.error("message"),
        "Invalid API Key provided: sk_test_************wxyz"
    );
    assert!(
        wrong
            .header("request-id")
            .is_some_and(|id| id.starts_with("req_"))
    );
    let none = bench
        .send("GET", "/v1/customers", &[], "")
        .await
        .expect("an answer");
    assert_eq!(none.status, 401);
    assert!(
        none.error("message")
            .starts_with("You did not provide an API key.")
    );
}

#[tokio::test]
async fn the_key_is_taken_as_bearer_and_as_basic_user() {
    let bench = Bench::start().await;
    let basic = format!(
        "Basic {}",
        base64::engine::general_purpose::STANDARD.encode(format!("{KEY}:"))
    );
    let reply = bench
        .send("GET", "/v1/customers", &[("authorization", &basic)], "")
        .await
        .expect("an answer");
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("stripe-version"), Some("2026-09-30.endive"));
}

#[tokio::test]
async fn another_api_version_is_refused() {
    let bench = Bench::start().await;
    let bearer = format!("Bearer {KEY}");
    let with_version = |version: &'static str| {
        vec![
            ("authorization", bearer.clone()),
            ("stripe-version", version.to_owned()),
        ]
    };
    for (version, status) in [("2026-09-30.endive", 200), ("2020-08-27", 400)] {
        let headers = with_version(version);
        let headers: Vec<(&str, &str)> = headers
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        assert_eq!(
            bench
                .send("GET", "/v1/customers", &headers, "")
                .await
                .expect("an answer")
                .status,
            status,
            "{version}"
        );
    }
}

#[tokio::test]
async fn unknown_wrong_and_missing_parameters_are_refused_with_their_name() {
    let bench = Bench::start().await;
    let cases = [
        ("/v1/customers", "colour=red", "colour", "parameter_unknown"),
        (
            "/v1/customers",
            "address[planet]=x",
            "address[planet]",
            "parameter_unknown",
        ),
        ("/v1/customers", "email=nobody", "email", "email_invalid"),
        ("/v1/products", "description=x", "name", "parameter_missing"),
        (
            "/v1/prices",
            "currency=usd&unit_amount=ten&product_data[name]=P",
            "unit_amount",
            "parameter_invalid_integer",
        ),
        (
            "/v1/prices",
            "currency=usd&unit_amount=1&product_data[active]=true",
            "product_data[name]",
            "parameter_missing",
        ),
        (
            "/v1/prices",
            "currency=usd&unit_amount=1&product=prod_none",
            "product",
            "resource_missing",
        ),
        (
            "/v1/prices",
            "currency=xyz&unit_amount=1&product_data[name]=P",
            "currency",
            "",
        ),
        (
            "/v1/prices",
            "currency=usd&unit_amount=1&product_data[name]=P&recurring[interval]=moon",
            "recurring[interval]",
            "",
        ),
        (
            "/v1/subscriptions",
            "customer=cus_none&items[0][price]=p",
            "customer",
            "resource_missing",
        ),
        (
            "/v1/subscriptions",
            "items[0][price]=p",
            "customer",
            "parameter_missing",
        ),
        (
            "/v1/checkout/sessions",
            "success_url=https://x.io&line_items[0][price]=p",
            "mode",
            "parameter_missing",
        ),
        (
            "/v1/checkout/sessions",
            "mode=payment&line_items[0][price]=p",
            "success_url",
            "parameter_missing",
        ),
        (
            "/v1/checkout/sessions",
            "mode=payment&success_url=x.io",
            "success_url",
            "url_invalid",
        ),
        (
            "/v1/webhook_endpoints",
            "url=http://x.io",
            "enabled_events",
            "parameter_missing",
        ),
        (
            "/v1/billing_portal/sessions",
            "return_url=http://x.io",
            "customer",
            "parameter_missing",
        ),
    ];
    for (path, body, param, code) in cases {
        let refused = bench.post(path, body).await;
        assert_eq!(refused.status, 400, "{path} {body}: {}", refused.text);
        let have = (
            refused.error("type"),
            refused.error("param"),
            refused.error("code"),
        );
        assert_eq!(
            (have.0.as_str(), have.1.as_str(), have.2.as_str()),
            ("invalid_request_error", param, code),
            "{path} {body}"
        );
    }
    assert!(bench.control().objects("customer").is_empty());
}

#[tokio::test]
async fn unknown_objects_and_urls_are_404_and_json_bodies_are_400() {
    let bench = Bench::start().await;
    let missing = bench.get("/v1/customers/cus_none").await;
    assert_eq!(
        (
            missing.status,
            missing.error("code").as_str(),
            missing.error("param").as_str()
        ),
        (404, "resource_missing", "id")
    );
    assert_eq!(missing.error("message"), "No such customer: 'cus_none'");
    let nowhere = bench.get("/v1/nothing").await;
    assert_eq!(nowhere.status, 404);
    assert!(
        nowhere
            .error("message")
            .starts_with("Unrecognized request URL (GET: /v1/nothing).")
    );
    let bearer = format!("Bearer {KEY}");
    let headers = [
        ("authorization", bearer.as_str()),
        ("content-type", "application/json"),
    ];
    let json = bench
        .send("POST", "/v1/customers", &headers, "{\"name\":\"A\"}")
        .await
        .expect("an answer");
    assert_eq!(json.status, 400);
}

#[tokio::test]
async fn a_lookup_key_is_held_by_one_price_until_it_is_transferred() {
    let bench = Bench::start().await;
    let body = "currency=usd&unit_amount=2900&product_data[name]=P&lookup_key=starter";
    let first = bench.made("/v1/prices", body).await;
    let refused = bench.post("/v1/prices", body).await;
    assert_eq!(
        refused.error("message"),
        format!("A price (`{first}`) already uses that lookup key.")
    );
    let second = bench
        .made("/v1/prices", &format!("{body}&transfer_lookup_key=true"))
        .await;
    let found = bench.get("/v1/prices?lookup_keys[0]=starter").await.ok();
    assert_eq!(found["data"][0]["id"], second.as_str());
    assert_eq!(found["data"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn a_deleted_customer_is_a_mark_and_its_subscriptions_end() {
    let bench = Bench::start().await;
    let (customer, price) = (bench.paying_customer().await, bench.monthly_price().await);
    let subscription = bench
        .made(
            "/v1/subscriptions",
            &format!("customer={customer}&items[0][price]={price}"),
        )
        .await;
    let path = format!("/v1/customers/{customer}");
    let mark = serde_json::json!({ "id": customer, "object": "customer", "deleted": true });
    assert_eq!(bench.delete(&path).await.ok(), mark);
    assert_eq!(bench.get(&path).await.ok(), mark);
    assert_eq!(bench.post(&path, "name=B").await.status, 404);
    assert_eq!(
        bench
            .get(&format!("/v1/subscriptions/{subscription}"))
            .await
            .ok()["status"],
        "canceled"
    );
    assert_eq!(
        bench.get("/v1/customers").await.ok()["data"],
        serde_json::json!([])
    );
}

#[tokio::test]
async fn a_product_with_prices_cannot_be_deleted() {
    let bench = Bench::start().await;
    let product = bench.made("/v1/products", "name=P").await;
    let path = format!("/v1/products/{product}");
    bench
        .made(
            "/v1/prices",
            &format!("currency=usd&unit_amount=1&product={product}"),
        )
        .await;
    assert_eq!(bench.delete(&path).await.status, 400);
    let free = bench.made("/v1/products", "name=Q").await;
    assert_eq!(
        bench.delete(&format!("/v1/products/{free}")).await.ok()["deleted"],
        true
    );
}
