//! Whose access tokens are taken: one user pool by the settings that the operator has too, or a list of them.

use std::collections::HashSet;
use std::str::FromStr;

use anyhow::{Context as _, ensure};
use glyph_authz_core::token::{Pool, Rules};
use http::Uri;
use jiff::SignedDuration;
use serde::Deserialize;

use crate::tokens::{Source, Tokens};

/// Whose access tokens are taken.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Access tokens of Cognito")]
pub struct TokenArgs {
    /// The user pool whose access tokens are taken beside API keys, such as eu-central-1_AbCdEfGhI: it begins with its
    /// region, whatever AWS_REGION says. Empty: none are.
    #[arg(
        long,
        env = "AWS_COGNITO_USER_POOL_ID",
        default_value = "",
        value_name = "ID"
    )]
    pub cognito_user_pool_id: String,

    /// The app clients of that pool whose tokens are taken, separated by commas.
    #[arg(
        long,
        env = "AWS_COGNITO_CLIENT_ID",
        value_delimiter = ',',
        value_name = "ID"
    )]
    pub cognito_client_id: Vec<String>,

    /// What the pool's tokens have as their issuer. Empty: https://cognito-idp.REGION.amazonaws.com/POOL.
    #[arg(
        long,
        env = "GLYPH_COGNITO_ISSUER",
        default_value = "",
        value_name = "URL"
    )]
    pub cognito_issuer: String,

    /// Where the pool's keys are. Empty: /.well-known/jwks.json below the issuer.
    #[arg(
        long,
        env = "GLYPH_COGNITO_JWKS_URL",
        default_value = "",
        value_name = "URL"
    )]
    pub cognito_jwks_url: String,

    /// Identifier of the pool's resource server for this API. Its scopes (IDENTIFIER/items:write) are then named as those
    /// of keys are (items:write).
    #[arg(
        long,
        env = "GLYPH_COGNITO_RESOURCE_SERVER",
        default_value = "",
        value_name = "IDENTIFIER"
    )]
    pub cognito_resource_server: String,

    /// Take ID tokens as well. They are for the application that a user signs in to, and name no scopes.
    #[arg(long, env = "GLYPH_COGNITO_ID_TOKENS", default_value_t = false, value_name = "BOOLEAN",
        action = clap::ArgAction::Set)]
    pub cognito_id_tokens: bool,

    /// Several pools, instead of the settings above: a JSON list such as
    /// [{"userPoolId": "eu-central-1_AbCdEfGhI", "clientIds": ["1h57kf5cpq17m0eml12EXAMPLE"]}], each with issuer, jwksUrl,
    /// resourceServer and idTokens where they differ from the defaults.
    #[arg(
        long,
        env = "GLYPH_COGNITO_POOLS",
        default_value = "",
        value_name = "JSON"
    )]
    pub cognito_pools: PoolList,

    /// Seconds that a token's times may be off by, as clocks are: it is taken so much longer, and so much sooner.
    #[arg(long, env = "GLYPH_TOKEN_LEEWAY", default_value_t = 30, value_name = "SECONDS",
        value_parser = clap::value_parser!(u32).range(0..=300))]
    pub token_leeway: u32,

    /// Seconds between fetches of a pool's keys. One that is not known is asked for at once, but no more than every 10 s.
    #[arg(long, env = "GLYPH_JWKS_REFRESH", default_value_t = 300, value_name = "SECONDS",
        value_parser = clap::value_parser!(u32).range(10..=86_400))]
    pub jwks_refresh: u32,

    /// Seconds that keys are gone by when they cannot be fetched again; tokens are answered with 503 then.
    #[arg(long, env = "GLYPH_JWKS_MAX_AGE", default_value_t = 86_400, value_name = "SECONDS",
        value_parser = clap::value_parser!(u32).range(60..=2_592_000))]
    pub jwks_max_age: u32,
}

/// A pool, as it is written in the list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PoolSetting {
    user_pool_id: String,
    client_ids: Vec<String>,
    #[serde(default)]
    issuer: String,
    #[serde(default)]
    jwks_url: String,
    #[serde(default)]
    resource_server: String,
    #[serde(default)]
    id_tokens: bool,
}

/// The list of pools.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PoolList(Vec<PoolSetting>);

impl FromStr for PoolList {
    type Err = serde_json::Error;

    /// An empty variable is one that is not set.
    fn from_str(text: &str) -> Result<Self, serde_json::Error> {
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        serde_json::from_str(text).map(Self)
    }
}

