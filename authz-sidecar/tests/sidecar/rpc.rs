//! The gRPC service itself, asked without Envoy. CASE 43: an empty answer, or a denial without a status, would be
//! ALLOW to Envoy, so whatever comes in, neither goes out.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;

use clap::Parser as _;
use envoy_types::pb::envoy::service::auth::v3::attribute_context::{HttpRequest, Request};
use envoy_types::pb::envoy::service::auth::v3::authorization_client::AuthorizationClient;
use envoy_types::pb::envoy::service::auth::v3::check_response::HttpResponse;
use envoy_types::pb::envoy::service::auth::v3::{AttributeContext, CheckRequest, CheckResponse};
use glyph_authz::gate::Gate;
use glyph_authz::usage::{Usage, UsageSource};
use glyph_authz::{Settings, server};
use glyph_authz_core::index::{Change, Kind};
use glyph_crds::api_key_format::Peppers;
use glyph_harness::Result;
use glyph_runtime::clock::SystemClock;
use glyph_usage::{
    Batch, Charge, Counters, CountersError, CreditsUsed, GivenBack, Outcome, Period, Spend, Step,
    UsageRow,
};
use serde_json::json;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tonic::transport::Endpoint;

use crate::stage::{Stage, hash_of, secret};

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

/// Counters with a fault in them.
struct Faulty;

impl Counters for Faulty {
    async fn spend(&self, _: &Spend<'_>) -> Result<Outcome, CountersError> {
        panic!("on purpose")
    }

    async fn used(&self, _: &str, _: Period) -> Result<u64, CountersError> {
        panic!("on purpose")
    }

    async fn give_back(&self, _: &Charge) -> Result<GivenBack, CountersError> {
        panic!("on purpose")
    }

    async fn used_credits(
        &self,
        _: &[&str],
    ) -> Result<Vec<BTreeMap<String, CreditsUsed>>, CountersError> {
        panic!("on purpose")
    }

    async fn add_usage(&self, _: &Batch) -> Result<bool, CountersError> {
        panic!("on purpose")
    }

    async fn usage_of(
        &self,
        _: &str,
        _: i64,
        _: i64,
        _: Step,
    ) -> Result<Vec<UsageRow>, CountersError> {
        panic!("on purpose")
    }
}

/// A gate that knows one key, in memory.
fn faulty_gate(key: &str) -> Gate<Faulty, SystemClock> {
    let peppers = format!("1:{}", "BwcH".repeat(10) + "Bwc=");
    let hashes = json!([{"value": hash_of(&peppers, key), "pepperVersion": 1}]);
    let settings = Settings::parse_from(["glyph-authz"]);
    let peppers = Peppers::parse(&peppers).unwrap();
    let (usage, _) = Usage::new(UsageSource::Checks, "test".to_owned());
    let gate = Gate::new(&settings, &[None], peppers, Faulty, SystemClock, usage);
    let object = |name: &str, spec, status| {
        let metadata = json!({"namespace": "shop", "name": name, "uid": name});
        let object = json!({"metadata": metadata, "spec": spec, "status": status});
        Change::Listed(serde_json::from_value(object).unwrap())
    };
    for kind in Kind::ALL {
        gate.update(kind, &None, Change::ListBegins);
        let listed = match kind {
            Kind::Tier => object("free", json!({"displayName": "Free"}), json!({})),
            Kind::Customer => object("ada", json!({"email": "ada@example.com"}), json!({})),
            Kind::Key => object(
                "laptop",
                json!({"customerRef": {"name": "ada"}}),
                json!({"keyId": "id", "hashes": hashes}),
            ),
            Kind::Subscription | Kind::Grant | Kind::Api => Change::ListEnds,
        };
        assert_eq!(gate.update(kind, &None, listed).malformed, None);
        gate.update(kind, &None, Change::ListEnds);
    }
    gate
}

#[tokio::test]
async fn a_panic_in_a_check_is_an_error_of_grpc_and_the_next_check_is_answered() {
    let key = secret("laptop");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let serving = tokio::spawn(server::serve(
        listener,
        Arc::new(faulty_gate(&key)),
        stop.clone(),
    ));
    let failed = check(address, with_key(&key)).await.unwrap_err();
    assert_eq!(failed.code(), tonic::Code::Internal);
    let next = check(address, with_key(&secret("unknown"))).await.unwrap();
    assert_eq!(denial(next), (401, "invalid_credential".to_owned()));
    stop.cancel();
    serving.await.unwrap().unwrap();
}
