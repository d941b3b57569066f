//! The account API: what a customer of the API that is sold does by themselves, with curl or a browser, and without ever
//! seeing Kubernetes. Every replica serves it, and none keeps anything: a handler reads or writes resources, and the
//! controllers do the rest. Only what no resource can say (a login, a link into Stripe's portal, a list of invoices) is
//! asked of Cognito and Stripe, through [`ports`].
//!
//! Whatever comes in is looked up through the caller's own customer, so that another's is not there at all; prices,
//! customers and return addresses never come from the caller.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn, from_fn_with_state};
use glyph_runtime::clock::Clock;
use jiff::Timestamp;
use k8s_openapi::NamespaceResourceScope;
use kube::{Api, Client, Resource};

use crate::watches::Stores;
use attempts::Attempts;
use ports::{Pages, Pool};

mod attempts;
mod auth;
mod billing;
mod caller;
mod document;
mod guard;
mod idempotency;
mod input;
mod keys;
mod people;
mod plans;
pub mod ports;
mod problem;
mod settings;
mod usage;
mod waiting;

pub use attempts::LateCounters;
pub use settings::AccountArgs;

/// Largest body that is read.
const LARGEST_BODY: usize = 32 << 10;

/// What the handlers need.
pub struct Account {
    /// The API server.
    pub client: Client,
    /// Tiers and packs, which change seldom, and customers that were made by hand.
    pub stores: Stores,
    /// Where customers are made.
    pub namespace: String,
    /// The user pool.
    pub pool: Arc<dyn Pool>,
    /// Stripe's pages.
    pub pages: Arc<dyn Pages>,
    /// What was used, and how often somebody tried.
    pub counters: LateCounters,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Tier of customers without a subscription.
    pub default_tier: String,
    /// Where Stripe's portal leads back to.
    pub portal_return_url: String,
    /// Limits, and whom to believe.
    pub settings: AccountArgs,
}

impl Account {
    fn api<K>(&self) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// The present moment, to the second, as the API server keeps times.
    fn now(&self) -> Timestamp {
        let now = self.clock.now();
        Timestamp::from_second(now.as_second()).unwrap_or(now)
    }

    fn attempts(&self) -> Attempts<'_> {
        Attempts::new(&self.counters, &self.settings)
    }
}

/// All routes, to be served with the address of each caller, or driven by a test.
pub fn router(account: Account) -> Router {
    let account = Arc::new(account);
    let (routes, document) = document::routes().split_for_parts();
    let pages = document::pages(document);
    routes
        .with_state(account.clone())
        .merge(pages)
        .fallback(guard::no_such_path)
        .method_not_allowed_fallback(guard::wrong_method)
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .layer(from_fn_with_state(account.clone(), guard::in_time))
        .layer(from_fn_with_state(account.clone(), guard::own_origins))
        .layer(from_fn_with_state(account.clone(), attempts::limit))
        .layer(guard::cors(&account.settings))
        .layer(from_fn(guard::headers))
}

/// Whom a request comes from, as the connection says.
type Peer = axum::extract::ConnectInfo<SocketAddr>;
