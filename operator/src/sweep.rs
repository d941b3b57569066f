//! The sweep of Stripe's list of events, by the leader: from where the last one ended to now, it puts the newest event
//! about each resource on it, and so heals what no webhook told.
//!
//! One resource that does not take its event does not keep the others from theirs. What Kubernetes refuses for good is said
//! and left to the next full pass; for anything else the next sweep begins where this one did.
//!
//! Where it ended stands on the leader's Lease: that is written every few seconds anyway, by the leader alone, so that a
//! quiet world costs no write. Events that Stripe lists late, or that a clock apart from ours dates, are looked
//! at for [`OVERLAP`].

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, stream};
use glyph_operator_core::billing::Owner;
use glyph_operator_core::event::known_type;
use glyph_runtime::admin::Metrics;
use glyph_runtime::clock::Clock;
use jiff::{SignedDuration, Timestamp};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use thiserror::Error;
use tokio::time::sleep;

use crate::events::{Marked, Marker, OwnerLookup};
use crate::leader::{Lead, LostLease};
use crate::ports::{CallError, Events};

/// For how long an event is looked at again after it was first listed.
const OVERLAP: SignedDuration = SignedDuration::from_mins(3);
/// How many resources are given their events at once.
const AT_ONCE: usize = 8;
/// How long Stripe keeps events (<https://docs.stripe.com/api/events>).
const KEPT: SignedDuration = SignedDuration::from_hours(30 * 24);

/// The sweep.
pub struct Sweep<O, E> {
    marker: Arc<Marker<O>>,
    stripe: E,
    clock: Arc<dyn Clock>,
    every: Duration,
    metrics: SweepMetrics,
}

/// Why a sweep did not come to its end; the next one begins where this one did.
#[derive(Debug, Error)]
enum SweepError {
    #[error(transparent)]
    Stripe(#[from] CallError),
    #[error("failed to put events on {resources} resources, first")]
    Kubernetes {
        resources: usize,
        #[source]
        first: kube::Error,
    },
    #[error(transparent)]
    LostLease(#[from] LostLease),
    #[error("the resources are not all listed yet")]
    NotListed,
}

impl<O: OwnerLookup, E: Events> Sweep<O, E> {
    /// A sweep every so often; its metrics are registered in `metrics`.
    pub fn new(
        marker: Arc<Marker<O>>,
        stripe: E,
        clock: Arc<dyn Clock>,
        every: Duration,
        metrics: &Metrics,
    ) -> Self {
        let metrics = SweepMetrics::new(metrics);
        Self {
            marker,
            stripe,
            clock,
            every,
            metrics,
        }
    }

    /// Whether sweeps cover all the time in which nobody led. If not, every resource has to be looked at, and sweeps
    /// begin now.
    pub fn covers(&self, lead: &Lead) -> bool {
        let now = self.clock.now();
        let reason = match lead.swept() {
            Some(until) if now.duration_since(until) < KEPT => return true,
            Some(_) => "Stripe does not keep events for as long as nobody swept them",
            None => "Stripe's events were never swept",
        };
        tracing::info!(reason, "looking at every resource in full");
        lead.set_swept(now);
        false
    }

    /// Sweeps while this replica leads.
    pub async fn run(&self, lead: &Lead) {
        let mut marked = HashMap::new();
        let mut failing = false;
        let sweeping = async {
            loop {
                let swept = self.sweep(lead, &mut marked).await;
                match &swept {
                    Ok(()) => self.metrics.swept(self.clock.now()),
                    Err(SweepError::LostLease(_) | SweepError::NotListed) => {}
                    Err(error) if !failing => {
                        let error = error as &dyn std::error::Error;
                        tracing::warn!(error, "failed to sweep Stripe's events; trying again");
                    }
                    Err(_) => {}
                }
                failing = swept.is_err();
                sleep(self.every).await;
            }
        };
        lead.run_while_held(sweeping).await;
    }

    /// One sweep; `marked` holds which event each resource was found to carry, or was given.
    async fn sweep(
        &self,
        lead: &Lead,
        marked: &mut HashMap<String, String>,
    ) -> Result<(), SweepError> {
        let begun = self.clock.now();
        let from = lead.swept().unwrap_or(begun);
        let events = self.stripe.events_since(from).await?;
        let mut newest = HashMap::new();
        for event in events
            .into_iter()
            .filter(|e| known_type(&e.event_type).is_some())
        {
            let owners = self.marker.owners_of(&event.event_type, &event.about);
            for owner in owners.ok_or(SweepError::NotListed)? {
                if let Entry::Vacant(place) = newest.entry(owner.uid.clone()) {
                    place.insert((owner, event.id.clone()));
                }
            }
        }
        marked.retain(|uid, _| newest.contains_key(uid));
        newest.retain(|uid, (_, event)| marked.get(uid) != Some(event));
        self.tell(lead, newest.into_values(), marked).await?;
        lead.set_swept(from.max(begun.saturating_sub(OVERLAP).unwrap_or(begun)));
        Ok(())
    }

    /// Puts each event on its resource, and into `marked` those of which that was the last word.
    async fn tell(
        &self,
        lead: &Lead,
        events: impl Iterator<Item = (Owner, String)>,
        marked: &mut HashMap<String, String>,
    ) -> Result<(), SweepError> {
        let telling = events.map(|(owner, event)| async move {
            lead.check()?;
            let told = self.tell_one(&owner, &event).await;
            Ok::<_, LostLease>((owner.uid, event, told))
        });
        let mut told = pin!(stream::iter(telling).buffer_unordered(AT_ONCE));
        let (mut resources, mut first) = (0, None);
        while let Some((uid, event, told)) = told.next().await.transpose()? {
            match told {
                Ok(()) => drop(marked.insert(uid, event)),
                Err(error) => {
                    resources += 1;
                    first.get_or_insert(error);
                }
            }
        }
        first.map_or(Ok(()), |first| {
            Err(SweepError::Kubernetes { resources, first })
        })
    }

    /// Puts an event on its resource. `Err` when that is to be tried again.
    async fn tell_one(&self, owner: &Owner, event: &str) -> kube::Result<()> {
        let name = format!("{}/{}/{}", owner.kind, owner.namespace, owner.name);
        match self.marker.mark(owner, event).await {
            Ok(Marked::Marked) => {
                self.metrics.healed.inc();
                tracing::info!(event, owner = name, "took an event from Stripe's list");
            }
            Ok(Marked::Known | Marked::Foreign) => {}
            Err(error) if is_for_good(&error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(
                    event,
                    owner = name,
                    error,
                    "Kubernetes refuses an event on its resource, which waits for its next full pass"
                );
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

/// Whether Kubernetes would say the same again, so that the sweep need not wait for it.
fn is_for_good(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if matches!(status.code, 403 | 404 | 422))
}

/// What is counted of sweeps.
struct SweepMetrics {
    healed: Counter,
    last: Gauge,
}

impl SweepMetrics {
    fn new(metrics: &Metrics) -> Self {
        let families = Self {
            healed: Counter::default(),
            last: Gauge::default(),
        };
        metrics.register(|registry| {
            let about =
                "Events that the sweep of Stripe's list put on resources, which did not carry them";
            registry.register("events_healed", about, families.healed.clone());
            let about = "When Stripe's list of events was last swept, in Unix seconds; 0 before";
            registry.register(
                "event_sweep_timestamp_seconds",
                about,
                families.last.clone(),
            );
        });
        families
    }

    fn swept(&self, at: Timestamp) {
        self.last.set(at.as_second());
    }
}

#[cfg(test)]
mod tests;
