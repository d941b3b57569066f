//! Usage by how requests ended, and giving back what failed calls took: through Envoy and its access log, as
//! `examples/envoy/envoy.yaml` has it.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use envoy_types::pb::envoy::service::accesslog::v3::StreamAccessLogsMessage;
use envoy_types::pb::envoy::service::accesslog::v3::access_log_service_client::AccessLogServiceClient;
use futures::stream;
use glyph_crds::period::calendar_month;
use glyph_crds::{CreditGrant, GlyphCustomer};
use glyph_harness::net::Answer;
use glyph_harness::{Result, Settings, poll_until};
use glyph_usage::{Counters, Period, RedisCounters, Step};
use kube::ResourceExt as _;
use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::transport::Endpoint;

use crate::stage::{SOON, Stage, answer, code, now, variant};

/// Requests by key, endpoint and class.
type Rows = BTreeMap<String, u64>;

/// Somebody who looks usage up in the stage's Redis.
struct Reader {
    counters: RedisCounters,
    uid: String,
    _connected: DropGuard,
}

impl Reader {
    /// Of ada's usage.
    async fn of(stage: &Stage) -> Self {
        let customers = stage.world.namespace.api::<GlyphCustomer>();
        let uid = customers.get("ada").await.unwrap().uid().unwrap();
        let url = stage.redis.url();
        let counters = RedisCounters::new(&url, None, Duration::from_secs(10)).unwrap();
        let (stop, keeper) = (CancellationToken::new(), counters.clone());
        let connected = stop.clone().drop_guard();
        tokio::spawn(async move { keeper.keep_connected(stop).await });
        counters.tried().await;
        Self {
            counters,
            uid,
            _connected: connected,
        }
    }

    async fn rows(&self) -> Rows {
        let now = now().as_second();
        let day = 86_400;
        let rows = self
            .counters
            .usage_of(&self.uid, now - day, now + day, Step::Day);
        let mut sums = Rows::new();
        for row in rows.await.unwrap() {
            let line = row.line;
            let line = format!("{} {} {}", line.key_id, line.endpoint, line.class);
            *sums.entry(line).or_default() += row.requests;
        }
        sums
    }

    /// Waits until usage is this, beside requests to `unmatched`, which tests wait with.
    async fn until(&self, expected: &[(&str, u64)]) {
        let expected: Rows = expected
            .iter()
            .map(|(line, n)| (line.to_string(), *n))
            .collect();
        let mut last = Rows::new();
        let same = async || {
            last = self.rows().await;
            last.retain(|line, _| !line.contains(" unmatched "));
            (last == expected).then_some(())
        };
        let found = poll_until("usage as expected", SOON, same).await;
        assert!(found.is_ok(), "expected {expected:#?}, came {last:#?}");
    }
}

fn logging(settings: Settings) -> Settings {
    settings.set("GLYPH_USAGE", "access-log")
}

/// `examples/envoy/envoy.yaml` with Envoy's own retries and a short timeout, as its users may have them.
fn impatient() -> std::path::PathBuf {
    variant("usage", |text| {
        let route = "route: { cluster: api, timeout: 30s }";
        let retries =
            "route: { cluster: api, timeout: 1s, retry_policy: { retry_on: 5xx, num_retries: 1 } }";
        text.replace(route, retries)
    })
}

