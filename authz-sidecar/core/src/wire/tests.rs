//! Both directions against `envoy-types`, and against bytes that are no message at all.

mod access_log;

use std::collections::HashMap;

use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::envoy::service::auth::v3 as auth;
use envoy_types::pb::envoy::service::auth::v3::check_response::HttpResponse;
use glyph_usage::{Credits, Decision, Outcome};
use proptest::prelude::*;
use prost::Message as _;
use serde_json::json;

use super::*;
use crate::Counted;
use crate::fixtures::{KEY, World, customer, metered, request};
use crate::index::Kind;
use crate::request::{Field, RequestView};
use crate::verdict::{Code, Denial};

fn check(http: auth::attribute_context::HttpRequest) -> auth::CheckRequest {
    let socket = core::SocketAddress {
        address: "::ffff:203.0.113.7".into(),
        ..core::SocketAddress::default()
    };
    let address = core::address::Address::SocketAddress(socket);
    let peer = auth::attribute_context::Peer {
        address: Some(core::Address {
            address: Some(address),
        }),
        service: "unread".into(),
        ..Default::default()
    };
    let attributes = auth::AttributeContext {
        source: Some(peer.clone()),
        destination: Some(peer),
        request: Some(auth::attribute_context::Request {
            http: Some(http),
            ..Default::default()
        }),
        context_extensions: HashMap::from([
            ("glyph.cost".into(), "3".into()),
            ("glyph.scopes".into(), "a b".into()),
            ("other".into(), "4".into()),
        ]),
        ..Default::default()
    };
    auth::CheckRequest {
        attributes: Some(attributes),
    }
}

fn http(headers: &[(&str, &str)]) -> auth::attribute_context::HttpRequest {
    auth::attribute_context::HttpRequest {
        id: "1".into(),
        method: "POST".into(),
        headers: headers
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_string()))
            .collect(),
        path: "/v1/items?a=b".into(),
        host: "api.example".into(),
        size: -1,
        body: "unread".into(),
        ..Default::default()
    }
}

fn raw(headers: &[(&str, &[u8])]) -> auth::attribute_context::HttpRequest {
    let value = |(name, value): &(&str, &[u8])| core::HeaderValue {
        key: name.to_string(),
        raw_value: value.to_vec(),
        ..Default::default()
    };
    let headers = headers.iter().map(value).collect();
    auth::attribute_context::HttpRequest {
        header_map: Some(core::HeaderMap { headers }),
        ..http(&[])
    }
}

/// The verdict on a message, as the adapter reaches it.
fn verdict(world: &World, message: &[u8], counted: Counted) -> crate::Verdict {
    let view = read_check(message).map_err(|error| Denial::unavailable(error.to_string()))?;
    metered(&view, world.basis())?.settle(counted)
}

fn admitted() -> Counted {
    Counted::Judged(Outcome {
        decision: Decision::Admitted,
        used: 3,
        remaining: Some(97),
        rate: None,
        credits: None,
        drawn: Vec::new(),
    })
}

/// What Envoy makes of an answer: header changes of a request that passes, or status, headers and body.
fn as_envoy_reads(
    verdict: &crate::Verdict,
) -> Result<auth::OkHttpResponse, (i32, auth::DeniedHttpResponse)> {
    let Ok(response) = auth::CheckResponse::decode(Answer::of(verdict).into_bytes()) else {
        panic!("not a CheckResponse");
    };
    let code = response.status.unwrap_or_default().code;
    match response.http_response {
        Some(HttpResponse::OkResponse(ok)) => {
            assert_eq!(code, 0);
            Ok(ok)
        }
        Some(HttpResponse::DeniedResponse(denied)) => Err((code, denied)),
        other => panic!("Envoy would take {other:?} for no verdict"),
    }
}

fn fields(headers: &[core::HeaderValueOption]) -> HashMap<&str, &str> {
    headers.iter().map(overwritten).collect()
}

fn overwritten(option: &core::HeaderValueOption) -> (&str, &str) {
    let overwrites = option.append_action
        == core::header_value_option::HeaderAppendAction::OverwriteIfExistsOrAdd as i32;
    let header = option.header.as_ref().filter(|_| overwrites);
    let header = header.expect("a header with append_action OVERWRITE_IF_EXISTS_OR_ADD");
    (&header.key, &header.value)
}

