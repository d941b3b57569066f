//! Waiting for what the controllers make of a resource, by its watch, up to a deadline.

use std::fmt::Debug;
use std::pin::pin;
use std::time::Duration;

use futures::StreamExt as _;
use kube::runtime::watcher::watch_object;
use kube::{Api, Resource};
use serde::de::DeserializeOwned;
use tokio::time::timeout;

/// What `look` finds in the resource `name`; `None` when it has not by then.
pub(super) async fn until<K, T>(
    api: Api<K>,
    name: &str,
    most: Duration,
    mut look: impl FnMut(&K) -> Option<T>,
) -> Option<T>
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let found = async {
        let mut seen = pin!(watch_object(api, name));
        while let Some(state) = seen.next().await {
            // An error is followed by another try; the deadline ends them.
            if let Ok(Some(found)) = state.map(|state| state.and_then(|resource| look(&resource))) {
                return Some(found);
            }
        }
        None
    };
    timeout(most, found).await.ok().flatten()
}
