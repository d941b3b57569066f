//! What is kept of each kind, and how it is read from the resource. Anything that is not here cannot change an answer.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;

use glyph_crds::api_key_format::{HASH_LENGTH, KeyHash};
use glyph_crds::common::RateLimit;
use glyph_crds::entitlement::{Seniority, Standing, turning_points};
use glyph_crds::period::Cycle;
use glyph_crds::routing::{self, Claim, Claimant};
use glyph_crds::{
    ApiKey, CreditGrant, Environment, GlyphApi, GlyphCustomer, HashedKey, OverQuota, Subscription,
    Tier,
};
use glyph_usage::{Grant, Rate};
use ipnet::IpNet;
use jiff::Timestamp;
use kube::core::DynamicObject;

use super::table::Entry;
use super::{Kind, ObjectName};

/// What a tier entitles to.
#[derive(PartialEq)]
pub(crate) struct TierEntry {
    pub(crate) quota: Option<u64>,
    /// What happens to requests past the quota.
    pub(crate) over_quota: OverQuota,
    pub(crate) rate: Option<Rate>,
    pub(crate) degrade_to: Option<ObjectName>,
}

impl Entry for TierEntry {
    type Resource = Tier;
    type Claim = Infallible;
    const KIND: Kind = Kind::Tier;

    fn read(name: &ObjectName, tier: Tier) -> Result<Option<Self>, String> {
        let degrade_to = tier.spec.grace.and_then(|grace| grace.degrade_to);
        Ok(Some(Self {
            quota: tier.spec.quota.map(|quota| quota.requests),
            over_quota: tier.spec.over_quota,
            rate: tier.spec.rate_limit.as_ref().map(rate),
            degrade_to: degrade_to.map(|to| name.sibling(&to.name)),
        }))
    }

    fn claims(&self) -> impl Iterator<Item = Infallible> {
        std::iter::empty()
    }
}

/// A customer, found by its user too. One that is being deleted is none any more.
#[derive(PartialEq)]
pub(crate) struct CustomerEntry {
    /// What its counters belong to: a customer made again under the same name is another one.
    pub(crate) uid: Arc<str>,
    pub(crate) suspended: bool,
    pub(crate) subject: Option<Arc<str>>,
}

impl Entry for CustomerEntry {
    type Resource = GlyphCustomer;
    type Claim = Arc<str>;
    const KIND: Kind = Kind::Customer;

    fn read(_: &ObjectName, customer: GlyphCustomer) -> Result<Option<Self>, String> {
        if customer.metadata.deletion_timestamp.is_some() {
            return Ok(None);
        }
        let subject = customer.status.and_then(|status| status.cognito_sub);
        Ok(Some(Self {
            uid: customer
                .metadata
                .uid
                .ok_or("metadata.uid is missing")?
                .into(),
            suspended: customer.spec.suspended,
            subject: subject.map(Into::into),
        }))
    }

    fn claims(&self) -> impl Iterator<Item = Arc<str>> {
        self.subject.iter().cloned()
    }
}

/// A subscription, found by its customer.
#[derive(PartialEq)]
pub(crate) struct SubscriptionEntry {
    customer: ObjectName,
    pub(crate) seniority: Seniority,
    /// What it comes to, and from when on: in order of time, the first for ever before.
    standing: Box<[(Timestamp, InForce)]>,
    pub(crate) checkout_url: Option<Arc<str>>,
}

/// A [`Standing`] with the tier's whole name.
#[derive(PartialEq)]
pub(crate) enum InForce {
    Subscribed {
        tier: ObjectName,
        cycle: Option<Cycle>,
    },
    Lapsed {
        tier: ObjectName,
    },
    Default,
}

impl SubscriptionEntry {
    pub(crate) fn in_force(&self, now: Timestamp) -> &InForce {
        let mut begun = self.standing.iter().rev();
        let last = begun.find(|(from, _)| *from <= now);
        last.map_or(&InForce::Default, |(_, in_force)| in_force)
    }
}

impl Entry for SubscriptionEntry {
    type Resource = Subscription;
    type Claim = ObjectName;
    const KIND: Kind = Kind::Subscription;

