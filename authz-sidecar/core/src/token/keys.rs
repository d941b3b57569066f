//! A pool's public keys, as its JWKS has them (RFC 7517), and signatures checked by them.

use std::collections::BTreeMap;

use ring::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use serde::Deserialize;
use serde_json::Value;
use thiserror::Error;

use super::RS256;
use super::compact::decode;

/// Fewest bits of a modulus (RFC 7518 section 3.3).
const FEWEST_BITS: usize = 2048;

/// The keys of a pool that tokens can be signed by, by their `kid`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeySet(BTreeMap<String, PublicKey>);

/// An RSA key: big-endian numbers without leading zeros.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PublicKey {
    modulus: Vec<u8>,
    exponent: Vec<u8>,
}

/// A text holds no key to go by. Quotes nothing of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum UnusableKeys {
    /// A page for people.
    #[error(
        "it is a page of HTML, not a key set: does the address lead to a login or an error page?"
    )]
    Page,
    /// Nothing at all.
    #[error("it is empty")]
    Empty,
    /// Not JSON, or JSON of something else.
    #[error("it is not a key set: a JSON object with the list \"keys\" is expected")]
    NotASet,
    /// A set, but of other keys.
    #[error(
        "it holds no key for RS256 signatures (kty RSA, use sig, alg RS256, 2048 bits or more, a kid of its own)"
    )]
    NoneOfUse,
}

/// A JWKS. What else is in it is nothing to us.
#[derive(Deserialize)]
struct Jwks {
    keys: Vec<Value>,
}

/// The members of a key that all have to be there.
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    r#use: String,
    alg: String,
    kid: String,
    n: String,
    e: String,
}

impl KeySet {
    /// Reads a JWKS. Keys for something else are passed over. Two of one name are both left out: which was meant?
    ///
    /// # Errors
    /// [`UnusableKeys`], when there is no key left: the ones that are known should go on.
    pub fn read(text: &[u8]) -> Result<Self, UnusableKeys> {
        let set: Jwks = serde_json::from_slice(text).map_err(|_| why_not(text))?;
        let mut keys = BTreeMap::<String, Option<PublicKey>>::new();
        for jwk in set.keys {
            let Some((name, key)) = serde_json::from_value(jwk).ok().and_then(of_use) else {
                continue;
            };
            let found = keys.get(&name);
            let doubled = found.is_some_and(|other| other.as_ref() != Some(&key));
            keys.insert(name, (!doubled).then_some(key));
        }
        let unambiguous = keys
            .into_iter()
            .filter_map(|(name, key)| Some((name, key?)));
        let keys: BTreeMap<_, _> = unambiguous.collect();
        if keys.is_empty() {
            return Err(UnusableKeys::NoneOfUse);
        }
        Ok(Self(keys))
    }

    /// The key that is named `key_id`.
    pub(super) fn get(&self, key_id: &str) -> Option<&PublicKey> {
        self.0.get(key_id)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Never: a set without a key is not read.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl PublicKey {
    /// Whether `signature` is this key's of `signed`, by RSASSA-PKCS1-v1_5 with SHA-256.
    pub(super) fn has_signed(&self, signed: &[u8], signature: &[u8]) -> bool {
        let key = RsaPublicKeyComponents {
            n: &self.modulus,
            e: &self.exponent,
        };
        key.verify(&RSA_PKCS1_2048_8192_SHA256, signed, signature)
            .is_ok()
    }
}

/// The key and its name, if tokens may be signed by it.
fn of_use(jwk: Jwk) -> Option<(String, PublicKey)> {
    if jwk.kty != "RSA" || jwk.r#use != "sig" || jwk.alg != RS256 || jwk.kid.is_empty() {
        return None;
    }
    let modulus = number(&jwk.n)?;
    let exponent = number(&jwk.e)?;
    let bits = modulus.len() * 8 - modulus.first()?.leading_zeros() as usize;
    let key = PublicKey { modulus, exponent };
    (bits >= FEWEST_BITS).then_some((jwk.kid, key))
}

/// A base64url number without the zeros in front, which some writers leave there.
fn number(text: &str) -> Option<Vec<u8>> {
    let bytes = decode(text)?;
    let first = bytes.iter().position(|byte| *byte != 0)?;
    bytes.get(first..).map(<[u8]>::to_vec)
}

fn why_not(text: &[u8]) -> UnusableKeys {
    match text.trim_ascii_start().first() {
        None => UnusableKeys::Empty,
        Some(b'<') => UnusableKeys::Page,
        Some(_) => UnusableKeys::NotASet,
    }
}
