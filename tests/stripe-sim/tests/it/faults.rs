//! Faults on demand, through the admin paths as a test in another process would use them.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::client::{Bench, text};

const PATH: &str = "/v1/customers";

async fn fault(bench: &Bench, fault: Value) {
    let headers = [("content-type", "application/json")];
    let reply = bench
        .send("POST", "/_sim/faults", &headers, &fault.to_string())
        .await
        .expect("an answer");
    assert_eq!(reply.status, 200, "{}", reply.text);
}

fn customers(bench: &Bench) -> usize {
    bench.control().objects("customer").len()
}

#[tokio::test]
async fn a_rate_limit_says_whether_and_when_to_retry() {
    let bench = Bench::start().await;
    for (fault_json, should_retry, after) in [
        (json!({ "kind": "rate_limit", "count": 1 }), None, None),
        (
            json!({ "kind": "rate_limit", "count": 1, "should_retry": true, "retry_after": 2 }),
            Some("true"),
            Some("2"),
        ),
        (
            json!({ "kind": "rate_limit", "count": 1, "should_retry": false }),
            Some("false"),
            None,
        ),
    ] {
        fault(&bench, fault_json).await;
        let refused = bench.post(PATH, "name=A").await;
        assert_eq!(
            (refused.status, refused.error("code").as_str()),
            (429, "rate_limit")
        );
        assert_eq!(
            (
                refused.header("stripe-should-retry"),
                refused.header("retry-after")
            ),
            (should_retry, after)
        );
    }
    assert_eq!(customers(&bench), 0);
}

#[tokio::test]
async fn html_502_comes_before_or_after_the_effect() {
    let bench = Bench::start().await;
    for (when, made) in [("before", 0), ("after", 1)] {
        fault(
            &bench,
            json!({ "kind": "bad_gateway", "when": when, "count": 1 }),
        )
        .await;
        let lost = bench.post_with_key(PATH, "name=A", when).await;
        assert_eq!(
            (lost.status, lost.header("content-type")),
            (502, Some("text/html; charset=utf-8"))
        );
        assert_eq!(customers(&bench), made, "{when}");
    }
    let recovered = bench.post_with_key(PATH, "name=A", "after").await;
    assert_eq!(
        (recovered.status, recovered.header("idempotent-replayed")),
        (200, Some("true"))
    );
    assert_eq!(customers(&bench), 1);
}

#[tokio::test]
async fn a_connection_is_reset_before_or_after_the_effect() {
    let bench = Bench::start().await;
    for (when, made) in [("before", 0), ("after", 1)] {
        fault(&bench, json!({ "kind": "reset", "when": when, "count": 1, "method": "POST", "path": "/v1/cust*" })).await;
        assert!(
            bench
                .call("POST", PATH, "name=A", Some(when))
                .await
                .is_none(),
            "{when}: an answer in spite of the reset"
        );
        assert_eq!(customers(&bench), made, "{when}");
        assert_eq!(
            bench
                .control()
                .requests()
                .last()
                .map(|request| (request.status, request.faulted)),
            Some((0, true))
        );
    }
    assert_eq!(
        bench
            .post_with_key(PATH, "name=A", "after")
            .await
            .header("idempotent-replayed"),
        Some("true")
    );
}

#[tokio::test]
async fn a_reset_is_a_reset_of_tcp() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let bench = Bench::start().await;
    fault(&bench, json!({ "kind": "reset" })).await;
    let address = bench.sim.base_url().replace("http://", "");
    let mut stream = tokio::net::TcpStream::connect(&address)
        .await
        .expect("a connection");
    let request = format!(
        "GET {PATH} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {}\r\n\r\n",
        crate::client::KEY
    );
    stream
        .write_all(request.as_bytes())
        .await
        .expect("a sent request");
    let ended = stream
        .read(&mut [0; 16])
        .await
        .map_err(|error| error.kind());
    assert_eq!(ended, Err(std::io::ErrorKind::ConnectionReset));
}

