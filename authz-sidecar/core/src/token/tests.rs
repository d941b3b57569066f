//! What is no good token, and what is. CASES 36 to 39.

use glyph_harness::pool::{SigningKey, jwks};
use jiff::SignedDuration;
use proptest::prelude::*;
use ring::hmac;
use serde_json::{Value, json};

use super::*;
use crate::fixtures::{RULES, now};

mod fetching;
mod hostile;
mod memory;

const ISSUER: &str = "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_pool";
const SUBJECT: &str = "0f9b8a7c-1111-4222-8333-444455556666";

fn pool(issuer: &str) -> Pool {
    Pool {
        id: "eu-central-1_pool".into(),
        issuer: issuer.to_owned(),
        clients: vec!["shop".to_owned(), "app".to_owned()],
        id_tokens: false,
        resource_server: Some("https://api".to_owned()),
    }
}

/// One pool, whose key is the first.
fn trust() -> Trust {
    trusting(pool(ISSUER))
}

fn trusting(pool: Pool) -> Trust {
    Trust::new(vec![pool], RULES).fetched(0, keys(&[&first()]), now())
}

fn keys(keys: &[&SigningKey]) -> KeySet {
    KeySet::read(jwks(keys).as_bytes()).unwrap()
}

fn first() -> SigningKey {
    SigningKey::first().unwrap()
}

fn second() -> SigningKey {
    SigningKey::second().unwrap()
}

/// What Cognito says of a user who has signed in; `more` is put over it, and `null` takes away.
fn claims(more: Value) -> Value {
    let begun = now().as_second() - 60;
    let mut claims = json!({
        "iss": ISSUER, "sub": SUBJECT, "client_id": "shop", "token_use": "access",
        "scope": "aws.cognito.signin.user.admin", "username": SUBJECT, "event_id": "e", "jti": "j",
        "auth_time": begun, "iat": begun, "exp": begun + 3600,
    });
    for (name, value) in more.as_object().unwrap() {
        match value {
            Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
            value => claims[name] = value.clone(),
        }
    }
    claims
}

fn token(more: Value) -> String {
    first().sign(&claims(more)).unwrap()
}

fn verdict(token: &str) -> Result<(), Rejected> {
    verify(token, &trust(), now()).map(drop)
}

/// What is thought of a token that says `more`.
fn saying(more: Value) -> Result<(), Rejected> {
    verdict(&token(more))
}

#[test]
fn a_token_of_cognito_is_its_users() {
    let token = token(json!({}));
    let Ok(verified) = verify(&token, &trust(), now()) else {
        panic!("refused");
    };
    assert_eq!(&*verified.subject, SUBJECT);
    assert_eq!(&*verified.rate_key, format!("sub:{SUBJECT}"));
    assert!(!verified.is_limited());
}

#[test]
fn a_token_holds_from_nbf_and_iat_to_exp_and_each_may_be_off_by_the_leeway() {
    let now = now().as_second();
    for (name, seconds, expected) in [
        ("exp", -29, Ok(())),
        ("exp", -30, Err(Rejected::Expired)),
        ("exp", 1, Ok(())),
        ("nbf", 30, Ok(())),
        ("nbf", 31, Err(Rejected::NotYet)),
        ("iat", 30, Ok(())),
        ("iat", 31, Err(Rejected::NotYet)),
    ] {
        let said = saying(json!({name: now + seconds}));
        assert_eq!(said, expected, "{name} {seconds}");
    }
    assert_eq!(saying(json!({"iat": null, "auth_time": null})), Ok(()));
    assert_eq!(saying(json!({"exp": i64::MAX, "nbf": i64::MIN})), Ok(()));
    assert_eq!(saying(json!({"exp": i64::MIN})), Err(Rejected::Expired));
}

