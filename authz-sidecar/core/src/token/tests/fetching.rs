//! Key sets, and when they are fetched. CASE 39.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::*;

fn later(seconds: i64) -> Timestamp {
    now() + SignedDuration::from_secs(seconds)
}

fn every(seconds: i64) -> Schedule {
    Schedule::new(SignedDuration::from_secs(seconds))
}

/// One that has fetched keys at `now`.
fn fetched() -> Schedule {
    let mut schedule = every(300);
    schedule.begin(now());
    schedule.end(true);
    schedule
}

#[test]
fn ten_thousand_unknown_keys_lead_to_one_fetch_in_ten_seconds() {
    let (trust, mut schedule) = (trust(), fetched());
    let claims = claims(json!({})).to_string();
    let mut fetches = Vec::new();
    for n in 0..10_000_i64 {
        // Over a minute, from the moment that the keys were fetched.
        let at = now() + SignedDuration::from_millis(n * 6);
        let header = json!({"alg": "RS256", "kid": format!("random-{n}")}).to_string();
        let [header, claims] = [&header, &claims].map(|text| URL_SAFE_NO_PAD.encode(text));
        let forged = format!("{header}.{claims}.c2ln");
        let said = verify(&forged, &trust, at).err();
        assert_eq!(said, Some(Rejected::UnknownKey { pool: 0 }));
        if schedule.want(at) {
            schedule.begin(at);
            schedule.end(true);
            fetches.push(at);
        }
    }
    let apart =
        |pair: &[Timestamp]| pair[1].duration_since(pair[0]) >= SignedDuration::from_secs(10);
    assert!(
        fetches.len() == 5 && fetches.windows(2).all(apart),
        "{fetches:?}"
    );
    assert!(fetches[0] >= later(10));
}

#[test]
fn keys_are_fetched_ahead_and_an_unknown_one_brings_that_forward() {
    let mut schedule = every(300);
    assert_eq!(schedule.wait(now()), SignedDuration::ZERO, "at once");
    schedule.begin(now());
    assert!(
        schedule.want(later(1)),
        "it is under way: worth waiting for"
    );
    schedule.end(true);
    assert_eq!(schedule.wait(later(100)), SignedDuration::from_secs(200));
    assert!(!schedule.want(later(4)));
    assert_eq!(schedule.wait(later(4)), SignedDuration::from_secs(6));
    assert!(schedule.want(later(10)));
}

#[test]
fn a_failure_is_tried_again_soon_and_sooner_where_there_are_no_keys() {
    let mut schedule = every(300);
    let mut waits = Vec::new();
    for _ in 0..6 {
        schedule.begin(now());
        schedule.end(false);
        waits.push(schedule.wait(now()).as_secs());
    }
    assert_eq!(waits, [1, 2, 4, 8, 10, 10]);
    let mut schedule = fetched();
    schedule.begin(later(300));
    schedule.end(false);
    assert_eq!(schedule.wait(later(300)), SignedDuration::from_secs(10));
}

#[test]
fn a_clock_that_is_put_back_does_not_keep_keys_from_being_fetched() {
    let schedule = fetched();
    assert_eq!(schedule.wait(later(-86_400)), SignedDuration::ZERO);
}

#[test]
fn what_is_no_set_of_keys_is_told_apart_and_the_keys_before_go_on() {
    for (text, why) in [
        ("", UnusableKeys::Empty),
        (" \n", UnusableKeys::Empty),
        ("<!DOCTYPE html><title>Sign in</title>", UnusableKeys::Page),
        ("not found", UnusableKeys::NotASet),
        ("{}", UnusableKeys::NotASet),
        ("[]", UnusableKeys::NotASet),
        (r#"{"keys":{}}"#, UnusableKeys::NotASet),
        (r#"{"keys":[]}"#, UnusableKeys::NoneOfUse),
    ] {
        assert_eq!(KeySet::read(text.as_bytes()), Err(why), "{text}");
    }
    let kept = trust().failed(0);
    assert!(kept.is_failing(0) && verify(&token(json!({})), &kept, now()).is_ok());
    assert_eq!(kept.age(0, later(7)), Some(SignedDuration::from_secs(7)));
}

#[test]
fn keys_for_something_else_are_passed_over_and_never_used() {
    let with = |name: &str, value: Value| {
        let mut key = first().public();
        match value {
            Value::Null => drop(key.as_object_mut().unwrap().remove(name)),
            value => key[name] = value,
        }
        key
    };
    let small = "y9sMWMvuqlN2EBDSGWVFbXX4vzLGGjEIvUr4TFwBYFiIS1VAMxUSlW0l4rihO_7NLWGjxdtfnjByJbkNHo2O5FP-xXbF74VfXi3KGlQL397bJASmi9wKwJbzSRAaXPK0lvsz9TG-hI5NdyekN_tNs2yXlWDaz2h4eWzgr4VUUi0";
    for other in [
        with("kty", json!("EC")),
        with("use", json!("enc")),
        with("use", json!(null)),
        with("alg", json!("RS512")),
        with("alg", json!(null)),
        with("kid", json!("")),
        with("kid", json!(null)),
        with("n", json!(small)),
        with("n", json!("AAAA")),
        with("n", json!("n+/=")),
        with("e", json!(7)),
        json!("key"),
        json!(null),
    ] {
        let alone = json!({"keys": [other]}).to_string();
        assert_eq!(KeySet::read(alone.as_bytes()), Err(UnusableKeys::NoneOfUse));
        let beside = json!({"keys": [other, second().public()], "more": 1}).to_string();
        assert_eq!(KeySet::read(beside.as_bytes()).unwrap().len(), 1, "{other}");
    }
}

#[test]
fn of_two_keys_of_one_name_neither_is_used_and_one_that_stands_twice_is() {
    let mut impostor = second().public();
    impostor["kid"] = "first".into();
    for order in [
        [first().public(), impostor.clone()],
        [impostor, first().public()],
    ] {
        let set = json!({"keys": order}).to_string();
        assert_eq!(KeySet::read(set.as_bytes()), Err(UnusableKeys::NoneOfUse));
    }
    let twice = keys(&[&first(), &first()]);
    assert_eq!(twice, keys(&[&first()]));
}

#[test]
fn without_keys_no_token_is_judged() {
    let none = Trust::new(vec![pool(ISSUER)], RULES);
    let said = verify(&token(json!({})), &none, now()).err();
    assert_eq!(said, Some(Rejected::NoKeys { pool: 0 }));
}
