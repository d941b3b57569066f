//! `glyph-operator setup cluster` against a real API server: what is made once stays, what is there and wrong is said.

use std::process::Stdio;

use anyhow::{Result, ensure};
use glyph_harness::{CommandOutput, ControlPlane, Namespace, service};

/// Runs the command as a person does.
async fn setup(namespace: &Namespace<'_>, args: &[&str]) -> Result<CommandOutput> {
    let program = service::program(glyph_harness::Program::Operator).await?;
    let output = tokio::process::Command::new(program)
        .args(["setup", "cluster", "--namespace", namespace.name()])
        .args(args)
        .env_clear()
        .env("KUBECONFIG", namespace.kubeconfig())
        .stdin(Stdio::null())
        .output()
        .await?;
    Ok(output.into())
}

async fn entry(namespace: &Namespace<'_>, secret: &str, name: &str) -> Result<String> {
    let template = format!("go-template={{{{.data.{name} | base64decode}}}}");
    let get = ["get", "secret", secret, "-o", &template];
    Ok(namespace.kubectl(&get).await?.ok()?)
}

#[tokio::test]
async fn a_pepper_is_made_once_and_never_again() -> Result<()> {
    let namespace = ControlPlane::shared().await?.namespace("setup").await?;
    let args = [
        "--kinds",
        "--pepper-secret=pepper",
        "--redis-secret=redis",
        "--redis-host=redis.svc",
    ];
    setup(&namespace, &args).await?.ok()?;
    let pepper = entry(&namespace, "pepper", "GLYPH_KEY_PEPPERS").await?;
    glyph_crds::api_key_format::Peppers::parse(&pepper)?;
    let password = entry(&namespace, "redis", "REDIS_PASSWORD").await?;
    let url = entry(&namespace, "redis", "REDIS_URL").await?;
    assert_eq!(url, format!("redis://:{password}@redis.svc:6379/0"));
    let again = setup(&namespace, &args).await?;
    let said = format!("{}{}", again.stdout, again.stderr);
    again.ok()?;
    assert_eq!(
        entry(&namespace, "pepper", "GLYPH_KEY_PEPPERS").await?,
        pepper
    );
    assert_eq!(entry(&namespace, "redis", "REDIS_URL").await?, url);
    ensure!(
        !said.contains(&password) && !said.contains(&pepper),
        "{said}"
    );
    Ok(())
}

#[tokio::test]
async fn a_secret_that_lacks_its_entry_is_left_alone_and_named() -> Result<()> {
    let namespace = ControlPlane::shared().await?.namespace("setup").await?;
    let other = [
        "create",
        "secret",
        "generic",
        "pepper",
        "--from-literal=a=b",
    ];
    namespace.kubectl(&other).await?.ok()?;
    let refused = setup(&namespace, &["--pepper-secret=pepper"]).await?;
    let said = format!("{}{}", refused.stdout, refused.stderr);
    let sentence = "the Secret pepper is there and has no entry GLYPH_KEY_PEPPERS";
    ensure!(refused.code == 1 && said.contains(sentence), "{said}");
    assert_eq!(entry(&namespace, "pepper", "a").await?, "b");
    Ok(())
}
