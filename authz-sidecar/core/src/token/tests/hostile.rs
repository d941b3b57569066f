//! Tokens that somebody made up. CASES 36 and 38.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::*;

/// A token of any header; signed by the first key.
fn headed(header: &str) -> String {
    first()
        .sign_text(header, &claims(json!({})).to_string())
        .unwrap()
}

fn part(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(text)
}

#[test]
fn an_algorithm_other_than_rs256_is_refused_whatever_stands_in_the_signature() {
    for alg in [
        "none", "None", "HS256", "RS384", "RS512", "PS256", "ES256", "rs256", "",
    ] {
        let header = json!({"kid": "first", "alg": alg}).to_string();
        assert_eq!(verdict(&headed(&header)), Err(Rejected::Algorithm), "{alg}");
    }
    assert_eq!(
        verdict(&headed(r#"{"kid":"first"}"#)),
        Err(Rejected::Algorithm)
    );
    let list = r#"{"kid":"first","alg":["RS256"]}"#;
    assert_eq!(verdict(&headed(list)), Err(Rejected::Algorithm));

    let unsigned = format!(
        "{}.{}.",
        part(r#"{"kid":"first","alg":"none"}"#),
        part(&claims(json!({})).to_string())
    );
    assert_eq!(verdict(&unsigned), Err(Rejected::Malformed));
}

#[test]
fn a_signature_made_with_the_public_key_as_a_secret_is_refused() {
    let public = first().public().to_string();
    for alg in ["HS256", "RS256"] {
        let header = part(&json!({"kid": "first", "alg": alg}).to_string());
        let signed = format!("{header}.{}", part(&claims(json!({})).to_string()));
        let key = hmac::Key::new(hmac::HMAC_SHA256, public.as_bytes());
        let tag = hmac::sign(&key, signed.as_bytes());
        let said = verdict(&format!("{signed}.{}", URL_SAFE_NO_PAD.encode(tag)));
        assert!(
            matches!(said, Err(Rejected::Algorithm | Rejected::Signature)),
            "{alg}: {said:?}"
        );
    }
}

#[test]
fn a_key_or_an_address_of_keys_that_the_token_brings_is_not_looked_at() {
    let forger = second();
    let mut header = json!({
        "alg": "RS256", "kid": "first", "jwk": forger.public(),
        "jku": "https://forger.example/jwks.json", "x5u": "https://forger.example/cert.pem",
    });
    let claims = claims(json!({})).to_string();
    let token = forger.sign_text(&header.to_string(), &claims).unwrap();
    assert_eq!(verdict(&token), Err(Rejected::Signature));
    header["kid"] = "second".into();
    let token = forger.sign_text(&header.to_string(), &claims).unwrap();
    assert_eq!(verdict(&token), Err(Rejected::UnknownKey { pool: 0 }));
    header["kid"] = "first".into();
    assert_eq!(
        verdict(&headed(&header.to_string())),
        Ok(()),
        "only its own key counts"
    );
}

#[test]
fn extensions_that_must_be_understood_are_refused() {
    for crit in [json!(["exp"]), json!([]), json!("b64"), json!(null)] {
        let header = json!({"alg": "RS256", "kid": "first", "crit": crit, "b64": false});
        assert_eq!(
            verdict(&headed(&header.to_string())),
            Err(Rejected::Malformed)
        );
    }
    for kid in [r#","kid":7"#, ""] {
        let header = format!(r#"{{"alg":"RS256"{kid}}}"#);
        assert_eq!(verdict(&headed(&header)), Err(Rejected::Malformed));
    }
}

#[test]
fn a_name_that_stands_twice_is_refused_in_header_and_claims() {
    let good = r#"{"alg":"RS256","kid":"first"}"#;
    for header in [
        r#"{"alg":"none","alg":"RS256","kid":"first"}"#,
        r#"{"alg":"RS256","kid":"first","kid":"first"}"#,
        r#"{"alg":"RS256","kid":"first","a":1,"\u0061":1}"#,
    ] {
        assert_eq!(
            verdict(&headed(header)),
            Err(Rejected::Malformed),
            "{header}"
        );
    }
    let text = claims(json!({})).to_string();
    for twice in [
        r#""sub":"other","#,
        r#""exp":9999999999,"#,
        r#""x":1,"x":1,"#,
    ] {
        let doubled = text.replacen('{', &format!("{{{twice}"), 1);
        let token = first().sign_text(good, &doubled).unwrap();
        assert_eq!(verdict(&token), Err(Rejected::Malformed), "{twice}");
    }
}

#[test]
fn what_is_not_three_parts_of_json_is_refused() {
    let whole = token(json!({}));
    let parts: Vec<_> = whole.split('.').collect();
    let [header, claims, signature] = parts[..] else {
        panic!("{} parts", parts.len());
    };
    let long = "a".repeat(16 * 1024);
    for bad in [
        ".".to_owned(),
        "..".to_owned(),
        format!("{header}.{claims}"),
        format!("{header}.{claims}."),
        format!("{header}..{signature}"),
        format!(".{claims}.{signature}"),
        format!("{header}.{claims}.{signature}.{signature}"),
        format!("{header}.{header}.{claims}.{signature}.{signature}"),
        format!("{whole}="),
        format!("{whole} "),
        format!(" {whole}"),
        format!("{header} .{claims}.{signature}"),
        format!("{whole},Bearer {whole}"),
        format!("{header}.{claims}.{}", signature.replace(['-', '_'], "+")) + "+",
        format!("{header}.{}.{signature}", part("[]")),
        format!("{header}.{}.{signature}", part("{} {}")),
        format!("{header}.{}.{signature}", part("\u{feff}{}")),
        format!("{header}.{claims}.{signature}{long}"),
    ] {
        let shown = bad.get(..40).unwrap_or(&bad);
        assert_eq!(verdict(&bad), Err(Rejected::Malformed), "{shown}");
    }
    let deep = "[".repeat(10_000) + &"]".repeat(10_000);
    let deep = format!("{header}.{}.{signature}", part(&deep[..8_000]));
    assert_eq!(verdict(&deep), Err(Rejected::Malformed));
}

/// Every letter of a good token, in every part, replaced by each letter that could stand there and by some that could not;
/// the good one having been seen before.
#[test]
fn no_letter_of_a_token_can_be_changed_and_it_be_taken() {
    let (good, trust, remembered) = (token(json!({})), trust(), Remembered::default());
    let verifier = Verifier {
        trust: &trust,
        remembered: &remembered,
    };
    assert!(verifier.verify(&good, now()).is_ok());
    let letters = (b'A'..=b'Z').chain(b'a'..=b'z').chain(b'0'..=b'9');
    let letters: Vec<u8> = letters.chain(*b"-_=.+/ \0").collect();
    for place in 0..good.len() {
        let mut changed = good.clone().into_bytes();
        let before = changed[place];
        for letter in letters.iter().filter(|letter| **letter != before) {
            changed[place] = *letter;
            let text = std::str::from_utf8(&changed).unwrap();
            let taken = verifier.verify(text, now()).is_ok();
            assert!(!taken, "place {place}: {letter}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Cut, doubled, put elsewhere: any change of any number of letters.
    #[test]
    fn no_change_of_a_token_is_taken(from in 0_usize..600, length in 0_usize..40, put in "[A-Za-z0-9_.=-]{0,40}") {
        let good = token(json!({}));
        let end = (from + length).min(good.len());
        let changed = format!("{}{put}{}", &good[..from], &good[end..]);
        prop_assume!(changed != good);
        prop_assert!(verify(&changed, &trust(), now()).is_err());
    }

    /// Nothing that anyone may send makes it panic, and nothing unsigned is taken.
    #[test]
    fn nothing_unsigned_is_taken(text in ".{0,300}", header in "\\PC{0,80}", claims in "\\PC{0,80}") {
        prop_assert!(verdict(&text).is_err());
        let three = [part(&header), part(&claims), part("x")].join(".");
        prop_assert!(verdict(&three).is_err());
    }
}