#[test]
fn a_check_that_envoy_encodes_is_read_by_need() {
    let message = check(http(&[
        ("authorization", "Bearer x"),
        ("x_glyph_tier", "enterprise"),
        ("accept", "*/*"),
    ]));
    let message = message.encode_to_vec();
    let view = read_check(&message).unwrap();
    assert!(view.authorization == Field::Once(b"Bearer x") && view.x_api_key == Field::Absent);
    assert_eq!(
        (view.ours.as_slice(), view.path),
        (["x_glyph_tier"].as_slice(), b"/v1/items?a=b".as_slice())
    );
    assert_eq!(view.client, Some("203.0.113.7".parse().unwrap()));
    assert_eq!((view.method, view.host), ("POST", "api.example"));
    assert_eq!(
        (view.cost, view.scopes),
        (Some(b"3".as_slice()), Some(b"a b".as_slice()))
    );
}

#[test]
fn raw_headers_are_read_as_they_came_and_a_doubled_one_is_seen_doubled() {
    let bytes = [
        ("x-api-key", b"\xff\xfe".as_slice()),
        ("authorization", b"a"),
        ("authorization", b"a"),
    ];
    let message = check(raw(&bytes)).encode_to_vec();
    let view = read_check(&message).unwrap();
    assert!(view.x_api_key == Field::Once(b"\xff\xfe"));
    assert!(view.authorization == Field::Repeated);
}

#[test]
fn two_parts_of_one_message_are_both_read() {
    let one = check(http(&[("x-api-key", KEY)])).encode_to_vec();
    let two = [one.as_slice(), &one].concat();
    assert!(read_check(&two).unwrap().x_api_key == Field::Repeated);
}

#[test]
fn a_permit_sets_identity_removes_the_credential_and_tells_the_limits() {
    let mut world = World::usual();
    world.apply(
        Kind::Customer,
        customer("ada", json!({"status": {"cognitoSub": "sub-1"}})),
    );
    let sent = [
        ("x-api-key", KEY),
        ("x-glyph-customer", "shop/eve"),
        ("x_glyph_customer", "shop/eve"),
        ("x-glyph-admin", "1"),
    ];
    let message = check(http(&sent)).encode_to_vec();
    let ok = as_envoy_reads(&verdict(&world, &message, admitted())).unwrap();
    let identity = HashMap::from([
        ("x-glyph-customer", "shop/ada"),
        ("x-glyph-subject", "sub-1"),
        ("x-glyph-tier", "free"),
        ("x-glyph-key-id", "id-laptop"),
    ]);
    assert_eq!(fields(&ok.headers), identity);
    let mut removed = ok.headers_to_remove.clone();
    removed.sort();
    assert_eq!(
        removed,
        [
            "authorization",
            "x-api-key",
            "x-glyph-admin",
            "x_glyph_customer"
        ]
    );
    let limits = fields(&ok.response_headers_to_add);
    assert_eq!(limits["ratelimit-policy"], "\"month\";q=100;w=2592000");
    assert_eq!(limits["ratelimit"], "\"month\";r=97;t=648000");
}

#[test]
fn without_a_subject_the_header_for_it_is_removed_too() {
    let message = check(http(&[("x-api-key", KEY), ("x-glyph-subject", "sub-2")])).encode_to_vec();
    let ok = as_envoy_reads(&verdict(&World::usual(), &message, admitted())).unwrap();
    assert!(ok.headers_to_remove.contains(&"x-glyph-subject".to_owned()));
    assert!(!fields(&ok.headers).contains_key("x-glyph-subject"));
}

#[test]
fn every_denial_has_a_status_a_code_that_denies_and_a_problem_document() {
    let all = [
        Code::MissingCredential,
        Code::InvalidCredential,
        Code::KeyRevoked,
        Code::KeyExpired,
        Code::PaymentRequired,
        Code::Suspended,
        Code::AddressDenied,
        Code::ScopeDenied,
        Code::MalformedPath,
        Code::NoSuchEndpoint,
        Code::RateLimited,
        Code::QuotaExceeded,
        Code::Unavailable,
    ];
    for code in all {
        let (status, denied) =
            as_envoy_reads(&Err(Denial::new(code, "A sentence with \"quotes\"."))).unwrap_err();
        assert_ne!(status, 0);
        assert_eq!(denied.status.unwrap().code, i32::from(code.status()));
        let headers = fields(&denied.headers);
        assert_eq!(headers["content-type"], "application/problem+json");
        assert_eq!(
            headers.contains_key("www-authenticate"),
            code.status() == 401 || code == Code::ScopeDenied
        );
        let problem: serde_json::Value = serde_json::from_str(&denied.body).unwrap();
        assert_eq!(problem["code"], code.as_str());
        assert_eq!(
            (problem["status"].as_u64(), problem["detail"].as_str()),
            (
                Some(code.status().into()),
                Some("A sentence with \"quotes\".")
            )
        );
        assert!(problem["title"].is_string() && problem["type"].is_string());
    }
}

