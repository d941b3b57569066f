//! Any bytes at all: reading them as an access log never panics, and no receipt that is found in them opens.
#![no_main]

use std::sync::LazyLock;

use glyph_authz_core::receipt::opened;
use glyph_authz_core::wire::read_access_log;
use glyph_crds::api_key_format::Peppers;
use libfuzzer_sys::fuzz_target;

static PEPPERS: LazyLock<Peppers> =
    LazyLock::new(|| Peppers::parse("1:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=").unwrap());

fuzz_target!(|message: &[u8]| {
    let _ = read_access_log(message, |entry| {
        let receipt = entry.ok().and_then(|entry| entry.receipt);
        assert!(receipt.is_none_or(|text| opened(text, &PEPPERS).is_none()));
    });
});
