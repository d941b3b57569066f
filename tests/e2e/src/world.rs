//! The whole of Glyph, running on real parts, as the demo, the measures and the tests use it.
//!
//! Every world has a namespace, a Stripe, a Redis, an operator and gateways of its own; the control plane and
//! Cognito are shared by the process. All ends when the world is dropped.

mod envoy;
mod secrets;
mod stage;

use std::ops::Deref;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow};
use futures::future::try_join_all;
use glyph_harness::net::Answer;
use glyph_harness::{
    ControlPlane, Envoy, Program, Redis, Service, Settings, Upstream, poll_until, run_folder,
};
use jiff::Timestamp;

pub use secrets::Secrets;
pub use stage::{KEY_FIELD, Kind, SOON, Stage};

use crate::caller::{Caller, code, said};
use crate::resources;
use crate::scrape::Scrape;

/// The operator is at rest when it has done nothing for so long.
const QUIET: Duration = Duration::from_millis(500);

/// How large a world is wanted.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    gateways: usize,
    log: &'static str,
    movable: bool,
    free_path: Option<&'static str>,
    operator: &'static [(&'static str, &'static str)],
}

impl Wanted {
    /// So many sidecars, each with an Envoy of its own, all before one upstream.
    #[must_use]
    pub fn gateways(gateways: usize) -> Self {
        Self {
            gateways,
            log: "info",
            movable: false,
            free_path: None,
            operator: &[],
        }
    }

    /// Nothing but the operator and what it acts on.
    #[must_use]
    pub fn operator_only() -> Self {
        Self::gateways(0)
    }

    /// With this log filter in operator and sidecars, instead of `info`.
    #[must_use]
    pub fn logging(self, log: &'static str) -> Self {
        Self { log, ..self }
    }

    /// With further settings of the operator.
    #[must_use]
    pub fn operator(self, settings: &'static [(&'static str, &'static str)]) -> Self {
        Self {
            operator: settings,
            ..self
        }
    }

    /// With a clock that can be moved ([`Stage::pass_time`]): Stripe's, Redis' and the programs'.
    #[must_use]
    pub fn movable(self) -> Self {
        Self {
            movable: true,
            ..self
        }
    }

    /// With a route for requests of this path that costs nothing, added to Envoy's example as that says.
    #[must_use]
    pub fn free_path(self, path: &'static str) -> Self {
        Self {
            free_path: Some(path),
            ..self
        }
    }
}

/// An Envoy and the sidecar it asks.
pub struct Gateway {
    /// The sidecar.
    pub sidecar: Service,
    /// Envoy, running `examples/envoy/envoy.yaml`.
    pub envoy: Envoy,
    /// Somebody who calls through it.
    pub caller: Caller,
}

/// All of Glyph, running.
pub struct World<'a> {
    stage: Stage<'a>,
    /// The operator.
    pub operator: Service,
    /// The counters of all sidecars.
    pub redis: Redis,
    /// The API that is sold.
    pub upstream: Upstream,
    /// The ways in.
    pub gateways: Vec<Gateway>,
    /// Where the operator looks for credentials first: empty.
    pub credentials: PathBuf,
}

impl<'a> World<'a> {
    /// Starts everything, side by side, and waits until all is ready.
    ///
    /// # Errors
    /// When a part cannot be had or does not start.
    pub async fn start(plane: &'a ControlPlane, prefix: &str, wanted: Wanted) -> Result<Self> {
        let (stage, upstream, ()) = tokio::try_join!(
            async {
                if wanted.movable {
                    Stage::start_movable(plane, prefix).await
                } else {
                    Stage::start(plane, prefix).await
                }
            },
            async { Ok(Upstream::start().await?) },
            async { Ok(glyph_harness::service::binaries().await?) },
        )?;
        let options = stage.secrets.redis_options();
        let options = options.each_ref().map(String::as_str);
        let redis = match stage.clock() {
            Some(clock) => Redis::start_by(clock, &options).await?,
            None => Redis::start_with(&options).await?,
        };
        let credentials = run_folder("credentials")?;
        let (operator, gateways) = tokio::try_join!(
            async {
                let settings = stage
                    .operator_settings()
                    .set("GLYPH_CREDENTIALS_DIR", credentials.to_string_lossy())
                    .set("REDIS_URL", stage.secrets.redis_url(redis.port()))
                    .set("GLYPH_CREDITS_CHECKPOINT", "1")
                    .set("GLYPH_LOG", wanted.log);
                let more = wanted.operator.iter();
                let settings = more.fold(settings, |all, (name, value)| all.set(name, *value));
                Ok(Service::start(Program::Operator, settings).await?)
            },
            try_join_all(
                (0..wanted.gateways).map(|_| Gateway::start(&stage, &redis, &upstream, wanted))
            ),
        )?;
        Ok(Self {
            stage,
            operator,
            redis,
            upstream,
            gateways,
            credentials,
        })
    }

