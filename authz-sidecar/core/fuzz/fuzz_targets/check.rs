//! Any bytes at all: reading them never panics, and no key being known, no answer ever lets a request pass.
#![no_main]

use std::sync::LazyLock;

use glyph_authz_core::decide::Basis;
use glyph_authz_core::index::{Change, Kind};
use glyph_authz_core::token::{KeySet, Pool, Remembered, Rules, Trust, Verifier};
use glyph_authz_core::wire::{Answer, read_check};
use glyph_authz_core::{Denial, Index, Policy, authorize};
use glyph_crds::Environment;
use glyph_crds::api_key_format::Peppers;
use jiff::{SignedDuration, Timestamp};
use libfuzzer_sys::fuzz_target;

/// A key that nobody here can sign by.
const KEYS: &str = include_str!("../keys.json");

/// An index that has synced and knows nobody, and a pool whose tokens would be taken.
static NOBODY: LazyLock<(Index, Peppers, Policy, Trust, Remembered)> = LazyLock::new(|| {
    let mut index = Index::new(&[None]);
    for kind in Kind::ALL {
        index.update(kind, &None, Change::ListBegins);
        index.update(kind, &None, Change::ListEnds);
    }
    let peppers = Peppers::parse("1:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=").unwrap();
    let default_tier = "free".to_owned();
    let policy = Policy {
        environment: Environment::Live,
        default_tier,
        billing_url: None,
    };
    let pool = Pool {
        id: "pool".into(),
        issuer: "https://pool.example".to_owned(),
        clients: vec!["client".to_owned()],
        id_tokens: true,
        resource_server: Some("https://api.example".to_owned()),
    };
    let rules = Rules {
        leeway: SignedDuration::from_secs(30),
        longest_age: SignedDuration::from_hours(24),
    };
    let keys = KeySet::read(KEYS.as_bytes()).unwrap();
    let trust = Trust::new(vec![pool], rules).fetched(0, keys, Timestamp::UNIX_EPOCH);
    (index, peppers, policy, trust, Remembered::default())
});

fuzz_target!(|message: &[u8]| {
    let (index, peppers, policy, trust, remembered) = &*NOBODY;
    let basis = Basis {
        index,
        peppers,
        verifier: Verifier { trust, remembered },
        policy,
        now: Timestamp::UNIX_EPOCH,
    };
    let view = read_check(message).map_err(|error| Denial::unavailable(error.to_string()));
    let Err(denial) = view.and_then(|view| authorize(&view, basis)) else {
        panic!("admitted without a key");
    };
    assert!(!Answer::of(&Err(denial)).into_bytes().is_empty());
});
