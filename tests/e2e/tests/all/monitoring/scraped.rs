//! What a running shop shows: every metric is on docs/metrics.md and the other way round, every query of every dashboard and
//! alert finds what it names, and an hour of it is silent.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use glyph_crds::Subscription;
use glyph_e2e::resources;
use glyph_e2e::scrape::Scrape;
use glyph_harness::prometheus::Sample;
use glyph_harness::{ControlPlane, Prometheus, poll_until, promtool, run_folder, workspace_root};
use glyph_stripe_sim::{Fault, FaultKind, When};
use serde_json::{Value, json};

use super::rules::names;
use super::shop::{PATIENT, QUICK, Shop, rules};

/// How long a query may take to find something: what the slowest thing that is shown takes to happen, and more.
const DEADLINE: Duration = Duration::from_secs(90);
/// What Grafana puts in place of this with so short a scrape interval, and a slow machine.
const RATE_INTERVAL: (&str, &str) = ("$__rate_interval", "1m");
/// How long a healthy shop is looked at.
const HEALTHY: Duration = Duration::from_secs(20);

#[tokio::test]
async fn all_that_is_shown_is_there_and_a_healthy_hour_is_silent() -> Result<()> {
    let plane = ControlPlane::shared().await?;
    let shop = Shop::open(plane, "shown", &[]).await?;
    // What a healthy shop has now and then: a call that is tried again, and a wish that waits for its customer.
    let control = shop.world.stripe.control();
    control.add_fault(Fault::new(FaultKind::ServerError { when: When::Before }).times(1));
    let wish = resources::subscription("early", "nobody-yet", "starter");
    shop.world.create::<Subscription>(&wish).await?;

    every_query_of_every_panel_finds_numbers(&shop.prometheus).await?;
    stays_silent(&shop).await?;
    let scrape = both(&shop).await?;
    is_what_the_page_says(&scrape)?;
    every_name_in_an_alert_exists(&shop, &scrape).await?;
    an_hour_like_this_is_silent(&shop).await
}

/// The dashboards, by the name of their file.
fn dashboards() -> Result<Vec<(String, Value)>> {
    let mut all = Vec::new();
    for entry in fs::read_dir(workspace_root().join("charts/glyph/files/dashboards"))? {
        let entry = entry?;
        let dashboard = serde_json::from_str(&fs::read_to_string(entry.path())?)?;
        all.push((entry.file_name().to_string_lossy().into_owned(), dashboard));
    }
    ensure!(
        all.len() == 3,
        "expected the dashboards of business, gateway and operator"
    );
    Ok(all)
}

async fn every_query_of_every_panel_finds_numbers(prometheus: &Prometheus) -> Result<()> {
    for (file, dashboard) in dashboards()? {
        let panels = dashboard["panels"].as_array().context("no panels")?;
        for panel in panels {
            let title = panel["title"].as_str().unwrap_or_default();
            let unit = panel["fieldConfig"]["defaults"]["unit"].as_str();
            let targets = panel["targets"].as_array().map_or(&[][..], Vec::as_slice);
            ensure!(!title.is_empty(), "a panel of {file} has no title");
            ensure!(
                unit.is_some_and(|unit| !unit.is_empty()),
                "{file}: {title} has no unit"
            );
            ensure!(!targets.is_empty(), "{file}: {title} asks nothing");
            for target in targets {
                let query = target["expr"]
                    .as_str()
                    .context("a target without a query")?;
                finds_numbers(prometheus, query)
                    .await
                    .with_context(|| format!("{file}: {title}"))?;
            }
        }
    }
    Ok(())
}

async fn finds_numbers(prometheus: &Prometheus, query: &str) -> Result<()> {
    let query = query.replace(RATE_INTERVAL.0, RATE_INTERVAL.1);
    let mut last = Ok(Vec::new());
    let found = poll_until("numbers", DEADLINE, async || {
        last = prometheus.query(&query).await;
        let all = last.as_ref().ok()?;
        (!all.is_empty() && all.iter().all(|one| one.value.is_finite())).then_some(())
    });
    let found = found.await;
    found.with_context(|| format!("{query} comes to {last:?}"))
}

