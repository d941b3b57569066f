//! The sidecar: Envoy's checks come in over gRPC ([`server`]), other gateways' over HTTP ([`http_server`]), the watches feed
//! the index ([`watch`]), Redis counts ([`counters`]), usage goes there later ([`usage`]), user pools give their keys
//! ([`tokens`]), and the gate ([`gate`]) puts what `glyph-authz-core` decides between them. No decision is made here.

pub mod check;
mod command;
pub mod counters;
pub mod gate;
pub mod http_server;
pub mod metrics;
pub mod server;
mod settings;
pub mod tokens;
pub mod usage;
pub mod watch;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use glyph_crds::api_key_format::Peppers;
use glyph_runtime::admin::{Admin, ReadinessCheck};
use glyph_runtime::clock::SystemClock;
use glyph_runtime::credentials::Credentials;
use glyph_runtime::random;
use glyph_runtime::shutdown::{Tasks, signalled};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use command::{Asked, Command};
use counters::ReloadingRedis;
use gate::Gate;
pub use settings::Settings;
use settings::{KEY_PEPPERS, REDIS_CA, REDIS_URL};
use tokens::Tokens;
use usage::{Charges, Usage};

/// Letters and digits of the name by which Redis tells processes apart: more than enough never to draw one twice.
const SOURCE_LENGTH: usize = 16;

/// Runs the sidecar until a signal ends it.
///
/// # Errors
/// When a setting is missing or wrong, an address cannot be listened on, or a part fails for good.
pub async fn run(settings: Settings) -> anyhow::Result<()> {
    settings.common.logs.init()?;
    let signal = signalled().context("failed to wait for signals")?;
    let credentials = Credentials::load(&settings.common.credentials)?;
    let peppers = Peppers::parse(credentials.get(KEY_PEPPERS)?.expose())?;
    let tokens = Arc::new(settings.tokens.tokens()?);
    let counters = ReloadingRedis::new(credentials.clone(), settings.redis_deadline())?;
    let client = watch::client().await?;
    let checks = listen("--listen or GLYPH_LISTEN", settings.listen).await?;
    let http_checks = match settings.http_listen {
        Some(address) => Some(listen("--http-listen or GLYPH_HTTP_LISTEN", address).await?),
        None => None,
    };
    let admin_port = listen(
        "--admin-listen or GLYPH_ADMIN_LISTEN",
        settings.admin_listen,
    )
    .await?;

    let admin = Admin::default();
    let scopes = settings.scopes();
    let source = random::base62(SOURCE_LENGTH)?;
    let (usage, charges) = Usage::new(settings.usage, source);
    let gate = Gate::new(
        &settings,
        &scopes,
        peppers,
        counters.clone(),
        SystemClock,
        usage,
    );
    let gate = Arc::new(gate.taking(Arc::clone(&tokens)));
    gate.metrics
        .register(&admin.metrics, Arc::clone(&gate), counters.clone());
    tokens.register(&admin.metrics, SystemClock);
    let synced = admin
        .readiness
        .register("index", "not all resources have been listed yet");

    let tried = admin
        .readiness
        .register("redis", "it has not been tried to connect yet");

    let asked = admin.readiness.register(
        "tokens",
        "the user pools have not been asked for their keys yet",
    );

    let mut tasks = Tasks::new();
    let stop = tasks.stop();
    tasks.spawn(
        "readiness of tokens",
        infallible(ready_once_asked(Arc::clone(&tokens), asked, stop.clone())),
    );
    tasks.spawn("tokens", tokens.keep_fetched(SystemClock, stop.clone()));
    tasks.spawn(
        "readiness",
        infallible(ready_once_tried(counters.clone(), tried, stop.clone())),
    );
    tasks.spawn(
        "credentials",
        infallible(credentials.clone().keep_fresh(stop.clone())),
    );
    tasks.spawn(
        "peppers",
        infallible(reload_peppers(credentials, Arc::clone(&gate), stop.clone())),
    );
    tasks.spawn("redis", counters.clone().keep_connected(stop.clone()));
    tasks.spawn(
        "watches",
        infallible(watch::feed(
            client,
            scopes,
            Arc::clone(&gate),
            synced,
            stop.clone(),
        )),
    );
    let served = gate.usage.served.clone();
    if let Some(listener) = http_checks {
        let serving = http_server::serve(listener, Arc::clone(&gate), stop.clone());
        tasks.spawn("checks over HTTP", served.track_future(serving));
    }
    let serving = server::serve(checks, Arc::clone(&gate), stop.clone());
    tasks.spawn("checks", served.track_future(serving));
    served.close();
    let interval = settings.usage_interval();
    tasks.spawn(
        "usage",
        infallible(keep_flushed(Arc::clone(&gate), counters.clone(), interval)),
    );
    tasks.spawn(
        "giving back",
        infallible(keep_giving_back(gate, counters, charges)),
    );
    tasks.spawn("admin", admin.serve(admin_port, stop));
    tracing::info!(version = glyph_runtime::version(), checks = %settings.listen, "glyph-authz has started");
    Ok(tasks.run(signal, settings.common.shutdown.drain()).await?)
}

/// A sidecar that has not come to Redis yet would refuse its first requests; one that found Redis away is as good as any.
async fn ready_once_tried(
    counters: ReloadingRedis,
    tried: ReadinessCheck,
    stop: CancellationToken,
) {
    if stop.run_until_cancelled(counters.tried()).await.is_some() {
        tried.ready();
    }
    stop.cancelled().await;
}

/// As with Redis: one that has asked once is as good as any, whatever came of it.
async fn ready_once_asked(tokens: Arc<Tokens>, asked: ReadinessCheck, stop: CancellationToken) {
    if stop.run_until_cancelled(tokens.tried()).await.is_some() {
        asked.ready();
    }
    stop.cancelled().await;
}

async fn listen(setting: &str, address: std::net::SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("failed to listen on {address} ({setting})"))
}

async fn infallible(task: impl Future<Output = ()>) -> Result<(), std::convert::Infallible> {
    task.await;
    Ok(())
}

async fn keep_flushed(
    gate: Arc<Gate<ReloadingRedis, SystemClock>>,
    counters: ReloadingRedis,
    interval: Duration,
) {
    let usage = &gate.usage;
    usage.keep_flushed(&counters, &SystemClock, interval).await;
}

async fn keep_giving_back(
    gate: Arc<Gate<ReloadingRedis, SystemClock>>,
    counters: ReloadingRedis,
    charges: Charges,
) {
    let usage = &gate.usage;
    usage
        .keep_giving_back(&counters, &SystemClock, charges)
        .await;
}

/// Puts changed peppers in force. Peppers that cannot be read leave the last ones in force.
async fn reload_peppers<C, K>(
    credentials: Credentials,
    gate: Arc<Gate<C, K>>,
    stop: CancellationToken,
) {
    let mut changed = credentials.changed();
    while let Some(Ok(())) = stop.run_until_cancelled(changed.changed()).await {
        let read = credentials.get(KEY_PEPPERS).map_err(anyhow::Error::from);
        match read.and_then(|text| Ok(Peppers::parse(text.expose())?)) {
            Ok(peppers) => gate.set_peppers(peppers),
            Err(error) => tracing::error!("{error:#}; the last peppers stay in force"),
        }
    }
}
