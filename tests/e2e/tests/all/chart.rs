//! The Helm chart against the real API server: what it renders is taken without a warning, what cannot work is refused with a
//! sentence.

mod access;

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context as _, Result, ensure};
use glyph_harness::{CommandOutput, ControlPlane, Namespace, chart, workspace_root};
use serde_json::{Value, json};

/// What a person has to say.
const LEAST: [&str; 4] = [
    "stripe.existingSecret=glyph-stripe",
    "checkout.successUrl=https://shop.example/paid",
    "checkout.cancelUrl=https://shop.example/plans",
    "redis.bundled.enabled=true",
];
/// Everything that can be left out, and is not.
const MOST: [&str; 34] = [
    "webhook.url=https://api.example/webhooks/stripe",
    "webhook.ingress.enabled=true",
    "webhook.ingress.className=nginx",
    "webhook.ingress.host=api.example",
    "webhook.ingress.tlsSecret=api-tls",
    "webhook.httpRoute.enabled=true",
    "webhook.httpRoute.parentRefs[0].name=public",
    "webhook.httpRoute.hostnames[0]=api.example",
    "cognito.existingSecret=glyph-cognito",
    "account.enabled=true",
    "account.origins[0]=https://shop.example",
    "account.portalReturnUrl=https://shop.example/account",
    "account.ingress.enabled=true",
    "account.ingress.host=accounts.example",
    "account.httpRoute.enabled=true",
    "account.httpRoute.parentRefs[0].name=public",
    "networkPolicy.webhooks[0].ipBlock.cidr=192.0.2.0/24",
    "image.pullSecrets[0]=registry",
    "commonLabels.team=api",
    "operator.env.GLYPH_RESYNC=3600",
    "operator.priorityClassName=system-cluster-critical",
    "authz.autoscaling.enabled=true",
    "authz.http.enabled=true",
    "networkPolicy.gateways[0].podSelector.matchLabels.app=envoy",
    "authz.billingUrl=https://shop.example",
    "authz.cognito[0].userPoolId=eu-central-1_AbCdEfGhI",
    "authz.cognito[0].clientIds={shop,app}",
    "authz.gatewayServiceAccounts[0].namespace=gateways",
    "authz.gatewayServiceAccounts[0].name=envoy",
    "admission.exceptUsers[0]=admin@example.com",
    "userRoles.create=true",
    "userRoles.aggregate=true",
    "monitoring.serviceMonitor.enabled=true,monitoring.prometheusRule.enabled=true",
    "monitoring.dashboards.enabled=true",
];

async fn helm(namespace: &Namespace<'_>, verb: &[&str], sets: &[&str]) -> Result<CommandOutput> {
    let folder = workspace_root().join("charts/glyph").display().to_string();
    let mut args = verb.to_vec();
    args.extend([folder.as_str(), "--namespace", namespace.name()]);
    args.extend(sets.iter().flat_map(|set| ["--set", set]));
    Ok(namespace.plane().helm(&args).await?)
}

/// What the chart renders.
async fn rendered(namespace: &Namespace<'_>, sets: &[&str]) -> Result<String> {
    Ok(helm(namespace, &["template", "glyph"], sets).await?.ok()?)
}

/// What the chart renders, as the API server reads it.
async fn items(namespace: &Namespace<'_>, sets: &[&str]) -> Result<Vec<Value>> {
    read(namespace, &rendered(namespace, sets).await?).await
}

/// Resources as the API server reads them.
async fn read(namespace: &Namespace<'_>, yaml: &str) -> Result<Vec<Value>> {
    let list = ["apply", "--dry-run=server", "-f", "-", "-o", "json"];
    let json = namespace.kubectl_with_input(&list, yaml).await?.ok()?;
    let list: Value = serde_json::from_str(&json)?;
    Ok(list["items"].as_array().context("no list")?.clone())
}

/// The one of a kind whose name ends so.
fn the<'a>(items: &'a [Value], kind: &str, end: &str) -> Result<&'a Value> {
    let named = |item: &&Value| {
        let name = item["metadata"]["name"].as_str().unwrap_or_default();
        item["kind"] == kind && name.ends_with(end)
    };
    let found = items.iter().find(named);
    found.with_context(|| format!("no {kind} …{end}"))
}

#[tokio::test]
async fn the_chart_is_without_a_fault_to_helm() -> Result<()> {
    let namespace = ControlPlane::shared().await?.namespace("lint").await?;
    helm(&namespace, &["lint", "--strict"], &LEAST)
        .await?
        .ok()?;
    let both = [&LEAST[..], &MOST].concat();
    helm(&namespace, &["lint", "--strict"], &both).await?.ok()?;
    Ok(())
}

