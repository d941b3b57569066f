//! Settings that both programs have, said once so that they mean the same in both.

use crate::credentials::CredentialArgs;
use crate::logs::LogArgs;
use crate::shutdown::ShutdownArgs;

/// Settings that both programs have.
#[derive(Clone, Debug, clap::Args)]
pub struct CommonArgs {
    /// Namespaces that are looked after, separated by commas. Empty: all.
    #[arg(
        long,
        env = "GLYPH_NAMESPACES",
        value_delimiter = ',',
        value_name = "NAMESPACE"
    )]
    pub namespaces: Vec<String>,

    /// Tier of customers without a Subscription, in their namespace.
    #[arg(
        long,
        env = "GLYPH_DEFAULT_TIER",
        default_value = "free",
        value_name = "TIER"
    )]
    pub default_tier: String,

    /// Where credentials are taken from.
    #[command(flatten)]
    pub credentials: CredentialArgs,

    /// What is logged, and how.
    #[command(flatten)]
    pub logs: LogArgs,

    /// How the process ends.
    #[command(flatten)]
    pub shutdown: ShutdownArgs,
}

impl CommonArgs {
    /// What each watch covers: the namespaces, each once and in order, or all as one.
    #[must_use]
    pub fn scopes(&self) -> Vec<Option<String>> {
        let named = self.namespaces.iter().map(|name| name.trim());
        let mut scopes: Vec<_> = named
            .filter(|name| !name.is_empty())
            .map(|name| Some(name.to_owned()))
            .collect();
        scopes.sort();
        scopes.dedup();
        if scopes.is_empty() {
            vec![None]
        } else {
            scopes
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Program {
        #[command(flatten)]
        common: CommonArgs,
    }

    #[test]
    fn no_namespace_means_all_and_each_is_covered_once() {
        let scopes = |namespaces: &str| {
            Program::parse_from(["glyph", "--namespaces", namespaces])
                .common
                .scopes()
        };
        assert_eq!(scopes(""), [None]);
        let two = [Some("a".to_owned()), Some("b".to_owned())];
        assert_eq!(scopes("b, a,b,"), two);
    }
}
