//! Prometheus and its `promtool`: on `PATH`, else Debian's programs, unpacked and not installed.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::error::{Error, Result};
use crate::kubernetes::CommandOutput;
use crate::net::{free_port, get, loopback, send, start_twice};
use crate::process::{Process, command};
use crate::sources::{debian, on_path};
use crate::store::{self, run_folder};

const READY: Duration = Duration::from_secs(20);
const GRACE: Duration = Duration::from_secs(2);
/// How often it scrapes, and looks at its rules.
const EVERY: &str = "1s";

/// A running Prometheus on a free port of loopback.
pub struct Prometheus {
    url: String,
    process: Process,
}

/// One value of an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Its labels; `__name__` too, where the query keeps it.
    pub labels: BTreeMap<String, String>,
    /// The value.
    pub value: f64,
}

/// An alert that is pending or firing.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Alert {
    /// `alertname` and the others.
    pub labels: BTreeMap<String, String>,
    /// As they were filled in.
    pub annotations: BTreeMap<String, String>,
    /// `pending` or `firing`.
    pub state: String,
}

impl Alert {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.labels.get("alertname").map_or("", String::as_str)
    }
}

impl Prometheus {
    /// Starts one that scrapes `/metrics` at each of `targets` (a job's name, and an address such as `127.0.0.1:9090`) every
    /// second, and as often looks at `rules`, the text of a file of rules, if there are any.
    ///
    /// # Errors
    /// When it cannot be had, refuses the rules or does not start: then with what it said.
    pub async fn start(targets: &[(&str, String)], rules: Option<&str>) -> Result<Self> {
        let program = store::blocking(ensure).await?.join("prometheus");
        start_twice(async || Self::start_once(&program, targets, rules).await).await
    }

    async fn start_once(
        program: &Path,
        targets: &[(&str, String)],
        rules: Option<&str>,
    ) -> Result<Self> {
        let folder = run_folder("prometheus")?;
        let file = folder.join("prometheus.yml");
        let write = |file: &Path, text: &str| {
            fs::write(file, text).map_err(Error::io("write Prometheus' configuration"))
        };
        write(&file, &configuration(targets, rules.is_some()).to_string())?;
        if let Some(rules) = rules {
            write(&folder.join("rules.yml"), rules)?;
        }
        let listen = loopback(free_port()?);
        let mut prometheus = command(program);
        prometheus.current_dir(&folder);
        prometheus.arg(format!("--config.file={}", file.display()));
        prometheus.arg(format!(
            "--storage.tsdb.path={}",
            folder.join("data").display()
        ));
        prometheus.arg(format!("--web.listen-address={listen}"));
        prometheus.arg("--log.level=warn");
        let log = folder.join("prometheus.log");
        let process = Process::start("Prometheus", prometheus, log, GRACE)?;
        let url = format!("http://{listen}");
        let probe = format!("{url}/-/ready");
        let is_ready = async || get(&probe).await.is_ok_and(|answer| answer.status == 200);
        process.ready(READY, is_ready).await?;
        Ok(Self { url, process })
    }

    /// Where its API is, `http://127.0.0.1:…`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Everything it logged so far.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.log_text()
    }

    /// What `expression` comes to now; a scalar is a sample without labels.
    ///
    /// # Errors
    /// When it is refused; with what Prometheus says.
    pub async fn query(&self, expression: &str) -> Result<Vec<Sample>> {
        let body = format!("query={}", encoded(expression));
        let request = http::Request::post(format!("{}/api/v1/query", self.url))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body)
            .map_err(|error| Error::answer("ask Prometheus", error))?;
        let answer = send(request).await?;
        let said: Value = answer.json()?;
        let unreadable = || Error::answer(format!("ask Prometheus {expression}"), answer.text());
        let result = &said["data"]["result"];
        match said["data"]["resultType"].as_str() {
            Some("vector") => {
                let all = result.as_array().ok_or_else(unreadable)?;
                let all = all.iter().map(|one| sample(&one["metric"], &one["value"]));
                all.collect::<Option<_>>().ok_or_else(unreadable)
            }
            Some("scalar") => {
                let one = sample(&json!({}), result).ok_or_else(unreadable)?;
                Ok(vec![one])
            }
            _ => Err(unreadable()),
        }
    }

    /// The alerts that are pending or firing.
    ///
    /// # Errors
    /// When there is no answer of that form.
    pub async fn alerts(&self) -> Result<Vec<Alert>> {
        let answer = get(&format!("{}/api/v1/alerts", self.url)).await?;
        let said: Value = answer.json()?;
        serde_json::from_value(said["data"]["alerts"].clone())
            .map_err(|error| Error::answer("read Prometheus' alerts", error))
    }
}

/// Runs `promtool` in `folder`.
///
/// # Errors
/// When it cannot be had or run; how it ended is in the output.
pub async fn promtool(folder: &Path, args: &[&str]) -> Result<CommandOutput> {
    let program = store::blocking(ensure).await?.join("promtool");
    let doing = format!("run promtool {}", args.join(" "));
    let output = tokio::process::Command::from(command(program))
        .current_dir(folder)
        .args(args)
        .kill_on_drop(true)
        .output()
        .await;
    output.map(CommandOutput::from).map_err(Error::io(doing))
}

/// JSON is YAML too.
fn configuration(targets: &[(&str, String)], has_rules: bool) -> Value {
    let mut jobs = BTreeMap::<&str, Vec<&str>>::new();
    for (job, address) in targets {
        jobs.entry(job).or_default().push(address);
    }
    let jobs: Vec<_> = jobs
        .iter()
        .map(|(job, targets)| json!({"job_name": job, "static_configs": [{"targets": targets}]}))
        .collect();
    let rules = if has_rules {
        vec!["rules.yml"]
    } else {
        Vec::new()
    };
    json!({
        "global": {"scrape_interval": EVERY, "scrape_timeout": EVERY, "evaluation_interval": EVERY},
        "rule_files": rules,
        "scrape_configs": jobs,
    })
}

fn sample(labels: &Value, value: &Value) -> Option<Sample> {
    let labels = serde_json::from_value(labels.clone()).ok()?;
    let value = value.get(1)?.as_str()?.parse().ok()?;
    Some(Sample { labels, value })
}

/// As in a form: everything but letters and digits by its code.
fn encoded(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    };
    text.bytes().map(byte).collect()
}

/// Gets the folder of `prometheus` and `promtool`.
pub(crate) fn ensure() -> Result<PathBuf> {
    if let (Some(program), Some(_)) = (on_path("prometheus"), on_path("promtool")) {
        return Ok(program.parent().unwrap_or(&program).to_path_buf());
    }
    let hint = "Prometheus from Debian, 20 MB";
    let folder = store::ensure("prometheus", "debian", hint, |workshop| {
        debian::unpack("Prometheus", &["prometheus"], ".", workshop)
    })?;
    Ok(folder.join("usr/bin"))
}
