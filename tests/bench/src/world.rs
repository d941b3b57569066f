//! What the decisions are made on: customers, each with a key and a user, and a pool whose key is known.

use anyhow::{Result, anyhow, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use glyph_authz_core::decide::Basis;
use glyph_authz_core::index::{Change, Kind};
use glyph_authz_core::token::{KeySet, Pool, Remembered, Rules, Trust, Verifier};
use glyph_authz_core::wire::{Answer, read_check};
use glyph_authz_core::{Authorized, Counted, Index, Policy, authorize};
use glyph_crds::Environment;
use glyph_crds::api_key_format::Peppers;
use glyph_usage::{Decision, Outcome, RateState};
use jiff::{SignedDuration, Timestamp};
use ring::rand::SystemRandom;
use ring::rsa::PublicKeyComponents;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use serde_json::{Value, json};

use crate::check;

const ISSUER: &str = "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_AbCdEfGhI";
/// The key of the tests (`glyph_harness::pool`), which is used for nothing else.
const SIGNING_KEY: &[u8] = include_bytes!("../../harness/src/pool/first.p8");
/// What the counters would say, with all limits that there are.
const ADMITTED: Outcome = Outcome {
    decision: Decision::Admitted,
    used: 3,
    remaining: Some(9_997),
    rate: Some(RateState {
        remaining: 39,
        full_after: std::time::Duration::from_millis(50),
    }),
    credits: None,
    drawn: Vec::new(),
};

/// An index, and all else that a decision takes.
pub(crate) struct World {
    customers: usize,
    index: Index,
    peppers: Peppers,
    policy: Policy,
    trust: Trust,
    signing_key: RsaKeyPair,
    now: Timestamp,
}

impl World {
    /// So many customers on a tier with a quota and a rate limit, and one GlyphApi.
    pub(crate) fn new(customers: usize) -> Result<Self> {
        let peppers = Peppers::parse("1:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=")?;
        let signing_key = RsaKeyPair::from_pkcs8(SIGNING_KEY)
            .map_err(|error| anyhow!("failed to read the signing key: {error}"))?;
        let now: Timestamp = "2026-11-23T12:00:00Z".parse()?;
        Ok(Self {
            customers,
            index: index(customers, &peppers)?,
            peppers,
            policy: Policy {
                environment: Environment::Live,
                default_tier: "starter".to_owned(),
                billing_url: None,
            },
            trust: trust(&signing_key, now)?,
            signing_key,
            now,
        })
    }

    /// A check by each customer's key.
    pub(crate) fn checks_by_key(&self) -> Vec<Vec<u8>> {
        (0..self.customers)
            .map(|n| check::with_bearer(&key(n)))
            .collect()
    }

    /// A check by a token of each customer's user.
    pub(crate) fn checks_by_token(&self) -> Result<Vec<Vec<u8>>> {
        (0..self.customers)
            .map(|n| Ok(check::with_bearer(&self.token(n)?)))
            .collect()
    }

    /// Decides on `check`, which has to pass; gives the length of the answer.
    pub(crate) fn decide(&self, check: &[u8], seen: &Remembered) -> Result<usize> {
        let view = read_check(check)?;
        let verifier = Verifier {
            trust: &self.trust,
            remembered: seen,
        };
        let basis = Basis {
            index: &self.index,
            peppers: &self.peppers,
            verifier,
            policy: &self.policy,
            now: self.now,
        };
        let authorized = authorize(&view, basis);
        let authorized = authorized.map_err(|denial| anyhow!("{}", denial.detail().to_owned()))?;
        let Authorized::Metered(admission) = authorized else {
            return Err(anyhow!("it passed without being counted"));
        };
        let spend = std::hint::black_box(admission.spend());
        ensure!(spend.limit == Some(10_000), "another tier is in force");
        let verdict = admission.settle(Counted::Judged(ADMITTED));
        Ok(Answer::of(&verdict).into_bytes().len())
    }

    /// As long as those of Cognito, and of the same claims.
    fn token(&self, n: usize) -> Result<String> {
        let (begun, user) = (self.now.as_second(), user(n));
        let claims = json!({
            "sub": user, "iss": ISSUER, "client_id": "1h57kf5cpq17m0eml12example", "version": 2,
            "origin_jti": user, "event_id": user, "token_use": "access",
            "scope": "aws.cognito.signin.user.admin openid email", "auth_time": begun,
            "exp": begun + 3600, "iat": begun, "jti": user, "username": user,
        });
        let header = json!({"kid": "first", "alg": "RS256"});
        let [header, claims] =
            [header, claims].map(|part: Value| URL_SAFE_NO_PAD.encode(part.to_string()));
        let signed = format!("{header}.{claims}");
        let mut signature = vec![0; self.signing_key.public().modulus_len()];
        self.signing_key
            .sign(
                &RSA_PKCS1_SHA256,
                &SystemRandom::new(),
                signed.as_bytes(),
                &mut signature,
            )
            .map_err(|_| anyhow!("failed to sign a token"))?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

fn key(n: usize) -> String {
    format!("glyph_sk_live_{n:032}")
}

fn user(n: usize) -> String {
    format!("0f9b8a7c-1111-4222-8333-{n:012}")
}

fn trust(key: &RsaKeyPair, now: Timestamp) -> Result<Trust> {
    let PublicKeyComponents::<Vec<u8>> { n, e } = key.public().into();
    let [n, e] = [n, e].map(|number| URL_SAFE_NO_PAD.encode(number));
    let jwk = json!({"kty": "RSA", "use": "sig", "alg": "RS256", "kid": "first", "n": n, "e": e});
    let keys = KeySet::read(json!({"keys": [jwk]}).to_string().as_bytes())?;
    let pool = Pool {
        id: "eu-central-1_AbCdEfGhI".into(),
        issuer: ISSUER.to_owned(),
        clients: vec!["1h57kf5cpq17m0eml12example".to_owned()],
        id_tokens: false,
        resource_server: None,
    };
    let rules = Rules {
        leeway: SignedDuration::from_secs(30),
        longest_age: SignedDuration::from_hours(24),
    };
    Ok(Trust::new(vec![pool], rules).fetched(0, keys, now))
}

fn index(customers: usize, peppers: &Peppers) -> Result<Index> {
    let mut index = Index::new(&[None]);
    let mut list = |kind, objects: Vec<Value>| -> Result<()> {
        index.update(kind, &None, Change::ListBegins);
        for object in objects {
            let listed = Change::Listed(serde_json::from_value(object)?);
            let malformed = index.update(kind, &None, listed).malformed;
            ensure!(malformed.is_none(), "{malformed:?}");
        }
        index.update(kind, &None, Change::ListEnds);
        Ok(())
    };
    let rate = json!({"requestsPerSecond": 20, "burst": 40});
    let tier = json!({"displayName": "Starter", "quota": {"requests": 10_000}, "rateLimit": rate});
    list(Kind::Tier, vec![object("starter", tier, json!({}))])?;
    let all = || 0..customers;
    list(Kind::Customer, all().map(customer).collect())?;
    list(Kind::Key, all().map(|n| api_key(n, peppers)).collect())?;
    let endpoints = json!([{"name": "item", "path": "/v1/items/{id}", "methods": ["GET"]}]);
    let api = json!({"endpoints": endpoints, "unmatched": "Deny"});
    list(Kind::Api, vec![object("api", api, json!({}))])?;
    list(Kind::Subscription, Vec::new())?;
    list(Kind::Grant, Vec::new())?;
    Ok(index)
}

fn customer(n: usize) -> Value {
    let spec = json!({"email": "a@example.com"});
    object(
        &format!("customer-{n}"),
        spec,
        json!({"cognitoSub": user(n)}),
    )
}

fn api_key(n: usize, peppers: &Peppers) -> Value {
    let hash = peppers.newest().hash(&key(n)).to_string();
    let status = json!({
        "keyId": format!("id-{n}"), "hashes": [{"value": hash, "pepperVersion": 1}],
    });
    let spec = json!({"customerRef": {"name": format!("customer-{n}")}});
    object(&format!("key-{n}"), spec, status)
}

fn object(name: &str, spec: Value, status: Value) -> Value {
    let metadata = json!({
        "namespace": "shop", "name": name, "uid": format!("00000000-0000-4000-8000-{name}"),
        "creationTimestamp": "2026-01-01T00:00:00Z",
    });
    json!({"metadata": metadata, "spec": spec, "status": status})
}
