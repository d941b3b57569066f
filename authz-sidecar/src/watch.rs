//! The watches: from the API server straight into the index. One a kind and namespace, all in one task.
//!
//! Objects are taken as they come, not as typed ones, so that one that cannot be read is seen and stops working.

mod follow;
mod standing;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use futures::future::join_all;
use glyph_authz_core::index::{Change, Kind, Scope};
use glyph_crds::{ApiKey, CreditGrant, GlyphApi, GlyphCustomer, Subscription, Tier};
use glyph_runtime::admin::ReadinessCheck;
use glyph_runtime::random;
use kube::api::{Api, ApiResource, DynamicObject};
use kube::{Client, Config};
use tokio_util::sync::CancellationToken;

use crate::gate::Gate;

pub use standing::Standing;

const CONNECT_DEADLINE: Duration = Duration::from_secs(5);
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_millis(800);

/// A client of the cluster in `KUBECONFIG`, or of the one this pod runs in. Nothing is connected yet.
///
/// # Errors
/// When neither is there.
pub async fn client() -> anyhow::Result<Client> {
    let config = Config::infer().await;
    let mut config = config.context("failed to find the cluster: set KUBECONFIG")?;
    config.connect_timeout = Some(CONNECT_DEADLINE);
    // A failed call is tried again by the watches, sooner than the client would.
    config.default_retry = false;
    Client::try_from(config).context("failed to make a client of the cluster")
}

/// Feeds `gate` until `stop`, and tells `synced` when all has been listed.
pub async fn feed<C, K>(
    client: Client,
    scopes: Vec<Scope>,
    gate: Arc<Gate<C, K>>,
    synced: ReadinessCheck,
    stop: CancellationToken,
) {
    let watches = scopes.iter().flat_map(|scope| {
        Kind::ALL.map(|kind| {
            let (api, gate, synced) = (api(&client, kind, scope), &gate, &synced);
            let watching = Watching {
                kind,
                scope,
                standing: &gate.metrics.standing,
            };
            follow::follow(api, watching, move |change| {
                take(gate, kind, scope, change);
                if gate.look(|index| index.is_synced()) {
                    synced.ready();
                }
            })
        })
    });
    stop.run_until_cancelled(join_all(watches)).await;
}

/// One watch, and where it is told whether it stands.
#[derive(Clone, Copy)]
struct Watching<'a> {
    kind: Kind,
    scope: &'a Scope,
    standing: &'a Standing,
}

impl Watching<'_> {
    fn stands(self) {
        self.standing.stands(self.kind, self.scope);
    }

    fn is_broken(self) {
        self.standing.is_broken(self.kind, self.scope);
    }
}

fn api(client: &Client, kind: Kind, scope: &Scope) -> Api<DynamicObject> {
    let resource = match kind {
        Kind::Tier => ApiResource::erase::<Tier>(&()),
        Kind::Customer => ApiResource::erase::<GlyphCustomer>(&()),
        Kind::Subscription => ApiResource::erase::<Subscription>(&()),
        Kind::Key => ApiResource::erase::<ApiKey>(&()),
        Kind::Grant => ApiResource::erase::<CreditGrant>(&()),
        Kind::Api => ApiResource::erase::<GlyphApi>(&()),
    };
    match scope {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    }
}

fn take<C, K>(gate: &Gate<C, K>, kind: Kind, scope: &Scope, change: Change) {
    if let Some(malformed) = gate.update(kind, scope, change).malformed {
        gate.metrics.malformed(kind);
        tracing::warn!("{malformed}");
    }
}

/// How long to wait after a failure: doubling, with jitter, less than a second. A key that was revoked must be refused
/// within a second of the API server's coming back, not within half a minute.
#[derive(Default)]
struct Retry {
    longest: Duration,
}

impl Retry {
    fn after_failure(&mut self) -> Duration {
        self.longest = (self.longest * 2).clamp(FIRST_WAIT, LONGEST_WAIT);
        random::jitter(self.longest)
    }

    fn succeeded(&mut self) {
        self.longest = Duration::ZERO;
    }

    fn is_failing(&self) -> bool {
        !self.longest.is_zero()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_grows_to_less_than_a_second_and_is_short_again_after_a_success() {
        let mut retry = Retry::default();
        assert!(retry.after_failure() <= FIRST_WAIT && retry.is_failing());
        let longest = (0..100)
            .map(|_| retry.after_failure())
            .max()
            .unwrap_or_default();
        assert!(longest > LONGEST_WAIT / 2 && longest < Duration::from_secs(1));
        retry.succeeded();
        assert!(!retry.is_failing() && retry.after_failure() <= FIRST_WAIT);
    }
}
