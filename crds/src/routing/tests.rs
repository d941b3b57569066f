use proptest::prelude::*;

use super::*;
use crate::{Auth, ChargeOn};

fn endpoint(name: &str, methods: &[Method], path: &str) -> Endpoint {
    Endpoint {
        name: name.to_owned(),
        methods: methods.to_vec(),
        path: path.to_owned(),
        cost: None,
        scopes: Vec::new(),
        auth: Auth::Required,
        charge_on: ChargeOn::Always,
    }
}

fn claimant(name: &str, made: i64, hosts: &[&str], endpoints: &[Endpoint]) -> Claimant {
    Claimant {
        made: Timestamp::from_second(made).unwrap(),
        name: name.to_owned(),
        claim: Claim::Endpoints(Arc::new(GlyphApiSpec {
            hosts: hosts.iter().map(ToString::to_string).collect(),
            endpoints: endpoints.to_vec(),
            unmatched: Unmatched::Allow,
        })),
    }
}

fn one(endpoints: &[Endpoint]) -> Routes {
    let (routes, conflicts) = Routes::of([&claimant("shop/api", 1, &[], endpoints)]);
    assert_eq!(conflicts, []);
    routes
}

/// Name of the endpoint, and whether the path is spelled as the endpoint's.
fn found<'a>(routes: &'a Routes, host: &str, method: &str, path: &str) -> Option<(&'a str, bool)> {
    match routes.find(host, method, path.as_bytes()) {
        Found::Endpoint { endpoint, exact } => Some((&endpoint.name, exact)),
        _ => None,
    }
}

#[test]
fn a_request_is_for_the_endpoint_of_its_method_and_path_without_query() {
    let routes = one(&[
        endpoint("list", &[Method::Get], "/v1/items"),
        endpoint("make", &[Method::Post], "/v1/items"),
        endpoint("one", &[], "/v1/items/{id}"),
        endpoint("export", &[Method::Get], "/v1/items/export"),
        endpoint("files", &[Method::Get], "/files/{*path}"),
    ]);
    for (method, path, name) in [
        ("GET", "/v1/items", Some("list")),
        ("GET", "/v1/items?a=/x/../y", Some("list")),
        ("HEAD", "/v1/items", Some("list")),
        ("POST", "/v1/items", Some("make")),
        ("PUT", "/v1/items", None),
        ("GET", "/v1/items/7", Some("one")),
        ("PROPFIND", "/v1/items/7", Some("one")),
        ("GET", "/v1/items/export", Some("export")),
        ("DELETE", "/v1/items/export", Some("one")),
        ("GET", "/v1/items/7/x", None),
        ("GET", "/files/a/b/c", Some("files")),
        ("get", "/v1/items", None),
        ("GET", "/V1/items", None),
    ] {
        let found = found(&routes, "any", method, path).map(|(name, _)| name);
        assert_eq!(found, name, "{method} {path}");
    }
}

#[test]
fn another_spelling_is_the_same_endpoint_and_not_exact() {
    let routes = one(&[
        endpoint("admin", &[], "/admin"),
        endpoint("docs", &[], "/docs/"),
        endpoint("me", &[], "/users/me:go"),
        endpoint("user", &[], "/users/{id}"),
    ]);
    for (path, expected) in [
        ("/admin", ("admin", true)),
        ("/admin/", ("admin", false)),
        ("/%61dmin", ("admin", false)),
        ("/docs/", ("docs", true)),
        ("/docs", ("docs", false)),
        ("/users/me%3Ago", ("me", false)),
        ("/users/a%20b", ("user", true)),
        ("/users/%7Eada", ("user", false)),
        ("/users/%C3%A9", ("user", true)),
    ] {
        assert_eq!(found(&routes, "any", "GET", path), Some(expected), "{path}");
    }
}

#[test]
fn a_path_that_can_be_read_in_two_ways_is_none() {
    let routes = one(&[endpoint("all", &[], "/{*rest}")]);
    for (path, why) in [
        ("", NotNormal::Relative),
        ("*", NotNormal::Relative),
        ("http://a/b", NotNormal::Relative),
        ("/a/../b", NotNormal::DotSegment),
        ("/a/..", NotNormal::DotSegment),
        ("/./b", NotNormal::DotSegment),
        ("/a/%2e%2E/b", NotNormal::DotSegment),
        ("/a/.%2e", NotNormal::DotSegment),
        ("/a/..;x=1/b", NotNormal::DotSegment),
        ("/a/..%3Bx/b", NotNormal::DotSegment),
        ("//a", NotNormal::EmptySegment),
        ("/a//", NotNormal::EmptySegment),
        ("/a%2fb", NotNormal::Slash),
        ("/a%5Cb", NotNormal::Slash),
        ("/a\\b", NotNormal::Slash),
        ("/a%00", NotNormal::Character),
        ("/a b", NotNormal::Character),
        ("/é", NotNormal::Character),
        ("/a%", NotNormal::Escape),
        ("/a%2", NotNormal::Escape),
        ("/a%+1", NotNormal::Escape),
        ("/a%é", NotNormal::Character),
    ] {
        let found = routes.find("any", "GET", path.as_bytes());
        assert_eq!(found, Found::NotNormal(why), "{path}");
    }
    for good in ["/", "/a/...", "/a.b", "/a/.b", "/%2525", "/a;b=c/d"] {
        let found = routes.find("any", "GET", good.as_bytes());
        assert!(!matches!(found, Found::NotNormal(_)), "{good}");
    }
}