/// An API of which `/status/…`, `/broken` and `/silent` cost 5 and pay on success; and ada's key.
async fn stage() -> Result<(Stage, String)> {
    let stage = Stage::set_behind(impatient(), logging).await?;
    let endpoints = json!([
        {"name": "status", "path": "/status/{status}", "cost": 5, "chargeOn": "Success"},
        {"name": "broken", "path": "/broken", "cost": 5, "chargeOn": "Success"},
        {"name": "silent", "path": "/silent", "cost": 5, "chargeOn": "Success"},
        {"name": "flaky", "path": "/flaky/{id}", "cost": 5, "chargeOn": "Success"},
        {"name": "always", "path": "/status/{status}/{*rest}", "cost": 5},
        {"name": "scoped", "path": "/scoped", "scopes": ["none"]},
        {"name": "public", "path": "/public", "auth": "None"},
    ]);
    stage
        .world
        .api("shop", json!({"endpoints": endpoints}))
        .await;
    let key = json!({"scopes": ["some"]});
    let limited = stage.world.key("limited", "ada", key).await;
    let key = stage.world.key("laptop", "ada", json!({})).await;
    stage.until(&key, 200).await;
    let scoped = async || {
        let refused = asked(&stage, "/scoped", &limited).await;
        (refused.status == 403).then_some(())
    };
    poll_until("the API and the key", SOON, scoped).await?;
    Ok((stage, key))
}

async fn asked(stage: &Stage, path: &str, key: &str) -> Answer {
    answer(stage.get(path).header("x-api-key", key)).await
}

/// Calls left of the month.
fn left(answer: &Answer) -> u64 {
    let told = answer.header("ratelimit");
    let left = told.split("r=").nth(1).unwrap().split(';').next().unwrap();
    left.parse().unwrap()
}

/// Calls left of ada's month of 100, by the counter in Redis.
async fn left_in_redis(reader: &Reader) -> u64 {
    let month = calendar_month(now());
    let period = Period {
        start: month.start.as_second(),
        end: month.end.as_second(),
    };
    100 - reader.counters.used(&reader.uid, period).await.unwrap()
}

