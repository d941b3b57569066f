//! Who of several replicas leads: a `coordination.k8s.io` Lease, written with optimistic locking.
//!
//! A lease is taken over only after it stood unchanged for its whole duration by our own monotonic clock,
//! and we stop working at two thirds of it, so that no two replicas act at once whatever their wall clocks
//! say. A process that was stopped and wakes past that (CASE 9) finds [`Lead::check`] refusing; what it had
//! already sent, the next leader repeats under the same idempotency key.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use glyph_runtime::clock::Clock;
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};
use thiserror::Error;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

/// Annotation of the Lease: up to when Stripe's events were swept. It is written with the renewals that are made anyway.
const SWEPT: &str = "glyphapi.ai/events-swept-until";

/// This replica may not lead any more.
#[derive(Clone, Copy, Debug, Error)]
#[error("the leader lease was not renewed in time")]
pub struct LostLease;

/// The right to act, for as long as the lease is renewed. Clones share one state.
#[derive(Clone)]
pub struct Lead {
    valid_until: Arc<Mutex<Instant>>,
    swept: Arc<Mutex<Option<Timestamp>>>,
    lost: CancellationToken,
    stopping: CancellationToken,
}

impl Lead {
    pub(crate) fn new(
        valid_until: Instant,
        swept: Option<Timestamp>,
        stopping: CancellationToken,
    ) -> Self {
        Self {
            valid_until: Arc::new(Mutex::new(valid_until)),
            swept: Arc::new(Mutex::new(swept)),
            lost: CancellationToken::new(),
            stopping,
        }
    }

    /// To be asked before every action on the outside world.
    ///
    /// # Errors
    /// [`LostLease`] when another replica may lead by now.
    pub fn check(&self) -> Result<(), LostLease> {
        let valid = Instant::now() < self.valid_until();
        if valid && !self.lost.is_cancelled() {
            Ok(())
        } else {
            Err(LostLease)
        }
    }

    /// Does `work` until no new work is to be begun, or the lease is lost; then it is dropped.
    pub async fn run_while_held(&self, work: impl Future<Output = ()>) {
        tokio::select! {
            () = work => {}
            () = self.stopping().cancelled() => {}
            () = self.lost().cancelled() => {}
        }
    }

    /// Cancelled once the lease is lost: running work is dropped.
    pub fn lost(&self) -> &CancellationToken {
        &self.lost
    }

    /// Cancelled when no new work is to be begun: on shutdown, or with the lease.
    pub fn stopping(&self) -> &CancellationToken {
        &self.stopping
    }

