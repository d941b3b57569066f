//! The watches: from the API server straight into the index. One a kind and namespace, all in one task.
//!
//! Objects are taken as they come, not as typed ones, so that one that cannot be read is seen and stops working.

use std::time::Duration;

use anyhow::Context as _;
use futures::StreamExt as _;
use futures::stream::{self, BoxStream, select_all};
use glyph_authz_core::index::{Change, Kind, Scope};
use glyph_crds::{ApiKey, GlyphCustomer, Subscription, Tier};
use glyph_runtime::admin::ReadinessCheck;
use glyph_runtime::random;
use kube::api::{Api, ApiResource, DynamicObject};
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Client, Config};
use tokio_util::sync::CancellationToken;

use crate::gate::Gate;

/// A watch is begun anew this often, where it was: a connection that died without a word is noticed by then.
const WATCH_SECONDS: u32 = 30;
const CONNECT_DEADLINE: Duration = Duration::from_secs(5);
/// Objects that are asked for at once when all are listed.
const PAGE: u32 = 2_000;
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_millis(800);

/// A client of the cluster in `KUBECONFIG`, or of the one this pod runs in. Nothing is connected yet.
///
/// # Errors
/// When neither is there.
pub async fn client() -> anyhow::Result<Client> {
    let mut config = Config::infer()
        .await
        .context("failed to find the cluster: set KUBECONFIG")?;
    config.connect_timeout = Some(CONNECT_DEADLINE);
    // A failed call is tried again by the watches, sooner than the client would.
    config.default_retry = false;
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
                failing &= matches!(event, Event::Init);
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
    // Lists are of the latest state (`ListSemantic::MostRecent`): an older one would bring revoked keys back.
    let config = watcher::Config::default()
        .page_size(PAGE)
        .timeout(WATCH_SECONDS);
    let events = watcher(api, config).boxed();
    let told = stream::unfold(
        (events, Retry::default()),
        |(mut events, mut retry)| async {
            tokio::time::sleep(retry.wait).await;
            let event = events.next().await?;
            retry.after(&event);
            Some((event, (events, retry)))
        },
    );
    told.map(move |event| (kind, scope.clone(), event)).boxed()
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

/// How long to wait after a failure: doubling, with jitter, less than a second. A key that was revoked must be refused
/// within a second of the API server's coming back, not within half a minute.
#[derive(Default)]
struct Retry {
    wait: Duration,
    longest: Duration,
}

impl Retry {
    fn after<T>(&mut self, event: &Result<Event<T>, watcher::Error>) {
        match event {
            // The beginning of a list is no success yet.
            Ok(Event::Init) => self.wait = Duration::ZERO,
            Ok(_) => *self = Self::default(),
            // What was known is too old to go on from; all is listed again at once.
            Err(watcher::Error::WatchError(status)) if status.code == 410 => {
                *self = Self::default()
            }
            Err(_) => {
                self.longest = (self.longest * 2).clamp(FIRST_WAIT, LONGEST_WAIT);
                self.wait = random::jitter(self.longest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::*;

    fn failure() -> Result<Event<()>, watcher::Error> {
        Err(watcher::Error::NoResourceVersion)
    }

    #[test]
    fn the_wait_grows_to_less_than_a_second_and_the_beginning_of_a_list_does_not_shorten_it() {
        let mut retry = Retry::default();
        for _ in 0..100 {
            retry.after(&failure());
            assert!(retry.wait > Duration::ZERO && retry.wait < Duration::from_secs(1));
            retry.after(&Ok(Event::<()>::Init));
            assert_eq!(retry.wait, Duration::ZERO);
        }
        retry.after(&failure());
        assert!(retry.wait >= LONGEST_WAIT / 2);
    }

    #[test]
    fn after_a_success_waits_are_short_again_and_an_expired_watch_waits_not_at_all() {
        let mut retry = Retry::default();
        (0..10).for_each(|_| retry.after(&failure()));
        retry.after(&Ok(Event::Apply(())));
        retry.after(&failure());
        assert!(retry.wait <= FIRST_WAIT);
        let gone = Status::failure("too old resource version", "Expired").with_code(410);
        retry.after::<()>(&Err(watcher::Error::WatchError(gone.boxed())));
        assert_eq!(retry.wait, Duration::ZERO);
    }
}