#[tokio::test]
async fn latency_delays_and_a_caller_that_gives_up_does_not_stop_its_request() {
    let bench = Bench::start().await;
    fault(&bench, json!({ "kind": "latency", "ms": 200, "count": 2 })).await;
    let begun = Instant::now();
    bench.post(PATH, "name=A").await.ok();
    assert!(begun.elapsed() >= Duration::from_millis(200));

    let gave_up = tokio::time::timeout(
        Duration::from_millis(50),
        bench.post_with_key(PATH, "name=B", "k1"),
    )
    .await;
    assert!(gave_up.is_err());
    let deadline = Instant::now() + Duration::from_secs(5);
    while customers(&bench) < 2 {
        assert!(Instant::now() < deadline, "the request was stopped");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(
        bench
            .post_with_key(PATH, "name=B", "k1")
            .await
            .header("idempotent-replayed"),
        Some("true")
    );
}

#[tokio::test]
async fn a_lasting_fault_ends_when_it_is_cleared() {
    let bench = Bench::start().await;
    fault(&bench, json!({ "kind": "server_error" })).await;
    for _ in 0..3 {
        assert_eq!(bench.get(PATH).await.status, 500);
    }
    let headers: [(&str, &str); 0] = [];
    assert_eq!(
        bench
            .send("DELETE", "/_sim/faults", &headers, "")
            .await
            .expect("an answer")
            .status,
        204
    );
    assert_eq!(bench.get(PATH).await.status, 200);
}

#[tokio::test]
async fn requests_are_recorded_without_credentials_and_counted_until_cleared() {
    let bench = Bench::start().await;
    bench.post_with_key(PATH, "name=A", "k1").await.ok();
    bench.get("/v1/customers?limit=1").await.ok();
    let hook = "url=http://127.0.0.1:1&enabled_events[0]=product.created";
    let secret = text(
        &bench.post("/v1/webhook_endpoints", hook).await.ok(),
        "secret",
    );
    let log = bench
        .send("GET", "/_sim/requests", &[], "")
        .await
        .expect("an answer");
    assert!(!log.text.contains(crate::client::KEY) && !log.text.contains(&secret));
    let entries = log.json();
    let seen: Vec<Value> = entries
        .as_array()
        .expect("a list")
        .iter()
        .take(2)
        .map(|entry| {
            json!([
                entry["method"],
                entry["path"],
                entry["query"],
                entry["body"],
                entry["status"]
            ])
        })
        .collect();
    assert_eq!(
        seen,
        [
            json!(["POST", PATH, "", "name=A", 200]),
            json!(["GET", PATH, "limit=1", "", 200])
        ]
    );
    assert_eq!(entries[0]["idempotency_key"], "k1");
    assert_eq!(
        bench
            .send("DELETE", "/_sim/requests", &[], "")
            .await
            .expect("an answer")
            .status,
        204
    );
    assert!(bench.control().requests().is_empty());
}

#[tokio::test]
async fn the_admin_paths_set_clock_key_and_search_and_reset_all() {
    let bench = Bench::start().await;
    let headers = [("content-type", "application/json")];
    let clock = bench
        .send(
            "POST",
            "/_sim/clock",
            &headers,
            "{\"frozen\":true,\"now\":1900000000,\"advance\":5}",
        )
        .await
        .expect("an answer");
    assert_eq!(
        clock.json(),
        json!({ "now": 1_900_000_005, "frozen": true })
    );
    assert_eq!(bench.post(PATH, "").await.ok()["created"], 1_900_000_005);
    let state = bench
        .send("GET", "/_sim/state", &[], "")
        .await
        .expect("an answer")
        .json();
    assert_eq!(state["customer"], json!({ "live": 1, "deleted": 0 }));
    assert_eq!(
        bench
            .send("POST", "/_sim/reset", &[], "")
            .await
            .expect("an answer")
            .status,
        204
    );
    assert_eq!(customers(&bench), 0);
    assert_eq!(
        bench
            .send(
                "POST",
                "/_sim/key",
                &headers,
                "{\"api_key\":\"sk_test_another\"}"
            )
            .await
            .expect("an answer")
            .status,
        204
    );
    assert_eq!(bench.get(PATH).await.status, 401);
}
