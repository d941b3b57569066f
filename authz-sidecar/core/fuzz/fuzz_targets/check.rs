//! Any bytes at all: reading them never panics, and no key being known, no answer ever lets a request pass.
#![no_main]

use std::sync::LazyLock;

use glyph_authz_core::decide::Basis;
use glyph_authz_core::index::{Change, Kind};
use glyph_authz_core::wire::{Answer, read_check};
use glyph_authz_core::{Denial, Index, Policy, authorize};
use glyph_crds::Environment;
use glyph_crds::api_key_format::Peppers;
use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;

/// An index that has synced and knows nobody.
static NOBODY: LazyLock<(Index, Peppers, Policy)> = LazyLock::new(|| {
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
    (index, peppers, policy)
});

fuzz_target!(|message: &[u8]| {
    let (index, peppers, policy) = &*NOBODY;
    let basis = Basis {
        index,
        peppers,
        policy,
        now: Timestamp::UNIX_EPOCH,
    };
    let view = read_check(message).map_err(|error| Denial::unavailable(error.to_string()));
    let Err(denial) = view.and_then(|view| authorize(&view, basis)) else {
        panic!("admitted without a key");
    };
    assert!(!Answer::of(&Err(denial)).into_bytes().is_empty());
});