impl TokenArgs {
    /// Whose tokens are taken; nobody's where no pool is named.
    ///
    /// # Errors
    /// With a sentence that names the setting.
    pub fn tokens(&self) -> anyhow::Result<Tokens> {
        let seconds = |seconds: u32| SignedDuration::from_secs(seconds.into());
        let rules = Rules {
            leeway: seconds(self.token_leeway),
            longest_age: seconds(self.jwks_max_age),
        };
        Ok(Tokens::new(
            self.sources()?,
            rules,
            seconds(self.jwks_refresh),
        ))
    }

    fn sources(&self) -> anyhow::Result<Vec<Source>> {
        let listed = self
            .cognito_pools
            .0
            .iter()
            .map(|pool| ("GLYPH_COGNITO_POOLS", pool));
        let one = self.one();
        ensure!(
            one.is_none() || self.cognito_pools.0.is_empty(),
            "AWS_COGNITO_USER_POOL_ID and GLYPH_COGNITO_POOLS are both set: put that pool into the list, or remove the list"
        );
        let one = one
            .iter()
            .map(|pool| ("AWS_COGNITO_USER_POOL_ID and the settings beside it", pool));
        let sources = listed.chain(one).map(|(setting, pool)| {
            let id = &pool.user_pool_id;
            source(pool).with_context(|| format!("in {setting}: the user pool \"{id}\""))
        });
        let sources: Vec<_> = sources.collect::<anyhow::Result<_>>()?;
        let mut issuers = HashSet::new();
        for source in &sources {
            let issuer = &source.pool.issuer;
            ensure!(
                issuers.insert(issuer),
                "in GLYPH_COGNITO_POOLS: two pools have the issuer {issuer}; put the clients of both into one"
            );
        }
        Ok(sources)
    }

    /// The pool that is named outside of the list.
    fn one(&self) -> Option<PoolSetting> {
        (!self.cognito_user_pool_id.is_empty()).then(|| PoolSetting {
            user_pool_id: self.cognito_user_pool_id.clone(),
            client_ids: self.cognito_client_id.clone(),
            issuer: self.cognito_issuer.clone(),
            jwks_url: self.cognito_jwks_url.clone(),
            resource_server: self.cognito_resource_server.clone(),
            id_tokens: self.cognito_id_tokens,
        })
    }
}

fn source(setting: &PoolSetting) -> anyhow::Result<Source> {
    let id = setting.user_pool_id.trim();
    let (region, name) = id.split_once('_').unwrap_or_default();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    let is_id = !name.is_empty()
        && !region.is_empty()
        && id.bytes().all(|byte| plain(byte) || byte == b'_');
    ensure!(
        is_id,
        "is none: an id is the region, `_` and a name, such as eu-central-1_AbCdEfGhI"
    );
    let clients = setting.client_ids.iter().map(|client| client.trim());
    let clients: Vec<_> = clients
        .filter(|client| !client.is_empty())
        .map(str::to_owned)
        .collect();
    ensure!(
        !clients.is_empty(),
        "has no app client: name those whose tokens are taken (AWS_COGNITO_CLIENT_ID, or clientIds in the list)"
    );
    let issuer = match setting.issuer.trim() {
        "" => format!("https://cognito-idp.{region}.amazonaws.com/{id}"),
        issuer => issuer.to_owned(),
    };
    let keys_at = match setting.jwks_url.trim() {
        "" => format!("{}/.well-known/jwks.json", issuer.trim_end_matches('/')),
        url => url.to_owned(),
    };
    let server = setting.resource_server.trim().trim_end_matches('/');
    Ok(Source {
        keys_at: address(&keys_at)?,
        pool: Pool {
            id: id.into(),
            issuer,
            clients,
            id_tokens: setting.id_tokens,
            resource_server: (!server.is_empty()).then(|| server.to_owned()),
        },
    })
}

/// An address that keys can be believed from: whoever stands between could put in their own over plain http.
fn address(text: &str) -> anyhow::Result<Uri> {
    let uri: Uri = text
        .parse()
        .with_context(|| format!("has its keys at {text}, which is no URL"))?;
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    let is_here = host == "localhost"
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback());
    match uri.scheme_str() {
        Some("https") if !host.is_empty() => Ok(uri),
        Some("http") if is_here => Ok(uri),
        _ => anyhow::bail!(
            "has its keys at {text}: they are fetched over https (http only from this machine itself)"
        ),
    }
}

#[cfg(test)]
mod tests;