    fn read(name: &ObjectName, subscription: Subscription) -> Result<Option<Self>, String> {
        let status = subscription.status.as_ref();
        let standing = |now| match Standing::of(Some(&subscription), now) {
            Standing::Subscribed { tier, cycle } => InForce::Subscribed {
                tier: name.sibling(&tier),
                cycle,
            },
            Standing::Lapsed { tier } => InForce::Lapsed {
                tier: name.sibling(&tier),
            },
            Standing::Default => InForce::Default,
        };
        let mut turns: Vec<_> = status.into_iter().flat_map(turning_points).collect();
        turns.push(Timestamp::MIN);
        turns.sort_unstable();
        Ok(Some(Self {
            customer: name.sibling(&subscription.spec.customer_ref.name),
            seniority: Seniority::of(&subscription),
            standing: turns
                .into_iter()
                .map(|from| (from, standing(from)))
                .collect(),
            checkout_url: status
                .and_then(|s| s.checkout_url.as_deref().or(s.invoice_url.as_deref()))
                .map(Into::into),
        }))
    }

    fn claims(&self) -> impl Iterator<Item = ObjectName> {
        std::iter::once(self.customer.clone())
    }
}

/// A grant of credits, found by its customer. One that is being deleted, or that a checkpoint knows to be used up, pays
/// for nothing and is not kept.
#[derive(PartialEq)]
pub(crate) struct GrantEntry {
    customer: ObjectName,
    created: Timestamp,
    pub(crate) grant: Grant,
}

impl GrantEntry {
    /// What is spent first is least: what expires first, then what was given first; the UID settles a tie.
    pub(crate) fn turn(&self) -> (Timestamp, Timestamp, &str) {
        (self.end(), self.created, &self.grant.id)
    }

    /// When what is left of it is lost.
    pub(crate) fn end(&self) -> Timestamp {
        let end = self.grant.expires_at;
        end.and_then(|end| Timestamp::from_second(end).ok())
            .unwrap_or(Timestamp::MAX)
    }
}

impl Entry for GrantEntry {
    type Resource = CreditGrant;
    type Claim = ObjectName;
    const KIND: Kind = Kind::Grant;

    fn read(name: &ObjectName, grant: CreditGrant) -> Result<Option<Self>, String> {
        let status = grant.status.unwrap_or_default();
        let count = |number: i64| u64::try_from(number).unwrap_or(0);
        let available = count(grant.spec.credits.saturating_sub(status.taken_back));
        let (floor, returned) = (count(status.used), count(status.returned));
        let used_up = floor.saturating_sub(returned) >= available;
        if grant.metadata.deletion_timestamp.is_some() || used_up {
            return Ok(None);
        }
        let created = grant.metadata.creation_timestamp;
        Ok(Some(Self {
            customer: name.sibling(&grant.spec.customer_ref.name),
            created: created.map_or(Timestamp::MAX, |created| created.0),
            grant: Grant {
                id: grant.metadata.uid.ok_or("metadata.uid is missing")?.into(),
                available,
                floor,
                returned,
                expires_at: grant.spec.expires_at.map(|end| end.0.as_second()),
            },
        }))
    }

    fn claims(&self) -> impl Iterator<Item = ObjectName> {
        std::iter::once(self.customer.clone())
    }
}

/// An API key, found by its hashes.
#[derive(PartialEq)]
pub(crate) struct KeyEntry {
    pub(crate) id: Arc<str>,
    pub(crate) customer: ObjectName,
    pub(crate) environment: Environment,
    pub(crate) revoked: bool,
    pub(crate) expires_at: Option<Timestamp>,
    pub(crate) rate: Option<Rate>,
    scopes: Box<[Box<str>]>,
    allowed: Box<[IpNet]>,
    pub(crate) hashes: Box<[HashEntry]>,
}

/// A hash that a key is known by.
#[derive(PartialEq)]
pub(crate) struct HashEntry {
    pub(crate) value: KeyHash,
    pub(crate) pepper_version: u32,
    pub(crate) not_after: Option<Timestamp>,
}

impl KeyEntry {
    /// Whether the key may be used from `client`. An address that is not known is none that is allowed.
    pub(crate) fn allows(&self, client: Option<IpAddr>) -> bool {
        self.allowed.is_empty()
            || client
                .is_some_and(|client| self.allowed.iter().any(|allowed| allowed.contains(&client)))
    }

