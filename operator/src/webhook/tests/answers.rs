//! What is answered, and told, without anything to write to Kubernetes.

use kube::Config;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::captured::Captured;

const SETTINGS: &[(&str, &str)] = &[
    (SECRET_KEY, "sk_test_canary"),
    (WEBHOOK_SECRET, "whsec_canary_new, whsec_canary_old"),
];

/// Owners who are nobody, not known yet, or somebody.
enum Owners {
    Nobody,
    NotListed,
    Ada,
    Panic,
    /// Ada, by her customer's id alone.
    OnlyCustomer,
}

impl OwnerLookup for Owners {
    fn by_stripe_id(&self, id: &str) -> Option<Vec<Owner>> {
        match self {
            Self::Nobody => Some(Vec::new()),
            Self::NotListed => None,
            Self::Ada => Some(vec![ada()]),
            Self::Panic => panic!("a bug"),
            Self::OnlyCustomer if id == "cus_ada" => Some(vec![ada()]),
            Self::OnlyCustomer => Some(Vec::new()),
        }
    }

    fn watches(&self, _namespace: &str) -> bool {
        true
    }
}

fn ada() -> Owner {
    Owner {
        kind: "GlyphCustomer".to_owned(),
        namespace: "shop".to_owned(),
        name: "ada".to_owned(),
        uid: "uid-ada".to_owned(),
    }
}

/// A client of a Kubernetes that is not there.
fn nowhere() -> Client {
    let mut config = Config::new("http://127.0.0.1:1".parse().unwrap());
    config.connect_timeout = Some(Duration::from_secs(1));
    Client::try_from(config).unwrap()
}

fn receiver(owners: Owners) -> Receiver {
    Receiver::new(SETTINGS, nowhere(), owners)
}

fn customer_created() -> Vec<u8> {
    let event = event("evt_1", "customer.created", json!({"id": "cus_1"}));
    event.to_string().into_bytes()
}

fn problem(answer: &Answer) -> Value {
    serde_json::from_str(&answer.text).unwrap()
}