    /// Up to when Stripe's events were swept, by this leader or one before; `None` when nobody ever did.
    pub fn swept(&self) -> Option<Timestamp> {
        *self.swept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has that written down with the next renewal.
    pub fn set_swept(&self, until: Timestamp) {
        *self.swept.lock().unwrap_or_else(PoisonError::into_inner) = Some(until);
    }

    fn valid_until(&self) -> Instant {
        *self
            .valid_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn extend(&self, valid_until: Instant) {
        *self
            .valid_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = valid_until;
    }
}

/// The lease, as one replica takes part in it.
pub struct Election {
    api: Api<Lease>,
    name: String,
    identity: String,
    duration: Duration,
    clock: Arc<dyn Clock>,
}

/// A lease as it was first seen unchanged.
struct Sighting {
    resource_version: Option<String>,
    since: Instant,
}

impl Election {
    /// Takes part as `identity`, which no other process may use, in the lease `namespace/name`.
    pub fn new(
        client: Client,
        namespace: &str,
        name: String,
        identity: String,
        duration: Duration,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let api = Api::namespaced(client, namespace);
        Self {
            api,
            name,
            identity,
            duration,
            clock,
        }
    }

    /// Takes part until `stop`: whenever this replica leads, runs `work` with its [`Lead`], again and again.
    /// On `stop` the work may finish under the lease, which is then given back.
    pub async fn run<W: Future<Output = ()>>(
        self,
        stop: CancellationToken,
        leading: impl Fn(bool),
        work: impl Fn(Lead) -> W,
    ) {
        while let Some(Some((lease, valid_until))) =
            stop.run_until_cancelled(self.acquire()).await.map(Some)
        {
            tracing::info!(lease = self.name, identity = self.identity, "leading");
            leading(true);
            let lead = Lead::new(valid_until, swept(&lease), stop.child_token());
            let mut last = lease;
            let ended = tokio::select! {
                () = self.renew(&lead, &mut last) => false,
                () = work(lead.clone()) => true,
            };
            leading(false);
            lead.lost.cancel();
            if ended {
                self.release(last, &lead).await;
            } else {
                tracing::warn!(lease = self.name, "no longer leading");
            }
        }
    }

    /// Waits until the lease is ours. Until when we may act is counted from before the write.
    async fn acquire(&self) -> (Lease, Instant) {
        let mut sighting: Option<Sighting> = None;
        let mut failing = false;
        loop {
            match timeout(self.duration / 4, self.try_acquire(&mut sighting)).await {
                Ok(Ok(Some(taken))) => return taken,
                Ok(Ok(None)) => failing = false,
                Ok(Err(error)) if !failing => {
                    failing = true;
                    tracing::warn!(lease = self.name, %error, "failed to take part in the election");
                }
                Ok(Err(_)) | Err(_) => {}
            }
            sleep(self.duration / 8).await;
        }
    }

    async fn try_acquire(
        &self,
        sighting: &mut Option<Sighting>,
    ) -> kube::Result<Option<(Lease, Instant)>> {
        let begun = Instant::now();
        let Some(lease) = self.api.get_opt(&self.name).await? else {
            let made = self
                .api
                .create(&PostParams::default(), &self.claim(None))
                .await;
            return Ok(taken(made)?.map(|lease| (lease, begun + self.deadline())));
        };
        if !self.is_free(&lease, sighting) {
            return Ok(None);
        }
        let written = self.write(&self.claim(Some(&lease))).await;
        Ok(taken(written)?.map(|lease| (lease, begun + self.deadline())))
    }

    /// Whether nobody holds the lease, or its holder has not renewed it for its whole duration.
    fn is_free(&self, lease: &Lease, sighting: &mut Option<Sighting>) -> bool {
        let spec = lease.spec.as_ref();
        let holder = spec
            .and_then(|s| s.holder_identity.as_deref())
            .unwrap_or_default();
        if holder.is_empty() {
            return true;
        }
        let seconds = spec
            .and_then(|s| s.lease_duration_seconds)
            .and_then(|s| u64::try_from(s).ok());
        let duration = seconds.map_or(self.duration, Duration::from_secs);
        let version = &lease.metadata.resource_version;
        match sighting {
            Some(seen) if seen.resource_version == *version => seen.since.elapsed() > duration,
            _ => {
                *sighting = Some(Sighting {
                    resource_version: version.clone(),
                    since: Instant::now(),
                });
                false
            }
        }
    }

    /// Renews until that fails for too long, or somebody else has the lease.
    async fn renew(&self, lead: &Lead, last: &mut Lease) {
        loop {
            sleep(self.duration / 4).await;
            let begun = Instant::now();
            if lead.check().is_err() {
                return;
            }
            let attempt = timeout(self.duration / 4, self.write(&self.renewal(last, lead))).await;
            match attempt.map(taken) {
                Ok(Ok(Some(lease))) => {
                    *last = lease;
                    lead.extend(begun + self.deadline());
                }
                Ok(Ok(None)) => {
                    // The write may have been ours, with its answer lost; only another holder ends it.
                    match timeout(self.duration / 4, self.api.get(&self.name)).await {
                        Ok(Ok(lease)) if self.holds(&lease) => *last = lease,
                        Ok(Ok(_)) => return,
                        Ok(Err(_)) | Err(_) => {}
                    }
                }
                Ok(Err(error)) => tracing::debug!(%error, "failed to renew the leader lease"),
                Err(_) => tracing::debug!("renewing the leader lease took too long"),
            }
        }
    }

    /// Gives the lease back, so that another replica need not wait for its end.
    async fn release(&self, last: Lease, lead: &Lead) {
        let mut lease = last;
        note(&mut lease, lead);
        if let Some(spec) = lease.spec.as_mut() {
            spec.holder_identity = Some(String::new());
        }
        match timeout(self.duration / 4, self.write(&lease)).await {
            Ok(Ok(_)) => tracing::info!(lease = self.name, "gave the lease back"),
            Ok(Err(error)) => tracing::debug!(%error, "failed to give the lease back"),
            Err(_) => tracing::debug!("giving the lease back took too long"),
        }
    }

    fn holds(&self, lease: &Lease) -> bool {
        let spec = lease.spec.as_ref();
        spec.and_then(|s| s.holder_identity.as_ref()) == Some(&self.identity)
    }

    /// For how long after a renewal we act.
    fn deadline(&self) -> Duration {
        self.duration * 2 / 3
    }

    /// The write fails with 409 when the lease is no longer what `lease` was read as.
    async fn write(&self, lease: &Lease) -> kube::Result<Lease> {
        self.api
            .replace(&self.name, &PostParams::default(), lease)
            .await
    }

    fn renewal(&self, last: &Lease, lead: &Lead) -> Lease {
        let mut lease = self.claim(Some(last));
        note(&mut lease, lead);
        lease
    }

    fn claim(&self, old: Option<&Lease>) -> Lease {
        let now = MicroTime(self.clock.now());
        let spec = old.and_then(|lease| lease.spec.as_ref());
        let renewing = old.is_some_and(|lease| self.holds(lease));
        let transitions = spec.and_then(|s| s.lease_transitions).unwrap_or(0);
        let metadata = match old {
            Some(lease) => lease.metadata.clone(),
            None => ObjectMeta {
                name: Some(self.name.clone()),
                ..ObjectMeta::default()
            },
        };
        let acquired = spec
            .and_then(|s| s.acquire_time.clone())
            .filter(|_| renewing);
        Lease {
            metadata,
            spec: Some(LeaseSpec {
                acquire_time: Some(acquired.unwrap_or_else(|| now.clone())),
                holder_identity: Some(self.identity.clone()),
                lease_duration_seconds: i32::try_from(self.duration.as_secs()).ok(),
                lease_transitions: Some(if renewing {
                    transitions
                } else {
                    transitions + 1
                }),
                renew_time: Some(now),
                ..LeaseSpec::default()
            }),
        }
    }
}

/// A lost race is no error.
fn taken(written: kube::Result<Lease>) -> kube::Result<Option<Lease>> {
    match written {
        Ok(lease) => Ok(Some(lease)),
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(None),
        Err(error) => Err(error),
    }
}

/// Puts what the leader has swept on the Lease.
fn note(lease: &mut Lease, lead: &Lead) {
    if let Some(until) = lead.swept() {
        let annotations = lease.metadata.annotations.get_or_insert_default();
        annotations.insert(SWEPT.to_owned(), until.to_string());
    }
}

/// What the Lease says was swept.
fn swept(lease: &Lease) -> Option<Timestamp> {
    let annotations = lease.metadata.annotations.as_ref()?;
    annotations.get(SWEPT)?.parse().ok()
}