#[tokio::test]
async fn the_api_server_takes_every_optional_value_in_a_restricted_namespace_without_a_warning()
-> Result<()> {
    let plane = ControlPlane::shared().await?;
    let kinds = chart::kinds_of_others().await?.display().to_string();
    let apply = ["apply", "--server-side", "-f", &kinds];
    plane.kubectl(&apply).await?.ok()?;
    let wait = [
        "wait",
        "--for=condition=Established",
        "--timeout=30s",
        "-f",
        &kinds,
    ];
    plane.kubectl(&wait).await?.ok()?;
    let namespace = plane.namespace("every").await?;
    let restricted = [
        "label",
        "namespace",
        namespace.name(),
        "pod-security.kubernetes.io/enforce=restricted",
        "pod-security.kubernetes.io/warn=restricted",
    ];
    plane.kubectl(&restricted).await?.ok()?;
    let all_namespaces = [&LEAST[..], &MOST, &["watch.namespaces={*}"]].concat();
    let without_deployment = [&LEAST[..], &["authz.deployment.enabled=false"]].concat();
    let other_redis = [&LEAST[..3], &["redis.existingSecret=redis"]].concat();
    let plain_redis = [&LEAST[..3], &["redis.url=redis://redis:6379"]].concat();
    let most = [&LEAST[..], &MOST].concat();
    for sets in [
        &LEAST[..],
        &most,
        &all_namespaces,
        &without_deployment,
        &other_redis,
        &plain_redis,
    ] {
        let yaml = rendered(&namespace, sets).await?;
        let dry_run = ["apply", "--dry-run=server", "-f", "-"];
        let applied = namespace.kubectl_with_input(&dry_run, &yaml).await?;
        let warned = applied.stderr.clone();
        applied.ok().with_context(|| format!("with {sets:?}"))?;
        ensure!(warned.is_empty(), "with {sets:?}: {warned}");
    }
    Ok(())
}

#[tokio::test]
async fn what_cannot_work_is_refused_with_a_sentence() -> Result<()> {
    let namespace = ControlPlane::shared().await?.namespace("refused").await?;
    let cases: [(&[&str], &str); 14] = [
        (
            &[],
            "checkout.successUrl and checkout.cancelUrl are not set",
        ),
        (
            &LEAST[1..],
            "stripe.existingSecret is not set: make a Secret",
        ),
        (&LEAST[..3], "no Redis is named"),
        (
            &[&LEAST[..], &["redis.url=redis://redis"]].concat(),
            "redis.url and redis.bundled.enabled are both set",
        ),
        (
            &[&LEAST[..3], &["redis.url=redis://me:secret@redis"]].concat(),
            "redis.url holds a password",
        ),
        (
            &[&LEAST[..], &["defaultTier=gold"]].concat(),
            "defaultTier is gold, which tiers does not have",
        ),
        (
            &[&LEAST[..], &["watch.namespaces={*,a}"]].concat(),
            "keep the one or the others",
        ),
        (
            &[&LEAST[..], &["tiers.free=null"]].concat(),
            "which tiers does not have",
        ),
        (
            &[&LEAST[..], &["account.enabled=true"]].concat(),
            "account.enabled needs cognito.existingSecret",
        ),
        (
            &[
                &LEAST[..],
                &["account.ingress.enabled=true,account.ingress.host=a.example"],
            ]
            .concat(),
            "leads to an account API that is off",
        ),
        (
            &[&LEAST[..], &["operator.replica=3"]].concat(),
            "additional properties 'replica' not allowed",
        ),
        (
            &[&LEAST[..], &["authz.whenRedisDown=allow"]].concat(),
            "/authz/whenRedisDown",
        ),
        (
            &[&LEAST[..], &["authz.http.enabled=true"]].concat(),
            "every pod of the cluster could ask. Name your gateways",
        ),
        (
            &[&LEAST[..], &["authz.cognito[0].userPoolId=eu-central-1_a"]].concat(),
            "missing property 'clientIds'",
        ),
    ];
    for (sets, sentence) in cases {
        let refused = helm(&namespace, &["template", "glyph"], sets).await?;
        ensure!(
            refused.code != 0 && refused.stderr.contains(sentence),
            "with {sets:?}: {} {}",
            refused.stdout.len(),
            refused.stderr
        );
        ensure!(
            !refused.stderr.contains("secret@"),
            "a password is shown: {}",
            refused.stderr
        );
    }
    Ok(())
}

