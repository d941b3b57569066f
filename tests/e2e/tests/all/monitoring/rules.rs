//! Every alert both ways by promtool, with the values that the chart has by default: it fires for what it is about, and stays
//! silent for what is close to it.

mod cases;

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Result, ensure};
use glyph_harness::{ControlPlane, promtool, run_folder, workspace_root};
use serde_json::{Value, json};

use super::shop::{DEFAULTS, rules};
use cases::{CASES, Case, Series};

/// The value of `expr` after an hour and a half of `series`, as a test for promtool.
fn expects(series: &[Series], expr: &str, value: f64) -> Value {
    let series: Vec<_> = series
        .iter()
        .map(|(series, values)| json!({"series": series, "values": values}))
        .collect();
    let sample = json!({"labels": "{}", "value": value});
    json!({"interval": "1m", "input_series": series,
        "promql_expr_test": [{"expr": expr, "eval_time": "90m", "exp_samples": [sample]}]})
}

/// The names of all alerts in a text of rules.
pub(super) fn names(rules: &str) -> BTreeSet<String> {
    let alerts = rules
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "));
    alerts.map(ToOwned::to_owned).collect()
}

#[tokio::test]
async fn every_alert_fires_for_what_it_is_about_and_stays_silent_for_what_is_close_to_it()
-> Result<()> {
    let namespace = ControlPlane::shared().await?.namespace("rules").await?;
    let rules = rules(&namespace, DEFAULTS).await?;
    let mut tests = Vec::new();
    for Case {
        alert,
        fires,
        silent,
    } in CASES
    {
        let firing =
            format!(r#"count(ALERTS{{alertname="{alert}",alertstate="firing"}}) or vector(0)"#);
        tests.push(expects(fires, &firing, 1.0));
        tests.push(expects(silent, &firing, 0.0));
    }
    let folder = run_folder("alerts")?;
    fs::write(folder.join("rules.yml"), &rules)?;
    let checked = promtool(&folder, &["check", "rules", "--lint-fatal", "rules.yml"]).await?;
    ensure!(checked.code == 0, "{} {}", checked.stdout, checked.stderr);
    let suite = json!({"rule_files": ["rules.yml"], "evaluation_interval": "1m", "tests": tests});
    fs::write(folder.join("tests.yml"), suite.to_string())?;
    let tested = promtool(&folder, &["test", "rules", "tests.yml"]).await?;
    ensure!(tested.code == 0, "{} {}", tested.stdout, tested.stderr);
    let shown: BTreeSet<_> = CASES.iter().map(|case| case.alert.to_owned()).collect();
    assert_eq!(
        shown,
        names(&rules),
        "each alert has a case, and each case an alert"
    );
    Ok(())
}

#[tokio::test]
async fn every_alert_names_a_section_of_the_runbooks_and_every_section_an_alert() -> Result<()> {
    let namespace = ControlPlane::shared().await?.namespace("runbooks").await?;
    let there = r#"{"runbookUrl": "https://shop.example/runbooks"}"#;
    let rules = rules(&namespace, there).await?;
    let page = fs::read_to_string(workspace_root().join("docs/runbooks.md"))?;
    let sections = page.lines().filter_map(|line| line.strip_prefix("## "));
    let sections: BTreeSet<_> = sections.map(ToOwned::to_owned).collect();
    assert_eq!(sections, names(&rules));
    for name in sections {
        let url = format!(
            "runbook_url: https://shop.example/runbooks#{}\n",
            name.to_lowercase()
        );
        ensure!(rules.contains(&url), "{name} has no {url}");
    }
    Ok(())
}
