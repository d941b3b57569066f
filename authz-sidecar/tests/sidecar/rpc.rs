//! The gRPC service itself, asked without Envoy. CASE 43: an empty answer, or a denial without a status, would be
//! ALLOW to Envoy, so whatever comes in, neither goes out.

use std::collections::HashMap;
use std::net::SocketAddr;

use envoy_types::pb::envoy::service::auth::v3::attribute_context::{HttpRequest, Request};
use envoy_types::pb::envoy::service::auth::v3::authorization_client::AuthorizationClient;
use envoy_types::pb::envoy::service::auth::v3::check_response::HttpResponse;
use envoy_types::pb::envoy::service::auth::v3::{AttributeContext, CheckRequest, CheckResponse};
use glyph_harness::Result;
use serde_json::json;
use tonic::Status;
use tonic::transport::Endpoint;

use crate::stage::{Stage, secret};

pub fn with_key(key: &str) -> CheckRequest {
    let headers = HashMap::from([("x-api-key".to_owned(), key.to_owned())]);
    let http = HttpRequest {
        headers,
        ..HttpRequest::default()
    };
    let request = Request {
        http: Some(http),
        ..Request::default()
    };
    CheckRequest {
        attributes: Some(AttributeContext {
            request: Some(request),
            ..AttributeContext::default()
        }),
    }
}

pub async fn check(address: SocketAddr, request: CheckRequest) -> Result<CheckResponse, Status> {
    let channel = Endpoint::from_shared(format!("http://{address}"))
        .unwrap()
        .connect()
        .await
        .unwrap();
    Ok(AuthorizationClient::new(channel)
        .check(request)
        .await?
        .into_inner())
}

/// Status and code of a denial.
pub fn denial(response: CheckResponse) -> (i32, String) {
    assert_ne!(response.status.unwrap().code, 0, "0 is ALLOW");
    let Some(HttpResponse::DeniedResponse(denied)) = response.http_response else {
        panic!("not a denial")
    };
    let problem: serde_json::Value = serde_json::from_str(&denied.body).unwrap();
    (
        denied.status.unwrap().code,
        problem["code"].as_str().unwrap().to_owned(),
    )
}

#[tokio::test]
async fn whatever_is_asked_the_answer_is_a_whole_verdict_or_an_error_of_grpc() -> Result<()> {
    let stage = Stage::set().await?;
    let key = stage.world.key("laptop", "ada", json!({})).await;
    stage.until(&key, 200).await;
    let address = stage.sidecar.address();
    let passed = check(address, with_key(&key)).await.unwrap();
    assert!(
        matches!(passed.http_response, Some(HttpResponse::OkResponse(ok)) if ok.headers.len() == 3)
    );
    let empty = check(address, CheckRequest::default()).await.unwrap();
    assert_eq!(denial(empty), (401, "missing_credential".to_owned()));
    let unknown = check(address, with_key(&secret("unknown"))).await.unwrap();
    assert_eq!(denial(unknown), (401, "invalid_credential".to_owned()));
    let mut huge = with_key(&key);
    huge.attributes
        .as_mut()
        .unwrap()
        .request
        .as_mut()
        .unwrap()
        .http
        .as_mut()
        .unwrap()
        .body = "x".repeat(5 << 20);
    assert!(
        check(address, huge).await.is_err(),
        "a message that is too long is no verdict"
    );
    let again = check(address, with_key(&key)).await.unwrap();
    assert!(matches!(
        again.http_response,
        Some(HttpResponse::OkResponse(_))
    ));
    Ok(())
}
