//! The checkpoint of credits: how many were used, as the counters in Redis say, told to the grants' controller, which
//! writes it into their statuses; and every customer's balance, which is the sum of those statuses.
//!
//! A counter is a copy that Redis may lose; the status is the record. What was used since the last checkpoint is all
//! that can be lost with it, and always in the customer's favour.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use glyph_operator_core::grant::{Counted, net_used};
use glyph_runtime::Secret;
use glyph_runtime::credentials::Credentials;
use glyph_usage::{Counters, CreditsUsed, RedisCounters};
use jiff::SignedDuration;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;
use tokio::sync::broadcast;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::quotas;
use crate::watches::{Stores, Wake, named, wake};
use crate::world::World;

mod balance;

/// The setting that holds the URL of the counters.
const REDIS_URL: &str = "REDIS_URL";
/// The setting that holds the authority which vouches for Redis' certificate, if everybody's do not.
const REDIS_CA: &str = "REDIS_CA";
/// How long Redis may take: no request to the API that is sold waits for it here.
const DEADLINE: Duration = Duration::from_secs(2);
/// So many turns there are from one look at everybody's quota to the next.
const QUOTAS_EVERY: usize = 6;

/// How long after the last credit of a grant was seen to be used it may still be given back: the counters give back for
/// an hour, and a checkpoint may be late.
const MAY_COME_BACK: SignedDuration = SignedDuration::from_hours(2);

/// Credits used, by UID of their grant. Clones share it.
#[derive(Clone, Default)]
pub struct UsedCredits(Arc<Mutex<HashMap<String, Counted>>>);

impl UsedCredits {
    /// Credits used and given back of a grant, if the counters were asked.
    #[must_use]
    pub fn counted(&self, grant: &str) -> Option<Counted> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(grant).copied()
    }

    fn tell(&self, grant: String, counted: Counted) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(grant, counted);
    }
}

/// Checkpoints until the lead's `stopping`; after a change of the credentials, by the Redis that they name then.
pub async fn keep<B, I>(world: Arc<World<B, I>>, wakes: &broadcast::Sender<Wake>) {
    let stopping = world.lead.stopping();
    let mut changed = world.shared.credentials.changed();
    let mut told = false;
    // What follows the connection ends at once when all is to stop, so that has to be asked for each time.
    while !stopping.is_cancelled() {
        let redis = counters(&world.shared.credentials, &mut told);
        tokio::select! {
            () = connected(redis.as_ref(), stopping) => {}
            () = turns(&world, wakes, redis.as_ref()) => {}
            _ = changed.changed() => {}
        }
    }
}

/// The counters at `REDIS_URL`, if there is one. Its absence is said once.
fn counters(credentials: &Credentials, told: &mut bool) -> Option<RedisCounters> {
    if credentials.get(REDIS_URL).is_err() && !std::mem::replace(told, true) {
        tracing::warn!(
            "REDIS_URL is not given: what is used of credits is not written down, and lost with Redis"
        );
    }
    redis(credentials)
}

/// The counters at `REDIS_URL`, if there is one that can be used; one that cannot is said.
pub(crate) fn redis(credentials: &Credentials) -> Option<RedisCounters> {
    let url = credentials.get(REDIS_URL).ok()?;
    let authority = credentials.get(REDIS_CA).ok();
    let authority = authority.as_ref().map(Secret::expose);
    RedisCounters::new(url.expose(), authority, DEADLINE)
        .inspect_err(|error| tracing::error!(%error, "the credential REDIS_URL cannot be used"))
        .ok()
}

/// Ends at `stop`, and not before.
async fn connected(redis: Option<&RedisCounters>, stop: &CancellationToken) {
    if let Some(redis) = redis
        && let Err(error) = redis.keep_connected(stop.clone()).await
    {
        tracing::error!(%error, "credits are not checkpointed from this Redis");
    }
    stop.cancelled().await;
}

async fn turns<B, I>(
    world: &World<B, I>,
    wakes: &broadcast::Sender<Wake>,
    redis: Option<&RedisCounters>,
) {
    let mut failing = false;
    for turn in 0_usize.. {
        sleep(world.shared.checkpoint).await;
        if let Some(redis) = redis {
            match checkpoint(world, wakes, redis).await {
                Ok(()) => failing = false,
                Err(error) if !failing => {
                    failing = true;
                    tracing::warn!(%error, "failed to read the credits used; trying again");
                }
                Err(_) => {}
            }
            if turn.is_multiple_of(QUOTAS_EVERY) {
                look_at_quotas(world, redis).await;
            }
        }
        balance::write(world).await;
    }
}

/// What is known of everybody's quota is shown; what is not is no number.
async fn look_at_quotas<B, I>(world: &World<B, I>, redis: &RedisCounters) {
    let counted = quotas::count(world, redis).await;
    let counted = counted
        .inspect_err(|error| tracing::debug!(%error, "failed to read the quotas used"))
        .ok();
    world.shared.counted.quota_use.set(counted);
}

/// Asks for every grant that can still be spent; wakes those of which more was used or given back than their status
/// says.
async fn checkpoint<B, I>(
    world: &World<B, I>,
    wakes: &broadcast::Sender<Wake>,
    counters: &impl Counters,
) -> Result<(), glyph_usage::CountersError> {
    let live = live(world);
    let customers: Vec<&str> = live.keys().map(String::as_str).collect();
    let used = counters.used_credits(&customers).await?;
    for (grants, used) in live.values().zip(used) {
        for LiveGrant { uid, known, wake } in grants {
            let more = |counted: &CreditsUsed| {
                counted.used > known.used || counted.returned > known.returned
            };
            if let Some(CreditsUsed { used, returned }) = used.get(uid).copied().filter(more) {
                let counted = Counted { used, returned };
                world.shared.credits.tell(uid.clone(), counted);
                // Without a receiver nobody leads, and the next leader looks at everything.
                let _ = wakes.send(wake.clone());
            }
        }
    }
    Ok(())
}

/// A grant that can still be spent.
struct LiveGrant {
    uid: String,
    known: Counted,
    wake: Wake,
}

/// Grants that can still be spent, by UID of their customer.
fn live<B, I>(world: &World<B, I>) -> BTreeMap<String, Vec<LiveGrant>> {
    let now = world.now();
    let mut live = BTreeMap::<String, Vec<LiveGrant>>::new();
    for grant in world.stores.grants.state() {
        let Ok(grant) = &grant.0 else { continue };
        let status = grant.status.clone().unwrap_or_default();
        let expired = grant
            .spec
            .expires_at
            .as_ref()
            .is_some_and(|end| end.0 <= now);
        let lately = |as_of: &Time| now.duration_since(as_of.0) < MAY_COME_BACK;
        let used_up = net_used(&status) >= grant.spec.credits;
        if expired || (used_up && !status.as_of.as_ref().is_some_and(lately)) {
            continue;
        }
        if let (Some(customer), Some(uid)) = (customer_uid(&world.stores, grant), grant.uid()) {
            live.entry(customer).or_default().push(LiveGrant {
                uid,
                known: Counted {
                    used: status.used,
                    returned: status.returned,
                },
                wake: wake(grant),
            });
        }
    }
    live
}

fn customer_uid(stores: &Stores, grant: &glyph_crds::CreditGrant) -> Option<String> {
    let namespace = grant.namespace().unwrap_or_default();
    let customer: glyph_crds::GlyphCustomer =
        named(stores, &namespace, &grant.spec.customer_ref.name)?;
    customer.uid()
}
