use clap::Parser as _;

use super::*;
use crate::Settings;

fn sources(arguments: &[&str]) -> anyhow::Result<Vec<Source>> {
    let settings = Settings::parse_from(["glyph-authz"].iter().chain(arguments));
    settings.tokens.sources()
}

fn refused(arguments: &[&str]) -> String {
    format!("{:#}", sources(arguments).err().unwrap())
}

#[test]
fn one_pool_takes_its_id_and_its_clients_and_the_rest_follows() {
    let one = [
        "--cognito-user-pool-id",
        "eu-central-1_a",
        "--cognito-client-id",
        "x, y",
    ];
    let sources = sources(&one).unwrap();
    let [source] = &sources[..] else {
        panic!("{sources:?}")
    };
    assert_eq!(
        source.pool.issuer,
        "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_a"
    );
    assert_eq!(
        source.keys_at.to_string(),
        format!("{}/.well-known/jwks.json", source.pool.issuer)
    );
    assert_eq!(source.pool.clients, ["x", "y"]);
    assert!(!source.pool.id_tokens && source.pool.resource_server.is_none());
}

#[test]
fn several_pools_are_a_list_each_with_what_differs() {
    let list = r#"[{"userPoolId": "eu-west-1_a", "clientIds": ["x"]},
        {"userPoolId": "eu-west-1_b", "clientIds": ["y"], "idTokens": true,
         "issuer": "https://login.example/b", "jwksUrl": "http://127.0.0.1:5000/b", "resourceServer": "https://api/"}]"#;
    let sources = sources(&["--cognito-pools", list]).unwrap();
    let [a, b] = &sources[..] else {
        panic!("{sources:?}")
    };
    assert_eq!(
        a.pool.issuer,
        "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_a"
    );
    assert_eq!(
        (b.pool.issuer.as_str(), b.keys_at.to_string().as_str()),
        ("https://login.example/b", "http://127.0.0.1:5000/b")
    );
    assert_eq!(
        (b.pool.id_tokens, b.pool.resource_server.as_deref()),
        (true, Some("https://api"))
    );
}

#[test]
fn no_pool_is_no_tokens_also_where_variables_are_empty() {
    assert!(sources(&[]).unwrap().is_empty());
    let empty = [
        "--cognito-user-pool-id",
        "",
        "--cognito-client-id",
        "",
        "--cognito-pools",
        " ",
    ];
    assert!(sources(&empty).unwrap().is_empty());
}

/// A pool and its client, by the settings of one.
fn one<'a>(id: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let mut one = vec!["--cognito-user-pool-id", id, "--cognito-client-id", "x"];
    one.extend(more);
    one
}

#[test]
fn a_pool_that_cannot_be_meant_is_refused_with_what_to_change() {
    let without_client = ["--cognito-user-pool-id", "eu-west-1_a"];
    assert!(refused(&without_client).contains("has no app client"));
    for (id, more, said) in [
        ("pool", vec![], "such as eu-central-1_AbCdEfGhI"),
        ("a_b/c", vec![], "an id is the region"),
        ("_b", vec![], "an id is the region"),
        (
            "a_b",
            vec!["--cognito-jwks-url", "http://keys.example/"],
            "over https",
        ),
        (
            "a_b",
            vec!["--cognito-jwks-url", "ftp://127.0.0.1/"],
            "over https",
        ),
        ("a_b", vec!["--cognito-jwks-url", "keys"], "over https"),
        (
            "a_b",
            vec!["--cognito-issuer", "http://login.example"],
            "over https",
        ),
    ] {
        let refused = refused(&one(id, &more));
        assert!(refused.contains(said), "{refused}");
    }
}

#[test]
fn a_list_that_cannot_be_meant_is_refused_with_what_to_change() {
    let a = r#"{"userPoolId":"a_b","clientIds":["x"]}"#;
    let list = |pools: &str| refused(&["--cognito-pools", &format!("[{pools}]")]);
    let empty = list(r#"{"userPoolId":"a_b","clientIds":[]}"#);
    assert!(
        empty.contains("in GLYPH_COGNITO_POOLS: the user pool \"a_b\": has no app client"),
        "{empty}"
    );
    assert!(list(&format!("{a},{a}")).contains("two pools have the issuer"));
    let both = refused(&one("a_b", &["--cognito-pools", &format!("[{a}]")]));
    assert!(both.contains("are both set"), "{both}");
    let misspelt = a.replace("clientIds", "clientIDs");
    for list in [
        "{}",
        "[",
        &format!("[{misspelt}]"),
        r#"[{"userPoolId":"a_b"}]"#,
    ] {
        let refused = Settings::try_parse_from(["glyph-authz", "--cognito-pools", list]);
        assert!(refused.is_err(), "{list}");
    }
}
