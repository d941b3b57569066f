//! What the API server accepts, the programs can read: drawn texts of the three formats that several parsers
//! have an opinion on. A text that one accepts and the other does not would be a stored object that stops
//! working without anybody having been told.

use glyph_crds::ApiKey;
use ipnet::IpNet;
use proptest::strategy::{Strategy, ValueTree};
use proptest::string::string_regex;
use proptest::test_runner::TestRunner;

use crate::table::{api, dry_run, namespace, object, parses};

const DRAWS: usize = 300;

/// Offers the API server keys with drawn texts in their spec; hands what it accepts to `read`.
async fn offer(texts: &str, spec: impl Fn(&str) -> String, read: impl Fn(&str)) {
    let namespace = namespace().await;
    let api = api::<ApiKey>(&namespace);
    let strategy = string_regex(texts).unwrap();
    let mut runner = TestRunner::deterministic();
    let mut accepted = 0;
    for _ in 0..DRAWS {
        let text = strategy.new_tree(&mut runner).unwrap().current();
        let key = object::<ApiKey>("drawn", &spec(&text));
        if let Ok(key) = api.create(&dry_run(), &key).await {
            parses::<ApiKey>(&text, &key);
            read(&text);
            accepted += 1;
        }
    }
    assert!(
        (5..DRAWS).contains(&accepted),
        "{accepted} of {DRAWS}: the draw shows nothing"
    );
}

#[tokio::test]
async fn an_accepted_duration_is_one_to_the_programs() {
    let texts = "(|||-)([0-9]{1,3}(|||[.][0-9])(h|h|m|m|s|s|ms|d|)){1,2}";
    let spec = |text: &str| format!("{{customerRef: {{name: ada}}, revealTtl: '{text}'}}");
    offer(texts, spec, |_| ()).await;
}

#[tokio::test]
async fn an_accepted_time_is_one_to_the_programs() {
    let texts = "[12][0-9]{3}-[01][0-9]-[0-3][0-9][Tt ][0-2][0-9]:[0-6][0-9]:[0-6][0-9]([.][0-9]{1,10})?(Z|[+-][0-9]{2}:[0-9]{2})";
    let spec = |text: &str| format!("{{customerRef: {{name: ada}}, expiresAt: '{text}'}}");
    offer(texts, spec, |_| ()).await;
}

#[tokio::test]
async fn an_accepted_address_is_one_to_the_programs() {
    let texts = "([12]?[0-9]{1,2}[.]){3}[0-9]{1,2}/[0-9]{1,2}|::(ffff:)?[0-9a-f]{1,4}(:[0-9a-f]{0,4}){0,2}/[0-9]{1,3}|::ffff:1[.]2[.]3[.]4/[0-9]{2,3}";
    let spec = |text: &str| format!("{{customerRef: {{name: ada}}, allowedCidrs: ['{text}']}}");
    let read = |text: &str| assert!(text.parse::<IpNet>().is_ok(), "{text}");
    offer(texts, spec, read).await;
}