/// CASE 29.
#[tokio::test]
async fn an_event_about_nobody_is_acknowledged_and_so_is_a_type_nobody_knows() {
    let receiver = receiver(Owners::Nobody);
    let object = json!({"id": "cus_1", "unheard_of": [1, null]});
    assert_eq!(
        receiver
            .event("evt_1", "customer.created", object.clone())
            .await,
        Answer::ok("unowned")
    );
    assert_eq!(
        receiver.event("evt_2", "moon.landed", object).await,
        Answer::ok("unowned")
    );
    assert_eq!(
        receiver.event("evt_3", "moon.landed", Value::Null).await,
        Answer::ok("unowned")
    );
    let text = receiver.metrics.encode().unwrap();
    for line in [
        r#"glyph_webhook_events_total{event_type="customer.created",outcome="unowned"} 1"#,
        r#"glyph_webhook_events_total{event_type="other",outcome="unowned"} 2"#,
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
}

#[tokio::test]
async fn the_age_of_what_stripe_signed_is_counted_and_of_nothing_else() {
    let receiver = receiver(Owners::Nobody);
    for (id, created) in [("evt_1", NOW - 40), ("evt_2", NOW + 5)] {
        let mut event = event(id, "customer.created", json!({"id": "cus_1"}));
        event["created"] = created.into();
        receiver.signed(event.to_string()).await;
        receiver
            .send(request("t=1,v1=00", event.to_string().into()))
            .await;
    }
    let text = receiver.metrics.encode().unwrap();
    for line in [
        "glyph_webhook_age_seconds_sum 40.0\n",
        "glyph_webhook_age_seconds_count 2\n",
        "glyph_webhook_age_seconds_bucket{le=\"30.0\"} 1\n",
        "glyph_webhook_age_seconds_bucket{le=\"60.0\"} 2\n",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
}

#[tokio::test]
async fn a_kubernetes_that_is_away_answers_503_so_that_stripe_comes_again() {
    let answer = receiver(Owners::Ada).signed(customer_created()).await;
    assert_eq!(answer.status, 503);
    assert_eq!(problem(&answer)["code"], "kubernetes_failed");
}

#[tokio::test]
async fn nothing_is_acknowledged_while_the_resources_are_not_listed() {
    let answer = receiver(Owners::NotListed).signed(customer_created()).await;
    assert_eq!(answer.status, 503);
}

/// CASE 31.
#[tokio::test]
async fn a_signature_that_does_not_fit_is_refused_and_says_why() {
    let receiver = receiver(Owners::Ada);
    let body = customer_created();
    let good = signature(SECRET, NOW, &body);
    let v0 = good.replace("v1=", "v2=");
    let late = signature(SECRET, NOW - 301, &body);
    let other = signature("whsec_other", NOW, &body);
    for header in [v0.as_str(), &late, &other, "", "t=abc"] {
        let answer = receiver.send(request(header, body.clone())).await;
        assert_eq!(
            (answer.status, &problem(&answer)["code"]),
            (400, &json!("bad_signature"))
        );
    }
    let mut twice = request(&good, body.clone());
    twice
        .headers_mut()
        .append("stripe-signature", good.parse().unwrap());
    assert_eq!(receiver.send(twice).await.status, 400);
    let mut none = request(&good, body);
    none.headers_mut().remove("stripe-signature");
    assert_eq!(receiver.send(none).await.status, 400);
}

/// CASE 31, the last part.
#[tokio::test]
async fn the_old_secret_is_good_while_it_is_listed() {
    let body = customer_created();
    let header = signature(OLD_SECRET, NOW, &body);
    let answer = receiver(Owners::Nobody).send(request(&header, body)).await;
    assert_eq!(answer, Answer::ok("unowned"));
}

#[tokio::test]
async fn without_a_secret_or_a_key_the_answer_is_503_and_names_the_setting() {
    let body = customer_created();
    for (settings, missing) in [
        (&[(SECRET_KEY, "sk_test_1")] as &'static [_], WEBHOOK_SECRET),
        (&[(WEBHOOK_SECRET, SECRET)], SECRET_KEY),
    ] {
        let answer = Receiver::new(settings, nowhere(), Owners::Nobody)
            .signed(body.clone())
            .await;
        assert_eq!(answer.status, 503);
        let detail = problem(&answer)["detail"].to_string();
        assert!(
            detail.contains(&format!("{missing} is not set")),
            "{detail}"
        );
    }
}

#[tokio::test]
async fn a_list_of_secrets_that_holds_none_believes_nobody() {
    let settings = &[(SECRET_KEY, "sk_test_1"), (WEBHOOK_SECRET, " , ")];
    let receiver = Receiver::new(settings, nowhere(), Owners::Nobody);
    let body = customer_created();
    let header = signature("", NOW, &body);
    assert_eq!(receiver.send(request(&header, body)).await.status, 400);
}

/// CASE 30.
#[tokio::test]
async fn an_event_of_the_other_mode_is_refused() {
    let mut live = event("evt_1", "customer.created", json!({"id": "cus_1"}));
    live["livemode"] = json!(true);
    let answer = receiver(Owners::Ada).signed(live.to_string()).await;
    assert_eq!(
        (answer.status, &problem(&answer)["code"]),
        (400, &json!("other_mode"))
    );

    let settings = &[(SECRET_KEY, "rk_live_1"), (WEBHOOK_SECRET, SECRET)];
    let of_live = Receiver::new(settings, nowhere(), Owners::Nobody);
    assert_eq!(
        of_live.signed(live.to_string()).await,
        Answer::ok("unowned")
    );
    assert_eq!(of_live.signed(customer_created()).await.status, 400);
}

#[tokio::test]
async fn what_stripe_signed_but_is_no_event_is_refused() {
    let receiver = receiver(Owners::Ada);
    for body in ["", "{}", "[]", "not json", r#"{"id": 7}"#] {
        assert_eq!(receiver.signed(body).await.status, 400, "{body}");
    }
}

#[tokio::test]
async fn what_is_no_event_is_told_without_its_values() {
    let captured = Captured::start();
    let body = json!({"id": "evt_1", "type": "invoice.paid", "livemode": "payload@\"example.com"});
    let answer = receiver(Owners::Nobody).signed(body.to_string()).await;
    let detail = problem(&answer)["detail"].to_string();
    assert!(detail.contains("expected a boolean"), "{detail}");
    let text = captured.text();
    assert!(text.contains("outcome=\"no_event\""), "{text}");
    for told in [detail, text] {
        assert!(
            !told.contains("payload") && !told.contains("example"),
            "{told}"
        );
    }
}

/// CASE 31, over the limit.
#[tokio::test]
async fn a_body_over_the_limit_is_413_and_one_at_the_limit_is_read() {
    let receiver = receiver(Owners::Nobody);
    let mut body = customer_created();
    body.resize(LARGEST_BODY, b' ');
    assert_eq!(receiver.signed(body.clone()).await.status, 200);
    body.push(b' ');
    assert_eq!(receiver.signed(body).await.status, 413);
}

#[tokio::test]
async fn only_post_is_answered() {
    let get = Request::get("/webhooks/stripe")
        .body(Body::empty())
        .unwrap();
    let answer = receiver(Owners::Nobody).send(get).await;
    assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED.as_u16());
}

#[tokio::test]
async fn a_handler_that_fails_never_answers_200() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = receiver(Owners::Panic).router;
    let server = tokio::spawn(async move { axum::serve(listener, router).await });
    let body = customer_created();
    let head = format!(
        "POST /webhooks/stripe HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\nstripe-signature: {}\r\n\r\n",
        body.len(),
        signature(SECRET, NOW, &body)
    );
    let mut connection = TcpStream::connect(address).await.unwrap();
    connection.write_all(head.as_bytes()).await.unwrap();
    connection.write_all(&body).await.unwrap();
    let mut answer = Vec::new();
    connection.read_to_end(&mut answer).await.unwrap();
    assert!(answer.is_empty(), "{}", String::from_utf8_lossy(&answer));
    server.abort();
}

#[tokio::test]
async fn each_event_leaves_one_audit_line_without_payload_or_secret() {
    let captured = Captured::start();
    let object = json!({"id": "cus_1", "email": "payload@example.com"});
    receiver(Owners::Nobody)
        .event("evt_1", "customer.created", object.clone())
        .await;
    receiver(Owners::Ada)
        .event("evt_2", "customer.updated", object)
        .await;
    let forged = signature("whsec_forged", NOW, b"{}");
    receiver(Owners::Nobody)
        .send(request(&forged, b"{}".to_vec()))
        .await;
    let text = captured.text();
    assert!(
        !text.contains("canary") && !text.contains("payload@"),
        "{text}"
    );
    let audit: Vec<_> = text
        .lines()
        .filter(|line| line.contains(" audit: "))
        .collect();
    assert_eq!(audit.len(), 3, "{text}");
    let has = |line: &str, parts: &[&str]| {
        assert!(
            parts.iter().all(|part| line.contains(part)),
            "{parts:?} are not all in {line}"
        );
    };
    has(
        audit[0],
        &[
            "event=\"evt_1\"",
            "type=\"customer.created\"",
            "outcome=\"unowned\"",
        ],
    );
    has(
        audit[1],
        &[
            "event=\"evt_2\"",
            "GlyphCustomer/shop/ada",
            "outcome=\"kubernetes_failed\"",
        ],
    );
    has(audit[2], &["outcome=\"bad_signature\""]);
}

fn thin(event_type: &str, id: &str) -> String {
    let url = format!("/v1/invoices/{id}");
    let thin = json!({
        "id": "evt_thin", "object": "v2.core.event", "type": event_type, "livemode": false, "context": null,
        "created": "2026-11-23T10:00:00.000Z",
        "related_object": {"id": id, "type": "invoice", "url": url},
    });
    thin.to_string()
}

/// Asking Kubernetes, which is not there, shows that an owner was found.
#[tokio::test]
async fn a_thin_event_finds_its_owner_by_id_or_by_the_object_it_names() {
    let by_id = receiver(Owners::Ada)
        .signed(thin("v1.invoice.paid", "in_1"))
        .await;
    assert_eq!(problem(&by_id)["code"], "kubernetes_failed");
    let by_object = receiver(Owners::OnlyCustomer)
        .signed(thin("v1.invoice.paid", "in_ada"))
        .await;
    assert_eq!(problem(&by_object)["code"], "kubernetes_failed");
    let nobody = receiver(Owners::OnlyCustomer)
        .signed(thin("v1.invoice.paid", "in_1"))
        .await;
    assert_eq!(nobody, Answer::ok("unowned"));
}

/// CASE 33, the last part: what could not be found out is not acknowledged. A type that matters not is not asked about.
#[tokio::test]
async fn a_thin_event_whose_object_cannot_be_read_is_answered_503() {
    let receiver = receiver(Owners::Nobody);
    let answer = receiver.signed(thin("v1.invoice.paid", "in_away")).await;
    assert_eq!(
        (answer.status, &problem(&answer)["code"]),
        (503, &json!("stripe_failed"))
    );
    let answer = receiver.signed(thin("v1.moon.landed", "in_away")).await;
    assert_eq!(answer, Answer::ok("unowned"));
}

#[tokio::test]
async fn events_of_several_endpoints_are_believed_each_by_its_own_secret() {
    let receiver = receiver(Owners::Nobody);
    for secret in [SECRET, OLD_SECRET] {
        let body = customer_created();
        let header = signature(secret, NOW, &body);
        let answer = receiver.send(request(&header, body)).await;
        assert_eq!(answer, Answer::ok("unowned"));
    }
}
