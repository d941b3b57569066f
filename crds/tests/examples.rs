//! The manifests of `examples/`, applied as a person would, and what `kubectl get glyph` shows of them.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::fs;
use std::path::PathBuf;

use glyph_crds::{ApiKey, CreditPack, GlyphCustomer, Subscription, Tier};
use glyph_harness::{ControlPlane, Namespace, workspace_root};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

async fn namespace() -> Namespace<'static> {
    let plane = ControlPlane::shared().await.expect("a control plane");
    plane.namespace("examples").await.expect("a namespace")
}

/// The documents of one example file, by name.
fn example<K>(file: &str) -> Vec<K>
where
    K: DeserializeOwned,
{
    let path = workspace_root().join("examples").join(file);
    let yaml = fs::read_to_string(&path).expect(file);
    let documents: Vec<Value> = serde_saphyr::from_multiple(&yaml).expect(file);
    let parse = |document| serde_json::from_value(document).expect(file);
    documents.into_iter().map(parse).collect()
}

/// The YAML files of `examples/`.
fn files() -> Vec<PathBuf> {
    let folder = fs::read_dir(workspace_root().join("examples")).expect("examples/");
    let paths = folder.map(|entry| entry.expect("a file").path());
    let mut files: Vec<_> = paths
        .filter(|path| path.extension().is_some_and(|kind| kind == "yaml"))
        .collect();
    files.sort();
    files
}

#[test]
fn the_tiers_are_those_of_the_plan() {
    let tiers: Vec<Tier> = example("tiers.yaml");
    let sold: Vec<_> = tiers
        .iter()
        .map(|tier| {
            (
                tier.metadata.name.as_deref().unwrap_or_default(),
                tier.spec.price.as_ref().map(|price| price.amount),
                tier.spec.quota.as_ref().map(|quota| quota.requests),
                tier.spec.contact_sales,
                tier.spec.keys_before_payment,
            )
        })
        .collect();
    assert_eq!(
        sold,
        [
            ("free", None, Some(100), false, true),
            ("starter", Some(2900), Some(10_000), false, false),
            ("professional", Some(9900), Some(100_000), false, false),
            ("enterprise", None, None, true, false),
        ]
    );
}

#[test]
fn the_other_examples_parse_and_belong_together() {
    let customer = &example::<GlyphCustomer>("customer.yaml")[0];
    let subscription = &example::<Subscription>("subscription.yaml")[0];
    let key = &example::<ApiKey>("api-key.yaml")[0];
    let pack = &example::<CreditPack>("credit-pack.yaml")[0];
    assert_eq!(subscription.spec.customer_ref, key.spec.customer_ref);
    assert_eq!(
        customer.metadata.name.as_ref(),
        Some(&key.spec.customer_ref.name)
    );
    let tiers: Vec<Tier> = example("tiers.yaml");
    let subscribed = Some(&subscription.spec.tier);
    assert!(
        tiers
            .iter()
            .any(|tier| tier.metadata.name.as_ref() == subscribed)
    );
    assert_eq!(pack.spec.credits, 5000);
}

#[tokio::test]
async fn every_example_applies_without_a_warning_and_a_second_time_changes_nothing() {
    let namespace = namespace().await;
    let files = files();
    assert!(files.len() >= 5, "{files:?}");
    for file in files {
        let file = file.to_string_lossy();
        let first = namespace.kubectl(&["apply", "-f", &file]).await.unwrap();
        assert_eq!((first.code, first.stderr.as_str()), (0, ""), "{file}");
        let second = namespace.kubectl(&["apply", "-f", &file]).await.unwrap();
        let changed = second
            .stdout
            .lines()
            .find(|line| !line.ends_with(" unchanged"));
        assert_eq!(changed, None, "{file}");
    }
}

#[tokio::test]
async fn the_kinds_apply_without_a_warning() {
    let plane = ControlPlane::shared().await.expect("a control plane");
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/yaml");
    let applied = plane
        .kubectl(&["apply", "--server-side", "-f", folder])
        .await
        .unwrap();
    assert_eq!((applied.code, applied.stderr.as_str()), (0, ""));
}

#[tokio::test]
async fn a_refusal_at_kubectl_apply_is_one_sentence() {
    let namespace = namespace().await;
    let manifest = r#"
        {"apiVersion": "glyphapi.ai/v1alpha1", "kind": "ApiKey", "metadata": {"name": "office"},
         "spec": {"customerRef": {"name": "ada"}, "allowedCidrs": ["203.0.113.7"]}}"#;
    let apply = namespace.kubectl_with_input(&["apply", "-f", "-"], manifest);
    let refused = apply.await.unwrap();
    assert_eq!(refused.code, 1);
    assert_eq!(
        refused.stderr.trim(),
        "The ApiKey \"office\" is invalid: spec.allowedCidrs: Invalid value: allowedCidrs must hold \
         addresses with a prefix length, such as 203.0.113.0/24, 198.51.100.7/32 or 2001:db8::/32"
    );
}

#[tokio::test]
async fn kubectl_get_glyph_tells_who_has_paid_and_who_has_not_and_why() {
    let namespace = namespace().await;
    let folder = workspace_root().join("examples");
    let apply = ["apply", "-f", &folder.to_string_lossy()];
    namespace.kubectl(&apply).await.unwrap().ok().unwrap();
    let since = "2026-11-23T00:00:00Z";
    let ready = |status: &str, reason: &str| json!({"type": "Ready", "status": status, "reason": reason, "message": "m", "lastTransitionTime": since});
    let paid = json!({"status": {
        "state": "active", "conditions": [ready("True", "Active")],
        "currentPeriod": {"start": since, "end": "2026-12-23T00:00:00Z"},
    }});
    let waits = json!({"status": {"conditions": [ready("False", "PaymentRequired")]}});
    for (object, status) in [
        ("subscription/ada-starter", paid),
        ("apikey/ada-laptop", waits),
    ] {
        let status = status.to_string();
        let patch = [
            "patch",
            object,
            "--subresource=status",
            "--type=merge",
            "-p",
            &status,
        ];
        namespace.kubectl(&patch).await.unwrap().ok().unwrap();
    }
    let table = namespace
        .kubectl(&["get", "glyph"])
        .await
        .unwrap()
        .ok()
        .unwrap();
    let row = |name: &str| -> Vec<&str> {
        let found = table.lines().find(|line| line.contains(name));
        let cells = found.unwrap_or_else(|| panic!("no {name} in\n{table}"));
        cells.split_whitespace().skip(1).collect()
    };
    let subscription = row("/ada-starter");
    let told = [
        "ada",
        "starter",
        "active",
        "2026-12-23T00:00:00Z",
        "True",
        "Active",
    ];
    assert_eq!(subscription[..6], told, "{table}");
    assert_eq!(
        row("/ada-laptop")[..4],
        ["ada", "false", "False", "PaymentRequired"],
        "{table}"
    );
    assert_eq!(
        row("/starter")[..4],
        ["2900", "usd", "Month", "10000"],
        "{table}"
    );
    assert_eq!(row("/ada ")[0], "ada@example.com", "{table}");
    let by_customer = [
        "get",
        "gkey,gsub",
        "--field-selector",
        "spec.customerRef.name=ada",
        "-o",
        "name",
    ];
    let found = namespace.kubectl(&by_customer).await.unwrap().ok().unwrap();
    assert_eq!(
        found.lines().collect::<Vec<_>>(),
        [
            "apikey.glyphapi.ai/ada-laptop",
            "subscription.glyphapi.ai/ada-starter"
        ]
    );
}
