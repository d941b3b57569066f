use super::SignatureError::{Malformed, Mismatch, NoV1, Stale};
use super::*;

const SECRET: &str = "whsec_new";
const OLD_SECRET: &str = "whsec_old";
const BODY: &[u8] = br#"{ "id": "evt_1",  "type": "customer.created" }"#;
const SIGNED_AT: i64 = 1_795_400_000;

fn hex(secret: &str, time: &str, body: &[u8]) -> String {
    let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes())
        .unwrap()
        .chain_update(time)
        .chain_update(b".")
        .chain_update(body);
    let bytes = mac.finalize().into_bytes();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn v1(secret: &str) -> String {
    hex(secret, &SIGNED_AT.to_string(), BODY)
}

fn after(seconds: i64) -> Timestamp {
    Timestamp::from_second(SIGNED_AT + seconds).unwrap()
}

fn check(header: &str) -> Result<(), SignatureError> {
    verify(header.as_bytes(), BODY, [SECRET, OLD_SECRET], after(1))
}

fn signed() -> String {
    format!("t={SIGNED_AT},v1={}", v1(SECRET))
}

#[test]
fn stripes_own_signature_passes() {
    assert_eq!(check(&signed()), Ok(()));
}

#[test]
fn the_published_algorithm_gives_the_known_answer() {
    // HMAC-SHA-256 of "1492774577.{}" under "whsec_test", by another implementation (Python's hmac).
    let header =
        b"t=1492774577,v1=0d0602f6611bd2252dd4b74b58a4528355a7380639a15e6cc21e3059d56d5b8b";
    let now = Timestamp::from_second(1_492_774_577).unwrap();
    assert_eq!(verify(header, b"{}", ["whsec_test"], now), Ok(()));
}

/// CASE 31.
#[test]
fn only_v0_is_refused_even_when_it_fits() {
    let fits = v1(SECRET);
    assert_eq!(check(&format!("t={SIGNED_AT},v0={fits}")), Err(NoV1));
    assert_eq!(check(&format!("t={SIGNED_AT}")), Err(NoV1));
    let beside = format!("t={SIGNED_AT},v1={},v0={}", v1(SECRET), "0".repeat(64));
    assert_eq!(check(&beside), Ok(()));
}

/// CASE 31.
#[test]
fn a_time_that_is_missing_doubled_or_no_number_is_refused() {
    let v1 = v1(SECRET);
    let refused = [
        (format!("v1={v1}"), "it has no time"),
        (format!("t=abc,v1={v1}"), "its time is not a number"),
        (format!("t=,v1={v1}"), "its time is not a number"),
        (
            format!("t=+{SIGNED_AT},v1={v1}"),
            "its time is not a number",
        ),
        (
            format!("t=-{SIGNED_AT},v1={v1}"),
            "its time is not a number",
        ),
        (
            format!("t=99999999999999999999,v1={v1}"),
            "its time is not a number",
        ),
        (
            format!("t={SIGNED_AT},t={SIGNED_AT},v1={v1}"),
            "it has two times",
        ),
        (format!("t={SIGNED_AT},v1"), "a part has no `=`"),
        (String::new(), "a part has no `=`"),
    ];
    for (header, why) in refused {
        assert_eq!(check(&header), Err(Malformed(why)), "{header}");
    }
    assert_eq!(
        verify(b"t=\xff", BODY, [SECRET], after(0)),
        Err(Malformed("it is not text"))
    );
}

/// CASE 31.
#[test]
fn three_hundred_seconds_are_allowed_either_way_and_not_one_more() {
    let header = signed();
    let at = |seconds| verify(header.as_bytes(), BODY, [SECRET], after(seconds));
    assert_eq!(at(300), Ok(()));
    assert_eq!(at(-300), Ok(()));
    assert_eq!(at(301), Err(Stale { seconds: 301 }));
    assert_eq!(at(-301), Err(Stale { seconds: -301 }));
}

#[test]
fn the_time_is_part_of_what_is_signed() {
    let later = format!("t={},v1={}", SIGNED_AT + 1, v1(SECRET));
    assert_eq!(check(&later), Err(Mismatch));
    let same_number = format!("t=0{SIGNED_AT},v1={}", v1(SECRET));
    assert_eq!(check(&same_number), Err(Mismatch));
}

/// CASE 31.
#[test]
fn the_second_of_two_v1_signatures_is_enough() {
    let both = format!("t={SIGNED_AT},v1={},v1={}", "0".repeat(64), v1(SECRET));
    assert_eq!(check(&both), Ok(()));
    let garbage_first = format!("t={SIGNED_AT},v1=xyz,v1={}", v1(SECRET));
    assert_eq!(check(&garbage_first), Ok(()));
}

/// CASE 31.
#[test]
fn upper_case_short_or_long_hex_is_refused() {
    let v1 = v1(SECRET);
    for wrong in [v1.to_uppercase(), v1[..62].to_owned(), format!("{v1}00")] {
        assert_eq!(check(&format!("t={SIGNED_AT},v1={wrong}")), Err(Mismatch));
    }
    assert_eq!(check(&format!("t={SIGNED_AT},v1=")), Err(Mismatch));
}

/// CASE 31.
#[test]
fn a_body_that_was_written_again_is_refused() {
    let header = signed();
    let value: serde_json::Value = serde_json::from_slice(BODY).unwrap();
    let again = serde_json::to_vec(&value).unwrap();
    assert_eq!(
        verify(header.as_bytes(), &again, [SECRET], after(0)),
        Err(Mismatch)
    );
}

/// CASE 31.
#[test]
fn an_empty_body_passes_only_with_its_own_signature() {
    let header = signed();
    let empty = |header: &str| verify(header.as_bytes(), b"", [SECRET], after(0));
    assert_eq!(empty(&header), Err(Mismatch));
    let own = hex(SECRET, &SIGNED_AT.to_string(), b"");
    assert_eq!(empty(&format!("t={SIGNED_AT},v1={own}")), Ok(()));
}

/// CASE 31.
#[test]
fn the_old_secret_is_good_while_it_is_configured_beside_the_new_one() {
    let old = format!("t={SIGNED_AT},v1={}", v1(OLD_SECRET));
    assert_eq!(check(&old), Ok(()));
    assert_eq!(
        verify(old.as_bytes(), BODY, [SECRET], after(0)),
        Err(Mismatch)
    );
    assert_eq!(verify(old.as_bytes(), BODY, [], after(0)), Err(Mismatch));
}
