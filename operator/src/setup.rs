//! `glyph-operator setup`: what is done once, before the operator runs. The chart's Job calls it before an installation and
//! each upgrade; a person without Helm may as well.

mod cognito;
mod kinds;
mod secrets;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use glyph_runtime::logs::LogArgs;
use kube::Client;

/// What is to be prepared.
#[derive(Debug, Args)]
pub struct Setup {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Make what the cluster has to hold: the kinds, and Secrets that are made once. What is there stays as it is, but for
    /// the kinds, which are brought to this version.
    Cluster(Cluster),
    /// Bring the user pool (AWS_COGNITO_USER_POOL_ID) and its app client (AWS_COGNITO_CLIENT_ID) to what the account API
    /// needs. What is right stays as it is.
    Cognito(cognito::Cognito),
}

#[derive(Debug, Args)]
struct Cluster {
    /// Namespace of the Secrets.
    #[arg(long, default_value = "default", value_name = "NAMESPACE")]
    namespace: String,

    /// Bring the CustomResourceDefinitions to this version.
    #[arg(long)]
    kinds: bool,

    /// Secret with the entry GLYPH_KEY_PEPPERS, made unless it is there.
    #[arg(long, value_name = "NAME")]
    pepper_secret: Option<String>,

    /// Secret with the entries REDIS_PASSWORD and REDIS_URL, made unless it is there.
    #[arg(long, value_name = "NAME", requires = "redis_host")]
    redis_secret: Option<String>,

    /// Host of that Redis.
    #[arg(long, value_name = "HOST", requires = "redis_secret")]
    redis_host: Option<String>,

    #[command(flatten)]
    logs: LogArgs,
}

impl Setup {
    /// Does it; what there is to tell of it.
    ///
    /// # Errors
    /// When the cluster or Cognito cannot be reached or refuses; what was done until then stays, and the same command goes
    /// on.
    pub async fn run(self) -> anyhow::Result<String> {
        match self.what {
            What::Cluster(cluster) => cluster.run().await.map(|()| String::new()),
            What::Cognito(cognito) => cognito.run().await,
        }
    }
}

impl Cluster {
    async fn run(self) -> anyhow::Result<()> {
        let cluster = self;
        cluster.logs.init()?;
        let client = Client::try_default()
            .await
            .context("failed to find a Kubernetes cluster")?;
        if cluster.kinds {
            kinds::apply(&client).await?;
        }
        let once = secrets::Once::new(client, &cluster.namespace);
        if let Some(name) = &cluster.pepper_secret {
            once.pepper(name).await?;
        }
        if let (Some(name), Some(host)) = (&cluster.redis_secret, &cluster.redis_host) {
            once.redis(name, host).await?;
        }
        Ok(())
    }
}
