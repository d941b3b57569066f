//! The operator put together: watches and webhooks on every replica, controllers on the one that leads.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use futures::future::join_all;
use glyph_operator_core::billing::Owner;
use glyph_runtime::admin::Admin;
use glyph_runtime::clock::{Clock, SystemClock};
use glyph_runtime::credentials::Credentials;
use glyph_runtime::random::base62;
use glyph_runtime::shutdown::{Tasks, signalled};
use kube::runtime::events::{Recorder, Reporter};
use kube::{Api, Client};
use tokio::net::TcpListener;
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

use crate::account::{self, Account, LateCounters};
use crate::cognito::CognitoIdentity;
use crate::credits::UsedCredits;
use crate::endpoint::{Registered, Registrar};
use crate::events::{Marker, OwnerLookup, WatchedOwners};
use crate::leader::{Election, Lead};
use crate::metrics::{Business, Counted, Leading};
use crate::ports::Events;
use crate::runner::control;
use crate::settings::Settings;
use crate::stripe::StripeBilling;
use crate::sweep::Sweep;
use crate::watches::{Stores, Wake, Watches};
use crate::webhook::{self, Webhook};
use crate::world::Shared;

/// How long a server waits for open connections after it was told to stop, beside what requests may wait for.
const LINGER: Duration = Duration::from_secs(5);
/// Name of the operator in Events.
const REPORTER: &str = "glyph-operator";

/// One namespace, or all: what is known of it and where its wakes are told.
#[derive(Clone)]
struct Scope {
    namespace: Option<String>,
    stores: Stores,
    wakes: broadcast::Sender<Wake>,
}

/// Runs the operator until it is told to stop.
///
/// # Errors
/// A setting that cannot be used, a port that cannot be had, or a task that failed.
pub async fn run(settings: Settings) -> anyhow::Result<()> {
    settings.common.logs.init()?;
    let signal = signalled().context("failed to catch signals")?;
    let credentials = Credentials::load(&settings.common.credentials)?;
    let client = Client::try_default()
        .await
        .context("failed to find a Kubernetes cluster")?;
    let admin = Admin::default();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let identity = format!("{}-{}", host_name(), base62(8)?);
    tracing::info!(version = glyph_runtime::version(), identity, "starting");

    let mut tasks = Tasks::new();
    let stop = tasks.stop();
    let scopes = follow(&settings, &client, &admin, &mut tasks);
    let counted = Counted::register(&admin.metrics);
    let leading = counted.leading.clone();
    show_business(&scopes, &counted, clock.clone(), &admin);
    let reporter = Reporter {
        controller: REPORTER.to_owned(),
        instance: Some(identity.clone()),
    };
    let billing = StripeBilling::new(&settings.stripe, credentials.clone(), &admin.metrics)?;
    let shared = Arc::new(Shared {
        client: client.clone(),
        billing: billing.clone(),
        identity: CognitoIdentity::new(credentials.clone(), &admin.metrics),
        credentials: credentials.clone(),
        clock: clock.clone(),
        recorder: Recorder::new(client.clone(), reporter),
        default_tier: settings.common.default_tier.clone(),
        urls: settings.urls(),
        resync: settings.resync(),
        credits: UsedCredits::default(),
        checkpoint: Duration::from_secs(settings.credits_checkpoint),
        counted,
    });
    let owners = scopes.iter().map(|scope| WatchedOwners {
        stores: scope.stores.clone(),
        namespace: scope.namespace.clone(),
    });
    let marker = Arc::new(Marker::new(client.clone(), AllOwners(owners.collect())));
    let (registered, registrar) = register_endpoint(&settings, &client, &billing, &mut tasks);
    let receiver = Webhook::new(
        credentials.clone(),
        registered,
        clock.clone(),
        marker.clone(),
        billing.clone(),
        &admin.metrics,
    );
    let every = settings.event_sweep();
    let sweep = Sweep::new(marker, billing, clock.clone(), every, &admin.metrics);
    let account = account_api(&settings, &shared, &scopes, &mut tasks)?;
    serve(&settings, (receiver, account), admin, &mut tasks).await?;

    let retry = wake_on_change(credentials.clone(), scopes.clone(), stop.clone());
    tasks.spawn("credentials", endless(credentials.keep_fresh(stop.clone())));
    tasks.spawn("wakes", endless(retry));
    let lease = &settings.lease;
    let election = Election::new(
        client,
        &settings.lease_namespace(),
        lease.lease_name.clone(),
        identity,
        Duration::from_secs(lease.lease_duration),
        clock,
    );
    tasks.spawn(
        "controllers",
        endless(elect(
            election,
            shared,
            scopes,
            (sweep, registrar),
            leading,
            stop,
        )),
    );
    tasks.run(signal, settings.common.shutdown.drain()).await?;
    Ok(())
}

