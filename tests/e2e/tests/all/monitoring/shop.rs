//! A shop with customers and traffic, and a Prometheus that watches it with the chart's own alerts.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};
use glyph_crds::{CreditGrant, GlyphApi, GlyphCustomer, OverQuota, Subscription};
use glyph_e2e::caller::Caller;
use glyph_e2e::checkout::{self, CARD_THAT_PAYS};
use glyph_e2e::resources;
use glyph_e2e::world::{SOON, Wanted, World};
use glyph_harness::{ControlPlane, Namespace, Prometheus, workspace_root};
use kube::api::PostParams;
use serde_json::json;
use tokio::task::JoinHandle;

/// What the chart has to be told (docs/install.md).
const LEAST: &str = "stripe.existingSecret=stripe,checkout.successUrl=https://shop.example/paid,\
    checkout.cancelUrl=https://shop.example/plans,redis.bundled.enabled=true,monitoring.prometheusRule.enabled=true";
/// The same alerts with short windows, so that a fault is seen in seconds: values of the chart, and nothing else.
pub(super) const QUICK: &str = r#"{
    "window": "10s", "baseline": "40s", "for": {"critical": "1s", "warning": "2s"},
    "thresholds": {"webhookAge": 8, "sweepAge": 15, "unavailable": 0.1, "indexAge": 5, "tokenKeysAge": 25, "limitWait": 0.5, "redisLatency": 0.1}
}"#;
/// The chart's own values, but for how long Redis may take: a world's sidecars wait ten times as long for it as others do,
/// since the machine has a compiler to run beside it.
pub(super) const PATIENT: &str = r#"{"thresholds": {"redisLatency": 0.1, "unavailable": 0.1}}"#;
/// The chart's own values.
pub(super) const DEFAULTS: &str = "{}";
/// Sweeps often, so that one that fails is noticed.
const OPERATOR: &[(&str, &str)] = &[("GLYPH_EVENT_SWEEP", "2")];
/// Where the endpoints are.
const HOST: &str = "api.example.com";
/// Between two requests of the traffic.
const PACE: Duration = Duration::from_millis(50);
/// Of so many requests one signs somebody up.
const SIGN_UP: usize = 40;
/// Who asks, besides whoever signs up.
pub(super) const WHO_PAYS: &str = "ada";
pub(super) const WHO_LEAVES: &str = "eve";
pub(super) const WHO_HAS_NO_QUOTA_LEFT: &str = "dora";
const WHO_HAS_CREDITS: &str = "cara";

/// The shop, and who watches it.
pub(super) struct Shop<'a> {
    pub(super) world: World<'a>,
    pub(super) prometheus: Prometheus,
    pub(super) traffic: Traffic,
}

/// The alerts as the chart makes them with `values` for `monitoring.prometheusRule`: the text of a file of rules.
pub(super) async fn rules(namespace: &Namespace<'_>, values: &str) -> Result<String> {
    let chart = workspace_root().join("charts/glyph").display().to_string();
    let args = [
        "template",
        "glyph",
        &chart,
        "--show-only=templates/monitoring/prometheusrule.yaml",
        &format!("--set={LEAST}"),
        &format!("--set-json=monitoring.prometheusRule={values}"),
    ];
    let resource = namespace.plane().helm(&args).await?.ok()?;
    let (_, spec) = resource.split_once("\nspec:\n").context("no spec")?;
    let lines = spec
        .lines()
        .map(|line| line.strip_prefix("  ").unwrap_or(line));
    Ok(lines.collect::<Vec<_>>().join("\n") + "\n")
}

impl<'a> Shop<'a> {
    /// Opens one; `more` are further addresses to scrape.
    pub(super) async fn open(
        plane: &'a ControlPlane,
        name: &str,
        more: &[(&str, String)],
    ) -> Result<Self> {
        let wanted = Wanted::gateways(1).operator(OPERATOR);
        let world = World::start(plane, name, wanted).await?;
        let target = |url: String| url.replace("http://", "");
        let mut targets = vec![
            ("operator", target(world.operator.admin_url())),
            ("authz", target(world.gateway()?.sidecar.admin_url())),
        ];
        targets.extend(more.iter().map(|(job, address)| (*job, address.clone())));
        let rules = rules(&world.namespace, QUICK).await?;
        let prometheus = Prometheus::start(&targets, Some(&rules)).await?;
        put_on_sale(&world).await?;
        for name in [WHO_PAYS, WHO_LEAVES] {
            sign_up(&world, name).await?;
            subscribe(&world, name, "starter", None).await?;
        }
        sign_up(&world, "tim").await?;
        subscribe(&world, "tim", "starter", Some(14)).await?;
        for name in [WHO_HAS_CREDITS, WHO_HAS_NO_QUOTA_LEFT] {
            sign_up(&world, name).await?;
        }
        let spec = json!({"customerRef": {"name": WHO_HAS_CREDITS}, "credits": 1_000_000,
            "source": {"type": "Admin", "reason": "a test"}});
        let grant = CreditGrant::new("present", serde_json::from_value(spec)?);
        world.create(&grant).await?;
        let traffic = Traffic::begin(&world).await?;
        Ok(Self {
            world,
            prometheus,
            traffic,
        })
    }

