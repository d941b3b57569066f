//! Requests with an access token: whose they are, and what they may. CASE 41.

use glyph_harness::pool::{SigningKey, jwks};

use super::*;
use crate::fixtures::{RULES, glyph_api};
use crate::token::{KeySet, Pool, Trust};

const SUBJECT: &str = "0f9b8a7c-1111-4222-8333-444455556666";
const ISSUER: &str = "https://cognito-idp.eu-central-1.amazonaws.com/pool";

fn keys() -> KeySet {
    KeySet::read(jwks(&[&SigningKey::first().unwrap()]).as_bytes()).unwrap()
}

/// The usual one, where the user with `SUBJECT` is `ada`, and tokens of a pool are taken.
fn world() -> World {
    let mut world = World::usual();
    let pool = Pool {
        id: "pool".into(),
        issuer: ISSUER.to_owned(),
        clients: vec!["shop".to_owned()],
        id_tokens: false,
        resource_server: Some("https://api".to_owned()),
    };
    world.trust = Trust::new(vec![pool], RULES).fetched(0, keys(), now());
    let known = json!({"status": {"cognitoSub": SUBJECT}});
    world.apply(Kind::Customer, customer("ada", known));
    world
}

fn token(subject: &str, scope: &str, more: serde_json::Value) -> String {
    let mut claims = json!({
        "iss": ISSUER, "sub": subject, "client_id": "shop", "token_use": "access", "scope": scope,
        "exp": now().as_second() + 60,
    });
    for (name, value) in more.as_object().unwrap() {
        claims[name] = value.clone();
    }
    let token = SigningKey::first().unwrap().sign(&claims);
    format!("Bearer {}", token.unwrap())
}

/// The token of a user who has signed in with a password.
fn own() -> String {
    token(SUBJECT, "aws.cognito.signin.user.admin", json!({}))
}

fn with(bearer: &str) -> RequestView<'_> {
    let mut view = RequestView::default();
    view.add_header("authorization", bearer.as_bytes());
    view
}

#[test]
fn a_token_is_admitted_as_its_users_customer_with_a_rate_limit_of_its_own_and_no_key() {
    let mut world = world();
    let status = json!({"state": "active", "tier": "starter"});
    world.apply(Kind::Subscription, subscription("ada", "ada", status));
    let bearer = own();
    let admission = metered(&with(&bearer), world.basis()).unwrap();
    let spend = admission.spend();
    let rate_key = format!("sub:{SUBJECT}");
    assert_eq!(
        (spend.customer, spend.key_id, spend.limit),
        ("uid-ada", rate_key.as_str(), Some(10_000))
    );
    assert_eq!(spend.rate.unwrap().burst, 25, "the tier's");
    let permit = admission.settle(outcome(Decision::Admitted, 1)).unwrap();
    let known = permit.identity().unwrap();
    assert_eq!(
        (known.customer().as_str(), known.tier().name()),
        ("shop/ada", "starter")
    );
    assert_eq!((known.subject(), known.key_id()), (Some(SUBJECT), None));
    let removed: Vec<_> = crate::upstream::removed(&permit).collect();
    assert_eq!(removed, ["authorization", "x-api-key", "x-glyph-key-id"]);
}

#[test]
fn all_tokens_of_a_user_share_one_rate_limit_and_are_told_so() {
    let world = world();
    let (one, two) = (own(), token(SUBJECT, "openid", json!({"jti": "another"})));
    let [one, two] = [one, two].map(|bearer| metered(&with(&bearer), world.basis()).unwrap());
    assert_eq!(one.spend().key_id, two.spend().key_id);
    let wait = Duration::from_millis(1500);
    let refused = one.settle(outcome(Decision::RateLimited { retry_after: wait }, 1));
    let refused = refused.unwrap_err();
    assert!(refused.detail().starts_with("This user's access tokens"));
}

#[test]
fn whose_a_token_is_is_said_by_its_sub_and_by_nothing_that_a_user_can_write() {
    let mut world = world();
    world.apply(
        Kind::Customer,
        customer("eve", json!({"status": {"stripeCustomerId": "cus_eve"}})),
    );
    let lies = json!({
        "custom:stripe_customer_id": "cus_eve", "username": "eve", "cognito:username": "eve",
        "email": "eve@example.com", "customer": "shop/eve", "x-glyph-customer": "shop/eve",
    });
    let bearer = token(SUBJECT, "aws.cognito.signin.user.admin", lies);
    let admission = metered(&with(&bearer), world.basis()).unwrap();
    assert_eq!(admission.customer().as_str(), "shop/ada");
}

#[test]
fn a_user_that_no_customer_is_and_one_that_two_claim_is_nobody() {
    let mut world = world();
    let stranger = token("00000000-stranger", "", json!({}));
    let refused = denied(&world, &with(&stranger));
    assert_eq!(refused.code(), Code::InvalidCredential);
    assert!(refused.detail().contains("is no customer"));

    let bearer = own();
    assert!(metered(&with(&bearer), world.basis()).is_ok());
    let claim = json!({"status": {"cognitoSub": SUBJECT}});
    world.apply(Kind::Customer, customer("eve", claim));
    assert_eq!(
        denied(&world, &with(&bearer)).code(),
        Code::InvalidCredential
    );
    world.apply(Kind::Customer, customer("eve", json!({})));
    assert!(metered(&with(&bearer), world.basis()).is_ok(), "one again");

    let going = json!({"metadata": {"deletionTimestamp": "2026-11-01T00:00:00Z"}, "status": {"cognitoSub": SUBJECT}});
    world.apply(Kind::Customer, customer("ada", going));
    assert_eq!(
        denied(&world, &with(&bearer)).code(),
        Code::InvalidCredential
    );
}

