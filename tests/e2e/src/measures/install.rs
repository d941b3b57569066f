//! `install`: the commands of `docs/install.md` as a person types them, on a real node, from an empty namespace to the first
//! paid request, an upgrade, a rollback and the end; and after it a second installation, which has to go on where the first
//! one ended.

mod page;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use glyph_harness::net::Answer;
use glyph_harness::{CommandOutput, Tools, poll_until, workspace_root};
use serde_json::json;

use self::page::{Deed, deeds};
use crate::caller::{Caller, said};
use crate::cluster::{Cluster, SOON, VERSIONS};
use crate::report::{Report, Table};
use crate::story::Story;

/// The namespace that the page uses.
const NAMESPACE: &str = "my-api";
/// What has to be there after the release is gone.
const STAYS: [&str; 6] = [
    "glyphcustomer/ada",
    "subscription/ada-starter",
    "apikey/ada-laptop",
    "tier/starter",
    "glyphapi/forge",
    "secret/glyph-pepper",
];

/// Settings of the measure.
#[derive(Clone, Debug, clap::Args)]
pub struct Install {}

/// What was done, and how long each took.
struct Steps {
    story: Story,
    done: Vec<(String, Duration)>,
}

impl Steps {
    async fn step<T>(&mut self, name: &str, work: impl Future<Output = Result<T>>) -> Result<T> {
        let begun = Instant::now();
        let result = work.await.with_context(|| format!("failed at: {name}"))?;
        self.story.tell(name);
        self.done.push((name.to_owned(), begun.elapsed()));
        Ok(result)
    }
}

impl Install {
    /// Takes the measure.
    ///
    /// # Errors
    /// When the parts cannot be had; a step that fails is in the report.
    pub async fn take(&self) -> Result<Report> {
        let mut steps = Steps {
            story: Story::aside(),
            done: Vec::new(),
        };
        let cluster = steps
            .step(
                "a node with images of Redis, Envoy and Glyph",
                Cluster::start(),
            )
            .await?;
        let failure = walk(&cluster, &mut steps).await.err();
        Ok(report(&steps, failure))
    }
}

async fn walk(cluster: &Cluster, steps: &mut Steps) -> Result<()> {
    let webhook = cluster.namespace(NAMESPACE).await?;
    let shell = Shell::new(cluster, &webhook).await?;
    let text = fs::read_to_string(workspace_root().join("docs/install.md"))
        .context("failed to read docs/install.md")?;
    for deed in deeds(&text) {
        match deed {
            Deed::Pay => {
                let paying = cluster.pay(NAMESPACE, "ada-starter");
                steps.step("a person pays", paying).await?;
            }
            Deed::Run { heading, commands } => {
                let running = async {
                    let output = shell.run(&commands).await?;
                    check(cluster, &heading, &output).await
                };
                steps.step(&heading, running).await?;
            }
        }
    }
    steps
        .step("customers are still there", still_there(cluster))
        .await?;
    let again = install_again(cluster, &webhook);
    steps
        .step(
            "the next version is installed, and the first key works",
            again,
        )
        .await
}

/// What else has to be seen after the commands below a heading.
async fn check(cluster: &Cluster, heading: &str, output: &CommandOutput) -> Result<()> {
    let said = format!("{}{}", output.stdout, output.stderr);
    ensure!(
        !said.contains("would violate PodSecurity"),
        "Pod Security warns: {said}"
    );
    match heading {
        "The first paid request" => ensure!(
            output.stdout.contains("missing_credential\"") && output.stdout.contains("401\n"),
            "the call without a key was not refused as such: {said}"
        ),
        "Upgrade, and back" => works(cluster).await?,
        _ => {}
    }
    Ok(())
}

/// What the key of the page gets, through the Service of Envoy.
async fn ask(cluster: &Cluster) -> Result<Answer> {
    let key = cluster.key(NAMESPACE, "ada-laptop").await?;
    let address = cluster
        .get(NAMESPACE, "service/envoy", "{.spec.clusterIP}")
        .await?;
    let asking = async move { Caller::new(&format!("http://{address}")).ask(&key).await };
    cluster.node.network().run(asking).await?
}

