//! The compact form of a JWT (RFC 7515 section 3.1), read strictly: each thing that two readers might take differently
//! is refused. So no character of a token can be changed and leave it the same token.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use serde_json::Value;

/// Longest token that is read. Cognito's have some 1,000 characters; what a pool adds of its own has room here.
const LONGEST: usize = 16 * 1024;

/// A token taken apart. Nothing in it is known to be true.
pub(super) struct Compact<'a> {
    pub(super) header: Object,
    pub(super) claims: Object,
    /// What the signature is of.
    pub(super) signed: &'a [u8],
    pub(super) signature: Vec<u8>,
}

impl<'a> Compact<'a> {
    /// Takes `token` apart: exactly three parts, none of them empty.
    pub(super) fn read(token: &'a str) -> Option<Self> {
        if token.len() > LONGEST {
            return None;
        }
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        let signature = decode(signature)?;
        if signature.is_empty() {
            return None;
        }
        Some(Self {
            header: Object::read(header)?,
            claims: Object::read(claims)?,
            signed: signed.as_bytes(),
            signature,
        })
    }
}

/// base64url without padding and without stray bits at the end. A dot is none of its letters, so a fourth part fails.
pub(super) fn decode(part: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(part).ok()
}

/// A JSON object in which each name stands once.
#[derive(Debug)]
pub(super) struct Object(BTreeMap<String, Value>);

impl Object {
    fn read(part: &str) -> Option<Self> {
        serde_json::from_slice(&decode(part)?).ok()
    }

    /// The value of `name`.
    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// The value of `name`, if it is a text.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.get(name)?.as_str()
    }

    /// The value of `name`, if it is a whole number. A text with digits is none.
    pub(super) fn whole(&self, name: &str) -> Option<i64> {
        self.get(name)?.as_i64()
    }
}

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Members)
    }
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Object;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
        let mut members = BTreeMap::new();
        while let Some((name, value)) = map.next_entry::<String, Value>()? {
            if members.insert(name, value).is_some() {
                return Err(A::Error::custom("a name stands twice"));
            }
        }
        Ok(Object(members))
    }
}
