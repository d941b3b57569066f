//! Keys as they come in and go out.

use glyph_crds::common::LocalRef;
use glyph_crds::{ApiKey, ApiKeySpec, Environment};
use glyph_operator_core::api_key::key_id;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt as _;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};

use super::reveal::pending;
use crate::account::caller::Caller;
use crate::account::idempotency::Asked;
use crate::account::input::name;
use crate::account::problem::{Answer, Problem};

pub(super) const SHOWN_ONCE: &str = "Keep the key now: it is not shown again.";
pub(super) const SHOWN_BEFORE: &str = "The key was shown already; if it is lost, rotate it.";
pub(super) const SHOWN_LATER: &str = "The key is being made: send the same request again under its Idempotency-Key, or rotate the key once it is active.";

/// How long a key may lie in its Secret if nobody comes for it.
const REVEAL: &str = "15m";
/// Longest overlap of a rotation, in seconds: 30 days.
const LONGEST_OVERLAP: u32 = 30 * 24 * 3600;
/// Keys on a page.
const PAGE: u8 = 20;
const LARGEST_PAGE: u8 = 100;
/// Most scopes, and addresses, of a key.
const MOST: usize = 100;

/// Which gateways accept a key.
#[derive(Clone, Copy, Default, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum KeyEnvironment {
    /// Those in production.
    #[default]
    Live,
    /// Those for development.
    Dev,
}

/// A key that is wanted.
#[derive(Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::account) struct NewKey {
    /// What you know it by, up to 100 characters.
    #[schema(example = "laptop")]
    name: Option<String>,
    /// Which gateways accept it.
    #[serde(default)]
    environment: KeyEnvironment,
    /// When it stops working.
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
    /// What it may do, in the API's own words; empty: all that you may.
    #[serde(default)]
    scopes: Vec<String>,
    /// Addresses that it may be used from, as CIDR; empty: any.
    #[serde(default)]
    #[schema(example = json!(["203.0.113.0/24"]))]
    allowed_cidrs: Vec<String>,
}

impl NewKey {
    pub(super) fn check(&self, now: Timestamp) -> Answer<()> {
        self.name.as_deref().map(name).transpose()?;
        if self.expires_at.is_some_and(|end| end <= now) {
            return Err(Problem::value(
                "expires_at",
                "Choose a time that is still to come.",
            ));
        }
        let last = Timestamp::from_second(253_402_300_799).unwrap_or(Timestamp::MAX);
        if self.expires_at.is_some_and(|end| last < end) {
            return Err(Problem::value(
                "expires_at",
                "Choose a time before the year 10000.",
            ));
        }
        if self.scopes.len() > MOST {
            return Err(Problem::value("scopes", "A key has 100 scopes at most."));
        }
        if self.allowed_cidrs.len() > MOST {
            return Err(Problem::value(
                "allowed_cidrs",
                "A key has 100 addresses at most.",
            ));
        }
        Ok(())
    }

    pub(super) fn resource(&self, name: &str, caller: &Caller, asked: &Asked) -> Answer<ApiKey> {
        let reveal = REVEAL
            .parse()
            .map_err(|_| Problem::unavailable(&"no reveal time"))?;
        let display_name = self
            .name
            .as_deref()
            .map(crate::account::input::name)
            .transpose()?;
        let spec = ApiKeySpec {
            customer_ref: LocalRef {
                name: caller.name(),
            },
            display_name,
            environment: match self.environment {
                KeyEnvironment::Live => Environment::Live,
                KeyEnvironment::Dev => Environment::Dev,
            },
            expires_at: self.expires_at.map(Time),
            revoked: false,
            rate_limit: None,
            allowed_cidrs: self.allowed_cidrs.clone(),
            scopes: self.scopes.clone(),
            rotation: Default::default(),
            secret_name: None,
            reveal_ttl: reveal,
        };
        let mut key = ApiKey::new(name, spec);
        let annotations = asked.annotations().into_iter();
        key.annotations_mut()
            .extend(annotations.map(|(name, value)| (name.to_owned(), value)));
        Ok(key)
    }
}

/// Another name for a key.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::account) struct Rename {
    /// What you know it by, up to 100 characters.
    pub(super) name: String,
}

/// How a key is replaced.
#[derive(Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::account) struct RotateKey {
    /// Seconds that the old key works beside the new one; 0 ends it at once.
    #[schema(minimum = 0, maximum = 2_592_000)]
    overlap_seconds: u32,
}

impl Default for RotateKey {
    fn default() -> Self {
        let overlap_seconds = 24 * 3600;
        Self { overlap_seconds }
    }
}

impl RotateKey {
    pub(super) fn check(&self) -> Answer<()> {
        if self.overlap_seconds > LONGEST_OVERLAP {
            return Err(Problem::value(
                "overlap_seconds",
                "The overlap is 30 days (2592000) at most.",
            ));
        }
        Ok(())
    }

    /// The patch that asks for the next revision, of exactly this key.
    pub(super) fn patch(&self, key: &ApiKey, asked: &Asked) -> Value {
        let annotations: serde_json::Map<_, _> = asked
            .annotations()
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.into()))
            .collect();
        json!({
            "metadata": {
                "uid": key.uid(),
                "resourceVersion": key.resource_version(),
                "annotations": annotations,
            },
            "spec": {"rotation": {
                "revision": key.spec.rotation.revision + 1,
                "overlap": format!("{}s", self.overlap_seconds),
            }},
        })
    }
}

