use super::*;
use crate::{Grant, Rate};

const RATE: Rate = Rate {
    requests_per_second: 4,
    burst: 8,
};
const QUOTA_KEY: &str = "glyph:{c-1}:quota:100";
const RETURNED_KEY: &str = "glyph:{c-1}:returned:100";
const RATE_KEY: &str = "glyph:{c-1}:rate:k-1";

/// The words of a request's command, after `EVALSHA` and the hash.
fn words(rate: Option<Rate>, grants: &[Grant]) -> Vec<String> {
    let spend = Spend {
        customer: "c-1",
        key_id: "k-1",
        cost: 2,
        period: Period {
            start: 100,
            end: 200,
        },
        limit: Some(9),
        floor: 0,
        rate,
        grants,
    };
    let floors = Floors {
        quota: Counted {
            used: 3,
            returned: 1,
        },
        credits: vec![
            Counted {
                used: 5,
                returned: 2
            };
            grants.len()
        ],
    };
    let mut command = Cmd::new();
    spend_arguments(&mut command, &spend, &floors);
    let word = |word: redis::Arg<&[u8]>| match word {
        redis::Arg::Simple(bytes) => String::from_utf8(bytes.to_vec()).unwrap(),
        _ => panic!("a cursor or other word"),
    };
    command.args_iter().map(word).collect()
}

#[test]
fn all_keys_of_a_request_have_the_customer_as_their_one_hash_tag() {
    let grant = |id: &str, expires_at| Grant {
        id: id.into(),
        available: 7,
        floor: 4,
        returned: 0,
        expires_at,
    };
    let grants = [grant("g-1", Some(150)), grant("g-2", None)];
    let credits = "glyph:{c-1}:credits";
    let never = i64::MAX.to_string();
    let shared = [
        "4",
        QUOTA_KEY,
        RETURNED_KEY,
        RATE_KEY,
        credits,
        "2",
        "9",
        "3",
        "1",
        "200",
    ];
    let listed = ["g-1", "7", "5", "2", "150", "g-2", "7", "5", "2", &never];
    let rated = words(Some(RATE), &grants);
    assert_eq!(rated, [&shared[..], &["250000.0", "8"], &listed].concat());
    let unrated = words(None, &grants);
    assert_eq!(unrated, [&shared[..], &["0", "0"], &listed].concat());
}

#[test]
fn a_request_without_grants_sends_no_word_of_credits() {
    let rated = [
        "3",
        QUOTA_KEY,
        RETURNED_KEY,
        RATE_KEY,
        "2",
        "9",
        "3",
        "1",
        "200",
        "250000.0",
        "8",
    ];
    assert_eq!(words(Some(RATE), &[]), rated);
    let bare = ["2", QUOTA_KEY, RETURNED_KEY, "2", "9", "3", "1", "200"];
    assert_eq!(words(None, &[]), bare);
}

#[test]
fn a_url_that_cannot_be_used_is_refused_without_being_shown() {
    for url in [
        "redis://:hunter2@",
        "redis+sentinel://:hunter2@localhost:26379",
        "redis+sentinel://:hunter2@a,,b/master",
        "redis+sentinel://:hunter2@a/master?password=hunter2",
        "redis+cluster://:hunter2@a:x,b",
        "redis+cluster://:hunter2@a,b/1",
        "http://:hunter2@localhost",
        "hunter2",
    ] {
        let refused = RedisCounters::new(url, None, DEFAULT_DEADLINE)
            .err()
            .unwrap();
        assert!(!format!("{refused} {refused:?}").contains("hunter2"));
    }
}

#[test]
fn each_form_of_a_url_is_taken() {
    for url in [
        "redis://localhost",
        "rediss://me:word@redis.example:6380/2",
        "redis+sentinel://:word@a,b:26380/main/2?sentinel_password=other",
        "rediss+sentinel://a/main",
        "redis+cluster://me:word@a,b:7000,[::1]:7001",
        "rediss+cluster://a/0",
    ] {
        let taken = RedisCounters::new(url, None, DEFAULT_DEADLINE);
        assert!(taken.is_ok(), "{url}");
    }
}
