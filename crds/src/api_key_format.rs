//! The API-key format and its hash (DESIGN section 5). Pure: randomness is an argument.
//!
//! A key is `glyph_sk_live_` or `glyph_sk_dev_` and 32 base62 characters: 190 bits of randomness. It
//! is stored as HMAC-SHA-256 under a versioned pepper; the pepper is a credential, the hash is not.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use thiserror::Error;

use crate::Environment;

/// Number of random characters in a key.
pub const RANDOM_LENGTH: usize = 32;
/// Number of random characters that are shown in a key's display prefix.
const SHOWN_LENGTH: usize = 4;
const LIVE: &str = "glyph_sk_live_";
const DEV: &str = "glyph_sk_dev_";
/// Bytes in a key hash.
pub const HASH_LENGTH: usize = 32;

/// An API key as the caller holds it. A secret: it has no Debug, Display or Serialize.
pub struct ApiKeySecret(String);

/// Why a string is not an API key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("not an API key: expected glyph_sk_live_ or glyph_sk_dev_ and 32 letters or digits")]
pub struct MalformedKey;

impl ApiKeySecret {
    /// A key of `environment` from 32 random base62 characters.
    ///
    /// # Errors
    /// [`MalformedKey`] when `random` is not 32 base62 characters.
    pub fn new(environment: Environment, random: &str) -> Result<Self, MalformedKey> {
        let key = format!("{}{random}", marker(environment));
        environment_of(&key).map(|_| Self(key))
    }

    /// Reads a key back, e.g. from the Secret it was delivered in.
    ///
    /// # Errors
    /// [`MalformedKey`] when `text` is anything but exactly one key.
    pub fn parse(text: &str) -> Result<Self, MalformedKey> {
        environment_of(text).map(|_| Self(text.to_owned()))
    }

    /// The key itself. Whoever calls this must not log, store or return it anywhere but to its owner.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The part that may be shown: marker and the first four random characters.
    #[must_use]
    pub fn display_prefix(&self) -> String {
        let shown = self.0.len() - RANDOM_LENGTH + SHOWN_LENGTH;
        self.0[..shown].to_owned()
    }
}

/// The marker a key of `environment` begins with.
#[must_use]
pub fn marker(environment: Environment) -> &'static str {
    match environment {
        Environment::Live => LIVE,
        Environment::Dev => DEV,
    }
}

/// The environment of a well-formed key. Allocates nothing: it is on the path of every request.
///
/// # Errors
/// [`MalformedKey`] for anything but exactly one key: wrong length, other alphabets, white space.
pub fn environment_of(key: &str) -> Result<Environment, MalformedKey> {
    let (environment, random) = if let Some(rest) = key.strip_prefix(LIVE) {
        (Environment::Live, rest)
    } else if let Some(rest) = key.strip_prefix(DEV) {
        (Environment::Dev, rest)
    } else {
        return Err(MalformedKey);
    };
    let base62 = random.bytes().all(|b| b.is_ascii_alphanumeric());
    if random.len() == RANDOM_LENGTH && base62 {
        Ok(environment)
    } else {
        Err(MalformedKey)
    }
}

/// A key's hash under one pepper. Comparison is in constant time; it may be shown and stored.
#[derive(Clone, Copy)]
pub struct KeyHash([u8; HASH_LENGTH]);

impl KeyHash {
    /// Reads the 64 lower-case hexadecimal digits that a status holds.
    ///
    /// # Errors
    /// [`MalformedHash`] for anything else.
    pub fn parse(text: &str) -> Result<Self, MalformedHash> {
        let digits = text.as_bytes();
        if digits.len() != HASH_LENGTH * 2 {
            return Err(MalformedHash);
        }
        let mut bytes = [0; HASH_LENGTH];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
        }
        Ok(Self(bytes))
    }

    /// The raw bytes, for use as a map key.
    #[must_use]
    pub fn bytes(&self) -> &[u8; HASH_LENGTH] {
        &self.0
    }
}

fn nibble(digit: u8) -> Result<u8, MalformedHash> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        _ => Err(MalformedHash),
    }
}

impl PartialEq for KeyHash {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for KeyHash {}

impl fmt::Display for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyHash(…)")
    }
}

/// Why a string is not a key hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("not a key hash: expected 64 lower-case hexadecimal digits")]
pub struct MalformedHash;

/// A versioned secret that key hashes are keyed with. No Debug, Display or Serialize.
#[derive(Clone)]
pub struct Pepper {
    version: u32,
    keyed: Hmac<Sha256>,
}

impl Pepper {
    /// A pepper from its secret bytes.
    ///
    /// # Errors
    /// [`MalformedPeppers::Short`] under 32 bytes.
    pub fn new(version: u32, secret: &[u8]) -> Result<Self, MalformedPeppers> {
        if secret.len() < HASH_LENGTH {
            return Err(MalformedPeppers::Short { version });
        }
        let keyed =
            Hmac::new_from_slice(secret).map_err(|_| MalformedPeppers::Short { version })?;
        Ok(Self { version, keyed })
    }

    /// Which version this is; statuses name it beside each hash.
    #[must_use]
    pub fn version(&self) -> u32 {
        self.version
    }

    /// The hash of a presented key. The pepper's key schedule was done once, in [`Pepper::new`].
    #[must_use]
    pub fn hash(&self, key: &str) -> KeyHash {
        let mut mac = self.keyed.clone();
        mac.update(key.as_bytes());
        KeyHash(mac.finalize().into_bytes().into())
    }
}

/// All peppers in use: at least one, newest first.
#[derive(Clone)]
pub struct Peppers(Vec<Pepper>);