#[test]
fn the_most_specific_host_decides_alone() {
    let all = [
        claimant("shop/every", 1, &[], &[endpoint("every", &[], "/a")]),
        claimant(
            "shop/wild",
            2,
            &["*.Example.com"],
            &[endpoint("wild", &[], "/a")],
        ),
        claimant(
            "shop/deep",
            3,
            &["*.eu.example.com"],
            &[endpoint("deep", &[], "/a")],
        ),
        claimant(
            "shop/name",
            4,
            &["api.example.com"],
            &[endpoint("name", &[], "/b")],
        ),
    ];
    let (routes, conflicts) = Routes::of(&all);
    assert_eq!(conflicts, []);
    for (host, expected) in [
        ("api.example.com", None),
        ("www.example.com", Some("wild")),
        ("WWW.example.COM:8443", Some("wild")),
        ("www.example.com.", Some("wild")),
        ("a.b.example.com", Some("wild")),
        ("x.eu.example.com", Some("deep")),
        ("eu.example.com", Some("wild")),
        ("example.com", Some("every")),
        ("[::1]:80", Some("every")),
        ("", Some("every")),
    ] {
        let found = found(&routes, host, "GET", "/a").map(|(name, _)| name);
        assert_eq!(found, expected, "{host}");
    }
    let (routes, _) = Routes::of(&all[1..]);
    assert_eq!(routes.find("example.com", "GET", b"/a"), Found::Unclaimed);
}

#[test]
fn of_two_that_claim_a_path_the_older_wins_and_the_other_keeps_the_rest() {
    let young = claimant(
        "shop/young",
        2,
        &["a.example", "b.example"],
        &[
            endpoint("mine", &[Method::Get, Method::Put], "/x/{name}"),
            endpoint("free", &[], "/y"),
        ],
    );
    let old = claimant(
        "shop/old",
        1,
        &["A.example"],
        &[endpoint("first", &[Method::Get], "/x/{id}")],
    );
    let (routes, conflicts) = Routes::of([&young, &old]);
    let name = |host, method, path| found(&routes, host, method, path).map(|(name, _)| name);
    assert_eq!(name("a.example", "GET", "/x/1"), Some("first"));
    assert_eq!(name("a.example", "PUT", "/x/1"), Some("mine"));
    assert_eq!(name("b.example", "GET", "/x/1"), Some("mine"));
    assert_eq!(name("a.example", "GET", "/y"), Some("free"));
    let [conflict] = conflicts.as_slice() else {
        panic!("{conflicts:?}");
    };
    assert_eq!(
        (conflict.loser.as_str(), conflict.endpoint.as_str()),
        ("shop/young", "mine")
    );
    assert_eq!(
        (conflict.winner.as_str(), conflict.winning_path.as_str()),
        ("shop/old", "/x/{id}")
    );
    assert_eq!(
        (conflict.host.as_deref(), conflict.methods.as_slice()),
        (Some("a.example"), [Method::Get].as_slice())
    );
}

#[test]
fn a_parameter_and_the_rest_at_one_place_are_a_conflict_too() {
    let both = [
        endpoint("one", &[Method::Get], "/x/{id}"),
        endpoint("rest", &[Method::Get], "/x/{*rest}"),
    ];
    let (routes, conflicts) = Routes::of([&claimant("shop/api", 1, &[], &both)]);
    assert_eq!(found(&routes, "a", "GET", "/x/1"), Some(("one", true)));
    assert_eq!(conflicts[0].winning_path, "/x/{id}");
    assert_eq!(
        (conflicts[0].winner.as_str(), conflicts[0].endpoint.as_str()),
        ("shop/api", "rest")
    );
}

#[test]
fn head_is_of_whoever_names_it() {
    let get = endpoint("get", &[Method::Get], "/x");
    let head = endpoint("head", &[Method::Head], "/x");
    for all in [[get.clone(), head.clone()], [head, get]] {
        assert_eq!(found(&one(&all), "a", "HEAD", "/x"), Some(("head", true)));
    }
}