#[test]
fn a_suspended_and_an_unpaid_customer_is_refused_by_token_as_by_key() {
    let mut world = world();
    let bearer = own();
    let status = json!({"state": "unpaid", "tier": "starter"});
    world.apply(Kind::Subscription, subscription("ada", "ada", status));
    assert_eq!(denied(&world, &with(&bearer)).code(), Code::PaymentRequired);
    let suspended = json!({"spec": {"suspended": true}, "status": {"cognitoSub": SUBJECT}});
    world.apply(Kind::Customer, customer("ada", suspended));
    assert_eq!(denied(&world, &with(&bearer)).code(), Code::Suspended);
}

#[test]
fn the_addresses_that_a_key_is_bound_to_do_not_bind_its_customers_tokens() {
    let mut world = world();
    let bound = json!({"spec": {"allowedCidrs": ["203.0.113.0/24"]}});
    world.apply(Kind::Key, key("laptop", "ada", KEY, bound));
    assert_eq!(denied(&world, &request()).code(), Code::AddressDenied);
    assert!(metered(&with(&own()), world.basis()).is_ok());
}

#[test]
fn endpoints_ask_a_token_for_its_scopes_and_let_the_users_own_pass() {
    let mut world = world();
    let endpoints = json!([
        {"name": "make", "path": "/items", "methods": ["POST"], "scopes": ["items:write"]},
        {"name": "list", "path": "/items", "methods": ["GET"]},
    ]);
    let api = json!({"unmatched": "Allow", "endpoints": endpoints});
    world.apply(Kind::Api, glyph_api("api", api));
    let code = |scope: &str, method, path: &'static str, route: Option<&'static [u8]>| {
        let bearer = token(SUBJECT, scope, json!({}));
        let request = RequestView {
            method,
            path: path.as_bytes(),
            scopes: route,
            ..with(&bearer)
        };
        metered(&request, world.basis())
            .err()
            .map(|denial| denial.code())
    };
    let own = "aws.cognito.signin.user.admin openid";
    for (scope, make, list, other) in [
        (own, None, None, None),
        (
            "https://api/items:write",
            None,
            None,
            Some(Code::ScopeDenied),
        ),
        (
            "https://else/items:write",
            Some(Code::ScopeDenied),
            None,
            Some(Code::ScopeDenied),
        ),
        (
            "openid",
            Some(Code::ScopeDenied),
            None,
            Some(Code::ScopeDenied),
        ),
    ] {
        assert_eq!(code(scope, "POST", "/items", None), make, "{scope}");
        assert_eq!(code(scope, "GET", "/items", None), list, "{scope}");
        assert_eq!(code(scope, "GET", "/else", None), other, "{scope}");
    }
    let route = Some(b"items:read".as_slice());
    let read = code("https://api/items:write", "POST", "/items", route);
    assert_eq!(
        read,
        Some(Code::ScopeDenied),
        "the gateway's word goes before"
    );
    assert_eq!(
        code("https://api/items:read", "POST", "/items", route),
        None
    );
}

#[test]
fn a_bad_token_is_told_what_is_wrong_and_nothing_of_it_is_repeated() {
    let world = world();
    for (bearer, said) in [
        ("Bearer a.b.c".to_owned(), "three parts"),
        (token(SUBJECT, "", json!({"exp": 1})), "has expired"),
        (
            token(SUBJECT, "", json!({"token_use": "id"})),
            "no access token",
        ),
        (
            token(SUBJECT, "", json!({"client_id": "x"})),
            "another application",
        ),
        (token(SUBJECT, "", json!({"iss": "x"})), "another user pool"),
        (token(SUBJECT, "", json!({"exp": "1"})), "claim `exp`"),
    ] {
        let denial = denied(&world, &with(&bearer));
        assert_eq!(denial.code(), Code::InvalidCredential);
        assert!(denial.detail().contains(said), "{}", denial.detail());
        assert!(denial.detail().ends_with('.') && denial.cause().is_none());
        let mut challenge = String::new();
        denial.fields(|name, value| {
            if name == "www-authenticate" {
                challenge = value.to_owned();
            }
        });
        assert_eq!(challenge, r#"Bearer realm="glyph", error="invalid_token""#);
    }
}

#[test]
fn where_no_pool_is_named_a_token_is_refused_and_a_key_is_asked_for() {
    let world = World::usual();
    let denial = denied(&world, &with(&own()));
    assert_eq!(denial.code(), Code::InvalidCredential);
    assert!(denial.detail().contains("API keys only"));
}

#[test]
fn without_its_pools_keys_a_token_cannot_be_judged_and_a_key_can() {
    let mut world = world();
    let pools = world.trust.pools().to_vec();
    let bearer = own();
    let second = format!(
        "Bearer {}",
        SigningKey::second()
            .unwrap()
            .sign(&json!({"iss": ISSUER}))
            .unwrap()
    );
    let unknown = denied(&world, &with(&second));
    assert_eq!(
        (unknown.code(), unknown.wanting_key_of()),
        (Code::InvalidCredential, Some(0))
    );
    world.trust = world.trust.failed(0);
    let away = denied(&world, &with(&second));
    assert_eq!(
        (away.code(), away.wanting_key_of()),
        (Code::Unavailable, Some(0))
    );
    assert!(
        metered(&with(&bearer), world.basis()).is_ok(),
        "known keys go on"
    );

    world.trust = Trust::new(pools, RULES);
    let denial = denied(&world, &with(&bearer));
    assert_eq!(
        (denial.code(), denial.wanting_key_of()),
        (Code::Unavailable, None)
    );
    assert!(denial.cause().unwrap().contains("user pool pool"));
    assert_eq!(problem(&denial)["retry_after"], 1);
    assert!(metered(&request(), world.basis()).is_ok());
}
