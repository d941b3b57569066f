//! What GlyphApis and the gateway's routes ask for.

use glyph_crds::Auth;

use super::*;
use crate::fixtures::glyph_api;

fn to(method: &'static str, path: &'static str) -> RequestView<'static> {
    RequestView {
        method,
        path: path.as_bytes(),
        host: "api.example.com",
        ..request()
    }
}

fn anonymous(path: &'static str) -> RequestView<'static> {
    RequestView {
        authorization: Default::default(),
        x_api_key: Default::default(),
        ..to("GET", path)
    }
}

/// With `KEY` limited to `scopes`, and one API.
fn world(unmatched: &str, scopes: &[&str]) -> World {
    let mut world = World::usual();
    let limited = json!({"spec": {"scopes": scopes}});
    world.apply(Kind::Key, key("laptop", "ada", KEY, limited));
    world.apply(
        Kind::Api,
        glyph_api(
            "api",
            json!({"unmatched": unmatched, "endpoints": [
                {"name": "health", "path": "/health", "auth": "None"},
                {"name": "list", "path": "/items", "auth": "Optional", "methods": ["GET"], "cost": 0},
                {"name": "make", "path": "/items", "methods": ["POST"], "scopes": ["items:write"], "cost": 5},
                {"name": "one", "path": "/items/{id}"},
            ]}),
        ),
    );
    world
}

fn code(world: &World, request: &RequestView<'_>) -> Code {
    denied(world, request).code()
}

fn open(world: &World, request: &RequestView<'_>) -> bool {
    match authorize(request, world.basis()) {
        Ok(Authorized::Open(permit)) => permit.identity().is_none(),
        Ok(Authorized::Metered(_)) | Err(_) => false,
    }
}

fn cost(world: &World, request: &RequestView<'_>) -> u64 {
    metered(request, world.basis()).unwrap().spend().cost
}

#[test]
fn each_endpoint_has_its_cost_and_its_name_also_where_it_refuses() {
    let world = world("Allow", &[]);
    for (request, expected, name) in [
        (to("POST", "/items"), 5, Some("make")),
        (to("GET", "/items?a=b"), 0, Some("list")),
        (to("GET", "/items/7"), 1, Some("one")),
        (to("GET", "/else"), 1, None),
    ] {
        let admission = metered(&request, world.basis()).unwrap();
        assert_eq!(admission.spend().cost, expected);
        let permit = admission.settle(outcome(Decision::Admitted, 1)).unwrap();
        assert_eq!(permit.endpoint(), name);
        let admission = metered(&request, world.basis()).unwrap();
        let refused = admission.settle(outcome(Decision::QuotaExceeded, 100));
        assert_eq!(refused.unwrap_err().endpoint(), name);
    }
    assert_eq!(
        denied(&world, &anonymous("/items/7")).endpoint(),
        Some("one")
    );
}

#[test]
fn a_public_path_passes_as_nobodys_whatever_is_sent_and_an_optional_one_without_a_credential() {
    let world = world("Allow", &[]);
    assert!(open(&world, &anonymous("/health")) && open(&world, &to("GET", "/health")));
    assert!(open(&world, &anonymous("/items")));
    assert_eq!(cost(&world, &to("GET", "/items")), 0, "a key is read");
    let mut bad = anonymous("/items");
    bad.add_header("authorization", b"");
    assert_eq!(code(&world, &bad), Code::InvalidCredential);
    let in_url = anonymous("/items?key=glyph_sk_live_0");
    assert_eq!(code(&world, &in_url), Code::MissingCredential);
    assert_eq!(
        code(&world, &anonymous("/items/7")),
        Code::MissingCredential
    );
}

#[test]
fn another_spelling_of_a_public_path_is_not_public_and_an_ambiguous_one_is_refused() {
    for unmatched in ["Allow", "Deny"] {
        let world = world(unmatched, &[]);
        for path in ["/health/", "/%68ealth"] {
            assert_eq!(
                code(&world, &anonymous(path)),
                Code::MissingCredential,
                "{path}"
            );
        }
        for path in [
            "//health",
            "/x/../health",
            "/%2e/health",
            "/health%2f",
            "/x\\..\\health",
        ] {
            let refused = denied(&world, &to("GET", path));
            assert_eq!(refused.code(), Code::MalformedPath, "{path}");
            assert!(
                refused
                    .detail()
                    .starts_with("The path of the request cannot be taken: it must")
            );
        }
    }
    let mut world = World::usual();
    assert_eq!(
        cost(&world, &to("GET", "//health")),
        1,
        "without a GlyphApi paths are not read"
    );
    world.apply(
        Kind::Api,
        glyph_api("b", json!({"hosts": ["b.example.com"], "endpoints": []})),
    );
    assert_eq!(
        cost(&world, &to("GET", "//health")),
        1,
        "nor at other hosts"
    );
}

#[test]
fn a_limited_key_does_what_its_scopes_cover_and_what_needs_none() {
    for (scopes, makes) in [
        (&["items:write"][..], true),
        (&["items:*"], true),
        (&["*"], true),
        (&["items:read", "items:write"], true),
        (&["items:read"], false),
        (&["items:writer"], false),
        (&["items"], false),
    ] {
        let world = world("Allow", scopes);
        let made = metered(&to("POST", "/items"), world.basis()).map_err(|denial| denial.code());
        assert_eq!(
            made.err(),
            (!makes).then_some(Code::ScopeDenied),
            "{scopes:?}"
        );
        assert_eq!(cost(&world, &to("GET", "/items/7")), 1);
        let unmatched = denied(&world, &to("GET", "/else"));
        assert_eq!(
            (unmatched.code(), unmatched.code().status()),
            (Code::ScopeDenied, 403)
        );
    }
    let denial = denied(&world("Allow", &["items:read"]), &to("POST", "/items"));
    assert!(
        denial.detail().contains("lacks the scope items:write"),
        "{}",
        denial.detail()
    );
}

#[test]
fn what_no_endpoint_is_for_is_denied_before_anything_else_where_the_api_says_so() {
    let world = world("Deny", &[]);
    for request in [
        to("GET", "/else"),
        anonymous("/else"),
        to("DELETE", "/items"),
    ] {
        let denial = denied(&world, &request);
        assert_eq!(
            (denial.code(), denial.code().status()),
            (Code::NoSuchEndpoint, 404)
        );
    }
}

#[test]
fn the_route_has_the_last_word() {
    let world = world("Allow", &["items:read"]);
    let with = |request: RequestView<'static>, cost: &'static str, scopes: Option<&'static str>| {
        RequestView {
            cost: Some(cost.as_bytes()),
            scopes: scopes.map(str::as_bytes),
            ..request
        }
    };
    let made = with(to("POST", "/items"), "2", Some("items:read"));
    assert_eq!(cost(&world, &made), 2);
    assert_eq!(
        cost(&world, &with(to("POST", "/items"), "2", Some(""))),
        2,
        "the route asks for none"
    );
    assert_eq!(
        cost(&world, &with(to("GET", "/else"), "3", Some("items:read"))),
        3
    );
    let both = with(to("GET", "/items/7"), "1", Some("items:read, items:write"));
    assert_eq!(code(&world, &both), Code::ScopeDenied);
    let no_longer_public = with(anonymous("/health"), "1", Some("items:read"));
    assert_eq!(code(&world, &no_longer_public), Code::MissingCredential);
    let odd = RequestView {
        scopes: Some(b"\xff"),
        ..to("GET", "/items/7")
    };
    assert_eq!(code(&world, &odd), Code::Unavailable);
}

