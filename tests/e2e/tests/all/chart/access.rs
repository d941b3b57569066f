//! Who may do what once the chart is installed: what it grants is what is written down, and its policies keep the rest.

use std::fs;

use anyhow::{Result, ensure};
use glyph_harness::{ControlPlane, Namespace, workspace_root};
use serde_json::Value;

use super::{LEAST, helm, items, the};

/// Installed as far as that goes without a node: nothing runs, and rights and policies are in force.
async fn installed(namespace: &Namespace<'_>, sets: &[&str]) -> Result<()> {
    let install = ["install", "glyph", "--no-hooks", "--skip-crds"];
    helm(namespace, &install, sets).await?.ok()?;
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

/// Rights of people and of the setup Job are not written down: they are for whatever kinds there are.
#[tokio::test]
async fn people_and_the_setup_job_may_what_they_should_with_every_kind() -> Result<()> {
    let namespace = ControlPlane::shared().await?.namespace("kinds").await?;
    let sets = [&LEAST[..], &["userRoles.create=true"]].concat();
    let items = items(&namespace, &sets).await?;
    let sorted = |mut names: Vec<String>| {
        names.sort();
        names
    };
    let definitions = glyph_crds::definitions::definitions()?.into_iter();
    let plural = |kind: Value| kind["spec"]["names"]["plural"].as_str().map(str::to_owned);
    let kinds = sorted(definitions.filter_map(plural).collect());
    let in_role = |end: &str, what: &str| -> Result<Vec<String>> {
        let names = &the(&items, "ClusterRole", end)?["rules"][0][what];
        Ok(sorted(serde_json::from_value(names.clone())?))
    };
    assert_eq!(in_role("glyph-view", "resources")?, kinds);
    assert_eq!(in_role("glyph-admin", "resources")?, kinds);
    let definitions = kinds.iter().map(|kind| kind.clone() + ".glyphapi.ai");
    let definitions = sorted(definitions.collect());
    assert_eq!(in_role("glyph-setup", "resourceNames")?, definitions);
    let edited = [
        "apikeys",
        "creditpurchases",
        "glyphcustomers",
        "subscriptions",
    ];
    assert_eq!(in_role("glyph-edit", "resources")?, edited);
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
    let api = workspace_root().join("examples/glyph-api.yaml");
    let api = api.display().to_string();
    namespace.kubectl(&["apply", "-f", &api]).await?.ok()?;
    let forge = ["patch", "glyphapi", "forge", "--subresource=status"];
    let patch = ["--type=merge", "-p", r#"{"status":{"endpoints":1}}"#];
    let forge = [&forge[..], &patch].concat();
    let forged = namespace.kubectl(&forge).await?;
    ensure!(
        forged.stderr.contains("written by the operator alone"),
        "{}",
        forged.stderr
    );

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
