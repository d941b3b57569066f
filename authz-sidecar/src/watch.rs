//! The watches: from the API server straight into the index. One a kind and namespace, all in one task.
//!
//! Objects are taken as they come, not as typed ones, so that one that cannot be read is seen and stops working.

use std::iter;
use std::time::Duration;

use anyhow::Context as _;
use futures::StreamExt as _;
use futures::stream::{BoxStream, select_all};
use glyph_authz_core::index::{Change, Kind, Scope};
use glyph_crds::{ApiKey, GlyphCustomer, Subscription, Tier};
use glyph_runtime::admin::ReadinessCheck;
use glyph_runtime::random;
use kube::api::{Api, ApiResource, DynamicObject};
use kube::runtime::WatchStreamExt as _;
use kube::runtime::utils::Backoff;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Client, Config};
use tokio_util::sync::CancellationToken;

use crate::gate::Gate;

/// A watch is begun anew this often, where it was: a connection that died without a word is noticed by then.
const WATCH_SECONDS: u32 = 30;
const CONNECT_DEADLINE: Duration = Duration::from_secs(5);

/// A client of the cluster in `KUBECONFIG`, or of the one this pod runs in. Nothing is connected yet.
///
/// # Errors
/// When neither is there.
pub async fn client() -> anyhow::Result<Client> {
    let mut config = Config::infer()
        .await
        .context("failed to find the cluster: set KUBECONFIG")?;
    config.connect_timeout = Some(CONNECT_DEADLINE);
    Client::try_from(config).context("failed to make a client of the cluster")
}

type Told = (Kind, Scope, Result<Event<DynamicObject>, watcher::Error>);

/// Feeds `gate` until `stop`, and tells `synced` when all has been listed.
pub async fn feed<C, K>(
    client: Client,
    scopes: Vec<Scope>,
    gate: std::sync::Arc<Gate<C, K>>,
    synced: ReadinessCheck,
    stop: CancellationToken,
) {
    let watches = scopes
        .iter()
        .flat_map(|scope| Kind::ALL.map(|kind| watch(&client, kind, scope.clone())));
    let mut told = select_all(watches);
    let mut failing = false;
    while let Some(Some((kind, scope, event))) = stop.run_until_cancelled(told.next()).await {
        match event {
            Ok(event) => {
                failing = false;
                take(&gate, kind, &scope, event);
                if gate.look(|index| index.is_synced()) {
                    synced.ready();
                }
            }
            Err(error) if !failing => {
                failing = true;
                tracing::warn!(
                    kind = kind.as_str(),
                    "failed to watch, what is known stays in force: {error}"
                );
            }
            Err(error) => tracing::debug!(kind = kind.as_str(), "failed to watch again: {error}"),
        }
    }
}

fn watch(client: &Client, kind: Kind, scope: Scope) -> BoxStream<'static, Told> {
    let resource = match kind {
        Kind::Tier => ApiResource::erase::<Tier>(&()),
        Kind::Customer => ApiResource::erase::<GlyphCustomer>(&()),
        Kind::Subscription => ApiResource::erase::<Subscription>(&()),
        Kind::Key => ApiResource::erase::<ApiKey>(&()),
    };
    let api: Api<DynamicObject> = match &scope {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    };
    // The list comes over the watch: no pages that grow old while they are read.
    let config = watcher::Config::default()
        .streaming_lists()
        .timeout(WATCH_SECONDS);
    watcher(api, config)
        .backoff(Retry::default())
        .map(move |event| (kind, scope.clone(), event))
        .boxed()
}

fn take<C, K>(gate: &Gate<C, K>, kind: Kind, scope: &Scope, event: Event<DynamicObject>) {
    let change = match event {
        Event::Init => Change::ListBegins,
        Event::InitApply(object) => Change::Listed(object),
        Event::InitDone => Change::ListEnds,
        Event::Apply(object) => Change::Applied(object),
        Event::Delete(object) => Change::Deleted(object),
    };
    let updated = gate.update(kind, scope, change);
    if let Some(malformed) = updated.malformed {
        gate.metrics.malformed(kind);
        tracing::warn!("{malformed}");
    }
}

/// Doubling waits, with jitter, of a second at most: a key that was revoked must be refused within a second of the
/// API server's coming back, not within half a minute.
struct Retry(iter::Successors<Duration, fn(&Duration) -> Option<Duration>>);

impl Default for Retry {
    fn default() -> Self {
        const FIRST: Duration = Duration::from_millis(100);
        const LONGEST: Duration = Duration::from_millis(800);
        Self(iter::successors(Some(FIRST), |last| {
            Some((*last * 2).min(LONGEST))
        }))
    }
}

impl Iterator for Retry {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        self.0.next().map(random::jitter)
    }
}

impl Backoff for Retry {
    fn reset(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_between_two_tries_grows_to_less_than_a_second_and_starts_again_after_success() {
        let mut retry = Retry::default();
        assert!(
            retry
                .by_ref()
                .take(100)
                .all(|wait| wait < Duration::from_secs(1))
        );
        assert!(retry.next().unwrap() >= Duration::from_millis(400));
        retry.reset();
        assert!(retry.next().unwrap() <= Duration::from_millis(100));
    }
}
