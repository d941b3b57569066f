//! stripe-mock refuses what Stripe would refuse, and brings Stripe's OpenAPI.

use glyph_harness::Result;
use glyph_harness::net::send;
use glyph_harness::stripe_mock::StripeMock;
use http::Request;

#[tokio::test]
async fn it_takes_a_right_request_and_refuses_an_unknown_parameter() -> Result<()> {
    let mock = StripeMock::start().await?;
    let create = |form: &'static str| {
        let request = Request::post(format!("{}/v1/customers", mock.url()));
        let request = request.header("authorization", "Bearer sk_test_123");
        send(
            request
                .header("content-type", "application/x-www-form-urlencoded")
                .body(form)
                .unwrap(),
        )
    };
    assert_eq!(create("email=ada@example.com").await?.status, 200);
    let refused = create("emial=ada@example.com").await?;
    assert_eq!(refused.status, 400, "{}", refused.text());
    Ok(())
}

#[tokio::test]
async fn its_openapi_is_at_hand() -> Result<()> {
    let spec = std::fs::read_to_string(StripeMock::openapi().await?).unwrap();
    let spec: serde_json::Value = serde_json::from_str(&spec).unwrap();
    assert!(
        spec["paths"]
            .as_object()
            .unwrap()
            .contains_key("/v1/checkout/sessions")
    );
    Ok(())
}
