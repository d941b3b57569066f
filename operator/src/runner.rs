//! Runs the controllers while this replica leads: wakes → one pass at a time per resource → when to look
//! again. One generic runner for all kinds.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::stream::{self, BoxStream};
use futures::{FutureExt, StreamExt};
use kube::ResourceExt;
use kube::runtime::controller::{Action, Config, applier};
use kube::runtime::reflector::ObjectRef;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use crate::controllers::{
    api_key::Keys, customer::Customers, glyph_api::Apis, grant::Grants, pack::Packs,
    purchase::Purchases, subscription::Subscriptions, tier::Tiers,
};
use crate::credits::keep;
use crate::leader::Lead;
use crate::ports::{Billing, Identity};
use crate::reconcile::{Controller, Outcome, pass, rest};
use crate::seats::Seats;
use crate::watches::{Guarded, Stores, Wake, Watched};
use crate::world::{Shared, World};

/// Passes over one kind that run at once.
const CONCURRENCY: u16 = 16;

/// Runs all controllers over `stores`, of which what is settled rests when the sweep has `covered` the time before, until the lead's `stopping`, and lets running passes end.
pub async fn control<B: Billing, I: Identity>(
    shared: Arc<Shared<B, I>>,
    stores: Stores,
    wakes: broadcast::Sender<Wake>,
    lead: Lead,
    covered: bool,
) {
    // No decision is made on half of the world.
    if lead
        .stopping()
        .run_until_cancelled(stores.listed())
        .await
        .is_none()
    {
        return;
    }
    let world = Arc::new(World {
        shared,
        stores,
        lead,
        seats: Seats::default(),
        covered,
    });
    tokio::join!(
        run::<Tiers, B, I>(world.clone(), &wakes),
        run::<Packs, B, I>(world.clone(), &wakes),
        run::<Customers, B, I>(world.clone(), &wakes),
        run::<Subscriptions, B, I>(world.clone(), &wakes),
        run::<Keys, B, I>(world.clone(), &wakes),
        run::<Purchases, B, I>(world.clone(), &wakes),
        keep(world.clone(), &wakes),
        run::<Grants, B, I>(world.clone(), &wakes),
        run::<Apis, B, I>(world.clone(), &wakes),
    );
}

/// What this replica, since it leads, has looked at: failures in a row, by UID.
type Looks = Mutex<HashMap<String, u32>>;

async fn run<C, B, I>(world: Arc<World<B, I>>, wakes: &broadcast::Sender<Wake>)
where
    C: Controller<B, I>,
    B: Billing,
    I: Identity,
{
    let store = C::Kind::store(&world.stores).clone();
    let stopping = world.lead.stopping().clone();
    let queue = queue::<C::Kind>(world.stores.clone(), wakes.subscribe())
        .take_until(async move { stopping.cancelled().await })
        .map(Ok::<_, Infallible>);
    let looks = Arc::new(Looks::default());
    let reconcile = move |object: Arc<Guarded<C::Kind>>, world: Arc<World<B, I>>| {
        let looks = looks.clone();
        async move { Ok::<_, Infallible>(attempt::<C, B, I>(&world, &object, &looks).await) }
            .boxed()
    };
    let config = Config::default().concurrency(CONCURRENCY);
    // A resource that is gone by its turn is the only error there is, and no news.
    applier(
        reconcile,
        |_, never, _| match *never {},
        world,
        store,
        queue,
        config,
    )
    .for_each(|_| std::future::ready(()))
    .await;
}

/// Whom to look at: everyone at first, then whoever is woken.
fn queue<K: Watched>(
    stores: Stores,
    wakes: broadcast::Receiver<Wake>,
) -> BoxStream<'static, ObjectRef<Guarded<K>>> {
    stream::unfold((Some(Wake::All), wakes), |(first, mut wakes)| async move {
        if let Some(wake) = first {
            return Some((wake, (None, wakes)));
        }
        match wakes.recv().await {
            Ok(wake) => Some((wake, (None, wakes))),
            Err(RecvError::Lagged(_)) => Some((Wake::All, (None, wakes))),
            Err(RecvError::Closed) => None,
        }
    })
    .map(move |wake| stream::iter(refs::<K>(&stores, wake)))
    .flatten()
    .boxed()
}

fn refs<K: Watched>(stores: &Stores, wake: Wake) -> Vec<ObjectRef<Guarded<K>>> {
    match wake {
        Wake::One(kind, namespace, name) if kind == K::KIND => {
            vec![ObjectRef::new(&name).within(&namespace)]
        }
        Wake::One(..) => Vec::new(),
        Wake::All => K::store(stores)
            .state()
            .iter()
            .map(|object| ObjectRef::from_obj(&**object))
            .collect(),
    }
}

/// One pass, and when to look again.
async fn attempt<C, B, I>(world: &World<B, I>, object: &Guarded<C::Kind>, looks: &Looks) -> Action
where
    C: Controller<B, I>,
    B: Billing,
    I: Identity,
{
    let Ok(readable) = &object.0 else {
        return Action::await_change();
    };
    let uid = object.uid().unwrap_or_default();
    if !lock(looks).contains_key(&uid)
        && let Some(rest) = rest(world, readable)
    {
        lock(looks).insert(uid, 0);
        return Action::requeue(rest);
    }
    let work = pass::<C, B, I>(world, readable.clone());
    let Some(outcome) = world.lead.lost().run_until_cancelled(work).await else {
        return Action::await_change();
    };
    let mut looks = lock(looks);
    match outcome {
        Outcome::Settled(look_again) => {
            looks.insert(uid, 0);
            Action::requeue(look_again)
        }
        Outcome::Failed(failure) => {
            let count = looks.entry(uid).or_default();
            let wait = failure.retry_in(*count, world.shared.resync);
            *count = count.saturating_add(1);
            Action::requeue(wait)
        }
    }
}

fn lock(looks: &Looks) -> MutexGuard<'_, HashMap<String, u32>> {
    looks.lock().unwrap_or_else(PoisonError::into_inner)
}
