//! The in-memory twin of the Redis script: the same decisions, in one process. For tests, and for trials without
//! Redis. It keeps everything it has counted, and forgets it when it is dropped.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::spend::{validate_counter, validate_customer};
use crate::{
    Counters, CountersError, Credits, Decision, Grant, MAX_COUNT, Outcome, Period, Rate, RateState,
    Spend,
};

/// Microseconds; covers rounding. As in `spend.lua`.
const SLACK: f64 = 0.5;

/// Counters in this process' memory, over a clock of the caller's.
pub struct MemoryCounters {
    /// Microseconds since 1970.
    clock: Box<dyn Fn() -> u64 + Send + Sync>,
    counts: Mutex<Counts>,
}

#[derive(Default)]
struct Counts {
    /// By customer and start of the period.
    used: HashMap<(String, i64), u64>,
    /// By customer and key: when the bucket is full again, microseconds of the clock.
    arrivals: HashMap<(String, String), f64>,
    /// By customer and grant.
    credits: HashMap<String, BTreeMap<String, u64>>,
}

impl MemoryCounters {
    /// Nothing counted yet. `clock` gives microseconds since 1970; below 2^53.
    pub fn new(clock: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        Self {
            clock: Box::new(clock),
            counts: Mutex::default(),
        }
    }
}

impl Counters for MemoryCounters {
    async fn spend(&self, spend: &Spend<'_>) -> Result<Outcome, CountersError> {
        spend.validate()?;
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(counts.spend(spend, (self.clock)() as f64))
    }

    async fn used(&self, customer: &str, period: Period) -> Result<u64, CountersError> {
        validate_counter(customer, period)?;
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(counts
            .used
            .get(&(customer.to_owned(), period.start))
            .copied()
            .unwrap_or(0))
    }

    async fn used_credits(
        &self,
        customers: &[&str],
    ) -> Result<Vec<BTreeMap<String, i64>>, CountersError> {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let of = |customer: &&str| {
            validate_customer(customer)?;
            let credits = counts.credits.get(*customer).into_iter().flatten();
            Ok(credits
                .map(|(id, used)| (id.clone(), *used as i64))
                .collect())
        };
        customers.iter().map(of).collect()
    }
}

impl Counts {
    fn spend(&mut self, spend: &Spend<'_>, now: f64) -> Outcome {
        let used = self
            .used
            .entry((spend.customer.to_owned(), spend.period.start))
            .or_default();
        *used = (*used).max(spend.floor);
        let held = |limit: u64| limit.saturating_sub(*used).min(spend.cost);
        let from_credits = spend.cost - spend.limit.map_or(spend.cost, held);
        let mut purse = (!spend.grants.is_empty()).then(|| {
            let credits = self.credits.entry(spend.customer.to_owned()).or_default();
            Purse::new(credits, spend.grants, now)
        });
        let over = from_credits > purse.as_ref().map_or(0, Purse::left);

        let arrival = self
            .arrivals
            .entry((spend.customer.to_owned(), spend.key_id.to_owned()));
        let mut bucket = spend.rate.map(|rate| {
            let arrival = arrival.or_insert(now);
            (Bucket::new(rate, *arrival, now), arrival)
        });
        let retry_after = bucket.as_ref().and_then(|(bucket, _)| bucket.retry_after());

        let decision = match retry_after {
            _ if over => Decision::QuotaExceeded,
            Some(retry_after) => Decision::RateLimited { retry_after },
            None => Decision::Admitted,
        };
        if decision == Decision::Admitted {
            *used = (*used + spend.cost - from_credits).min(MAX_COUNT);
            if let Some(purse) = &mut purse {
                purse.take(from_credits);
            }
            bucket.iter_mut().for_each(|(bucket, _)| bucket.take_one());
        }
        Outcome {
            decision,
            used: *used,
            remaining: spend.limit.map(|limit| limit.saturating_sub(*used)),
            rate: bucket.map(|(bucket, arrival)| {
                *arrival = bucket.arrival;
                bucket.state()
            }),
            credits: purse.map(|purse| Credits {
                taken: purse.taken,
                left: purse.left(),
            }),
        }
    }
}

/// The grants of a request, each with the count of its use and what may be taken of it.
struct Purse<'a> {
    /// By grant: the count, raised to the floor.
    credits: &'a mut BTreeMap<String, u64>,
    /// In the order they are spent.
    rooms: Vec<(&'a str, u64)>,
    taken: u64,
}

impl<'a> Purse<'a> {
    /// `now`: microseconds since 1970.
    fn new(credits: &'a mut BTreeMap<String, u64>, grants: &'a [Grant], now: f64) -> Self {
        let now = (now / 1e6) as i64;
        let rooms = grants.iter().map(|grant| {
            let used = credits.get(&*grant.id).map_or(0, |used| *used);
            let raised = used.max(grant.floor);
            if raised > used {
                credits.insert(grant.id.to_string(), raised);
            }
            let alive = grant.expires_at.is_none_or(|end| end > now);
            let room = if alive {
                grant.available.saturating_sub(raised)
            } else {
                0
            };
            (&*grant.id, room)
        });
        Self {
            rooms: rooms.collect(),
            credits,
            taken: 0,
        }
    }

    fn left(&self) -> u64 {
        let rooms = self.rooms.iter().map(|(_, room)| *room);
        rooms.fold(0, u64::saturating_add).min(MAX_COUNT)
    }

    /// Takes `amount`, of which there must be as much.
    fn take(&mut self, amount: u64) {
        let mut owed = amount;
        for (id, room) in &mut self.rooms {
            let take = owed.min(*room);
            owed -= take;
            *room -= take;
            if take > 0 {
                *self.credits.entry((*id).to_owned()).or_default() += take;
            }
        }
        self.taken = amount;
    }
}

/// GCRA: each request moves the arrival time on by one interval; it may be at most `burst` intervals ahead of now.
struct Bucket {
    now: f64,
    interval: f64,
    burst: u32,
    arrival: f64,
}

impl Bucket {
    /// An arrival time too far ahead (a lowered limit, a clock set back) is cut.
    fn new(rate: Rate, arrival: f64, now: f64) -> Self {
        let interval = rate.interval();
        let arrival = arrival.max(now).min(now + interval * f64::from(rate.burst));
        Self {
            now,
            interval,
            burst: rate.burst,
            arrival,
        }
    }

    fn room(&self) -> f64 {
        self.now + self.interval * f64::from(self.burst) - self.arrival + SLACK
    }

    fn retry_after(&self) -> Option<Duration> {
        (self.room() < self.interval).then(|| micros(self.interval - self.room()))
    }

    fn take_one(&mut self) {
        self.arrival += self.interval;
    }

    fn state(&self) -> RateState {
        let remaining = ((self.room() / self.interval).max(0.0) as u32).min(self.burst);
        RateState {
            remaining,
            full_after: micros(self.arrival - self.now),
        }
    }
}

fn micros(micros: f64) -> Duration {
    Duration::from_micros(micros.ceil() as u64)
}
