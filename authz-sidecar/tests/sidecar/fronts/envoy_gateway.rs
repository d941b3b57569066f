//! Envoy Gateway: what it makes of `examples/envoy-gateway`, by its own egctl, run in Envoy.

use glyph_harness::{Upstream, egctl};

use super::*;

const FILES: [&str; 3] = ["gateway.yaml", "glyph.yaml", "costs.yaml"];

/// The Services that the example names; egctl has no cluster to look them up in.
const SERVICES: &str = r"
apiVersion: v1
kind: Service
metadata: { name: glyph-authz }
spec: { clusterIP: 10.96.0.2, ports: [{ name: grpc, port: 9000, appProtocol: kubernetes.io/h2c }] }
---
apiVersion: v1
kind: Service
metadata: { name: api }
spec: { clusterIP: 10.96.0.3, ports: [{ name: http, port: 8080 }] }
";

/// Envoy as Envoy Gateway would have it. Only where things are is another: the Gateway's port, and the Services' addresses.
pub(super) async fn start(sidecar: SocketAddr, upstream: &Upstream) -> Result<Envoy> {
    start_with(&manifests(), sidecar, upstream).await
}

async fn start_with(manifests: &str, sidecar: SocketAddr, upstream: &Upstream) -> Result<Envoy> {
    Envoy::start(&EnvoyConfig {
        file: egctl::translate(manifests).await?,
        listener_port: 10_080,
        admin_port: 19_000,
        endpoints: BTreeMap::from([
            (9000, sidecar),
            (8080, upstream.address()),
            (19_003, loopback(free_port()?)),
        ]),
    })
    .await
}

fn manifests() -> String {
    let folder = workspace_root().join("examples/envoy-gateway");
    let read = |name| std::fs::read_to_string(folder.join(name)).unwrap();
    let all = FILES.map(read).join("---\n");
    format!("{all}---{SERVICES}")
}

/// The example without the resources of a kind.
fn without(kind: &str) -> String {
    let all = manifests();
    let kind = format!("kind: {kind}\n");
    let rest: Vec<_> = all
        .split("---\n")
        .filter(|one| !one.contains(&kind))
        .collect();
    let rest = rest.join("---\n");
    assert_ne!(rest, all, "there must be some");
    rest
}

struct Asked {
    stage: Stage,
    envoy: Envoy,
}

impl Asked {
    async fn set() -> Result<Self> {
        Self::on(Stage::set().await?, &manifests()).await
    }

    async fn on(stage: Stage, manifests: &str) -> Result<Self> {
        let envoy = start_with(manifests, stage.sidecar.address(), &stage.upstream).await?;
        Ok(Self { stage, envoy })
    }

    async fn get(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let request = Request::get(format!("{}{path}", self.envoy.url()));
        answer(with(request, fields)).await
    }
}

/// Calls left of the month.
fn left(answer: &Answer) -> u64 {
    assert_eq!(answer.status, 200, "{}", answer.text());
    let told = answer.header("ratelimit");
    part(&told, "r=", Some(";")).parse().unwrap()
}

/// The fields below our names that reached the API.
fn ours(answer: &Answer) -> BTreeMap<String, Value> {
    assert_eq!(answer.status, 200, "{}", answer.text());
    let seen: Value = answer.json().unwrap();
    let fields = seen["headers"].as_object().unwrap().clone();
    let is_ours = |name: &str| name.starts_with("x-glyph") || name.starts_with("x_glyph");
    fields
        .into_iter()
        .filter(|(name, _)| is_ours(name))
        .collect()
}

#[tokio::test]
async fn behind_envoy_gateway_the_api_learns_what_it_learns_behind_envoy() -> Result<()> {
    let asked = Asked::set().await?;
    let key = asked.stage.world.key("laptop", "ada", json!({})).await;
    let told = ours(&asked.stage.until(&key, 200).await);
    assert!(told.contains_key("x-glyph-customer"), "{told:?}");
    let lies = [
        ("x-api-key", key.as_str()),
        ("X-Glyph-Customer", "other/eve"),
        ("x-glyph-customer", "other/mallory"),
        ("x-glyph-anything", "eve"),
        ("x-glyph_tier", "enterprise"),
    ];
    let clean = asked.get("/v1/items", &lies[..4]).await;
    assert_eq!(ours(&clean), told);
    for secret in [key.as_str(), "eve", "mallory"] {
        assert!(!clean.text().contains(secret), "{}", clean.text());
    }
    let underscored = asked.get("/v1/items", &lies).await;
    assert_eq!(
        underscored.status, 400,
        "refused by the ClientTrafficPolicy"
    );
    let twice = [("x-api-key", key.as_str()), ("x-api-key", key.as_str())];
    let twice = asked.get("/v1/items", &twice).await;
    assert!(matches!(twice.status, 400 | 401), "{}", twice.status);
    Ok(())
}

