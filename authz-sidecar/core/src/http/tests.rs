use std::collections::HashMap;

use glyph_usage::{Decision, Outcome};
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::fixtures::{KEY, World, glyph_api};
use crate::index::Kind;
use crate::verdict::Code;
use crate::{Authorized, Counted, authorize};

const DIALECTS: [Dialect; 3] = [Dialect::Envoy, Dialect::AuthRequest, Dialect::ForwardAuth];

type Fields<'a> = &'a [(&'a str, &'a str)];

fn check<'a>(method: &'a str, target: &'a str, fields: Fields<'a>) -> Check<'a> {
    let fields = fields.iter().map(|(name, value)| (*name, value.as_bytes()));
    read(method, target, fields)
}

/// The answer to a check, where the counters have room.
fn answer(world: &World, method: &str, target: &str, fields: Fields<'_>) -> HttpAnswer {
    let Check { dialect, request } = check(method, target, fields);
    let verdict = request
        .and_then(|request| authorize(&request, world.basis()))
        .and_then(|authorized| match authorized {
            Authorized::Open(permit) => Ok(*permit),
            Authorized::Metered(admission) => admission.settle(Counted::Judged(Outcome {
                decision: Decision::Admitted,
                used: 3,
                remaining: Some(97),
                rate: None,
                credits: None,
                drawn: Vec::new(),
            })),
        });
    HttpAnswer::of(dialect, &verdict)
}

fn fields(answer: &HttpAnswer) -> HashMap<&str, &str> {
    let all = answer.headers().iter();
    all.map(|(name, value)| (*name, value.as_str())).collect()
}

#[test]
fn each_dialect_says_what_was_asked_in_its_own_way() {
    let nginx = [
        ("Host", "api.example"),
        ("X-Original-Method", "PUT"),
        ("X-Original-URI", "/v1/items?a=b"),
        ("X-Forwarded-For", "203.0.113.7"),
    ];
    let traefik = [
        ("Host", "127.0.0.1:9002"),
        ("X-Forwarded-Method", "PUT"),
        ("X-Forwarded-Uri", "/v1/items?a=b"),
        ("X-Forwarded-Host", "api.example"),
        ("X-Forwarded-For", "198.51.100.1, ::ffff:203.0.113.7"),
    ];
    let envoy = [("Host", "api.example"), ("x-forwarded-for", "203.0.113.7")];
    for (dialect, check) in [
        (Dialect::Envoy, check("PUT", "/envoy/v1/items?a=b", &envoy)),
        (Dialect::AuthRequest, check("GET", "/nginx", &nginx)),
        (Dialect::ForwardAuth, check("GET", "/traefik", &traefik)),
    ] {
        assert_eq!(check.dialect, dialect);
        let request = check
            .request
            .unwrap_or_else(|denial| panic!("{dialect:?}: {denial:?}"));
        assert_eq!(
            (request.method, request.host),
            ("PUT", "api.example"),
            "{dialect:?}"
        );
        assert_eq!(request.path, b"/v1/items?a=b", "{dialect:?}");
        assert_eq!(
            request.client,
            Some("203.0.113.7".parse().unwrap()),
            "{dialect:?}"
        );
        assert!(
            request.cost.is_none() && request.scopes.is_none(),
            "nothing a caller sends is a route's word"
        );
    }
}

#[test]
fn what_a_gateway_leaves_out_or_says_twice_is_refused_as_its_fault() {
    let whole = [
        ("Host", "a"),
        ("X-Original-Method", "GET"),
        ("X-Original-URI", "/"),
    ];
    for left_out in 0..whole.len() {
        let mut some = whole.to_vec();
        some.remove(left_out);
        let denial = check("GET", "/nginx", &some).request.err().unwrap();
        assert_eq!(denial.code(), Code::Unavailable);
        let name = whole[left_out].0;
        assert_eq!(
            denial.cause(),
            Some(format!("the gateway sends no {name}").as_str())
        );
    }
    let twice = [whole.as_slice(), &[("x-original-uri", "/public")]].concat();
    let denial = check("GET", "/nginx", &twice).request.err().unwrap();
    assert_eq!(denial.cause(), Some("the gateway sends two X-Original-URI"));
    for target in ["/", "/v1/items", "/envoyer/x", "/nginx/x", "*", ""] {
        let denial = check("GET", target, &whole).request.err().unwrap();
        assert_eq!(denial.code(), Code::Unavailable, "{target}");
    }
    let none = check("GET", "/traefik", &whole).request;
    assert!(
        none.is_err(),
        "the headers of one dialect are nothing to another"
    );
}

