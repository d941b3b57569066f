//! Tokens seen before: never longer than they hold, and never more than there is room for.

use super::*;

fn seen(remembered: &Remembered) -> (u64, u64) {
    let Seen {
        remembered,
        verified,
    } = remembered.seen();
    (remembered, verified)
}

#[test]
fn a_token_seen_before_is_known_to_the_letter_until_it_is_over() {
    let (trust, remembered) = (trust(), Remembered::default());
    let verifier = Verifier {
        trust: &trust,
        remembered: &remembered,
    };
    let token = token(json!({}));
    assert!(verifier.verify(&token, now()).is_ok());
    assert_eq!(seen(&remembered), (0, 1));
    assert!(verifier.verify(&token, now()).is_ok());
    assert_eq!(seen(&remembered), (1, 1));

    // The same end, which is what its place is found by, and something else before it.
    let other = token.replacen('e', "f", 1);
    assert!(verifier.verify(&other, now()).is_err());
    assert_eq!(seen(&remembered), (1, 1));

    let last = now() + SignedDuration::from_secs(3600 - 60 + 29);
    assert!(verifier.verify(&token, last).is_ok());
    let over = last + SignedDuration::from_secs(1);
    assert_eq!(verifier.verify(&token, over).err(), Some(Rejected::Expired));
    assert!(remembered.is_empty());
}

#[test]
fn what_was_verified_by_keys_that_have_changed_is_verified_again() {
    let (before, remembered) = (trust(), Remembered::default());
    let verify = |trust: &Trust, token: &str, now| {
        let verifier = Verifier {
            trust,
            remembered: &remembered,
        };
        verifier.verify(token, now).map(drop)
    };
    let token = token(json!({}));
    assert_eq!(verify(&before, &token, now()), Ok(()));

    let same = before.fetched(0, keys(&[&first()]), now());
    assert_eq!(verify(&same, &token, now()), Ok(()));
    assert_eq!(
        seen(&remembered),
        (1, 1),
        "the same keys again are no change"
    );

    let both = same.fetched(0, keys(&[&first(), &second()]), now());
    assert_eq!(verify(&both, &token, now()), Ok(()));
    assert_eq!(seen(&remembered), (1, 2));

    let gone = both.fetched(0, keys(&[&second()]), now());
    assert_eq!(
        verify(&gone, &token, now()),
        Err(Rejected::UnknownKey { pool: 0 })
    );
}

#[test]
fn keys_that_are_too_old_stop_tokens_seen_before_as_well() {
    let (trust, remembered) = (trust(), Remembered::default());
    let verifier = Verifier {
        trust: &trust,
        remembered: &remembered,
    };
    let long = token(json!({"exp": now().as_second() + 100 * 86_400}));
    let day = now() + SignedDuration::from_hours(24);
    assert!(verifier.verify(&long, now()).is_ok());
    assert!(verifier.verify(&long, day).is_ok());
    let later = day + SignedDuration::from_secs(1);
    let said = verifier.verify(&long, later).err();
    assert_eq!(said, Some(Rejected::NoKeys { pool: 0 }));
}

#[test]
fn only_so_many_are_kept_and_the_last_to_come_is_among_them() {
    let (trust, remembered) = (trust(), Remembered::default());
    let says = verify(&token(json!({})), &trust, now());
    let says = Arc::new(says.unwrap_or_else(|_| panic!("refused")));
    for n in 0..50_000 {
        let token = format!("header.claims.{n:040}");
        remembered.put(&token, &says, &trust, now());
        assert!(remembered.find(&token, &trust, now()).is_some());
    }
    let most = 2048 * 8;
    assert!(remembered.len() <= most && remembered.len() > most * 9 / 10);
    let long = "a".repeat(4097);
    remembered.put(&long, &says, &trust, now());
    assert!(remembered.find(&long, &trust, now()).is_none());
}

#[test]
fn those_that_are_over_make_room_first() {
    let (trust, remembered) = (trust(), Remembered::default());
    let of = |expires| {
        let token = token(json!({"exp": now().as_second() + expires}));
        Arc::new(verify(&token, &trust, now()).unwrap_or_else(|_| panic!("refused")))
    };
    let (short, long) = (of(10), of(1000));
    // Tokens of one end are in one set, of eight.
    let end = "z".repeat(40);
    for n in 0..8 {
        let says = if n == 5 { &short } else { &long };
        remembered.put(&format!("{n}{end}"), says, &trust, now());
    }
    let later = now() + SignedDuration::from_secs(60);
    remembered.put(&format!("8{end}"), &long, &trust, later);
    let found = |n: i32| {
        let token = format!("{n}{end}");
        remembered.find(&token, &trust, later).is_some()
    };
    assert_eq!((0..=8).filter(|n| !found(*n)).collect::<Vec<_>>(), [5]);
}