#[test]
fn a_time_that_is_missing_or_no_whole_number_is_refused() {
    let now = now().as_second();
    for (name, value) in [
        ("exp", json!((now + 60).to_string())),
        ("exp", json!(now as f64 + 60.5)),
        ("exp", json!(1e30)),
        ("exp", json!([now + 60])),
        ("exp", Value::Null),
        ("nbf", json!("0")),
        ("iat", json!(true)),
    ] {
        let said = saying(json!({name: value}));
        assert_eq!(said, Err(Rejected::Claim(name)), "{value}");
    }
    let null = r#"{"iss":"ISSUER","sub":"s","client_id":"shop","token_use":"access","exp":null}"#;
    let null = null.replace("ISSUER", ISSUER);
    let null = first().sign_text(r#"{"kid":"first","alg":"RS256"}"#, &null);
    assert_eq!(verdict(&null.unwrap()), Err(Rejected::Claim("exp")));
}

#[test]
fn a_token_of_another_use_client_or_pool_is_refused() {
    let id = json!({"token_use": "id", "aud": "shop", "client_id": null, "scope": null});
    assert_eq!(saying(id.clone()), Err(Rejected::Use));
    for other in [json!(null), json!("refresh"), json!(["access"])] {
        assert_eq!(saying(json!({"token_use": other})), Err(Rejected::Use));
    }
    for other in [json!(null), json!("other"), json!(["shop"]), json!("")] {
        let said = saying(json!({"client_id": other, "aud": "shop"}));
        assert_eq!(said, Err(Rejected::Client), "{other}");
    }
    for other in [
        json!(null),
        json!(""),
        json!(ISSUER.replace("pool", "else")),
        json!(format!("{ISSUER}/")),
    ] {
        assert_eq!(saying(json!({"iss": other})), Err(Rejected::Issuer));
    }
    assert_eq!(saying(json!({"client_id": "app"})), Ok(()));

    let taking_ids = trusting(Pool {
        id_tokens: true,
        ..pool(ISSUER)
    });
    let verify = |more| verify(&token(more), &taking_ids, now()).map(|_| ());
    assert_eq!(verify(id), Ok(()));
    assert_eq!(verify(json!({})), Ok(()), "access tokens go on");
    let other = json!({"token_use": "id", "aud": "other"});
    assert_eq!(verify(other), Err(Rejected::Client), "client_id is not aud");
}

#[test]
fn each_pools_tokens_are_checked_by_its_own_keys() {
    let other = ISSUER.replace("pool", "other");
    let two = Trust::new(vec![pool(ISSUER), pool(&other)], RULES)
        .fetched(0, keys(&[&first()]), now())
        .fetched(1, keys(&[&second()]), now());
    let verify = |key: &SigningKey, issuer: &str| {
        let token = key.sign(&claims(json!({"iss": issuer}))).unwrap();
        verify(&token, &two, now()).map(|_| ())
    };
    assert_eq!(verify(&first(), ISSUER), Ok(()));
    assert_eq!(verify(&second(), &other), Ok(()));
    let unknown = |pool| Err(Rejected::UnknownKey { pool });
    assert_eq!(verify(&second(), ISSUER), unknown(0));
    assert_eq!(verify(&first(), &other), unknown(1));
}

#[test]
fn a_user_is_named_by_letters_digits_and_hyphens_alone() {
    for bad in [
        json!(null),
        json!(""),
        json!(7),
        json!("a b"),
        json!("{a}"),
        json!("a\r\nb"),
        json!("é"),
    ] {
        let said = saying(json!({"sub": bad}));
        assert_eq!(said, Err(Rejected::Claim("sub")), "{bad}");
    }
    let long = "a".repeat(129);
    assert_eq!(saying(json!({"sub": long})), Err(Rejected::Claim("sub")));
}

#[test]
fn a_token_is_limited_to_its_scopes_unless_it_is_the_whole_users() {
    let scoped = |scope: Value| {
        let token = token(json!({ "scope": scope }));
        verify(&token, &trust(), now()).unwrap_or_else(|_| panic!("refused"))
    };
    let admin = "aws.cognito.signin.user.admin";
    for whole in [
        admin.to_owned(),
        format!("openid  {admin} email phone profile"),
    ] {
        let token = scoped(json!(whole));
        assert!(!token.is_limited() && token.has_scope("anything"));
    }
    for nothing in [json!(null), json!(""), json!("openid email")] {
        let token = scoped(nothing);
        assert!(token.is_limited() && !token.has_scope("items:write"));
    }
    let both = scoped(json!(format!(
        "{admin} https://api/items:read other/items:write"
    )));
    assert!(both.is_limited());
    for (scope, has) in [
        ("items:read", true),
        ("https://api/items:read", true),
        ("items:write", false),
        ("other/items:write", true),
        ("items:", false),
        ("items:*", false),
        (admin, true),
        ("", false),
    ] {
        assert_eq!(both.has_scope(scope), has, "{scope}");
    }
    let star = scoped(json!("https://api/items:*"));
    assert!(!star.has_scope("items:read"), "no pattern");
    let list = json!({"scope": ["https://api/items:read"]});
    assert_eq!(saying(list), Err(Rejected::Claim("scope")));
}
