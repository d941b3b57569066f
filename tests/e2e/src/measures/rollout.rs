//! `rollout`: load through Envoy while the release is upgraded and rolled back, while pods are killed and Redis starts
//! anew, on a real node. What passes and what is refused has to be the same as on a quiet day, but for what the stated
//! policy allows: 503 while a killed sidecar is not replaced yet, and while Redis is away, or late for once because the
//! machine, which is the whole cluster, was busy starting pods.

mod load;

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result};
use glyph_harness::{poll_until, workspace_root};
use serde_json::{Value, json};
use tokio::time::sleep;

use self::load::{Counted, Keys, Load};
use crate::cluster::{Cluster, SOON, VERSIONS};
use crate::report::{Report, Table};
use crate::story::Story;

const NAMESPACE: &str = "rollout";
/// Calls that the limited customer may make in all.
const QUOTA: usize = 200;
/// Of so many requests, one may find Redis late at any time. More is a fault.
const ONE_LATE_OF: usize = 500;
/// How long load goes on after all is well again, and at rest: what comes late is seen, too.
const LINGER: Duration = Duration::from_secs(5);
const TIMEOUT: [&str; 3] = ["--wait", "--timeout", "3m"];
const SIDECARS: &str = "deployment/glyph-authz";
const OPERATORS: &str = "deployment/glyph-operator";
const REDIS: &str = "statefulset/glyph-redis";

/// Settings of the measure.
#[derive(Clone, Debug, clap::Args)]
pub struct Rollout {}

/// What is done to the release meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Quiet,
    Upgrade,
    Rollback,
    SidecarKilled,
    LeaderKilled,
    RedisAnew,
}

impl Phase {
    const ALL: [Self; 6] = [
        Self::Quiet,
        Self::Upgrade,
        Self::Rollback,
        Self::SidecarKilled,
        Self::LeaderKilled,
        Self::RedisAnew,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Quiet => "nothing",
            Self::Upgrade => "upgrade",
            Self::Rollback => "rollback",
            Self::SidecarKilled => "a sidecar's pod is killed",
            Self::LeaderKilled => "the leading operator's pod is killed",
            Self::RedisAnew => "Redis' pod is killed, with its data",
        }
    }

    /// Whether the policy has requests refused with 503 for a while.
    fn may_refuse(self) -> bool {
        matches!(self, Self::SidecarKilled | Self::RedisAnew)
    }

    /// Does it, and waits until all is well.
    async fn happen(self, cluster: &Cluster, values: &str) -> Result<()> {
        match self {
            Self::Quiet => Ok(()),
            Self::Upgrade => helm_to(cluster, "upgrade", VERSIONS[1], values).await,
            Self::Rollback => {
                let back = ["rollback", "glyph", "1", "-n", NAMESPACE];
                cluster.helm(&[&back[..], &TIMEOUT].concat()).await?;
                Ok(())
            }
            Self::SidecarKilled => {
                let pods = "pods -l app.kubernetes.io/component=authz";
                let pod = first_pod(cluster, pods).await?;
                kill(cluster, &pod, SIDECARS).await
            }
            Self::LeaderKilled => {
                let lease = "lease/glyph-operator";
                let holder = cluster.get(NAMESPACE, lease, "{.spec.holderIdentity}");
                let holder = holder.await?;
                // An operator calls itself by its pod's name and some letters.
                let (pod, _) = holder.rsplit_once('-').context("nobody leads")?;
                kill(cluster, pod, OPERATORS).await?;
                let led = async || {
                    let now = cluster.get(NAMESPACE, lease, "{.spec.holderIdentity}");
                    (now.await.ok()? != holder).then_some(())
                };
                Ok(poll_until("another operator to lead", SOON, led).await?)
            }
            Self::RedisAnew => kill(cluster, "glyph-redis-0", REDIS).await,
        }
    }
}

impl Rollout {
    /// Takes the measure.
    ///
    /// # Errors
    /// When the parts cannot be had, or the release does not come up; a promise that is not kept is in the report.
    pub async fn take(&self) -> Result<Report> {
        let mut story = Story::aside();
        let cluster = Cluster::start().await?;
        story.tell("a node runs");
        let webhook = cluster.namespace(NAMESPACE).await?;
        let values = format!("{},defaultTier=open", cluster.values_here(&webhook));
        set_up(&cluster, &values).await?;
        story.tell("Glyph and Envoy run");
        let keys = keys(&cluster).await?;
        story.tell("keys are there");
        let gateway = cluster
            .get(NAMESPACE, "service/envoy", "{.spec.clusterIP}")
            .await?;
        let gateway = format!("http://{gateway}");
        let begin = async move { Load::begin(&gateway, &keys) };
        let load = cluster.node.network().run(begin).await?;
        for phase in Phase::ALL {
            if phase != Phase::Quiet {
                load.next_phase();
            }
            phase.happen(&cluster, &values).await?;
            sleep(LINGER).await;
            story.tell(phase.name());
        }
        Ok(report(&load.counted()))
    }
}