#[tokio::test]
async fn user_pools_are_handed_to_the_sidecar_and_the_way_to_their_keys_is_open() -> Result<()> {
    let namespace = ControlPlane::shared().await?.namespace("pools").await?;
    let pools = [
        "authz.cognito[0].userPoolId=eu-central-1_a",
        "authz.cognito[0].clientIds={shop,app}",
        "authz.cognito[1].userPoolId=eu-central-1_b",
        "authz.cognito[1].clientIds={shop}",
        "authz.cognito[1].jwksUrl=https://keys.example:8443/b",
    ];
    let of = async |sets: &[&str]| -> Result<(Value, Value)> {
        let items = items(&namespace, sets).await?;
        let deployment = the(&items, "Deployment", "-authz")?;
        let env = &deployment["spec"]["template"]["spec"]["containers"][0]["env"];
        let mut env = env.as_array().into_iter().flatten();
        let pools = env.find(|variable| variable["name"] == "GLYPH_COGNITO_POOLS");
        let egress = the(&items, "NetworkPolicy", "-authz")?["spec"]["egress"].clone();
        Ok((pools.cloned().unwrap_or_default(), egress))
    };
    let (none, closed) = of(&LEAST).await?;
    ensure!(none.is_null(), "{none}");
    let (handed, open) = of(&[&LEAST[..], &pools].concat()).await?;
    let handed: Value = serde_json::from_str(handed["value"].as_str().context("no text")?)?;
    assert_eq!(
        handed,
        json!([
            {"userPoolId": "eu-central-1_a", "clientIds": ["shop", "app"]},
            {"userPoolId": "eu-central-1_b", "clientIds": ["shop"], "jwksUrl": "https://keys.example:8443/b"},
        ])
    );
    let more =
        json!({"ports": [{"port": 443, "protocol": "TCP"}, {"port": 8443, "protocol": "TCP"}]});
    let mut expected = closed.as_array().cloned().unwrap_or_default();
    expected.push(more);
    assert_eq!(open, Value::from(expected));
    Ok(())
}

#[tokio::test]
async fn checks_over_http_are_taken_where_that_is_asked_for_from_named_gateways() -> Result<()> {
    let namespace = ControlPlane::shared().await?.namespace("http").await?;
    let ports = async |sets: &[&str]| -> Result<[Value; 4]> {
        let items = items(&namespace, sets).await?;
        let container =
            &the(&items, "Deployment", "-authz")?["spec"]["template"]["spec"]["containers"][0];
        let service = &the(&items, "Service", "-authz")?["spec"];
        let policy = &the(&items, "NetworkPolicy", "-authz")?["spec"];
        let of = |list: &Value, is: &dyn Fn(&Value) -> bool| {
            let mut list = list.as_array().into_iter().flatten();
            list.find(|one| is(one)).cloned().unwrap_or_default()
        };
        let http = |port: &Value| port["name"] == "http";
        let lets_in = |rule: &Value| {
            let ports = rule["ports"].as_array();
            ports.is_some_and(|ports| ports.iter().any(|port| port["port"] == "http"))
        };
        Ok([
            of(&container["env"], &|env| env["name"] == "GLYPH_HTTP_LISTEN")["value"].clone(),
            of(&container["ports"], &http)["containerPort"].clone(),
            of(&service["ports"], &http)["port"].clone(),
            of(&policy["ingress"], &lets_in)["from"][0].clone(),
        ])
    };
    let gateway = "networkPolicy.gateways[0].podSelector.matchLabels.app=nginx";
    let asked_for = [&LEAST[..], &["authz.http.enabled=true", gateway]].concat();
    let from = json!({"podSelector": {"matchLabels": {"app": "nginx"}}});
    let found = ports(&asked_for).await?;
    assert_eq!(
        found,
        [json!("0.0.0.0:9002"), json!(9002), json!(9002), from]
    );
    let found = ports(&[&LEAST[..], &[gateway]].concat()).await?;
    assert_eq!(found, [Value::Null, Value::Null, Value::Null, Value::Null]);
    Ok(())
}

#[tokio::test]
async fn the_charts_tiers_are_those_of_the_example() -> Result<()> {
    let namespace = ControlPlane::shared().await?.namespace("tiers").await?;
    let tiers = |items: Vec<Value>| -> BTreeMap<String, Value> {
        let tiers = items.into_iter().filter(|item| item["kind"] == "Tier");
        tiers
            .map(|tier| (tier["metadata"]["name"].to_string(), tier["spec"].clone()))
            .collect()
    };
    let charts = items(&namespace, &LEAST).await?;
    let example = fs::read_to_string(workspace_root().join("examples/tiers.yaml"))?;
    let examples = read(&namespace, &example).await?;
    assert_eq!(tiers(charts), tiers(examples));
    Ok(())
}
