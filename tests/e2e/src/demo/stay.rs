//! Keeps the demo's world running, and says where everything is.

use anyhow::{Context as _, Result};

use crate::checkout::CARD_THAT_PAYS;
use crate::story::Story;
use crate::world::World;

/// Prints the addresses and three commands to try, and waits for Ctrl-C.
pub(super) async fn until_interrupted(world: &World<'_>, story: &mut Story) -> Result<()> {
    story.tell("everything keeps running; Ctrl-C ends it");
    story.show(&addresses(world)?);
    story.show(&to_try(world)?);
    tokio::signal::ctrl_c()
        .await
        .context("failed to wait for Ctrl-C")
}

fn addresses(world: &World<'_>) -> Result<String> {
    let gateway = world.gateway()?;
    Ok(format!(
        "Envoy       {}   (admin {})
operator    http://{}/webhooks/stripe   (admin {})
sidecar     {}   (admin {})
Stripe      {}   (the card that pays: {CARD_THAT_PAYS})
Cognito     {}   (user pool {})
Redis       127.0.0.1:{}
kubeconfig  {}
",
        gateway.envoy.url(),
        gateway.envoy.admin_url(),
        world.operator.address(),
        world.operator.admin_url(),
        gateway.sidecar.address(),
        gateway.sidecar.admin_url(),
        world.stripe.base_url(),
        world.cognito.url(),
        world.cognito.pool_id(),
        world.redis.port(),
        world.namespace.kubeconfig().display(),
    ))
}

/// Three commands; the key of the free customer has used its quota up, so that the second shows a refusal.
fn to_try(world: &World<'_>) -> Result<String> {
    let kubectl = format!(
        "KUBECONFIG={} {} -n {}",
        world.namespace.kubeconfig().display(),
        world.namespace.plane().tools().kubectl.display(),
        world.namespace.name(),
    );
    Ok(format!(
        "
1. Who has paid, and what happened:
   {kubectl} describe subscription ada-starter
2. A request past the free tier's quota:
   curl -i {}/v1/hello -H \"Authorization: Bearer $({kubectl} get secret grace -o jsonpath='{{.data.{}}}' | base64 -d)\"
3. Refuse a customer everything, and ask again:
   {kubectl} patch glyphcustomer grace --type merge -p '{{\"spec\":{{\"suspended\":true}}}}'
",
        world.gateway()?.envoy.url(),
        crate::world::KEY_FIELD,
    ))
}
