//! One decision, four fronts: the same requests through Envoy's gRPC and HTTP ext_authz, nginx' auth_request (real
//! gateways, with the files of `examples/`), and Traefik's forwardAuth, asked as Traefik asks.

mod tokens;

use std::collections::BTreeMap;
use std::net::SocketAddr;

use glyph_harness::net::{Answer, free_port, loopback};
use glyph_harness::{
    Envoy, EnvoyConfig, Nginx, NginxConfig, Result, Settings, poll_until, workspace_root,
};
use http::Request;
use serde_json::{Value, json};

use crate::stage::{SOON, Stage, answer, secret};

/// What comes of a request: status, and the `code` of a refusal or whose it is to the API.
#[derive(Debug, PartialEq)]
struct Outcome {
    status: u16,
    told: String,
    /// `RateLimit` and `WWW-Authenticate` came, `Retry-After` came.
    fields: [bool; 3],
}

struct Fronts {
    stage: Stage,
    envoy_http: Envoy,
    nginx: Nginx,
    http: SocketAddr,
}

impl Fronts {
    async fn set() -> Result<Self> {
        Self::set_with(|settings| settings).await
    }

    /// With further settings of the sidecar.
    async fn set_with(more: impl FnOnce(Settings) -> Settings) -> Result<Self> {
        let http = loopback(free_port()?);
        let listen = |settings: Settings| settings.set("GLYPH_HTTP_LISTEN", http.to_string());
        let stage = Stage::set_with(|settings| more(listen(settings))).await?;
        let upstream = stage.upstream.address();
        let examples = workspace_root().join("examples");
        let envoy_http = Envoy::start(&EnvoyConfig {
            file: examples.join("envoy/envoy-http.yaml"),
            listener_port: 10_000,
            admin_port: 9901,
            endpoints: BTreeMap::from([(9002, http), (8080, upstream)]),
        })
        .await?;
        let nginx = Nginx::start(&NginxConfig {
            file: examples.join("nginx/nginx.conf"),
            listener: loopback(10_000),
            endpoints: vec![(loopback(9002), http), (loopback(8080), upstream)],
        })
        .await?;
        Ok(Self {
            stage,
            envoy_http,
            nginx,
            http,
        })
    }

    /// The same request through each front, by the front's name.
    async fn ask(
        &self,
        method: &str,
        (host, path): (&str, &str),
        fields: &[(&str, &str)],
    ) -> Vec<(&'static str, Outcome)> {
        let gateways = [
            ("Envoy, gRPC", self.stage.envoy.url()),
            ("Envoy, HTTP", self.envoy_http.url()),
            ("nginx", self.nginx.url()),
        ];
        let mut all = Vec::new();
        for (name, url) in gateways {
            let request = Request::builder()
                .method(method)
                .uri(format!("{url}{path}"))
                .header("host", host);
            let answer = answer(with(request, fields)).await;
            let whose = |answer: &Answer| seen_by_the_api(answer);
            all.push((
                name,
                outcome(
                    &format!("{name}: {method} {path} {fields:?}"),
                    &answer,
                    whose,
                ),
            ));
        }
        let request = Request::builder()
            .uri(format!("http://{}/traefik", self.http))
            .header("x-forwarded-method", method)
            .header("x-forwarded-uri", path)
            .header("x-forwarded-host", host)
            .header("x-forwarded-for", "127.0.0.1");
        let answer = answer(with(request, fields)).await;
        all.push((
            "Traefik",
            outcome("Traefik", &answer, |answer| {
                answer.header("x-glyph-customer")
            }),
        ));
        all
    }
}

fn with(request: http::request::Builder, fields: &[(&str, &str)]) -> http::request::Builder {
    fields.iter().fold(request, |request, (name, value)| {
        request.header(*name, *value)
    })
}

fn outcome(what: &str, answer: &Answer, whose: impl Fn(&Answer) -> String) -> Outcome {
    let told = match answer.status {
        200 => whose(answer),
        503 if answer.body.is_empty() => String::new(),
        _ => {
            let kind = answer.header("content-type");
            assert_eq!(
                kind, "application/problem+json",
                "{what}: {}",
                answer.status
            );
            let problem: Value = answer.json().unwrap();
            assert_eq!(problem["status"], answer.status);
            problem["code"].as_str().unwrap().to_owned()
        }
    };
    let came = |name| !answer.header(name).is_empty();
    Outcome {
        status: answer.status,
        told,
        fields: [
            came("ratelimit"),
            came("www-authenticate"),
            came("retry-after"),
        ],
    }
}