async fn helm_to(cluster: &Cluster, verb: &str, version: &str, values: &str) -> Result<()> {
    let chart = cluster.package(version).await?.display().to_string();
    let file = cluster.folder.join("values.yaml").display().to_string();
    let args = [
        verb, "glyph", &chart, "-n", NAMESPACE, "-f", &file, "--set", values,
    ];
    cluster.helm(&[&args[..], &TIMEOUT].concat()).await?;
    Ok(())
}

/// The release, two customers' tiers, Envoy.
async fn set_up(cluster: &Cluster, values: &str) -> Result<()> {
    let mut secret = vec![
        "-n",
        NAMESPACE,
        "create",
        "secret",
        "generic",
        "glyph-stripe",
    ];
    let key = format!("--from-literal=STRIPE_SECRET_KEY={}", cluster.stripe_key());
    secret.push(&key);
    cluster.node.kubectl(&secret).await?.ok()?;
    let tiers = json!({
        "open": {"displayName": "Open", "keysBeforePayment": true,
                 "rateLimit": {"requestsPerSecond": 100_000, "burst": 100_000}},
        "limited": {"displayName": "Limited", "quota": {"requests": QUOTA},
                    "price": {"currency": "usd", "amount": 100, "interval": "Month"}},
    });
    let file = json!({
        "tiers": tiers, "stripe": {"existingSecret": "glyph-stripe"},
        "checkout": {"successUrl": "https://shop.example/paid", "cancelUrl": "https://shop.example/plans"},
        // The two cores of this machine are the whole cluster's: while pods start, the others need a share of their own, and
        // 20 ms are short for an answer of Redis.
        "redis": {"bundled": {"enabled": true, "resources": {"requests": {"cpu": "250m"}}}},
        "authz": {"redisDeadline": 150, "resources": {"requests": {"cpu": "250m"}}},
    });
    fs::write(cluster.folder.join("values.yaml"), file.to_string())
        .context("failed to write values")?;
    helm_to(cluster, "install", VERSIONS[0], values).await?;
    envoy(cluster).await
}

/// Envoy as docs/install.md has it.
async fn envoy(cluster: &Cluster) -> Result<()> {
    let file = workspace_root().join("examples/envoy/envoy.yaml");
    let text = fs::read_to_string(file).context("failed to read Envoy's configuration")?;
    let at = |host: &str, port: u16| format!("address: {host}, port_value: {port}");
    let inside = |name: &str| format!("{name}.{NAMESPACE}.svc.cluster.local");
    let text = text
        .replace(&at("127.0.0.1", 10000), &at("0.0.0.0", 10000))
        .replace(&at("127.0.0.1", 9000), &at(&inside("glyph-authz"), 9000))
        .replace(&at("127.0.0.1", 8080), &at(&inside("api"), 8080))
        .replace("type: STATIC", "type: STRICT_DNS");
    let config = json!({"apiVersion": "v1", "kind": "ConfigMap",
                        "metadata": {"name": "envoy"}, "data": {"envoy.yaml": text}});
    cluster.apply(NAMESPACE, &[config]).await?;
    let manifest = workspace_root().join("examples/kubernetes/envoy.yaml");
    let manifest = manifest.display().to_string();
    let apply = ["-n", NAMESPACE, "apply", "-f", &manifest];
    cluster.node.kubectl(&apply).await?.ok()?;
    rolled_out(cluster, "deployment/envoy").await
}