/// Shows what the resources say of the business.
fn show_business(scopes: &[Scope], counted: &Counted, clock: Arc<dyn Clock>, admin: &Admin) {
    let stores = scopes.iter().map(|scope| scope.stores.clone());
    let business = Business {
        stores: stores.collect(),
        leading: counted.leading.clone(),
        quota_use: counted.quota_use.clone(),
        clock,
    };
    business.register(&admin.metrics);
}

/// The webhook endpoint that we register ourselves, and its signing secret, which every replica follows.
fn register_endpoint(
    settings: &Settings,
    client: &Client,
    billing: &StripeBilling,
    tasks: &mut Tasks,
) -> (Registered, Registrar<StripeBilling>) {
    let registered = Registered::default();
    let registrar = Registrar {
        stripe: billing.clone(),
        client: client.clone(),
        namespace: settings.lease_namespace(),
        name: settings.webhook_kept_in.clone(),
        lease: settings.lease.lease_name.clone(),
        url: settings.webhook_url.clone(),
    };
    if registrar.url.is_some() {
        let api = Api::namespaced(client.clone(), &registrar.namespace);
        let following = registered
            .clone()
            .follow(api, registrar.name.clone(), tasks.stop());
        tasks.spawn("webhook secret", endless(following));
    }
    (registered, registrar)
}

/// The account API, where it is asked for.
fn account_api(
    settings: &Settings,
    shared: &Shared<StripeBilling, CognitoIdentity>,
    scopes: &[Scope],
    tasks: &mut Tasks,
) -> anyhow::Result<Option<Router>> {
    if !settings.account.account_api {
        return Ok(None);
    }
    let namespace = settings.account_namespace();
    let covers = |scope: &&Scope| scope.namespace.as_ref().is_none_or(|of| *of == namespace);
    let scope = scopes.iter().find(covers).with_context(|| {
        format!("GLYPH_ACCOUNT_NAMESPACE names {namespace}, which is none of GLYPH_NAMESPACES: add it there")
    })?;
    let counters = LateCounters::default();
    let connected = counters
        .clone()
        .keep_connected(shared.credentials.clone(), tasks.stop());
    tasks.spawn("account counters", endless(connected));
    tracing::info!(namespace, "serving the account API");
    Ok(Some(account::router(Account {
        client: shared.client.clone(),
        stores: scope.stores.clone(),
        namespace,
        pool: Arc::new(shared.identity.clone()),
        pages: Arc::new(shared.billing.clone()),
        counters,
        clock: shared.clock.clone(),
        default_tier: shared.default_tier.clone(),
        portal_return_url: settings.portal_return_url(),
        settings: settings.account.clone(),
    })))
}

/// Starts the watches, on every replica.
fn follow(settings: &Settings, client: &Client, admin: &Admin, tasks: &mut Tasks) -> Vec<Scope> {
    let mut scopes = Vec::new();
    let mut checks = Vec::new();
    for namespace in settings.common.scopes() {
        let watches = Watches::default();
        scopes.push(Scope {
            namespace: namespace.clone(),
            stores: watches.stores.clone(),
            wakes: watches.wakes.clone(),
        });
        checks.push(watches.stores.clone());
        let work = watches.follow(client.clone(), namespace, tasks.stop());
        tasks.spawn("watches", endless(work));
    }
    let check = admin
        .readiness
        .register("watches", "not all resources have been listed");
    let stop = tasks.stop();
    tasks.spawn(
        "readiness",
        endless(async move {
            let listed = join_all(checks.iter().map(Stores::listed));
            if stop.run_until_cancelled(listed).await.is_some() {
                check.ready();
            }
            stop.cancelled().await;
        }),
    );
    scopes
}

