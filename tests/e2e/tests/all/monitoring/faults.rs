//! Every alert of the chart, in a real Prometheus that scrapes the real programs: silent before, firing while its fault is
//! there, silent again after. The rules are the chart's; only their windows are shorter, by its values.

use std::collections::BTreeSet;
use std::fs;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use glyph_crds::{ApiKey, GlyphCustomer, Subscription};
use glyph_e2e::checkout::{self, CARD_THAT_FAILS};
use glyph_e2e::resources;
use glyph_e2e::world::SOON;
use glyph_harness::net::{free_port, loopback};
use glyph_harness::pool::{KeyServer, Reply, SigningKey, jwks};
use glyph_harness::{ControlPlane, Program, Service, poll_until};
use glyph_stripe_sim::{Fault, FaultKind, WebhookMode, When};
use kube::api::{Patch, PatchParams};
use serde_json::json;
use tokio::task::JoinHandle;

use super::rules::names;
use super::shop::{QUICK, Shop, WHO_HAS_NO_QUOTA_LEFT, WHO_LEAVES, rules, sign_up, subscribe};

/// How long an alert may take to fire or to fall silent: far above its windows, for a machine that is busy.
const DEADLINE: Duration = Duration::from_secs(150);
/// Who stops paying.
const WHO_OWES: &str = "olga";

/// What was seen to fire.
struct Watch<'a> {
    shop: Shop<'a>,
    fired: BTreeSet<String>,
}

#[tokio::test(flavor = "multi_thread")]
async fn every_alert_fires_for_its_fault_and_falls_silent_when_that_is_mended() -> Result<()> {
    let plane = ControlPlane::start().await?;
    plane.apply_kinds().await?;
    let second = loopback(free_port()?);
    let shop = Shop::open(&plane, "faults", &[("authz", second.to_string())]).await?;
    sign_up(&shop.world, WHO_OWES).await?;
    subscribe(&shop.world, WHO_OWES, "starter", None).await?;
    let mut watch = Watch {
        shop,
        fired: BTreeSet::new(),
    };
    watch
        .silent(&names(&rules(&watch.shop.world.namespace, QUICK).await?))
        .await?;
    watch.redis_away().await?;
    watch.redis_slow().await?;
    watch.malformed().await?;
    watch.bad_keys().await?;
    watch.quota_used_up().await?;
    watch.cognito_away().await?;
    watch.wrong_webhook_secret().await?;
    watch.webhooks_held().await?;
    watch.more_than_the_limit().await?;
    watch.stripe_fails().await?;
    watch.customer_leaves().await?;
    watch.keys_of_a_pool_away(second.to_string()).await?;
    watch.api_server_away(&plane, second.to_string()).await?;
    watch.customer_owes().await?;
    let all = names(&rules(&watch.shop.world.namespace, QUICK).await?);
    assert_eq!(
        watch.fired, all,
        "on the left what fired, on the right all alerts"
    );
    Ok(())
}