    /// Whether the key may do less than its customer.
    pub(crate) fn is_limited(&self) -> bool {
        !self.scopes.is_empty()
    }

    /// Whether the key has `scope`: any where it is not limited, else by its own name, or by what stands before a `*`
    /// at the end of one of the key's.
    pub(crate) fn has_scope(&self, scope: &str) -> bool {
        let grants = |granted: &str| match granted.strip_suffix('*') {
            Some(beginning) => scope.starts_with(beginning),
            None => granted == scope,
        };
        self.scopes.is_empty() || self.scopes.iter().any(|granted| grants(granted))
    }
}

impl Entry for KeyEntry {
    type Resource = ApiKey;
    type Claim = [u8; HASH_LENGTH];
    const KIND: Kind = Kind::Key;

    fn read(name: &ObjectName, key: ApiKey) -> Result<Option<Self>, String> {
        let status = key.status.unwrap_or_default();
        if status.hashes.is_empty() {
            return Ok(None);
        }
        let deleted = key.metadata.deletion_timestamp.is_some();
        let allowed = key
            .spec
            .allowed_cidrs
            .iter()
            .map(|cidr| cidr.parse::<IpNet>());
        let hashes = status.hashes.into_iter().map(hash);
        Ok(Some(Self {
            id: status.key_id.ok_or("status.keyId is missing")?.into(),
            customer: name.sibling(&key.spec.customer_ref.name),
            environment: key.spec.environment,
            revoked: key.spec.revoked || status.revoked_at.is_some() || deleted,
            expires_at: key.spec.expires_at.map(|time| time.0),
            rate: key.spec.rate_limit.as_ref().map(rate),
            scopes: key.spec.scopes.into_iter().map(Into::into).collect(),
            allowed: allowed
                .collect::<Result<_, _>>()
                .map_err(|_| "spec.allowedCidrs holds what is no CIDR")?,
            hashes: hashes.collect::<Result<_, _>>()?,
        }))
    }

    fn claims(&self) -> impl Iterator<Item = [u8; HASH_LENGTH]> {
        self.hashes.iter().map(|hash| *hash.value.bytes())
    }
}

impl Entry for Claimant {
    type Resource = GlyphApi;
    type Claim = Infallible;
    const KIND: Kind = Kind::Api;

    fn read(name: &ObjectName, api: GlyphApi) -> Result<Option<Self>, String> {
        if let Some(endpoint) = routing::first_that_is_no_template(&api.spec) {
            return Err(format!(
                "in spec.endpoints: the path at place {endpoint} is no template"
            ));
        }
        let made = api.metadata.creation_timestamp.map(|made| made.0);
        Ok(Some(Self {
            made: made.unwrap_or(Timestamp::MAX),
            name: name.as_str().to_owned(),
            claim: Claim::Endpoints(Arc::new(api.spec)),
        }))
    }

    /// Its hosts, as far as they can be read, so that nothing passes there.
    fn of_malformed(name: &ObjectName, object: &DynamicObject) -> Option<Self> {
        let hosts = match object.data.pointer("/spec/hosts") {
            None => Some(Vec::new()),
            Some(hosts) => serde_json::from_value(hosts.clone()).ok(),
        };
        let made = object.metadata.creation_timestamp.as_ref();
        Some(Self {
            made: made.map_or(Timestamp::MAX, |made| made.0),
            name: name.as_str().to_owned(),
            claim: Claim::Unreadable(hosts),
        })
    }

    fn claims(&self) -> impl Iterator<Item = Infallible> {
        std::iter::empty()
    }
}

fn hash(hash: HashedKey) -> Result<HashEntry, String> {
    Ok(HashEntry {
        value: KeyHash::parse(&hash.value).map_err(|error| format!("in status.hashes: {error}"))?,
        pepper_version: hash.pepper_version,
        not_after: hash.not_after.map(|time| time.0),
    })
}

fn rate(limit: &RateLimit) -> Rate {
    Rate {
        requests_per_second: limit.requests_per_second,
        burst: limit.burst(),
    }
}