/// Asks and goes away before an answer comes.
async fn leave(stage: &Stage, path: &str, key: &str) {
    let reached = stage.upstream.requests();
    let address = stage.envoy.url().replace("http://", "");
    let mut connection = TcpStream::connect(&address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: a\r\nx-api-key: {key}\r\n\r\n");
    connection.write_all(request.as_bytes()).await.unwrap();
    let there = async || (stage.upstream.requests() > reached).then_some(());
    poll_until("the API to be asked", SOON, there)
        .await
        .unwrap();
}

#[tokio::test]
async fn each_request_is_counted_by_how_it_ended_and_failures_are_given_back_once() -> Result<()> {
    let (stage, key) = stage().await?;
    let reader = Reader::of(&stage).await;
    let before = left_in_redis(&reader).await;
    for (path, status) in [
        ("/status/200", 200),
        ("/status/204", 204),
        ("/status/302", 302),
        ("/status/404", 404),
        ("/status/429", 429),
        ("/status/500", 500),
        ("/status/503", 503),
        ("/status/503/a", 503),
        ("/silent", 504),
        ("/flaky/one", 200),
        ("/public", 200),
    ] {
        assert_eq!(asked(&stage, path, &key).await.status, status, "{path}");
    }
    let request = stage.get("/broken").header("x-api-key", &key);
    let half = glyph_harness::net::send(request.body(Bytes::new()).unwrap()).await;
    assert!(half.is_err(), "half an answer is none");
    leave(&stage, "/silent", &key).await;
    reader
        .until(&[
            ("id-laptop status 2xx", 2),
            ("id-laptop status 3xx", 1),
            ("id-laptop status 4xx", 2),
            ("id-laptop status 5xx", 2),
            ("id-laptop always 5xx", 1),
            ("id-laptop silent 5xx", 1),
            ("id-laptop silent aborted", 1),
            ("id-laptop flaky 2xx", 1),
            ("id-laptop broken broken", 1),
            ("id-limited scoped refused", 1),
        ])
        .await;
    // Paid: five with an answer, the one that pays always, the retried one, and the one whose caller went away.
    let (expected, mut last) = (before - 8 * 5, 0);
    let given_back = async || {
        last = left_in_redis(&reader).await;
        (last == expected).then_some(())
    };
    let found = poll_until("calls given back", SOON, given_back).await;
    assert!(found.is_ok(), "expected {expected} left, came {last}");
    let metrics =
        glyph_harness::net::get(&format!("{}/metrics", stage.sidecar.admin_url())).await?;
    let metrics = metrics.text();
    for line in [
        r#"glyph_authz_given_back_total{outcome="now"} 4"#,
        r#"glyph_authz_requests_total{endpoint="status",class="4xx"} 2"#,
        r#"glyph_authz_requests_total{endpoint="public",class="2xx"} 1"#,
        r#"glyph_authz_requests_total{endpoint="broken",class="broken"} 1"#,
    ] {
        assert!(metrics.contains(line), "{line} in\n{metrics}");
    }
    Ok(())
}

#[tokio::test]
async fn credits_of_a_failed_call_go_back_to_their_grant() -> Result<()> {
    let (stage, key) = stage().await?;
    let small = json!({"quota": {"requests": 1}, "overQuota": "Credits"});
    stage.world.tier("small", small).await;
    let active = json!({"state": "active", "tier": "small"});
    stage.world.subscription("ada", active).await;
    stage.world.grant("gift", "ada", 20, json!({})).await;
    let credits = |answer: &Answer| answer.header("x-glyph-credits-remaining");
    // What the stage took before counts in this month too, so the quota is used up: all comes from credits.
    let known = async || {
        let asked = asked(&stage, "/status/503", &key).await;
        (credits(&asked) == "15").then_some(())
    };
    poll_until("credits", SOON, known).await?;
    let back = async || {
        let asked = asked(&stage, "/status/503", &key).await;
        (credits(&asked) == "15").then_some(())
    };
    // Each of these takes five, and was given the five before back.
    for _ in 0..3 {
        poll_until("credits given back", SOON, back).await?;
    }
    let grants = stage.world.namespace.api::<CreditGrant>();
    let grant = grants.get("gift").await.unwrap().uid().unwrap();
    let reader = Reader::of(&stage).await;
    let all = async || {
        let used = reader.counters.used_credits(&[&reader.uid]).await.ok()?;
        let counted = used[0].get(&grant)?;
        (counted.used > 0 && counted.used == counted.returned).then_some(())
    };
    poll_until("all credits to be given back", SOON, all).await?;
    Ok(())
}

#[tokio::test]
async fn a_sidecar_that_is_ended_well_loses_nothing_it_was_told() -> Result<()> {
    let long = |settings: Settings| logging(settings).set("GLYPH_USAGE_INTERVAL", "300");
    let stage = Stage::set_with(long).await?;
    let key = stage.world.key("laptop", "ada", json!({})).await;
    stage.until(&key, 200).await;
    for _ in 0..20 {
        assert_eq!(stage.with_key(&key).await.status, 200);
    }
    let url = format!("{}/metrics", stage.sidecar.admin_url());
    let told = async || {
        let metrics = glyph_harness::net::get(&url).await.ok()?.text();
        metrics
            .contains(r#"log_entries_total{outcome="counted"} 21"#)
            .then_some(())
    };
    poll_until("all entries of the log", SOON, told).await?;
    let reader = Reader::of(&stage).await;
    assert_eq!(reader.rows().await, Rows::new());
    assert!(
        stage.sidecar.stop(),
        "it ends by itself, also with a log open"
    );
    let rows = reader.rows().await;
    assert_eq!(rows.values().sum::<u64>(), 21, "{rows:?}");
    Ok(())
}

#[tokio::test]
async fn without_the_access_log_each_check_is_a_request_that_passed_or_was_refused() -> Result<()> {
    let stage = Stage::set().await?;
    let endpoints = json!([
        {"name": "failing", "path": "/status/{status}", "cost": 5, "chargeOn": "Success"},
        {"name": "scoped", "path": "/scoped", "scopes": ["none"]},
    ]);
    stage
        .world
        .api("shop", json!({"endpoints": endpoints}))
        .await;
    let scopes = json!({"scopes": ["some"]});
    let key = stage.world.key("limited", "ada", scopes).await;
    let known = async || {
        let refused = asked(&stage, "/scoped", &key).await;
        (refused.status == 403).then_some(())
    };
    poll_until("the API and the key", SOON, known).await?;
    let first = asked(&stage, "/status/503", &key).await;
    assert_eq!(first.status, 503);
    let reader = Reader::of(&stage).await;
    reader
        .until(&[
            ("id-limited failing passed", 1),
            ("id-limited scoped refused", 1),
        ])
        .await;
    let second = asked(&stage, "/status/503", &key).await;
    assert_eq!(left(&second), left(&first) - 5, "nothing is given back");
    Ok(())
}

/// Whoever reaches the port can neither invent usage nor have anything given back, nor end the sidecar.
#[tokio::test]
async fn log_entries_of_others_count_nothing_and_hurt_nobody() -> Result<()> {
    let (stage, key) = stage().await?;
    let address = stage.sidecar.address();
    let channel = Endpoint::from_shared(format!("http://{address}")).unwrap();
    let channel = channel.connect().await.unwrap();
    let mut client = AccessLogServiceClient::new(channel);
    let uid = Reader::of(&stage).await.uid;
    let seal = "0".repeat(64);
    let forged = format!("receipt1 passed {uid} id-laptop status one 1 0 1 1000 - {seal}");
    let sent = client
        .stream_access_logs(stream::iter([entry(&forged)]))
        .await;
    assert!(sent.is_ok(), "{sent:?}");
    let huge = entry(&"x".repeat(5 << 20));
    let sent = client.stream_access_logs(stream::iter([huge])).await;
    assert!(sent.is_err(), "a message that is too long");
    let nothing = StreamAccessLogsMessage::default();
    let sent = client.stream_access_logs(stream::iter([nothing])).await;
    assert!(sent.is_ok(), "{sent:?}");
    let metrics =
        glyph_harness::net::get(&format!("{}/metrics", stage.sidecar.admin_url())).await?;
    let forged = r#"log_entries_total{outcome="forged"} 1"#;
    assert!(metrics.text().contains(forged), "{}", metrics.text());
    let next = asked(&stage, "/status/200", &key).await;
    assert_eq!(next.status, 200);
    let refused = asked(&stage, "/status/200", "nonsense").await;
    assert_eq!(code(&refused), "invalid_credential");
    Ok(())
}

/// A failed call with this receipt.
fn entry(receipt: &str) -> StreamAccessLogsMessage {
    use envoy_types::pb::envoy::config::core::v3::Metadata;
    use envoy_types::pb::envoy::data::accesslog::v3 as log;
    use envoy_types::pb::envoy::service::accesslog::v3::stream_access_logs_message as stream;
    use envoy_types::pb::google::protobuf::value::Kind;
    use envoy_types::pb::google::protobuf::{Struct, UInt32Value, Value};
    let kind = Some(Kind::StringValue(receipt.to_owned()));
    let fields = [("receipt".to_owned(), Value { kind })]
        .into_iter()
        .collect();
    let filter = "envoy.filters.http.ext_authz".to_owned();
    let entry = log::HttpAccessLogEntry {
        common_properties: Some(log::AccessLogCommon {
            metadata: Some(Metadata {
                filter_metadata: [(filter, Struct { fields })].into_iter().collect(),
                ..Metadata::default()
            }),
            ..log::AccessLogCommon::default()
        }),
        response: Some(log::HttpResponseProperties {
            response_code: Some(UInt32Value { value: 503 }),
            ..log::HttpResponseProperties::default()
        }),
        ..log::HttpAccessLogEntry::default()
    };
    let entries = stream::HttpAccessLogEntries {
        log_entry: vec![entry],
    };
    StreamAccessLogsMessage {
        log_entries: Some(stream::LogEntries::HttpLogs(entries)),
        ..StreamAccessLogsMessage::default()
    }
}
