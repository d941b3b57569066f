//! Two releases on one node, each in a namespace of its own.

use anyhow::{Result, ensure};
use glyph_e2e::cluster::{Cluster, SOON, VERSIONS};
use glyph_harness::poll_until;
use serde_json::json;

async fn install(cluster: &Cluster, namespace: &str) -> Result<()> {
    let webhook = cluster.namespace(namespace).await?;
    let key = format!("--from-literal=STRIPE_SECRET_KEY={}", cluster.stripe_key());
    let secret = [
        "-n",
        namespace,
        "create",
        "secret",
        "generic",
        "glyph-stripe",
        &key,
    ];
    cluster.node.kubectl(&secret).await?.ok()?;
    let chart = cluster.package(VERSIONS[0]).await?.display().to_string();
    let values = format!(
        "{},stripe.existingSecret=glyph-stripe,redis.bundled.enabled=true,operator.replicas=1,authz.replicas=1,checkout.successUrl=https://shop.example/paid,checkout.cancelUrl=https://shop.example/plans",
        cluster.values_here(&webhook)
    );
    let args = [
        "install",
        "glyph",
        &chart,
        "-n",
        namespace,
        "--set",
        &values,
        "--wait",
        "--timeout",
        "3m",
    ];
    cluster.helm(&args).await?;
    Ok(())
}

async fn customer(cluster: &Cluster, namespace: &str, name: &str) -> Result<()> {
    let email = format!("{name}@{namespace}.example.com");
    let customer = json!({"apiVersion": "glyphapi.ai/v1alpha1", "kind": "GlyphCustomer",
                          "metadata": {"name": name}, "spec": {"email": email}});
    cluster.apply(namespace, &[customer]).await
}

/// The customer's id in Stripe; empty while there is none.
async fn id(cluster: &Cluster, namespace: &str, name: &str) -> Result<String> {
    let what = format!("glyphcustomer/{name}");
    cluster
        .get(namespace, &what, "{.status.stripeCustomerId}")
        .await
}

async fn linked(cluster: &Cluster, namespace: &str, name: &str) -> Result<()> {
    let seen = async || {
        let id = id(cluster, namespace, name).await.ok()?;
        (!id.is_empty()).then_some(())
    };
    Ok(poll_until("a customer to be in Stripe", SOON, seen).await?)
}

#[tokio::test]
async fn two_releases_look_after_their_own_namespace_only() -> Result<()> {
    let cluster = Cluster::start().await?;
    install(&cluster, "first").await?;
    install(&cluster, "second").await?;
    for namespace in ["first", "second"] {
        customer(&cluster, namespace, "ada").await?;
        linked(&cluster, namespace, "ada").await?;
    }
    let pry = [
        "-n",
        "second",
        "auth",
        "can-i",
        "get",
        "glyphcustomers.glyphapi.ai",
        "--as=system:serviceaccount:first:glyph-operator",
    ];
    ensure!(cluster.node.kubectl(&pry).await?.stdout.trim() == "no");
    // With the first release gone, nobody sees to its namespace; the second one goes on in its own.
    let gone = ["uninstall", "glyph", "-n", "first", "--wait"];
    cluster.helm(&gone).await?;
    for namespace in ["first", "second"] {
        customer(&cluster, namespace, "bob").await?;
    }
    linked(&cluster, "second", "bob").await?;
    ensure!(id(&cluster, "first", "bob").await?.is_empty());
    Ok(())
}
