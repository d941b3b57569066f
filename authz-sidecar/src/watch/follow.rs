//! One kind's resources, listed and watched at the same time.
//!
//! A list is of one moment, and with many resources it takes seconds to read. A key that is revoked meanwhile must not
//! wait for its end. So the watch begins where the list does, with the first page, and its changes are told as they
//! come, between the pages; the index knows that they are newer. (kube's own watcher lists first and watches then.)

use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::BoxStream;
use glyph_authz_core::index::Change;
use kube::api::{Api, DynamicObject, ListParams, ObjectList, WatchEvent, WatchParams};
use kube::{Error, Result};

use super::{Retry, Watching};

/// Objects that are asked for at once when all are listed.
const PAGE: u32 = 1_000;
/// A watch is begun anew this often, where it was: a connection that died without a word is noticed by then.
const WATCH_SECONDS: u32 = 30;
/// How long after that the API server may take to end a watch.
const LATE: Duration = Duration::from_secs(5);
/// The status of a list or watch that is to go on from what the API server has forgotten.
const GONE: u16 = 410;

/// Tells `tell` all there is and every change, for ever. Failures are waited out; what was told stays.
pub(super) async fn follow(
    api: Api<DynamicObject>,
    watching: Watching<'_>,
    mut tell: impl FnMut(Change),
) {
    let mut retry = Retry::default();
    watching.is_broken();
    loop {
        let error = match list(&api, watching, &mut tell).await {
            Ok(changes) => go_on(changes, &mut retry, &mut tell).await,
            Err(error) => error,
        };
        if !is_gone(&error) {
            wait(watching, &error, &mut retry).await;
        }
    }
}

/// Tells changes until what was known is too old to go on from.
async fn go_on(
    mut changes: Changes<'_>,
    retry: &mut Retry,
    tell: &mut impl FnMut(Change),
) -> Error {
    loop {
        retry.succeeded();
        loop {
            match changes.next().await {
                Ok(change) => break tell(change),
                Err(error) if is_gone(&error) => return error,
                Err(error) => wait(changes.watching, &error, retry).await,
            }
        }
    }
}

/// Tells all there is, and what changes meanwhile. Gives the watch to go on with.
async fn list<'a>(
    api: &'a Api<DynamicObject>,
    watching: Watching<'a>,
    tell: &mut impl FnMut(Change),
) -> Result<Changes<'a>> {
    // No version is asked for, so it is the latest state: an older one would bring revoked keys back.
    let first = api.list(&ListParams::default().limit(PAGE)).await?;
    let version = first.metadata.resource_version.clone().unwrap_or_default();
    let mut changes = Changes {
        api,
        watching,
        version,
        open: None,
    };
    tell(Change::ListBegins);
    let mut next = tell_page(first, tell);
    while let Some(token) = next {
        let params = ListParams::default().limit(PAGE).continue_token(&token);
        let page = std::pin::pin!(api.list(&params));
        let page = told_meanwhile(page, &mut changes, tell).await?;
        next = tell_page(page, tell);
    }
    tell(Change::ListEnds);
    Ok(changes)
}

/// Waits for `page` and tells the changes until it is there.
async fn told_meanwhile(
    mut page: impl Future<Output = Result<ObjectList<DynamicObject>>> + Unpin,
    changes: &mut Changes<'_>,
    tell: &mut impl FnMut(Change),
) -> Result<ObjectList<DynamicObject>> {
    loop {
        tokio::select! {
            page = &mut page => return page,
            change = changes.next() => tell(change?),
        }
    }
}

/// Tells the objects of a page. Gives the token of the next one.
fn tell_page(page: ObjectList<DynamicObject>, tell: &mut impl FnMut(Change)) -> Option<String> {
    page.items
        .into_iter()
        .for_each(|object| tell(Change::Listed(object)));
    page.metadata.continue_.filter(|token| !token.is_empty())
}

fn is_gone(error: &Error) -> bool {
    matches!(error, Error::Api(status) if status.code == GONE)
}

async fn wait(watching: Watching<'_>, error: &Error, retry: &mut Retry) {
    watching.is_broken();
    let kind = watching.kind;
    if retry.is_failing() {
        tracing::debug!(kind = kind.as_str(), "failed to watch again: {error}");
    } else {
        tracing::warn!(
            kind = kind.as_str(),
            "failed to watch, what is known stays in force: {error}"
        );
    }
    tokio::time::sleep(retry.after_failure()).await;
}

/// Every change since a version. Goes on where it was after an end or an error.
struct Changes<'a> {
    api: &'a Api<DynamicObject>,
    watching: Watching<'a>,
    version: String,
    open: Option<BoxStream<'static, Result<WatchEvent<DynamicObject>>>>,
}

impl Changes<'_> {
    /// The next change. May be dropped while it waits: nothing is lost.
    async fn next(&mut self) -> Result<Change> {
        loop {
            let stream = match &mut self.open {
                Some(stream) => stream,
                closed => {
                    let params = WatchParams::default().timeout(WATCH_SECONDS);
                    let stream = self.api.watch(&params, &self.version).await?;
                    self.watching.stands();
                    closed.insert(stream.boxed())
                }
            };
            let patience = Duration::from_secs(WATCH_SECONDS.into()) + LATE;
            let event = match tokio::time::timeout(patience, stream.next()).await {
                Ok(Some(Ok(event))) => event,
                Ok(Some(Err(error))) => {
                    self.open = None;
                    return Err(error);
                }
                Ok(None) | Err(_) => {
                    // Until it is open again, which may take as long as a connection that hangs.
                    self.watching.is_broken();
                    self.open = None;
                    continue;
                }
            };
            match event {
                WatchEvent::Added(object) | WatchEvent::Modified(object) => {
                    return Ok(Change::Applied(self.reached(object)));
                }
                WatchEvent::Deleted(object) => return Ok(Change::Deleted(self.reached(object))),
                WatchEvent::Bookmark(mark) => self.version = mark.metadata.resource_version,
                WatchEvent::Error(status) => {
                    self.open = None;
                    return Err(Error::Api(status));
                }
            }
        }
    }

    fn reached(&mut self, object: DynamicObject) -> DynamicObject {
        if let Some(version) = &object.metadata.resource_version {
            self.version.clone_from(version);
        }
        object
    }
}