async fn stays_silent(shop: &Shop<'_>) -> Result<()> {
    let (begun, asked) = (Instant::now(), shop.traffic.asked());
    while begun.elapsed() < HEALTHY {
        let alerts = shop.prometheus.alerts().await?;
        let firing = alerts.iter().find(|alert| alert.state == "firing");
        ensure!(firing.is_none(), "in a healthy shop: {firing:#?}");
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    ensure!(shop.traffic.asked() > asked, "nobody asked meanwhile");
    Ok(())
}

/// What both programs show.
async fn both(shop: &Shop<'_>) -> Result<BTreeMap<String, BTreeSet<String>>> {
    let mut all = Scrape::of(&shop.world.operator).await?.metrics;
    let sidecar = Scrape::of(&shop.world.gateway()?.sidecar).await?.metrics;
    for (name, labels) in sidecar {
        all.entry(name).or_default().extend(labels);
    }
    Ok(all)
}

/// The tables of docs/metrics.md: each row begins with a metric and its labels, `glyph_customers` or
/// `glyph_subscriptions{tier, state}`.
fn is_what_the_page_says(scrape: &BTreeMap<String, BTreeSet<String>>) -> Result<()> {
    let page = fs::read_to_string(workspace_root().join("docs/metrics.md"))?;
    let rows = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    let rows = rows.filter(|row| row.starts_with("glyph_")).map(|row| {
        let (name, labels) = row.split_once('{').unwrap_or((row, "}"));
        let labels = labels
            .trim_end_matches('}')
            .split(", ")
            .filter(|label| !label.is_empty());
        (name.to_owned(), labels.map(ToOwned::to_owned).collect())
    });
    let told: BTreeMap<String, BTreeSet<String>> = rows.collect();
    assert_eq!(
        &told, scrape,
        "on the left docs/metrics.md, on the right what is scraped"
    );
    Ok(())
}

async fn every_name_in_an_alert_exists(
    shop: &Shop<'_>,
    scrape: &BTreeMap<String, BTreeSet<String>>,
) -> Result<()> {
    let rules = rules(&shop.world.namespace, QUICK).await?;
    let words = rules.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    for name in words.filter(|word| word.starts_with("glyph_")) {
        let endings = ["_bucket", "_sum", "_count"];
        let family = endings.iter().find_map(|ending| name.strip_suffix(ending));
        let there =
            scrape.contains_key(name) || family.is_some_and(|name| scrape.contains_key(name));
        ensure!(there, "an alert asks for {name}, which nobody shows");
    }
    Ok(())
}

/// Sixty minutes that go on as the shop went between two looks, judged by promtool with the windows of the chart's defaults.
async fn an_hour_like_this_is_silent(shop: &Shop<'_>) -> Result<()> {
    const ALL: &str = r#"{__name__=~"glyph_.+"}"#;
    let (first, begun) = (shop.prometheus.query(ALL).await?, Instant::now());
    let last = poll_until("ten seconds of traffic", DEADLINE, async || {
        (begun.elapsed() > Duration::from_secs(10)).then_some(())
    });
    last.await?;
    let took = begun.elapsed().as_secs_f64();
    let now = shop.prometheus.query("time()").await?[0].value;
    let last = shop.prometheus.query(ALL).await?;
    let series: Vec<_> = last
        .iter()
        .map(|after| {
            let before = first.iter().find(|before| before.labels == after.labels);
            let growth = before.map_or(0.0, |before| after.value - before.value) / took * 60.0;
            json!({"series": selector(after), "values": an_hour(after, growth, now)})
        })
        .collect();
    ensure!(
        series.len() > 100,
        "expected a whole scrape, came {} series",
        series.len()
    );
    let rules = rules(&shop.world.namespace, PATIENT).await?;
    let folder = run_folder("healthy")?;
    fs::write(folder.join("rules.yml"), &rules)?;
    let silent: Vec<_> = (1..=6)
        .flat_map(|ten| {
            names(&rules)
                .into_iter()
                .map(move |alert| (format!("{ten}0m"), alert))
        })
        .map(|(time, alert)| json!({"eval_time": time, "alertname": alert, "exp_alerts": []}))
        .collect();
    let hour = json!({"interval": "1m", "input_series": series, "alert_rule_test": silent});
    let suite = json!({"rule_files": ["rules.yml"], "evaluation_interval": "1m", "tests": [hour]});
    fs::write(folder.join("tests.yml"), suite.to_string())?;
    let tested = promtool(&folder, &["test", "rules", "tests.yml"]).await?;
    ensure!(tested.code == 0, "{} {}", tested.stdout, tested.stderr);
    Ok(())
}

/// Its name and labels, as one writes them.
fn selector(sample: &Sample) -> String {
    let mut text = sample.labels["__name__"].clone();
    let labels = sample.labels.iter().filter(|(name, _)| *name != "__name__");
    let labels: Vec<_> = labels
        .map(|(name, value)| format!("{name}={value:?}"))
        .collect();
    let _ = write!(text, "{{{}}}", labels.join(","));
    text
}

/// Counters grow on, moments stay as long ago, all else stays.
fn an_hour(sample: &Sample, growth: f64, now: f64) -> String {
    let name = sample.labels["__name__"].as_str();
    let counts = ["_total", "_bucket", "_sum", "_count"];
    if name.ends_with("_timestamp_seconds") {
        return format!("{:.0}+60x60", sample.value - now);
    }
    if counts.iter().any(|ending| name.ends_with(ending)) {
        return format!("{:.6}+{:.6}x60", sample.value, growth.max(0.0));
    }
    format!("{}x60", sample.value)
}