/// Whose the request is to the API, after a look at what must not have reached it.
fn seen_by_the_api(answer: &Answer) -> String {
    let seen: Value = answer.json().unwrap();
    let headers = &seen["headers"];
    for gone in ["authorization", "x-api-key", "x_glyph_customer"] {
        assert_eq!(headers[gone], Value::Null, "{gone}");
    }
    assert!(!answer.text().contains("eve"), "{}", answer.text());
    headers["x-glyph-customer"][0]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

/// Customers and keys of every kind, named after what becomes of them.
async fn people(stage: &Stage) {
    let world = &stage.world;
    world.tier("none", json!({"quota": {"requests": 0}})).await;
    world.customer("banned", json!({"suspended": true})).await;
    for name in ["poor", "unpaid", "lost"] {
        world.customer(name, json!({})).await;
    }
    world
        .subscription("poor", json!({"state": "active", "tier": "none"}))
        .await;
    let unpaid =
        json!({"state": "past_due", "tier": "starter", "graceUntil": "2020-01-01T00:00:00Z"});
    world.subscription("unpaid", unpaid).await;
    world
        .subscription("lost", json!({"state": "active", "tier": "gone"}))
        .await;
    for customer in ["ada", "banned", "poor", "unpaid", "lost"] {
        world.key(customer, customer, json!({})).await;
    }
    world
        .key("reader", "ada", json!({"scopes": ["items:read"]}))
        .await;
    world
        .key("here", "ada", json!({"allowedCidrs": ["127.0.0.0/8"]}))
        .await;
    world
        .key(
            "elsewhere",
            "ada",
            json!({"allowedCidrs": ["203.0.113.0/24"]}),
        )
        .await;
    world
        .key("old", "ada", json!({"expiresAt": "2020-01-01T00:00:00Z"}))
        .await;
    world.key("revoked", "ada", json!({"revoked": true})).await;
    let endpoints = json!([
        {"name": "health", "path": "/health", "auth": "None"},
        {"name": "list", "path": "/items", "methods": ["GET"], "auth": "Optional"},
        {"name": "make", "path": "/items", "methods": ["POST"], "scopes": ["items:write"], "cost": 2},
        {"name": "one", "path": "/items/{id}"},
    ]);
    world
        .api("api", json!({"endpoints": endpoints, "unmatched": "Deny"}))
        .await;
    stage.until(&secret("revoked"), 404).await;
}

/// A host that no GlyphApi names.
const USUAL: &str = "api.example.com";

/// Method, path, key, status, and what is told.
const TABLE: &[(&str, &str, Option<&str>, u16, &str)] = &[
    ("GET", "/items/7", Some("ada"), 200, "ada"),
    ("POST", "/items?a=b", Some("ada"), 200, "ada"),
    ("HEAD", "/items/7", Some("nobody"), 401, ""),
    ("GET", "/items", None, 200, ""),
    ("GET", "/items", Some("ada"), 200, "ada"),
    ("GET", "/items", Some("nobody"), 401, "invalid_credential"),
    ("GET", "/health", None, 200, ""),
    ("DELETE", "/health", Some("revoked"), 200, ""),
    ("GET", "/health/", None, 401, "missing_credential"),
    ("GET", "/items/7", None, 401, "missing_credential"),
    ("GET", "/items/7", Some("nobody"), 401, "invalid_credential"),
    ("GET", "/items/7", Some("revoked"), 401, "key_revoked"),
    ("GET", "/items/7", Some("old"), 401, "key_expired"),
    ("GET", "/items/7", Some("unpaid"), 402, "payment_required"),
    ("GET", "/items/7", Some("banned"), 403, "suspended"),
    ("POST", "/items", Some("reader"), 403, "scope_denied"),
    ("GET", "/items/7", Some("reader"), 200, "ada"),
    ("GET", "/items/7", Some("here"), 200, "ada"),
    ("GET", "/items/7", Some("elsewhere"), 403, "address_denied"),
    ("PATCH", "/items", Some("ada"), 404, "no_such_endpoint"),
    ("GET", "/nowhere", None, 404, "no_such_endpoint"),
    (
        "GET",
        "/health/..;x/items/7%00",
        None,
        400,
        "malformed_path",
    ),
    ("GET", "/items/7", Some("poor"), 429, "quota_exceeded"),
    ("GET", "/items/7", Some("lost"), 503, "unavailable"),
];

#[tokio::test]
async fn a_request_meets_the_same_decision_through_each_front() -> Result<()> {
    let fronts = Fronts::set().await?;
    people(&fronts.stage).await;
    let namespace = fronts.stage.world.namespace.name().to_owned();
    for (method, path, key, status, told) in TABLE {
        let key = key.map(|key| format!("Bearer {}", secret(key)));
        let mut fields = vec![
            ("x-glyph-customer", "other/eve"),
            ("x-original-uri", "/health"),
        ];
        fields.extend(key.as_deref().map(|key| ("authorization", key)));
        if *method == "HEAD" || path.contains("%00") {
            // No body is sent to compare, or the gateway refuses it itself.
            for (name, got) in statuses(&fronts, method, path, &fields).await {
                assert!(
                    got == *status || (got == 400 && path.contains("%00")),
                    "{name}: {method} {path} {got}"
                );
            }
            continue;
        }
        let told = match (*status, *told) {
            (200, customer) if !customer.is_empty() => format!("{namespace}/{customer}"),
            (_, told) => told.to_owned(),
        };
        let all = fronts.ask(method, (USUAL, path), &fields).await;
        let [(_, first), ..] = all.as_slice() else {
            panic!("no front");
        };
        assert_eq!(
            (first.status, &first.told),
            (*status, &told),
            "{method} {path} {all:#?}"
        );
        for (name, outcome) in &all {
            match (*name, *status) {
                // A 5xx of the check is an error to Envoy's HTTP client; it answers by itself, with `status_on_error`.
                ("Envoy, HTTP", 503) => {
                    assert_eq!((outcome.status, outcome.told.as_str()), (503, ""))
                }
                _ => assert_eq!(outcome, first, "{name}: {method} {path}"),
            }
        }
    }
    Ok(())
}

#[tokio::test]
async fn each_front_tells_the_host_that_was_asked_for() -> Result<()> {
    let fronts = Fronts::set().await?;
    people(&fronts.stage).await;
    let closed = json!({"hosts": ["*.closed.example"], "endpoints": [], "unmatched": "Deny"});
    fronts.stage.world.api("closed", closed).await;
    let closed = async || {
        let all = fronts
            .ask("GET", ("A.closed.example:8443", "/health"), &[])
            .await;
        let denied = all
            .iter()
            .all(|(_, outcome)| outcome.told == "no_such_endpoint");
        denied.then_some(())
    };
    poll_until("the host to be closed at each front", SOON, closed).await?;
    for (name, outcome) in fronts.ask("GET", (USUAL, "/health"), &[]).await {
        assert_eq!(outcome.status, 200, "{name}");
    }
    Ok(())
}

async fn statuses(
    fronts: &Fronts,
    method: &str,
    path: &str,
    fields: &[(&str, &str)],
) -> Vec<(&'static str, u16)> {
    let mut all = Vec::new();
    for (name, url) in [
        ("Envoy, gRPC", fronts.stage.envoy.url()),
        ("Envoy, HTTP", fronts.envoy_http.url()),
        ("nginx", fronts.nginx.url()),
    ] {
        let request = Request::builder()
            .method(method)
            .uri(format!("{url}{path}"));
        all.push((name, answer(with(request, fields)).await.status));
    }
    all
}

#[tokio::test]
async fn without_the_sidecar_each_gateway_answers_503() -> Result<()> {
    let fronts = Fronts::set().await?;
    people(&fronts.stage).await;
    fronts.stage.sidecar.kill();
    for (name, status) in statuses(&fronts, "GET", "/health", &[]).await {
        assert_eq!(status, 503, "{name}");
    }
    Ok(())
}

/// What is between `begin` and `end` of the two, or all after `begin`.
fn part<'a>(text: &'a str, begin: &str, end: Option<&str>) -> &'a str {
    let (_, rest) = text.split_once(begin).unwrap();
    end.map_or(rest, |end| rest.split_once(end).unwrap().0)
}

#[test]
fn the_two_configurations_of_envoy_differ_in_how_they_ask_only() {
    let read = |name| std::fs::read_to_string(workspace_root().join("examples/envoy").join(name));
    let (grpc, http) = (
        read("envoy.yaml").unwrap(),
        read("envoy-http.yaml").unwrap(),
    );
    for (begin, end) in [
        ("\nadmin:\n", Some("transport_api_version: V3")),
        (
            "name: envoy.filters.http.router",
            Some("# A route that costs"),
        ),
        (
            "# No header of a request is logged",
            Some(r#"key: "%REQ(X-GLYPH-KEY-ID)%""#),
        ),
        ("\n  clusters:\n", Some("typed_extension_protocol_options")),
        ("    - name: api\n      type: STATIC", None),
    ] {
        let other = end.map(|end| match end {
            "transport_api_version: V3" => "http_service:",
            "# A route that costs" => "# What a route costs",
            "typed_extension_protocol_options" => "circuit_breakers",
            same => same,
        });
        assert_eq!(
            part(&grpc, begin, end),
            part(&http, begin, other),
            "{begin}"
        );
    }
}
