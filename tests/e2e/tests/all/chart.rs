//! The Helm chart against the real API server: what it renders is taken without a warning, what it grants is what is
//! written down, what cannot work is refused with a sentence.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context as _, Result, ensure};
use glyph_harness::{CommandOutput, ControlPlane, Namespace, chart, workspace_root};
use serde_json::Value;

/// What a person has to say.
const LEAST: [&str; 4] = [
    "stripe.existingSecret=glyph-stripe",
    "checkout.successUrl=https://shop.example/paid",
    "checkout.cancelUrl=https://shop.example/plans",
    "redis.bundled.enabled=true",
];
/// Everything that can be left out, and is not.
const MOST: [&str; 30] = [
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
    "authz.billingUrl=https://shop.example",
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

/// Installed as far as that goes without a node: nothing runs, and rights and policies are in force.
async fn installed(namespace: &Namespace<'_>, sets: &[&str]) -> Result<()> {
    let install = ["install", "glyph", "--no-hooks", "--skip-crds"];
    helm(namespace, &install, sets).await?.ok()?;
    Ok(())
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
    let cases: [(&[&str], &str); 12] = [
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

/// A service account, as a user.
fn user(namespace: &Namespace<'_>, account: &str) -> String {
    format!("system:serviceaccount:{}:{account}", namespace.name())
}

/// What `kubectl auth can-i --list` says of a service account, without the names of this test.
async fn rights(namespace: &Namespace<'_>, account: &str) -> Result<String> {
    let who = format!("--as={}", user(namespace, account));
    let listed = namespace
        .kubectl(&["auth", "can-i", "--list", &who])
        .await?;
    let lines = listed.ok()?;
    let mut lines: Vec<_> = lines
        .lines()
        .map(|line| in_order(&line.split_whitespace().collect::<Vec<_>>().join(" ")))
        .collect();
    lines.sort();
    Ok(lines.join("\n") + "\n")
}

/// A line with its verbs in order: what two roles give is listed in either.
fn in_order(line: &str) -> String {
    let Some((before, verbs)) = line.rsplit_once('[') else {
        return line.to_owned();
    };
    let mut verbs: Vec<_> = verbs.trim_end_matches(']').split(' ').collect();
    verbs.sort_unstable();
    format!("{before}[{}]", verbs.join(" "))
}

/// What is written down that a service account may do.
fn written_down(file: &str) -> String {
    let text = fs::read_to_string(workspace_root().join(file)).unwrap_or_default();
    text.lines().map(|line| in_order(line) + "\n").collect()
}

#[tokio::test]
async fn both_service_accounts_may_do_what_is_written_down_and_nothing_else() -> Result<()> {
    let namespace = ControlPlane::shared().await?.namespace("rights").await?;
    let hooked = "webhook.url=https://api.example/webhooks/stripe";
    installed(&namespace, &[&LEAST[..], &[hooked]].concat()).await?;
    for account in ["glyph-operator", "glyph-authz"] {
        let file = format!("tests/e2e/tests/all/rights/{account}.txt");
        let written = written_down(&file);
        let found = rights(&namespace, account).await?;
        ensure!(
            found == written,
            "{file} is not what {account} may do, which is:\n{found}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn with_the_account_api_the_operator_may_do_what_is_written_down_and_nothing_else()
-> Result<()> {
    let namespace = ControlPlane::shared().await?.namespace("account").await?;
    let on = [
        "cognito.existingSecret=glyph-cognito",
        "account.enabled=true",
    ];
    let hooked = ["webhook.url=https://api.example/webhooks/stripe"];
    installed(&namespace, &[&LEAST[..], &hooked, &on].concat()).await?;
    let file = "tests/e2e/tests/all/rights/glyph-operator-account.txt";
    let written = written_down(file);
    let found = rights(&namespace, "glyph-operator").await?;
    ensure!(
        found == written,
        "{file} is not what it may do, which is:\n{found}"
    );
    Ok(())
}

#[tokio::test]
async fn status_and_paid_grants_are_the_operators_alone_and_other_secrets_none_of_its_business()
-> Result<()> {
    let namespace = ControlPlane::shared().await?.namespace("policies").await?;
    installed(&namespace, &LEAST).await?;
    let operator = format!("--as={}", user(&namespace, "glyph-operator"));
    let patch = r#"{"status":{"subscribers":1}}"#;
    let forge = [
        "patch",
        "tier",
        "free",
        "--subresource=status",
        "--type=merge",
        "-p",
        patch,
    ];
    // A policy is in force some moments after it was made.
    let refused = async || {
        let tried = namespace.kubectl(&forge).await.ok()?;
        tried
            .stderr
            .contains("written by the operator alone")
            .then_some(())
    };
    let soon = std::time::Duration::from_secs(30);
    glyph_harness::poll_until("a person's status to be refused", soon, refused).await?;
    // kubectl would read the status first, which the operator need not.
    let uri = format!(
        "/apis/glyphapi.ai/v1alpha1/namespaces/{}/tiers/free/status",
        namespace.name()
    );
    let by_operator = hyper::Request::patch(uri)
        .header("content-type", "application/merge-patch+json")
        .header("impersonate-user", user(&namespace, "glyph-operator"))
        .body(patch.as_bytes().to_vec())?;
    namespace.client().request_text(by_operator).await?;

    let grant = |source: &str| {
        format!(
            "apiVersion: glyphapi.ai/v1alpha1\nkind: CreditGrant\nmetadata: {{name: g}}\nspec: {{customerRef: {{name: ada}}, credits: 5, source: {source}}}\n"
        )
    };
    let create = ["create", "-f", "-"];
    let paid = grant("{type: CheckoutSession, id: cs_1}");
    let forged = namespace.kubectl_with_input(&create, &paid).await?;
    ensure!(
        forged.stderr.contains("granted by the operator alone"),
        "{}",
        forged.stderr
    );
    let given = grant("{type: Admin, reason: goodwill}");
    namespace.kubectl_with_input(&create, &given).await?.ok()?;

    let token = "apiVersion: v1\nkind: Secret\nmetadata: {name: t, labels: {app.kubernetes.io/managed-by: glyph}, annotations: {kubernetes.io/service-account.name: default}}\ntype: kubernetes.io/service-account-token\n";
    let as_operator = [&create[..], &[&operator]].concat();
    let minted = namespace.kubectl_with_input(&as_operator, token).await?;
    ensure!(
        minted.stderr.contains("may touch only Opaque Secrets"),
        "{}",
        minted.stderr
    );
    let other = ["create", "secret", "generic", "other", "--from-literal=a=b"];
    namespace.kubectl(&other).await?.ok()?;
    let delete = ["delete", "secret", "other", &operator];
    let deleted = namespace.kubectl(&delete).await?;
    ensure!(
        deleted.stderr.contains("may touch only Opaque Secrets"),
        "{}",
        deleted.stderr
    );
    Ok(())
}

#[tokio::test]
async fn the_charts_tiers_are_those_of_the_example() -> Result<()> {
    let namespace = ControlPlane::shared().await?.namespace("tiers").await?;
    let of = |json: String| -> Result<BTreeMap<String, Value>> {
        let list: Value = serde_json::from_str(&json)?;
        let items = list["items"].as_array().context("no list")?.clone();
        let tiers = items.into_iter().filter(|item| item["kind"] == "Tier");
        Ok(tiers
            .map(|tier| (tier["metadata"]["name"].to_string(), tier["spec"].clone()))
            .collect())
    };
    let list = ["apply", "--dry-run=server", "-f", "-", "-o", "json"];
    let yaml = rendered(&namespace, &LEAST).await?;
    let charts = namespace.kubectl_with_input(&list, &yaml).await?.ok()?;
    let example = workspace_root()
        .join("examples/tiers.yaml")
        .display()
        .to_string();
    let list = ["apply", "--dry-run=server", "-f", &example, "-o", "json"];
    let examples = namespace.kubectl(&list).await?.ok()?;
    assert_eq!(of(charts)?, of(examples)?);
    Ok(())
}