#[test]
fn a_refusal_by_the_counters_carries_the_limits_and_when_to_come_back() {
    let message = check(http(&[("x-api-key", KEY)])).encode_to_vec();
    let refused = Outcome {
        decision: Decision::QuotaExceeded,
        used: 100,
        remaining: Some(0),
        rate: None,
        credits: Some(Credits { taken: 0, left: 3 }),
        drawn: Vec::new(),
    };
    let verdict = verdict(&World::usual(), &message, Counted::Judged(refused));
    let (_, denied) = as_envoy_reads(&verdict).unwrap_err();
    let headers = fields(&denied.headers);
    assert_eq!(headers["retry-after"], "648000");
    assert_eq!(headers["ratelimit"], "\"month\";r=0;t=648000");
    assert_eq!(headers["x-glyph-credits-remaining"], "3");
}

#[test]
fn an_empty_check_is_refused() {
    let world = World::usual();
    let (_, denied) = as_envoy_reads(&verdict(&world, &[], admitted())).unwrap_err();
    assert_eq!(denied.status.unwrap().code, 401);
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(KEY.to_owned()),
        Just(format!("Bearer {KEY}")),
        any::<String>()
    ]
}

fn name() -> impl Strategy<Value = String> {
    const KNOWN: &[&str] = &[
        "authorization",
        "x-api-key",
        "x-glyph-customer",
        "x_glyph_tier",
        ":path",
    ];
    prop_oneof![
        prop::sample::select(KNOWN).prop_map(str::to_owned),
        any::<String>()
    ]
}

proptest! {
    /// What is read of any check that Envoy could encode is what `envoy-types` says is in it.
    #[test]
    fn reading_agrees_with_envoy_types(
        map in prop::collection::hash_map(name(), text(), 0..6),
        list in prop::collection::vec((name(), prop::collection::vec(any::<u8>(), 0..8)), 0..6),
        path in any::<String>(),
    ) {
        let mut http = http(&[]);
        http.headers = map.clone();
        http.path = path.clone();
        let raw_value = |(key, value): &(String, Vec<u8>)| core::HeaderValue {
            key: key.clone(), raw_value: value.clone(), ..Default::default()
        };
        http.header_map = Some(core::HeaderMap { headers: list.iter().map(raw_value).collect() });
        let message = check(http).encode_to_vec();
        let view = read_check(&message).unwrap();
        let mut expected = RequestView::default();
        for (name, value) in &map {
            expected.add_header(name, value.as_bytes());
        }
        for (name, value) in &list {
            expected.add_header(name, value);
        }
        expected.ours.sort_unstable();
        let mut ours = view.ours.clone();
        ours.sort_unstable();
        prop_assert_eq!(ours, expected.ours);
        prop_assert_eq!(view.path, path.as_bytes());
        prop_assert!(view.authorization == expected.authorization && view.x_api_key == expected.x_api_key);
    }

    /// Bytes that are no check never panic, are read or refused, and never pass without the key in them.
    #[test]
    fn arbitrary_bytes_never_pass(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let verdict = verdict(&World::usual(), &bytes, admitted());
        prop_assert!(as_envoy_reads(&verdict).is_err());
    }

    /// A check cut anywhere, or with one byte changed, never panics; what is answered is always a whole answer.
    #[test]
    fn a_damaged_check_is_answered_all_the_same(at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<bool>()) {
        let mut message = check(http(&[("x-api-key", KEY)])).encode_to_vec();
        let at = at.index(message.len());
        if cut {
            message.truncate(at);
        } else {
            message[at] = byte;
        }
        let answer = as_envoy_reads(&verdict(&World::usual(), &message, admitted()));
        if let Err((code, denied)) = answer {
            prop_assert!(code != 0 && denied.status.unwrap().code >= 400);
        }
    }
}

#[test]
fn no_answer_holds_the_key_it_is_about() {
    let world = World::usual();
    let mut twice = request();
    twice.add_header("x-api-key", KEY.as_bytes());
    let path = format!("/?key={KEY}");
    let in_url = RequestView {
        path: path.as_bytes(),
        ..RequestView::default()
    };
    for view in [request(), twice, in_url] {
        let verdict =
            metered(&view, world.basis()).and_then(|admission| admission.settle(admitted()));
        let answer = Answer::of(&verdict).into_bytes();
        assert!(
            !answer
                .windows(KEY.len())
                .any(|window| window == KEY.as_bytes())
        );
        assert!(!format!("{verdict:?}").contains(KEY));
    }
}