    /// The first gateway.
    ///
    /// # Errors
    /// When the world was made without one.
    pub fn gateway(&self) -> Result<&Gateway> {
        self.gateways.first().context("this world has no gateway")
    }

    /// Settings of one more sidecar.
    #[must_use]
    pub fn sidecar_settings(&self) -> Settings {
        sidecar_settings(&self.stage, &self.redis)
    }

    /// Where the counters are.
    #[must_use]
    pub fn redis_url(&self) -> String {
        self.stage.secrets.redis_url(self.redis.port())
    }

    /// An Envoy that asks two sidecars in turn, and tells either how requests ended.
    ///
    /// # Errors
    /// When the example has no place for what is added, or Envoy does not start.
    pub async fn envoy_before(&self, sidecars: [&Service; 2]) -> Result<Envoy> {
        let sidecars = sidecars.map(Service::address);
        let config = envoy::before_two(sidecars, self.upstream.address())?;
        Ok(Envoy::start(&config).await?)
    }

    /// Waits until the operator has done nothing for a while: for a pass that is under way when time passes, weeks lie
    /// between its look at the clock and its look at Stripe, where outside of a story there are milliseconds.
    ///
    /// # Errors
    /// When it does not come to rest.
    pub async fn at_rest(&self) -> Result<()> {
        let (mut last, mut since) = (None, Instant::now());
        let rest = poll_until("the operator to come to rest", SOON, async || {
            let passes = Scrape::of(&self.operator)
                .await
                .ok()?
                .all("glyph_reconciles_total");
            let control = self.stripe.control();
            let now = Some((passes, control.requests().len(), control.deliveries().len()));
            if now != last {
                (last, since) = (now, Instant::now());
            }
            (since.elapsed() > QUIET).then_some(())
        });
        Ok(rest.await?)
    }

    /// How many seconds a moment (`2028-03-01T09:00`, UTC) is ahead of Stripe's clock.
    ///
    /// # Errors
    /// When it is none.
    pub fn seconds_until(&self, moment: &str) -> Result<i64> {
        let moment: Timestamp = format!("{moment}:00Z").parse()?;
        Ok(moment.as_second() - self.stripe.control().now())
    }

    /// Waits until every sidecar knows what was made before this call: it makes one more customer with a key and
    /// waits until that passes everywhere. Needs the default tier.
    ///
    /// # Errors
    /// When it does not pass.
    pub async fn settled(&self) -> Result<()> {
        const LAST: &str = "last-of-all";
        self.create(&resources::customer(LAST, &self.email(LAST)))
            .await?;
        self.create(&resources::api_key(LAST, LAST)).await?;
        let key = self.key(LAST).await?;
        for gateway in &self.gateways {
            gateway.until_answer(&key, 200, "").await?;
        }
        Ok(())
    }
}

/// A world is a stage with more on it.
impl<'a> Deref for World<'a> {
    type Target = Stage<'a>;

    fn deref(&self) -> &Stage<'a> {
        &self.stage
    }
}

fn sidecar_settings(stage: &Stage<'_>, redis: &Redis) -> Settings {
    let settings = stage
        .secrets
        .sidecar(stage.program_settings(), redis.port());
    // The default of 20 ms is for production; here a whole cluster, and often a compiler, share two cores.
    settings
        .tokens_of(stage.cognito)
        .set("GLYPH_JWKS_REFRESH", "10")
        .set("GLYPH_DEFAULT_TIER", resources::DEFAULT_TIER)
        .set("GLYPH_LOG", "info")
        .set("GLYPH_USAGE", "access-log")
        .set("GLYPH_REDIS_DEADLINE", "200")
}

impl Gateway {
    /// Starts a sidecar and an Envoy that asks it.
    async fn start(
        stage: &Stage<'_>,
        redis: &Redis,
        upstream: &Upstream,
        wanted: Wanted,
    ) -> Result<Self> {
        let settings = sidecar_settings(stage, redis).set("GLYPH_LOG", wanted.log);
        let sidecar = Service::start(Program::Authz, settings).await?;
        let config = envoy::config(sidecar.address(), upstream.address(), wanted.free_path)?;
        let envoy = Envoy::start(&config).await?;
        let caller = Caller::new(&envoy.url());
        Ok(Self {
            sidecar,
            envoy,
            caller,
        })
    }

    /// Asks with `key` until the answer has this status and, in its body, this code.
    ///
    /// # Errors
    /// When it has not in time; with the last answer.
    pub async fn until_answer(&self, key: &str, status: u16, wanted: &str) -> Result<Answer> {
        let mut last = None;
        let answer = poll_until("an answer", SOON, async || {
            last = self.caller.ask(key).await.ok();
            last.clone()
                .filter(|answer| answer.status == status && code(answer) == wanted)
        });
        let answer = answer.await;
        answer.map_err(|_| {
            anyhow!(
                "expected {status} {wanted} through Envoy; came {:?}",
                last.as_ref().map(said)
            )
        })
    }
}