/// Why the setting `GLYPH_KEY_PEPPERS` cannot be used. Says nothing of its content.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum MalformedPeppers {
    /// Not `version:base64`, comma-separated.
    #[error(
        "GLYPH_KEY_PEPPERS must be version:base64 pairs separated by commas, e.g. 1:<base64 of 32 random bytes>"
    )]
    Format,
    /// A pepper with too few bytes to be one.
    #[error(
        "pepper {version} in GLYPH_KEY_PEPPERS is shorter than 32 bytes; make one with: openssl rand -base64 32"
    )]
    Short {
        /// Version of the short pepper.
        version: u32,
    },
    /// A version given twice.
    #[error("GLYPH_KEY_PEPPERS names version {version} twice; give each pepper its own version")]
    Twice {
        /// The doubled version.
        version: u32,
    },
}

impl Peppers {
    /// Reads `1:<base64>,2:<base64>`.
    ///
    /// # Errors
    /// [`MalformedPeppers`], which never quotes the setting.
    pub fn parse(setting: &str) -> Result<Self, MalformedPeppers> {
        let mut peppers = Vec::new();
        for entry in setting
            .split([',', '\n'])
            .map(str::trim)
            .filter(|e| !e.is_empty())
        {
            let (version, secret) = entry.split_once(':').ok_or(MalformedPeppers::Format)?;
            let version: u32 = version.parse().map_err(|_| MalformedPeppers::Format)?;
            let secret = decode_base64(secret).ok_or(MalformedPeppers::Format)?;
            if peppers.iter().any(|p: &Pepper| p.version == version) {
                return Err(MalformedPeppers::Twice { version });
            }
            peppers.push(Pepper::new(version, &secret)?);
        }
        if peppers.is_empty() {
            return Err(MalformedPeppers::Format);
        }
        peppers.sort_by_key(|p| std::cmp::Reverse(p.version));
        Ok(Self(peppers))
    }

    /// The setting of somebody who begins: version 1, from 32 random bytes. A secret.
    #[must_use]
    pub fn first_setting(random: [u8; 32]) -> String {
        use base64::{Engine as _, engine::general_purpose::STANDARD};
        format!("1:{}", STANDARD.encode(random))
    }

    /// The pepper new keys are hashed under.
    #[must_use]
    pub fn newest(&self) -> &Pepper {
        &self.0[0]
    }

    /// Every pepper, newest first.
    pub fn iter(&self) -> impl Iterator<Item = &Pepper> {
        self.0.iter()
    }
}

/// Standard base64, padding optional.
fn decode_base64(text: &str) -> Option<Vec<u8>> {
    use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
    use base64::{Engine, alphabet};
    let config =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    GeneralPurpose::new(&alphabet::STANDARD, config)
        .decode(text)
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RANDOM: &str = "0123456789abcdefghijABCDEFGHIJxy";

    #[test]
    fn a_key_has_its_marker_and_32_characters_and_shows_only_four_of_them() {
        let key = ApiKeySecret::new(Environment::Live, RANDOM).unwrap();
        assert_eq!(
            key.expose(),
            "glyph_sk_live_0123456789abcdefghijABCDEFGHIJxy"
        );
        assert_eq!(key.display_prefix(), "glyph_sk_live_0123");
        assert_eq!(environment_of(key.expose()), Ok(Environment::Live));
        let dev = ApiKeySecret::new(Environment::Dev, RANDOM).unwrap();
        assert_eq!(environment_of(dev.expose()), Ok(Environment::Dev));
    }

    #[test]
    fn wrong_length_lookalikes_and_white_space_are_not_keys() {
        for bad in [
            String::new(),
            "glyph_sk_live_".to_owned(),
            format!("glyph_sk_live_{}", &RANDOM[1..]),
            format!("glyph_sk_live_{RANDOM}0"),
            format!("glyph_sk_live_{RANDOM} "),
            format!(" glyph_sk_live_{RANDOM}"),
            format!("glyph_sk_test_{RANDOM}"),
            format!("GLYPH_SK_LIVE_{RANDOM}"),
            format!("glyph_sk_live_{}", RANDOM.replace('a', "а")),
            format!("glyph_sk_live_{}", RANDOM.replace('0', "_")),
            "x".repeat(1 << 20),
        ] {
            assert_eq!(
                environment_of(&bad),
                Err(MalformedKey),
                "{} bytes",
                bad.len()
            );
        }
    }

    #[test]
    fn hashes_agree_with_rfc_4231_and_survive_a_round_trip() {
        let pepper = Pepper::new(1, &[0xaa; 131]).unwrap();
        let hash = pepper.hash("Test Using Larger Than Block-Size Key - Hash Key First");
        let text = "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54";
        assert_eq!(hash.to_string(), text);
        assert_eq!(KeyHash::parse(text).unwrap(), hash);
        for bad in ["", "60", &text.to_uppercase(), &format!("{text}00")] {
            assert_eq!(KeyHash::parse(bad).err(), Some(MalformedHash));
        }
    }

    #[test]
    fn peppers_are_read_newest_first_and_refused_with_a_sentence() {
        let b64 = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
        let peppers = Peppers::parse(&format!("1:{b64},3:{b64}")).unwrap();
        assert_eq!(
            peppers.iter().map(Pepper::version).collect::<Vec<_>>(),
            [3, 1]
        );
        assert_eq!(peppers.newest().version(), 3);
        assert_eq!(Peppers::parse("").err(), Some(MalformedPeppers::Format));
        assert_eq!(Peppers::parse(b64).err(), Some(MalformedPeppers::Format));
        assert_eq!(
            Peppers::parse("1:AAAA").err(),
            Some(MalformedPeppers::Short { version: 1 })
        );
        let twice = Peppers::parse(&format!("1:{b64},1:{b64}")).err();
        assert_eq!(twice, Some(MalformedPeppers::Twice { version: 1 }));
    }
}
