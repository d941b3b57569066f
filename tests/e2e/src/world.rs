//! The whole of Glyph, running on real parts, as the demo, the measures and the tests use it.
//!
//! Every world has a namespace, a Stripe, a Redis, an operator and gateways of its own; the control plane and
//! Cognito are shared by the process. All ends when the world is dropped.

mod envoy;
mod secrets;
mod stage;

use std::ops::Deref;

use anyhow::{Context as _, Result, anyhow};
use futures::future::try_join_all;
use glyph_harness::net::Answer;
use glyph_harness::{ControlPlane, Envoy, Program, Redis, Service, Upstream, poll_until};

pub use secrets::Secrets;
pub use stage::{KEY_FIELD, Kind, SOON, Stage};

use crate::caller::{Caller, code, said};
use crate::resources;

/// How large a world is wanted.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    gateways: usize,
    log: &'static str,
    movable: bool,
    free_path: Option<&'static str>,
    account_api: bool,
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
            account_api: false,
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

    /// With a clock that can be moved ([`Stage::pass_time`]): Stripe's, Redis' and the programs'.
    #[must_use]
    pub fn movable(self) -> Self {
        Self {
            movable: true,
            ..self
        }
    }

    /// With the account API.
    #[must_use]
    pub fn account_api(self) -> Self {
        Self {
            account_api: true,
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
        let (operator, gateways) = tokio::try_join!(
            async {
                let settings = stage
                    .operator_settings()
                    .set("REDIS_URL", stage.secrets.redis_url(redis.port()))
                    .set("GLYPH_ACCOUNT_API", wanted.account_api.to_string())
                    .set("GLYPH_CREDITS_CHECKPOINT", "1")
                    .set("GLYPH_LOG", wanted.log);
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
        })
    }

    /// The first gateway.
    ///
    /// # Errors
    /// When the world was made without one.
    pub fn gateway(&self) -> Result<&Gateway> {
        self.gateways.first().context("this world has no gateway")
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

impl Gateway {
    /// Starts a sidecar and an Envoy that asks it.
    async fn start(
        stage: &Stage<'_>,
        redis: &Redis,
        upstream: &Upstream,
        wanted: Wanted,
    ) -> Result<Self> {
        let settings = stage
            .secrets
            .sidecar(stage.program_settings(), redis.port());
        let settings = settings
            .tokens_of(stage.cognito)
            .set("GLYPH_DEFAULT_TIER", resources::DEFAULT_TIER)
            .set("GLYPH_LOG", wanted.log);
        // The default of 20 ms is for production; here a whole cluster, and often a compiler, share two cores.
        let settings = settings.set("GLYPH_REDIS_DEADLINE", "200");
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