/// Customers with a key each; one has paid, one key is revoked.
async fn keys(cluster: &Cluster) -> Result<Keys> {
    let resource = |kind: &str, name: &str, spec: Value| json!({"apiVersion": "glyphapi.ai/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec});
    let mut resources = Vec::new();
    for (name, key) in [
        ("open", "good"),
        ("limited", "limited"),
        ("gone", "revoked"),
    ] {
        let email = format!("{name}@example.com");
        resources.push(resource("GlyphCustomer", name, json!({"email": email})));
        let key_spec = json!({"customerRef": {"name": name}});
        resources.push(resource("ApiKey", key, key_spec));
    }
    let limited = json!({"customerRef": {"name": "limited"}, "tier": "limited"});
    resources.push(resource("Subscription", "limited", limited));
    cluster.apply(NAMESPACE, &resources).await?;
    let linked = async || {
        cluster
            .get(NAMESPACE, "subscription/limited", "{.status.checkoutUrl}")
            .await
            .ok()
            .filter(|link| !link.is_empty())
    };
    poll_until("a link to pay at", SOON, linked).await?;
    cluster.pay(NAMESPACE, "limited").await?;
    let keys = Keys {
        good: cluster.key(NAMESPACE, "good").await?,
        revoked: cluster.key(NAMESPACE, "revoked").await?,
        limited: cluster.key(NAMESPACE, "limited").await?,
    };
    let revoke = [
        "-n",
        NAMESPACE,
        "patch",
        "apikey/revoked",
        "--type=merge",
        "-p",
        r#"{"spec":{"revoked":true}}"#,
    ];
    cluster.node.kubectl(&revoke).await?.ok()?;
    let revoked = [
        "-n",
        NAMESPACE,
        "wait",
        "apikey/revoked",
        "--for=jsonpath={.status.revokedAt}",
        "--timeout=60s",
    ];
    cluster.node.kubectl(&revoked).await?.ok()?;
    Ok(keys)
}

async fn first_pod(cluster: &Cluster, pods: &str) -> Result<String> {
    let mut args = vec!["-n", NAMESPACE, "get"];
    args.extend(pods.split(' '));
    args.extend(["-o", "jsonpath={.items[0].metadata.name}"]);
    Ok(cluster.node.kubectl(&args).await?.ok()?)
}

/// Kills a pod at once, without a word to it, and waits for another in its place.
async fn kill(cluster: &Cluster, pod: &str, of: &str) -> Result<()> {
    let kill = [
        "-n",
        NAMESPACE,
        "delete",
        "pod",
        pod,
        "--grace-period=0",
        "--force",
    ];
    cluster.node.kubectl(&kill).await?.ok()?;
    rolled_out(cluster, of).await
}

async fn rolled_out(cluster: &Cluster, what: &str) -> Result<()> {
    let status = ["-n", NAMESPACE, "rollout", "status", what, "--timeout=120s"];
    cluster.node.kubectl(&status).await?.ok()?;
    Ok(())
}

/// How many of the refusals are what the stated policy says.
fn by_the_policy(phase: Phase, counted: &Counted) -> usize {
    let of = |how: &str| counted.refused.get(how).copied().unwrap_or(0);
    // With a code it is the sidecar's own answer, without one Envoy's.
    let (late, unasked) = (of("503 unavailable"), of("503"));
    if phase.may_refuse() {
        late + unasked
    } else {
        late.min(counted.requests / ONE_LATE_OF)
    }
}

fn report(counted: &[Counted]) -> Report {
    let mut table = Table::new(&[
        "while",
        "requests",
        "wrongly admitted",
        "refused",
        "of it by policy",
        "no answer",
    ]);
    let (mut requests, mut admitted, mut refused, mut failed, mut by_policy) = (0, 0, 0, 0, 0);
    for (phase, counted) in Phase::ALL.into_iter().zip(counted) {
        let policy = by_the_policy(phase, counted);
        let how: Vec<_> = counted
            .refused
            .iter()
            .map(|(how, count)| format!("{count} × {how}"))
            .collect();
        table.row([
            phase.name().to_owned(),
            counted.requests.to_string(),
            counted.wrongly_admitted.to_string(),
            if how.is_empty() {
                "0".to_owned()
            } else {
                how.join(", ")
            },
            policy.to_string(),
            counted.unanswered.to_string(),
        ]);
        requests += counted.requests;
        admitted += counted.wrongly_admitted;
        refused += counted.wrongly_refused() - policy;
        failed += counted.unanswered;
        by_policy += policy;
    }
    let limited: usize = counted.iter().map(|counted| counted.limited).sum();
    table.row([
        "calls of a customer who may make 200",
        &limited.to_string(),
        "",
        "",
        "",
        "",
    ]);
    admitted += limited.saturating_sub(QUOTA);
    let json = json!({
        "requests": requests, "wrongly_admitted": admitted, "wrongly_refused": refused, "failed": failed,
        "refused_by_policy": by_policy,
    });
    let mut broken = Vec::new();
    for (count, what) in [
        (admitted, "passed and should not have"),
        (refused, "were refused and should not have been"),
        (failed, "got no answer"),
    ] {
        if count > 0 {
            broken.push(format!("{count} requests {what}"));
        }
    }
    if limited == 0 {
        broken.push("the customer with a quota was never served".to_owned());
    }
    Report {
        table,
        json,
        broken,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redis_may_be_late_now_and_then_and_away_only_when_it_was_killed() {
        let counted = |late| Counted {
            requests: 1000,
            refused: [("503 unavailable".to_owned(), late)].into(),
            ..Counted::default()
        };
        assert_eq!(by_the_policy(Phase::Upgrade, &counted(2)), 2);
        assert_eq!(by_the_policy(Phase::Upgrade, &counted(300)), 2);
        assert_eq!(by_the_policy(Phase::RedisAnew, &counted(300)), 300);
    }
}