/// The key of the page opens the API.
async fn works(cluster: &Cluster) -> Result<()> {
    let answer = ask(cluster).await?;
    ensure!(
        answer.status == 200,
        "the key does not work: {}",
        said(&answer)
    );
    Ok(())
}

async fn still_there(cluster: &Cluster) -> Result<()> {
    for what in STAYS {
        let deleted = cluster
            .get(NAMESPACE, what, "{.metadata.deletionTimestamp}")
            .await
            .with_context(|| format!("{what} is gone"))?;
        ensure!(deleted.is_empty(), "{what} is being deleted");
    }
    let answer = ask(cluster).await?;
    ensure!(
        answer.status == 503,
        "without a sidecar, Envoy answers {}",
        said(&answer)
    );
    Ok(())
}

/// The next version in place of the one that is gone.
async fn install_again(cluster: &Cluster, webhook: &str) -> Result<()> {
    let chart = cluster.package(VERSIONS[1]).await?;
    let (chart, values) = (
        chart.display().to_string(),
        cluster.folder.join("glyph-values.yaml"),
    );
    let args = [
        "install",
        "glyph",
        &chart,
        "-n",
        NAMESPACE,
        "-f",
        &values.display().to_string(),
        "--set",
        &cluster.values_here(webhook),
        "--wait",
        "--timeout",
        "3m",
    ];
    cluster.helm(&args).await?;
    let what = "the key to work again";
    let working = async || works(cluster).await.ok();
    Ok(poll_until(what, SOON, working).await?)
}

/// A person's shell on the node: the commands of the page mean what they mean there. `helm install` and `helm upgrade` get
/// told besides what differs on a node for tests: where Stripe is, and that there are no volumes.
struct Shell<'a> {
    cluster: &'a Cluster,
    path: String,
}

impl<'a> Shell<'a> {
    async fn new(cluster: &'a Cluster, webhook: &str) -> Result<Self> {
        let tools = Tools::get().await?;
        let folder = cluster.folder.join("bin");
        fs::create_dir_all(&folder).context("failed to make a folder for commands")?;
        let helm = format!(
            "#!/bin/sh\ncase $1 in install|upgrade) set -- \"$@\" --set {};; esac\nexec {} \"$@\"\n",
            cluster.values_here(webhook),
            tools.helm.display()
        );
        put_command(&folder.join("helm"), &helm)?;
        let kubectl = format!("#!/bin/sh\nexec {} \"$@\"\n", tools.kubectl.display());
        put_command(&folder.join("kubectl"), &kubectl)?;
        let path = std::env::var("PATH").unwrap_or_default();
        Ok(Self {
            cluster,
            path: format!("{}:{path}", folder.display()),
        })
    }

    async fn run(&self, commands: &str) -> Result<CommandOutput> {
        let mut bash = tokio::process::Command::from(self.cluster.node.network().command("bash"));
        bash.args(["-euo", "pipefail", "-c", commands])
            .current_dir(&self.cluster.folder)
            .env("PATH", &self.path)
            .env("HOME", &self.cluster.folder)
            .env("KUBECONFIG", self.cluster.node.kubeconfig())
            .env("STRIPE_SECRET_KEY", self.cluster.stripe_key())
            .stdin(std::process::Stdio::null())
            .kill_on_drop(true);
        let output = CommandOutput::from(bash.output().await.context("failed to run bash")?);
        ensure!(
            output.code == 0,
            "the commands ended with {}:\n{commands}\n{}{}",
            output.code,
            output.stdout,
            output.stderr
        );
        Ok(output)
    }
}

fn put_command(file: &Path, script: &str) -> Result<()> {
    let put = || {
        fs::write(file, script)?;
        fs::set_permissions(file, fs::Permissions::from_mode(0o755))
    };
    put().with_context(|| format!("failed to write {}", file.display()))
}

fn report(steps: &Steps, failure: Option<anyhow::Error>) -> Report {
    let mut table = Table::new(&["step", "seconds"]);
    for (name, took) in &steps.done {
        table.row([name.clone(), format!("{:.1}", took.as_secs_f32())]);
    }
    let broken: Vec<_> = failure
        .map(|error| format!("{error:#}"))
        .into_iter()
        .collect();
    let json = json!({"steps": steps.done.len() + broken.len(), "failed": broken.len()});
    Report {
        table,
        json,
        broken,
    }
}