#[test]
fn scopes_of_the_route_hold_without_a_glyph_api_too() {
    let mut world = World::usual();
    let limited = json!({"spec": {"scopes": ["read"]}});
    world.apply(Kind::Key, key("laptop", "ada", KEY, limited));
    let request = |scopes: &'static [u8]| RequestView {
        scopes: Some(scopes),
        ..request()
    };
    assert_eq!(cost(&world, &request(b"read")), 1);
    assert_eq!(code(&world, &request(b"write")), Code::ScopeDenied);
}

#[test]
fn where_a_glyph_api_cannot_be_read_nothing_passes_until_it_is_mended() {
    let mut world = world("Allow", &[]);
    let bad = json!({"hosts": ["api.example.com"], "endpoints": [{"name": "health", "path": "/health", "auth": "Nobody"}]});
    let updated = world
        .index
        .update(Kind::Api, &None, Change::Applied(glyph_api("bad", bad)));
    assert!(updated.changed && updated.malformed.is_some());
    for request in [to("GET", "/items/7"), anonymous("/health")] {
        assert_eq!(code(&world, &request), Code::Unavailable);
    }
    let elsewhere = RequestView {
        host: "other.example.com",
        ..anonymous("/health")
    };
    assert!(open(&world, &elsewhere));
    let mended = json!({"hosts": ["api.example.com"], "endpoints": []});
    world.apply(Kind::Api, glyph_api("bad", mended));
    assert_eq!(cost(&world, &to("GET", "/health")), 1);
    let template = json!({"endpoints": [{"name": "x", "path": "/{id}.json"}]});
    let updated = world.index.update(
        Kind::Api,
        &None,
        Change::Applied(glyph_api("bad", template)),
    );
    let reason = updated.malformed.unwrap().reason;
    assert!(reason.contains("is no template"), "{reason}");
    assert_eq!(code(&world, &elsewhere), Code::Unavailable);
    let hosts = json!({"hosts": 7, "endpoints": []});
    world
        .index
        .update(Kind::Api, &None, Change::Applied(glyph_api("bad", hosts)));
    assert_eq!(
        code(&world, &to("GET", "/items/7")),
        Code::Unavailable,
        "it may be for any host"
    );
    world.index.update(
        Kind::Api,
        &None,
        Change::Deleted(glyph_api("bad", json!({}))),
    );
    assert!(open(&world, &elsewhere));
}

#[test]
fn what_is_public_is_what_the_index_knows_now() {
    let mut world = world("Allow", &[]);
    let spec = json!({"endpoints": [{"name": "health", "path": "/health"}]});
    world.apply(Kind::Api, glyph_api("api", spec));
    assert_eq!(Auth::default(), Auth::Required);
    assert_eq!(code(&world, &anonymous("/health")), Code::MissingCredential);
}
