//! Whether a webhook is Stripe's: the check of the `Stripe-Signature` header over the raw body
//! (<https://docs.stripe.com/webhooks#verify-manually>). Bytes, secrets and the time come in; nothing is read.

use std::str;

use hmac::{Hmac, KeyInit, Mac};
use jiff::{SignedDuration, Timestamp};
use sha2::Sha256;
use thiserror::Error;

/// How far a signature's time may be from ours, before or after: what Stripe's own libraries allow.
pub const TOLERANCE: SignedDuration = SignedDuration::from_secs(300);

/// Signatures of one header that are looked at. Stripe sends one for each secret that is in force.
const MOST_SIGNATURES: usize = 16;

/// Why a webhook is not believed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SignatureError {
    /// The header is not `t=<seconds>,v1=<hex>…`.
    #[error("the Stripe-Signature header is malformed: {0}")]
    Malformed(&'static str),
    /// There is no signature of a scheme that is safe (`v0` is for tests only).
    #[error("the Stripe-Signature header carries no v1 signature")]
    NoV1,
    /// The signature was made too long ago, or in the future.
    #[error(
        "the signature's time is {seconds} s from ours, which is over 300 s: a replay, or a clock is wrong"
    )]
    Stale {
        /// Seconds between the signature's time and ours; negative when it lies in our future.
        seconds: i64,
    },
    /// No secret of ours made any of the signatures over this body.
    #[error("no v1 signature fits the body under any secret of STRIPE_WEBHOOK_SECRET")]
    Mismatch,
}

/// What a `Stripe-Signature` header says.
struct Header<'a> {
    /// Text of `t`, which is part of what is signed.
    time: &'a str,
    /// Text of `t` in seconds.
    seconds: i64,
    signatures: Vec<[u8; 32]>,
}

/// Passes when one of `secrets` made one of the header's `v1` signatures over `body`, at most [`TOLERANCE`] before
/// or after `now`. All comparisons take the same time wherever the texts differ.
pub fn verify<'s>(
    header: &[u8],
    body: &[u8],
    secrets: impl IntoIterator<Item = &'s str>,
    now: Timestamp,
) -> Result<(), SignatureError> {
    let header = parse(header)?;
    let seconds = now.as_second().saturating_sub(header.seconds);
    if seconds.unsigned_abs() > TOLERANCE.as_secs().unsigned_abs() {
        return Err(SignatureError::Stale { seconds });
    }
    for secret in secrets {
        // HMAC takes a key of any length.
        let Ok(mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else {
            continue;
        };
        let mac = mac
            .chain_update(header.time)
            .chain_update(b".")
            .chain_update(body);
        for signature in &header.signatures {
            if mac.clone().verify_slice(signature).is_ok() {
                return Ok(());
            }
        }
    }
    Err(SignatureError::Mismatch)
}

/// Reads the header. Schemes other than `v1` are passed over, as Stripe's page asks for.
fn parse(header: &[u8]) -> Result<Header<'_>, SignatureError> {
    use SignatureError::{Malformed, NoV1};
    let text = str::from_utf8(header).map_err(|_| Malformed("it is not text"))?;
    let (mut time, mut any_v1, mut signatures) = (None, false, Vec::new());
    for part in text.split(',') {
        let (name, value) = part.split_once('=').ok_or(Malformed("a part has no `=`"))?;
        match name {
            "t" if time.replace(value).is_some() => return Err(Malformed("it has two times")),
            "v1" => {
                any_v1 = true;
                signatures.extend(lower_hex(value));
            }
            _ => {}
        }
    }
    let time = time.ok_or(Malformed("it has no time"))?;
    if !any_v1 {
        return Err(NoV1);
    }
    if !time.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Malformed("its time is not a number"));
    }
    let seconds = time
        .parse()
        .map_err(|_| Malformed("its time is not a number"))?;
    signatures.truncate(MOST_SIGNATURES);
    Ok(Header {
        time,
        seconds,
        signatures,
    })
}

/// The 32 bytes that 64 lower-case hexadecimal digits name. Stripe writes no others, and its libraries take no others.
fn lower_hex(text: &str) -> Option<[u8; 32]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let text: &[u8; 64] = text.as_bytes().try_into().ok()?;
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests;