#[test]
fn a_permit_is_200_with_whose_it_is_and_envoy_is_told_what_to_remove() {
    let world = World::usual();
    let sent = [
        ("Host", "a"),
        ("X-Original-Method", "GET"),
        ("X-Original-URI", "/"),
        ("X-Forwarded-Method", "GET"),
        ("X-Forwarded-Uri", "/"),
        ("X-Forwarded-Host", "a"),
        ("x-api-key", KEY),
        ("x-glyph-customer", "other/eve"),
        ("x_glyph_tier", "enterprise"),
    ];
    for target in ["/envoy/", "/nginx", "/traefik"] {
        let answer = answer(&world, "GET", target, &sent);
        assert_eq!(
            (answer.status(), answer.clone().into_body().as_str()),
            (200, "")
        );
        let told = fields(&answer);
        assert_eq!(told["x-glyph-customer"], "shop/ada");
        assert_eq!(
            (told["x-glyph-tier"], told["x-glyph-key-id"]),
            ("free", "id-laptop")
        );
        assert_eq!(told["ratelimit"], "\"month\";r=97;t=648000");
        assert!(!told.contains_key("x-glyph-subject"));
        let removed = told.get(ENVOY_REMOVES).copied();
        let expected = "authorization,x-api-key,x-glyph-subject,x_glyph_tier";
        assert_eq!(removed, (target == "/envoy/").then_some(expected));
    }
}

#[test]
fn nginx_gets_401_or_403_and_the_true_status_and_document_in_headers() {
    let denial =
        Denial::new(Code::QuotaExceeded, "A sentence with … and \"quotes\".").retry_after(7);
    let body = denial.body();
    for dialect in DIALECTS {
        let answer = HttpAnswer::of(dialect, &Err(denial.clone()));
        let told = fields(&answer);
        assert_eq!(told["retry-after"], "7");
        let expected = if dialect == Dialect::AuthRequest {
            403
        } else {
            429
        };
        assert_eq!(answer.status(), expected);
        let problem = match dialect {
            Dialect::AuthRequest => {
                assert_eq!(told[STATUS], "429");
                assert!(told[PROBLEM].is_ascii());
                told[PROBLEM].to_owned()
            }
            Dialect::Envoy | Dialect::ForwardAuth => answer.into_body(),
        };
        let problem: serde_json::Value = serde_json::from_str(&problem).unwrap();
        assert_eq!(
            problem,
            serde_json::from_str::<serde_json::Value>(&body).unwrap()
        );
    }
    let missing = Err(Denial::new(Code::MissingCredential, "x"));
    let answer = HttpAnswer::of(Dialect::AuthRequest, &missing);
    assert_eq!(answer.status(), 401);
    assert_eq!(
        fields(&answer)["www-authenticate"],
        r#"Bearer realm="glyph""#
    );
}

#[test]
fn a_public_path_is_public_in_each_dialect_and_another_spelling_in_none() {
    let mut world = World::usual();
    let spec = json!({"endpoints": [{"name": "health", "path": "/health", "auth": "None"}]});
    world.apply(Kind::Api, glyph_api("api", spec));
    let status = |uri: &str| {
        let envoy = format!("/envoy{uri}");
        let sent = [
            ("Host", "a"),
            ("X-Original-Method", "GET"),
            ("X-Original-URI", uri),
            ("X-Forwarded-Method", "GET"),
            ("X-Forwarded-Uri", uri),
            ("X-Forwarded-Host", "a"),
        ];
        ["/nginx", "/traefik", &envoy].map(|target| answer(&world, "GET", target, &sent).status())
    };
    assert_eq!(status("/health"), [200; 3]);
    assert_eq!(status("/health/"), [401; 3]);
    assert_eq!(status("/health/../x"), [403, 400, 400]);
}

proptest! {
    /// No check whatsoever makes reading panic, and without the key none passes.
    #[test]
    fn no_check_panics_or_passes_without_a_key(
        method in any::<String>(),
        target in "(/envoy|/nginx|/traefik)?[ -~]{0,20}",
        fields in prop::collection::vec((
            prop::sample::select(&["host", "x-original-uri", "x-original-method", "x-forwarded-uri",
                "x-forwarded-method", "x-forwarded-host", "x-forwarded-for", "authorization", "x-api-key"][..]),
            any::<String>(),
        ), 0..10),
    ) {
        let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let answer = answer(&World::usual(), &method, &target, &fields);
        prop_assert!(answer.status() >= 400);
        prop_assert!(answer.headers().iter().all(|(_, value)| value.bytes().all(|byte| matches!(byte, b' '..=b'~'))));
    }
}
