//! Prometheus as tests need it: it scrapes a real target, answers, and tells what fires.

use std::time::Duration;

use glyph_harness::{Prometheus, Result, poll_until, promtool, run_folder};

const SOON: Duration = Duration::from_secs(30);

#[tokio::test]
async fn it_tells_what_fires_and_what_a_query_comes_to() -> Result<()> {
    // A target that is not there: its alert fires, and names it.
    let away = "127.0.0.1:9".to_owned();
    let rules = r#"{"groups": [{"name": "g", "rules": [{"alert": "Away", "expr": "up == 0",
        "annotations": {"summary": "{{ $labels.instance }} is away"}}]}]}"#;
    let prometheus = Prometheus::start(&[("nobody", away.clone())], Some(rules)).await?;
    let firing = poll_until("an alert to fire", SOON, async || {
        let alerts = prometheus.alerts().await.ok()?;
        alerts.into_iter().find(|alert| alert.state == "firing")
    });
    let firing = firing.await?;
    assert_eq!(firing.name(), "Away");
    assert_eq!(firing.annotations["summary"], format!("{away} is away"));

    let up = prometheus.query("up + 1").await?;
    assert_eq!((up[0].value, up[0].labels["job"].as_str()), (1.0, "nobody"));
    assert_eq!(prometheus.query("1 + 1").await?[0].value, 2.0);
    let refused = prometheus.query("sum(").await.unwrap_err().to_string();
    assert!(refused.contains("parse error"), "{refused}");
    Ok(())
}

#[tokio::test]
async fn promtool_says_what_is_wrong_with_a_rule() -> Result<()> {
    let folder = run_folder("promtool")?;
    let rules = r#"{"groups": [{"name": "g", "rules": [{"alert": "A", "expr": "sum("}]}]}"#;
    std::fs::write(folder.join("rules.yml"), rules).unwrap();
    let checked = promtool(&folder, &["check", "rules", "rules.yml"]).await?;
    assert!(
        checked.code != 0 && checked.stderr.contains("parse error"),
        "{checked:?}"
    );
    Ok(())
}