#[tokio::test]
async fn neither_policy_relies_on_the_other_for_what_callers_say_of_themselves() -> Result<()> {
    let lie = ("x-glyph-customer", "other/eve");
    let unchecked = without("SecurityPolicy");
    let unchecked = Asked::on(Stage::set().await?, &unchecked).await?;
    let passed = unchecked.get("/v1/items", &[lie]).await;
    assert_eq!(ours(&passed), BTreeMap::new());

    let unguarded = without("ClientTrafficPolicy");
    let unguarded = Asked::on(unchecked.stage, &unguarded).await?;
    let key = unguarded.stage.world.key("laptop", "ada", json!({})).await;
    let told = ours(&unguarded.stage.until(&key, 200).await);
    let passed = unguarded
        .get("/v1/items", &[lie, ("x-api-key", &key)])
        .await;
    assert_eq!(ours(&passed), told);
    Ok(())
}

/// Another policy of the route `api`, which says nothing of `extAuth`.
const CORS: &str = r"
apiVersion: gateway.envoyproxy.io/v1alpha1
kind: SecurityPolicy
metadata: { name: cors }
spec:
  targetRefs: [{ group: gateway.networking.k8s.io, kind: HTTPRoute, name: api }]
  mergeType: StrategicMerge
  cors: { allowOrigins: ['https://shop.example'] }
";

#[tokio::test]
async fn another_policy_of_a_route_leaves_the_check_if_it_merges_and_ends_it_if_not() -> Result<()>
{
    let merging = format!("{}---{CORS}", manifests());
    let merging = Asked::on(Stage::set().await?, &merging).await?;
    let refused = merging.get("/v1/items", &[]).await;
    assert_eq!(
        (refused.status, code(&refused).as_str()),
        (401, "missing_credential")
    );
    let replacing = CORS.replace("  mergeType: StrategicMerge\n", "");
    let replacing = format!("{}---{replacing}", manifests());
    let replacing = Asked::on(merging.stage, &replacing).await?;
    let free = replacing.get("/v1/items", &[]).await;
    assert_eq!(free.status, 200, "as docs/gateways/envoy-gateway.md warns");
    Ok(())
}

#[tokio::test]
async fn envoy_gateway_lets_one_spelling_of_a_path_through() -> Result<()> {
    let asked = Asked::set().await?;
    let key = asked.stage.world.key("laptop", "ada", json!({})).await;
    asked.stage.until(&key, 200).await;
    let key = [("x-api-key", key.as_str())];
    for (sent, reached) in [
        ("/v1//items/./7", "/v1/items/7"),
        ("/v1/other/../items/7?a=//b", "/v1/items/7?a=//b"),
    ] {
        let seen: Value = asked.get(sent, &key).await.json()?;
        assert_eq!(seen["path"], reached);
    }
    for sent in ["/v1%2Fitems", "/v1%5citems"] {
        assert_eq!(asked.get(sent, &key).await.status, 400, "{sent}");
    }
    Ok(())
}

#[tokio::test]
async fn a_policy_of_a_route_says_what_its_calls_cost_and_which_scopes_they_need() -> Result<()> {
    let asked = Asked::set().await?;
    let world = &asked.stage.world;
    let other = json!({"scopes": ["items:read"]});
    let other = world.key("other", "ada", other).await;
    let right = json!({"scopes": ["reports:read"]});
    let right = world.key("right", "ada", right).await;
    asked.stage.until(&other, 200).await;
    asked.stage.until(&right, 200).await;
    let right = [("x-api-key", right.as_str())];
    let before = left(&asked.get("/v1/items", &right).await);
    let refused = asked.get("/reports/7", &[("x-api-key", &other)]).await;
    assert_eq!(
        (refused.status, code(&refused).as_str()),
        (403, "scope_denied")
    );
    let after = left(&asked.get("/reports/7", &right).await);
    assert_eq!(before - after, 5);
    Ok(())
}

#[tokio::test]
async fn how_requests_ended_is_told_by_envoy_gateway_too() -> Result<()> {
    let logging = |settings: Settings| settings.set("GLYPH_USAGE", "access-log");
    let asked = Asked::on(Stage::set_with(logging).await?, &manifests()).await?;
    let world = &asked.stage.world;
    let endpoints = json!([
        {"name": "status", "path": "/status/{status}", "cost": 5, "chargeOn": "Success"},
        {"name": "look", "path": "/look", "cost": 0},
    ]);
    world.api("shop", json!({"endpoints": endpoints})).await;
    let key = world.key("laptop", "ada", json!({})).await;
    asked.stage.until(&key, 200).await;
    let key = [("x-api-key", key.as_str())];
    let look = async || left(&asked.get("/look", &key).await);
    let is_free = async || (look().await == look().await).then_some(());
    poll_until("the API to be known", SOON, is_free).await?;

    let before = look().await;
    left(&asked.get("/status/200", &key).await);
    assert_eq!(asked.get("/status/500", &key).await.status, 500);
    let given_back = async || (look().await == before - 5).then_some(());
    poll_until("the failed call to be given back", SOON, given_back).await
}