    /// Asks as `name` until the answer has this status.
    pub(super) async fn until(&self, name: &str, status: u16, code: &str) -> Result<()> {
        let key = self.world.key(name).await?;
        let gateway = self.world.gateway()?;
        gateway.until_answer(&key, status, code).await.map(drop)
    }
}

async fn put_on_sale(world: &World<'_>) -> Result<()> {
    let mut free = resources::free_tier(resources::DEFAULT_TIER, Some(20));
    free.spec.over_quota = OverQuota::Credits;
    world.create(&free).await?;
    // A year's worth of the traffic, and no grace: who does not pay is refused.
    let mut starter = resources::paid_tier("starter");
    starter.spec.quota = Some(glyph_crds::Quota {
        requests: 1_000_000_000,
    });
    world.create(&starter).await?;
    let spec = json!({"hosts": [HOST], "endpoints": [{"name": "items", "path": "/v1/items/{id}"}]});
    let api = GlyphApi::new("shop", serde_json::from_value(spec)?);
    world.create(&api).await.map(drop)
}

/// A customer with a Cognito user and a key.
pub(super) async fn sign_up(world: &World<'_>, name: &str) -> Result<()> {
    let customer = resources::customer_with_user(name, &world.email(name));
    world.create(&customer).await?;
    world
        .create(&resources::api_key(name, name))
        .await
        .map(drop)
}

/// A subscription of the customer's name, paid at its link.
pub(super) async fn subscribe(
    world: &World<'_>,
    name: &str,
    tier: &str,
    trial: Option<u32>,
) -> Result<()> {
    let mut wished = resources::subscription(name, name, tier);
    wished.spec.trial_days = trial;
    world.create(&wished).await?;
    let link = |s: &Subscription| s.status.as_ref()?.checkout_url.clone();
    let link = world.until(name, "a link to pay at", SOON, link).await?;
    checkout::pay(&link, CARD_THAT_PAYS).await?;
    let paid = |s: &Subscription| s.status.as_ref()?.state;
    world
        .until(name, "to be subscribed", SOON, paid)
        .await
        .map(drop)
}

/// Requests that come all the time, and customers that sign up now and then.
pub(super) struct Traffic {
    task: JoinHandle<()>,
    asked: Arc<AtomicUsize>,
}

impl Traffic {
    async fn begin(world: &World<'_>) -> Result<Self> {
        let caller = world.gateway()?.caller.clone();
        let paying = world.key(WHO_PAYS).await?;
        let spending = world.key(WHO_HAS_CREDITS).await?;
        let customers = world.namespace.api::<GlyphCustomer>();
        let (asked, domain) = (
            Arc::new(AtomicUsize::new(0)),
            world.namespace.name().to_owned(),
        );
        let count = Arc::clone(&asked);
        let task = tokio::spawn(async move {
            loop {
                let turn = count.fetch_add(1, Ordering::Relaxed);
                ask(&caller, turn, &paying, &spending).await;
                if turn.is_multiple_of(SIGN_UP) {
                    let name = format!("passer-by-{turn}");
                    let email = format!("{name}@{domain}.example.com");
                    let customer = resources::customer_with_user(&name, &email);
                    // While the API server is away nobody signs up.
                    let params = PostParams::default();
                    let made = customers.create(&params, &customer);
                    let _ = tokio::time::timeout(PACE * 20, made).await;
                }
                tokio::time::sleep(PACE).await;
            }
        });
        Ok(Self { task, asked })
    }

    /// How many requests there were.
    pub(super) fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Mostly good requests; what they come to is what is measured.
async fn ask(caller: &Caller, turn: usize, paying: &str, spending: &str) {
    let bearer = |key: &str| format!("Bearer {key}");
    let (path, key) = match turn % 20 {
        0 => ("/v1/items/1", "nonsense"),
        1..5 => ("/v1/other", spending),
        _ => ("/v1/items/1", paying),
    };
    let fields = [("host", HOST), ("authorization", &bearer(key))];
    // A gateway without its sidecar answers too; none that answers at all is the test's end.
    let _ = caller.get(path, &fields).await;
}