/// Where a key stands.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::account) enum KeyStatus {
    /// It works.
    Active,
    /// It is being made.
    Pending,
    /// It is past its end.
    Expired,
    /// It was revoked.
    Revoked,
}

/// An API key; never the key itself.
#[derive(Serialize, ToSchema)]
pub(in crate::account) struct Key {
    /// Its id: it stays the same over rotations.
    #[schema(example = "key_0f3d2c1b4a5968778695a4b3c2d1e0ff")]
    id: String,
    /// What you know it by.
    name: Option<String>,
    /// Its beginning, to recognise it by.
    prefix: Option<String>,
    /// Which gateways accept it.
    environment: KeyEnvironment,
    /// Where it stands.
    status: KeyStatus,
    /// What it may do; empty: all that you may.
    scopes: Vec<String>,
    /// Addresses that it may be used from; empty: any.
    allowed_cidrs: Vec<String>,
    /// When it was asked for.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// When it stops working.
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
    /// When it was revoked.
    #[schema(value_type = Option<String>, format = DateTime)]
    revoked_at: Option<Timestamp>,
    /// When it was last used, to the hour.
    #[schema(value_type = Option<String>, format = DateTime)]
    last_used_at: Option<Timestamp>,
}

/// An API key with the key itself, where it may be shown.
#[derive(Serialize, ToSchema)]
pub(in crate::account) struct KeyWithText {
    /// The key itself, shown once; null where it was shown before or is still being made.
    #[schema(example = "glyph_sk_live_0123456789abcdefghijklmnopqrstuv")]
    key: Option<String>,
    /// What to do with it.
    detail: &'static str,
    /// All that may be known of it.
    api_key: Key,
}

/// Some of your keys.
#[derive(Serialize, ToSchema)]
pub(in crate::account) struct KeyList {
    /// They, newest first.
    data: Vec<Key>,
    /// Whether there are more.
    has_more: bool,
    /// Ask for the next ones with `cursor`.
    next_cursor: Option<String>,
}

/// Which keys.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::account) struct Which {
    /// How many, from 1 to 100; 20 unless said.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u8>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// The public id of a key.
pub(super) fn id(key: &ApiKey) -> String {
    key_id(&key.uid().unwrap_or_default())
}

/// Whether a key works, or will once it is made.
pub(super) fn is_active(key: &ApiKey, now: Timestamp) -> bool {
    let expired = key.spec.expires_at.as_ref().is_some_and(|end| end.0 <= now);
    !key.spec.revoked && !expired
}

impl Key {
    pub(super) fn new(key: &ApiKey, now: Timestamp) -> Self {
        let spec = &key.spec;
        let status = key.status.clone().unwrap_or_default();
        let stands = match (spec.revoked, is_active(key, now), pending(key)) {
            (true, ..) => KeyStatus::Revoked,
            (_, false, _) => KeyStatus::Expired,
            (.., true) => KeyStatus::Pending,
            _ => KeyStatus::Active,
        };
        let at = |time: Option<Time>| time.map(|time| time.0);
        Self {
            id: id(key),
            name: spec.display_name.clone(),
            prefix: status.prefix,
            environment: match spec.environment {
                Environment::Live => KeyEnvironment::Live,
                Environment::Dev => KeyEnvironment::Dev,
            },
            status: stands,
            scopes: spec.scopes.clone(),
            allowed_cidrs: spec.allowed_cidrs.clone(),
            created_at: at(key.creation_timestamp()).unwrap_or(now),
            expires_at: at(spec.expires_at.clone()),
            revoked_at: at(status.revoked_at),
            last_used_at: at(status.last_used_at),
        }
    }
}

impl KeyWithText {
    pub(super) fn new(
        key: &ApiKey,
        now: Timestamp,
        text: Option<String>,
        detail: &'static str,
    ) -> Self {
        Self {
            key: text,
            detail,
            api_key: Key::new(key, now),
        }
    }
}

/// A page of keys, newest first.
pub(super) fn page(keys: &[ApiKey], which: &Which, now: Timestamp) -> Answer<KeyList> {
    let limit = which.limit.unwrap_or(PAGE);
    if !(1..=LARGEST_PAGE).contains(&limit) {
        return Err(Problem::value("limit", "A page has 1 to 100 keys."));
    }
    let mut sorted: Vec<&ApiKey> = keys.iter().collect();
    sorted.sort_by_cached_key(|key| {
        let made = key.creation_timestamp().map(|at| at.0);
        (std::cmp::Reverse(made), id(key))
    });
    let from = match &which.cursor {
        None => 0,
        Some(cursor) => {
            let at = sorted.iter().position(|key| id(key) == *cursor);
            1 + at.ok_or_else(|| {
                Problem::value("cursor", "Send the next_cursor of the page before.")
            })?
        }
    };
    let shown: Vec<_> = sorted.iter().skip(from).take(limit.into()).collect();
    let has_more = sorted.len() > from + shown.len();
    let last = shown.last().map(|key| id(key));
    Ok(KeyList {
        data: shown.iter().map(|key| Key::new(key, now)).collect(),
        has_more,
        next_cursor: last.filter(|_| has_more),
    })
}
