//! Requests at a steady pace through Envoy, each with what has to become of it, counted by the phase that they began in.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Result;
use glyph_harness::net::Answer;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use crate::caller::{Caller, code};

/// Clients at once, and the time between two requests of one.
const CLIENTS: usize = 8;
const PACE: Duration = Duration::from_millis(50);

/// The keys that requests are sent with.
#[derive(Clone)]
pub(super) struct Keys {
    /// Opens the API, always.
    pub(super) good: String,
    /// Is revoked.
    pub(super) revoked: String,
    /// Opens the API until the quota of its customer is used up.
    pub(super) limited: String,
}

/// What was counted in one phase.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Counted {
    /// Requests sent.
    pub(super) requests: usize,
    /// Requests that passed and should not have.
    pub(super) wrongly_admitted: usize,
    /// Requests that should have passed and were refused, by status and code.
    pub(super) refused: BTreeMap<String, usize>,
    /// Requests without any answer.
    pub(super) unanswered: usize,
    /// Requests with the limited key that passed.
    pub(super) limited: usize,
}

impl Counted {
    pub(super) fn wrongly_refused(&self) -> usize {
        self.refused.values().sum()
    }

    /// Counts one exchange.
    fn count(&mut self, sort: Sort, answer: &Result<Answer>) {
        self.requests += 1;
        let Ok(answer) = answer else {
            self.unanswered += 1;
            return;
        };
        match (sort, answer.status) {
            (Sort::Bad, 200) => self.wrongly_admitted += 1,
            (Sort::Limited, 200) => self.limited += 1,
            (Sort::Good, 200) | (Sort::Bad, 401) | (Sort::Limited, 429) => {}
            (_, status) => {
                let how = format!("{status} {}", code(answer));
                *self.refused.entry(how.trim().to_owned()).or_default() += 1;
            }
        }
    }
}

/// What has to become of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sort {
    Good,
    Bad,
    Limited,
}

/// Load under way. It ends when dropped.
pub(super) struct Load {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    phase: AtomicUsize,
    over: AtomicBool,
    counted: Mutex<Vec<Counted>>,
}

impl Shared {
    fn counted(&self) -> MutexGuard<'_, Vec<Counted>> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Load {
    /// Begins, on the async runtime that this is called on, in the first phase.
    pub(super) fn begin(gateway: &str, keys: &Keys) -> Self {
        let shared = Arc::new(Shared::default());
        shared.counted().push(Counted::default());
        let caller = Caller::new(gateway);
        for number in 0..CLIENTS {
            tokio::spawn(client(
                number,
                caller.clone(),
                keys.clone(),
                Arc::clone(&shared),
            ));
        }
        Self { shared }
    }

    /// Begins the next phase.
    pub(super) fn next_phase(&self) {
        let mut counted = self.shared.counted();
        counted.push(Counted::default());
        self.shared.phase.store(counted.len() - 1, Ordering::SeqCst);
    }

    /// What was counted, by phase.
    pub(super) fn counted(&self) -> Vec<Counted> {
        self.shared.counted().clone()
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::SeqCst);
    }
}

/// One client: of ten requests one is with a revoked key, one with a key that never was, one with the limited key.
async fn client(number: usize, caller: Caller, keys: Keys, shared: Arc<Shared>) {
    let unknown = format!("glyph_sk_live_{:032}", number);
    let mut pace = interval(PACE);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut under_way = JoinSet::new();
    for turn in number.. {
        pace.tick().await;
        if shared.over.load(Ordering::SeqCst) {
            break;
        }
        let (sort, key) = match turn % 10 {
            0 => (Sort::Bad, keys.revoked.clone()),
            1 => (Sort::Bad, unknown.clone()),
            2 => (Sort::Limited, keys.limited.clone()),
            _ => (Sort::Good, keys.good.clone()),
        };
        let (caller, shared) = (caller.clone(), Arc::clone(&shared));
        // The pace is kept whatever an answer takes.
        under_way.spawn(async move {
            let phase = shared.phase.load(Ordering::SeqCst);
            let answer = caller.ask(&key).await;
            if let Some(counted) = shared.counted().get_mut(phase) {
                counted.count(sort, &answer);
            }
        });
        while under_way.try_join_next().is_some() {}
    }
}

#[cfg(test)]
mod tests {
    use hyper::HeaderMap;
    use hyper::body::Bytes;

    use super::*;

    fn answer(status: u16, body: &str) -> Result<Answer> {
        Ok(Answer {
            status,
            headers: HeaderMap::new(),
            body: Bytes::copy_from_slice(body.as_bytes()),
        })
    }

    #[test]
    fn what_should_not_pass_and_what_should_have_passed_is_told_apart() {
        let mut counted = Counted::default();
        counted.count(Sort::Good, &answer(200, ""));
        counted.count(Sort::Good, &answer(503, r#"{"code":"unavailable"}"#));
        counted.count(Sort::Bad, &answer(401, ""));
        counted.count(Sort::Bad, &answer(200, ""));
        counted.count(Sort::Limited, &answer(200, ""));
        counted.count(Sort::Limited, &answer(429, ""));
        counted.count(Sort::Good, &Err(anyhow::anyhow!("reset")));
        assert_eq!(counted.requests, 7);
        assert_eq!((counted.wrongly_admitted, counted.unanswered), (1, 1));
        assert_eq!(counted.limited, 1);
        let refused = BTreeMap::from([("503 unavailable".to_owned(), 1)]);
        assert_eq!(counted.refused, refused);
    }
}