/// Starts the webhook receiver with the account API beside it, and the admin port.
async fn serve<O: OwnerLookup, E: Events>(
    settings: &Settings,
    (receiver, account): (Webhook<O, E>, Option<Router>),
    admin: Admin,
    tasks: &mut Tasks,
) -> anyhow::Result<()> {
    let bind = |address, what: &'static str| async move {
        let listener = TcpListener::bind(address).await;
        listener.with_context(|| format!("failed to listen at {address} for {what}"))
    };
    let admin_port = bind(settings.admin_listen, "the admin port (GLYPH_ADMIN_LISTEN)").await?;
    let webhooks = bind(settings.listen, "Stripe's webhooks (GLYPH_LISTEN)").await?;
    tracing::info!(webhooks = %settings.listen, admin = %settings.admin_listen, "listening");
    let serving = admin.serve(admin_port, tasks.stop());
    tasks.spawn("admin port", lingering(tasks.stop(), LINGER, serving));
    let stop = tasks.stop();
    let router = webhook::router(receiver).merge(account.unwrap_or_default());
    // The account API counts by address.
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    let serving = axum::serve(webhooks, service).with_graceful_shutdown(stop.cancelled_owned());
    let serving = async move { serving.await };
    // A request of the account API may be waiting for what it made.
    let linger = LINGER + account_wait(settings);
    tasks.spawn("webhooks", lingering(tasks.stop(), linger, serving));
    Ok(())
}

fn account_wait(settings: &Settings) -> Duration {
    let account = Some(&settings.account).filter(|account| account.account_api);
    account.map_or(Duration::ZERO, |account| account.wait())
}

/// A server that ends with its last request, and `linger` after `stop` even if a client holds a connection open on
/// which it never asked for anything.
async fn lingering(
    stop: CancellationToken,
    linger: Duration,
    serving: impl Future<Output = std::io::Result<()>>,
) -> std::io::Result<()> {
    let patience = async {
        stop.cancelled().await;
        tokio::time::sleep(linger).await;
    };
    tokio::select! {
        ended = serving => ended,
        () = patience => Ok(()),
    }
}

/// Takes part in the election, and runs the controllers of all scopes whenever this replica leads.
async fn elect(
    election: Election,
    shared: Arc<Shared<StripeBilling, CognitoIdentity>>,
    scopes: Vec<Scope>,
    (sweep, registrar): (Sweep<AllOwners, StripeBilling>, Registrar<StripeBilling>),
    leading: Leading,
    stop: CancellationToken,
) {
    let (sweep, registrar) = (&sweep, &registrar);
    let work = |lead: Lead| {
        let covered = sweep.covers(&lead);
        let controls = scopes.iter().map(|scope| {
            control(
                shared.clone(),
                scope.stores.clone(),
                scope.wakes.clone(),
                lead.clone(),
                covered,
            )
        });
        let controls = join_all(controls);
        async move {
            tokio::join!(controls, sweep.run(&lead), registrar.run(&lead));
        }
    };
    election.run(stop, |leads| leading.set(leads), work).await;
}

/// New credentials may mend what failed: everyone is looked at.
async fn wake_on_change(credentials: Credentials, scopes: Vec<Scope>, stop: CancellationToken) {
    let mut changed = credentials.changed();
    while let Some(Ok(())) = stop.run_until_cancelled(changed.changed()).await {
        for scope in &scopes {
            // Without a leader nobody listens, and the next one looks at everything.
            let _ = scope.wakes.send(Wake::All);
        }
    }
    stop.cancelled().await;
}

/// A task that cannot fail.
async fn endless(work: impl Future<Output = ()>) -> Result<(), std::convert::Infallible> {
    work.await;
    Ok(())
}

/// The pod's name, or the machine's.
fn host_name() -> String {
    let named = std::env::var("HOSTNAME")
        .ok()
        .filter(|name| !name.is_empty());
    let kernel = || std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let name = named.or_else(kernel).unwrap_or_default();
    name.trim().to_owned()
}

/// The owners of all scopes.
struct AllOwners(Vec<WatchedOwners>);

impl OwnerLookup for AllOwners {
    fn by_stripe_id(&self, id: &str) -> Option<Vec<Owner>> {
        let found: Option<Vec<_>> = self.0.iter().map(|scope| scope.by_stripe_id(id)).collect();
        Some(found?.into_iter().flatten().collect())
    }

    fn watches(&self, namespace: &str) -> bool {
        self.0.iter().any(|scope| scope.watches(namespace))
    }
}