impl Watch<'_> {
    async fn state(&self) -> Option<BTreeSet<String>> {
        let alerts = self.shop.prometheus.alerts().await.ok()?;
        let firing = alerts.iter().filter(|alert| alert.state == "firing");
        Some(firing.map(|alert| alert.name().to_owned()).collect())
    }

    /// Waits until these fire, with every annotation filled in.
    async fn fire(&mut self, alerts: &[&str]) -> Result<()> {
        for wanted in alerts {
            let mut seen = Vec::new();
            let firing = poll_until("an alert to fire", DEADLINE, async || {
                seen = self.shop.prometheus.alerts().await.ok()?;
                let fires = |alert: &&glyph_harness::prometheus::Alert| {
                    alert.name() == *wanted && alert.state == "firing"
                };
                seen.iter().find(fires).cloned()
            });
            let firing = firing
                .await
                .with_context(|| format!("{wanted} does not fire; there are {seen:#?}"))?;
            for (name, text) in &firing.annotations {
                ensure!(
                    !text.contains("<no value>")
                        && !text.contains("<error")
                        && !text.contains("{{"),
                    "{wanted}: {name} is {text}"
                );
            }
            self.fired.insert((*wanted).to_owned());
        }
        Ok(())
    }

    /// Waits until none of these fires.
    async fn silent(&self, alerts: &BTreeSet<String>) -> Result<()> {
        let mut last = None;
        let silent = poll_until("alerts to fall silent", DEADLINE, async || {
            last = self.state().await;
            last.as_ref()?.is_disjoint(alerts).then_some(())
        });
        let silent = silent.await;
        silent.with_context(|| format!("of {alerts:?} these go on: {last:?}"))
    }

    async fn over(&self, alerts: &[&str]) -> Result<()> {
        let alerts = alerts.iter().map(ToString::to_string).collect();
        self.silent(&alerts).await
    }

    async fn redis_away(&mut self) -> Result<()> {
        let alerts = ["GlyphRedisAway", "GlyphUnavailable"];
        self.shop.world.redis.stop();
        self.fire(&alerts).await?;
        self.shop.world.redis.start_again().await?;
        self.over(&alerts).await
    }

    async fn redis_slow(&mut self) -> Result<()> {
        let alerts = ["GlyphRedisSlow"];
        let port = self.shop.world.redis.port();
        let slowing = Busy(tokio::spawn(async move {
            loop {
                let _ = pause_redis(port).await;
            }
        }));
        self.fire(&alerts).await?;
        drop(slowing);
        self.over(&alerts).await
    }

    async fn malformed(&mut self) -> Result<()> {
        let alerts = ["GlyphMalformedResources"];
        sign_up(&self.shop.world, "mona").await?;
        self.shop.world.key("mona").await?;
        let hash = json!({"status": {"hashes": [{"value": "no hash", "pepperVersion": 1}]}});
        let keys = self.shop.world.namespace.api::<ApiKey>();
        keys.patch_status("mona", &PatchParams::default(), &Patch::Merge(&hash))
            .await?;
        self.fire(&alerts).await?;
        self.shop.world.delete::<ApiKey>("mona").await?;
        self.over(&alerts).await
    }

    /// Asks with `key` until the drop.
    fn asking(&self, key: &str) -> Result<Busy> {
        let (caller, key) = (
            self.shop.world.gateway()?.caller.clone(),
            Arc::<str>::from(key),
        );
        Ok(Busy(tokio::spawn(async move {
            loop {
                let _ = caller.ask(&key).await;
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })))
    }

    async fn bad_keys(&mut self) -> Result<()> {
        let alerts = ["GlyphManyUnauthorized"];
        let asking = self.asking("glyph_sk_live_00000000000000000000000000000000")?;
        self.fire(&alerts).await?;
        drop(asking);
        self.over(&alerts).await
    }

    async fn quota_used_up(&mut self) -> Result<()> {
        let alerts = ["GlyphManyLimited"];
        let asking = self.asking(&self.shop.world.key(WHO_HAS_NO_QUOTA_LEFT).await?)?;
        self.fire(&alerts).await?;
        drop(asking);
        self.over(&alerts).await
    }

    /// A credential as a mounted file, which goes before the environment, and is taken over within a second.
    fn credential(&self, name: &str, value: &str) -> Result<()> {
        Ok(fs::write(self.shop.world.credentials.join(name), value)?)
    }

    fn no_credential(&self, name: &str) -> Result<()> {
        Ok(fs::remove_file(self.shop.world.credentials.join(name))?)
    }

    async fn cognito_away(&mut self) -> Result<()> {
        let alerts = ["GlyphCognitoErrors"];
        self.credential("AWS_ENDPOINT_URL", "http://127.0.0.1:9")?;
        self.fire(&alerts).await?;
        self.no_credential("AWS_ENDPOINT_URL")?;
        self.over(&alerts).await
    }

    /// Stripe's word is refused, and only the sweep brings it.
    async fn wrong_webhook_secret(&mut self) -> Result<()> {
        let alerts = ["GlyphWebhooksRefused", "GlyphWebhooksMissing"];
        self.credential("STRIPE_WEBHOOK_SECRET", "whsec_of_another_endpoint")?;
        self.fire(&alerts).await?;
        self.no_credential("STRIPE_WEBHOOK_SECRET")?;
        self.over(&alerts).await
    }

    async fn webhooks_held(&mut self) -> Result<()> {
        let alerts = ["GlyphWebhooksLate"];
        let control = self.shop.world.stripe.control();
        control.set_webhook_mode(WebhookMode {
            held: true,
            ..WebhookMode::default()
        });
        let begun = control.now();
        // Far more of them are late than come at once after that.
        let waits = async || {
            let (_, waiting) = control.webhook_mode();
            (waiting > 10 && control.now() - begun > 20).then_some(())
        };
        poll_until("webhooks to be late", DEADLINE, waits).await?;
        control.release_webhooks(false);
        self.fire(&alerts).await?;
        self.over(&alerts).await
    }

    async fn more_than_the_limit(&mut self) -> Result<()> {
        let alerts = ["GlyphStripeLimitReached"];
        let world = &self.shop.world;
        for number in 0..120 {
            let name = format!("crowd-{number}");
            world
                .create(&resources::customer(&name, &world.email(&name)))
                .await?;
        }
        self.fire(&alerts).await?;
        self.over(&alerts).await
    }

    async fn stripe_fails(&mut self) -> Result<()> {
        let alerts = [
            "GlyphStripeErrors",
            "GlyphEventSweepStale",
            "GlyphReconcilesFailing",
            "GlyphResourcesStuck",
        ];
        let control = self.shop.world.stripe.control();
        control.add_fault(Fault::new(FaultKind::ServerError { when: When::Before }));
        self.fire(&alerts).await?;
        self.shop.world.stripe.control().clear_faults();
        self.over(&alerts).await
    }

    async fn customer_leaves(&mut self) -> Result<()> {
        let alerts = ["GlyphRevenueDrop"];
        let id = |s: &Subscription| s.status.as_ref()?.stripe_subscription_id.clone();
        let id = self
            .shop
            .world
            .until(WHO_LEAVES, "a subscription in Stripe", SOON, id)
            .await?;
        let control = self.shop.world.stripe.control();
        control.cancel_now(&id).map_err(anyhow::Error::msg)?;
        self.fire(&alerts).await?;
        // After half of the baseline it is what is usual.
        self.over(&alerts).await
    }

    /// Of a sidecar that takes tokens of a pool of its own.
    async fn keys_of_a_pool_away(&mut self, admin: String) -> Result<()> {
        let alerts = ["GlyphTokenKeysStale"];
        let keys = jwks(&[&SigningKey::first()?]);
        let pool = KeyServer::start(Reply::of(&*keys)).await?;
        let settings = self.shop.world.sidecar_settings();
        let settings = settings
            .set("AWS_COGNITO_USER_POOL_ID", "eu-central-1_faults")
            .set("GLYPH_COGNITO_JWKS_URL", pool.url())
            .set("GLYPH_ADMIN_LISTEN", admin);
        let second = Service::start(Program::Authz, settings).await?;
        pool.reply(Reply::with(500, "no keys today"));
        self.fire(&alerts).await?;
        pool.reply(Reply::of(keys));
        self.over(&alerts).await?;
        ensure!(second.stop());
        Ok(())
    }

    /// Nobody leads, nothing is heard, and a sidecar that starts now knows nothing.
    async fn api_server_away(&mut self, plane: &ControlPlane, admin: String) -> Result<()> {
        let alerts = ["GlyphNoLeader", "GlyphIndexStale", "GlyphIndexNotSynced"];
        plane.stop_api_server()?;
        let settings = self
            .shop
            .world
            .sidecar_settings()
            .set("GLYPH_ADMIN_LISTEN", admin);
        let second = Service::spawn(Program::Authz, settings).await?;
        self.fire(&alerts).await?;
        plane.start_api_server().await?;
        self.over(&alerts).await?;
        ensure!(second.stop());
        Ok(())
    }

    /// A month passes at Stripe, and a card cannot be charged. Without grace the customer has to pay at once.
    async fn customer_owes(&mut self) -> Result<()> {
        let world = &self.shop.world;
        let id = |c: &GlyphCustomer| c.status.as_ref()?.stripe_customer_id.clone();
        let id = world.until(WHO_OWES, "a Stripe customer", SOON, id).await?;
        checkout::replace_card(world.stripe.control(), &id, CARD_THAT_FAILS).await?;
        let asking = self.asking(&world.key(WHO_OWES).await?)?;
        world.stripe.control().advance(32 * 24 * 3600);
        self.shop.until(WHO_OWES, 402, "payment_required").await?;
        self.fire(&["GlyphManyUnpaid"]).await?;
        drop(asking);
        self.over(&["GlyphManyUnpaid"]).await
    }
}

/// Something that goes on until it is dropped.
struct Busy(JoinHandle<()>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Everybody waits for a moment: less than the deadline of 200 ms that a world has.
async fn pause_redis(port: u16) -> std::io::Result<()> {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut connection = tokio::net::TcpStream::connect(loopback(port)).await?;
    connection.write_all(b"CLIENT PAUSE 150 ALL\r\n").await?;
    let mut answer = [0; 64];
    connection.read(&mut answer).await.map(drop)
}