#[test]
fn one_deny_denies_and_what_cannot_be_read_closes_its_hosts() {
    let allow = claimant("shop/a", 1, &["a.example"], &[]);
    let mut deny = claimant("shop/b", 2, &["a.example"], &[]);
    if let Claim::Endpoints(spec) = &mut deny.claim {
        Arc::make_mut(spec).unmatched = Unmatched::Deny;
    }
    let (routes, _) = Routes::of([&deny, &allow]);
    assert_eq!(
        routes.find("a.example", "GET", b"/x"),
        Found::Unmatched(Unmatched::Deny)
    );

    let closed = |hosts: Option<&[&str]>| Claimant {
        claim: Claim::Unreadable(
            hosts.map(|hosts| hosts.iter().map(ToString::to_string).collect()),
        ),
        ..allow.clone()
    };
    let (routes, _) = Routes::of([&closed(Some(&["*.example"])), &deny]);
    assert_eq!(routes.find("b.example", "GET", b"/x"), Found::Unreadable);
    assert_eq!(
        routes.find("a.example", "GET", b"/x"),
        Found::Unmatched(Unmatched::Deny)
    );
    assert_eq!(routes.find("elsewhere", "GET", b"/x"), Found::Unclaimed);
    let (routes, _) = Routes::of([&closed(Some(&[])), &deny]);
    assert_eq!(routes.find("elsewhere", "GET", b"/x"), Found::Unreadable);
    let (routes, _) = Routes::of([&closed(None), &deny]);
    assert_eq!(routes.find("a.example", "GET", b"/x"), Found::Unreadable);
    let bad = claimant(
        "shop/c",
        3,
        &["c.example"],
        &[endpoint("bad", &[], "/{id}.json")],
    );
    let (routes, _) = Routes::of([&bad]);
    assert_eq!(routes.find("c.example", "GET", b"/x"), Found::Unreadable);
}

fn segment() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(&["a", "b", "ab", "{x}", "{y}"][..]).prop_map(str::to_owned),
        "[a-b]{1,3}",
    ]
}

fn template() -> impl Strategy<Value = String> {
    let rest = prop::sample::select(&["", "", "", "/", "/{*r}"][..]);
    (prop::collection::vec(segment(), 0..4), rest).prop_map(|(segments, rest)| {
        let path: String = segments
            .iter()
            .map(|segment| format!("/{segment}"))
            .collect();
        match path + rest {
            path if path.is_empty() => "/".to_owned(),
            path => path,
        }
    })
}

proptest! {
    /// What is found for a path that is spelled exactly is what `matchit` finds among the templates that were accepted.
    #[test]
    fn precedence_is_that_of_matchit(
        templates in prop::collection::vec(template(), 1..8),
        paths in prop::collection::vec("(/[a-b]{1,2}){1,4}/?", 1..8),
    ) {
        let named: Vec<_> = templates.iter().enumerate().map(|(at, path)| endpoint(&at.to_string(), &[Method::Get], path)).collect();
        let (routes, conflicts) = Routes::of([&claimant("shop/api", 1, &[], &named)]);
        let mut plain = Router::new();
        for (at, template) in templates.iter().enumerate() {
            let accepted = plain.insert(shape(template).unwrap(), at.to_string()).is_ok();
            let lost = conflicts.iter().any(|conflict| conflict.endpoint == at.to_string());
            prop_assert_eq!(accepted, !lost);
        }
        for path in &paths {
            let expected = plain.at(path).ok().map(|found| (found.value.as_str(), true));
            let found = found(&routes, "a", "GET", path).filter(|(_, exact)| *exact);
            prop_assert_eq!(found, expected, "{}", path);
        }
    }

    /// No bytes at all make it panic, and what has a dot segment or a doubled slash is never an endpoint.
    #[test]
    fn no_path_makes_it_panic(host in any::<String>(), method in any::<String>(), path in prop::collection::vec(any::<u8>(), 0..40)) {
        let routes = one(&[endpoint("all", &[], "/{*rest}"), endpoint("x", &[], "/x/{id}")]);
        let ambiguous = [b"//".as_slice(), b"/../", b"\\"].iter().any(|part| {
            let end = path.iter().position(|byte| matches!(byte, b'?' | b'#')).unwrap_or(path.len());
            path[..end].windows(part.len()).any(|window| window == *part)
        });
        if let Found::Endpoint { .. } = routes.find(&host, &method, &path) {
            prop_assert!(!ambiguous);
        }
    }

    /// No text is a template that `matchit` does not take.
    #[test]
    fn every_template_is_one_for_matchit(text in "[/{}*a.;%-]{0,12}") {
        if let Some(shape) = shape(&text) {
            prop_assert!(Router::new().insert(shape, ()).is_ok(), "{}", text);
        }
    }
}
