//! The in-memory twin of the Redis script: the same decisions, in one process. For tests, and for trials without
//! Redis. It keeps everything it has counted, and forgets it when it is dropped.

mod usage;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use self::usage::Usage;
use crate::counted::Counted;
use crate::spend::{validate_counter, validate_customer};
use crate::{
    Batch, Charge, Counters, CountersError, Credits, CreditsUsed, Decision, Drawn,
    GIVE_BACK_WITHIN, GivenBack, Grant, MAX_COUNT, MOST_GIVEN_BACK, Outcome, Period, Rate,
    RateState, Spend, Step, UsageRow,
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
    used: HashMap<(String, i64), Counted>,
    /// By customer and key: when the bucket is full again, microseconds of the clock.
    arrivals: HashMap<(String, String), f64>,
    /// By customer and grant.
    credits: HashMap<String, BTreeMap<String, Counted>>,
    /// Ids of the charges given back, by customer and the hour of the charge.
    returns: HashMap<(String, i64), HashSet<String>>,
    usage: Usage,
}

impl MemoryCounters {
    /// Nothing counted yet. `clock` gives microseconds since 1970; below 2^53.
    pub fn new(clock: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        Self {
            clock: Box::new(clock),
            counts: Mutex::default(),
        }
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counters for MemoryCounters {
    async fn spend(&self, spend: &Spend<'_>) -> Result<Outcome, CountersError> {
        spend.validate()?;
        Ok(self.counts().spend(spend, (self.clock)() as f64))
    }

    async fn give_back(&self, charge: &Charge) -> Result<GivenBack, CountersError> {
        charge.validate()?;
        let now = ((self.clock)() / 1_000_000) as i64;
        Ok(self.counts().give_back(charge, now))
    }

    async fn used(&self, customer: &str, period: Period) -> Result<u64, CountersError> {
        validate_counter(customer, period)?;
        let counts = self.counts();
        let counted = counts.used.get(&(customer.to_owned(), period.start));
        Ok(counted.map_or(0, |counted| counted.net()))
    }

    async fn used_credits(
        &self,
        customers: &[&str],
    ) -> Result<Vec<BTreeMap<String, CreditsUsed>>, CountersError> {
        let counts = self.counts();
        let told = |counted: &Counted| CreditsUsed {
            used: counted.used as i64,
            returned: counted.returned as i64,
        };
        let of = |customer: &&str| {
            validate_customer(customer)?;
            let credits = counts.credits.get(*customer).into_iter().flatten();
            Ok(credits
                .map(|(id, counted)| (id.clone(), told(counted)))
                .collect())
        };
        customers.iter().map(of).collect()
    }

    async fn add_usage(&self, batch: &Batch) -> Result<bool, CountersError> {
        batch.validate()?;
        Ok(self.counts().usage.add(batch))
    }

    async fn usage_of(
        &self,
        customer: &str,
        from: i64,
        to: i64,
        step: Step,
    ) -> Result<Vec<UsageRow>, CountersError> {
        validate_customer(customer)?;
        let starts = step.starts(from, to)?;
        Ok(self.counts().usage.rows(customer, &starts, step))
    }
}

impl Counts {
    fn spend(&mut self, spend: &Spend<'_>, now: f64) -> Outcome {
        let used = self
            .used
            .entry((spend.customer.to_owned(), spend.period.start))
            .or_default();
        used.used = used.used.max(spend.floor);
        let held = |limit: u64| limit.saturating_sub(used.net()).min(spend.cost);
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
            used.spend(spend.cost - from_credits);
            if let Some(purse) = &mut purse {
                purse.take(from_credits);
            }
            bucket.iter_mut().for_each(|(bucket, _)| bucket.take_one());
        }
        Outcome {
            decision,
            used: used.net(),
            remaining: spend.limit.map(|limit| limit.saturating_sub(used.net())),
            rate: bucket.map(|(bucket, arrival)| {
                *arrival = bucket.arrival;
                bucket.state()
            }),
            credits: purse.as_ref().map(|purse| Credits {
                taken: purse.taken,
                left: purse.left(),
            }),
            drawn: purse.map(|purse| purse.drawn).unwrap_or_default(),
        }
    }

    /// `now`: seconds since 1970.
    fn give_back(&mut self, charge: &Charge, now: i64) -> GivenBack {
        let customer = charge.customer.to_string();
        let returns = self.returns.entry((customer.clone(), charge.hour()));
        let returns = returns.or_default();
        if returns.contains(&charge.id) {
            return GivenBack::Before;
        }
        if charge.at.abs_diff(now) > GIVE_BACK_WITHIN.unsigned_abs() {
            return GivenBack::TooLate;
        }
        if returns.len() as u64 >= MOST_GIVEN_BACK {
            return GivenBack::TooMany;
        }
        returns.insert(charge.id.clone());
        let used = self.used.entry((customer.clone(), charge.period.start));
        used.or_default().give_back(charge.calls);
        let credits = self.credits.entry(customer).or_default();
        for Drawn {
            grant,
            credits: taken,
        } in &charge.credits
        {
            let counted = credits.entry(grant.to_string()).or_default();
            counted.give_back(*taken);
        }
        GivenBack::Now
    }
}

/// The grants of a request, each with the count of its use and what may be taken of it.
struct Purse<'a> {
    /// By grant: the counts, raised to the floors.
    credits: &'a mut BTreeMap<String, Counted>,
    /// In the order they are spent.
    rooms: Vec<(&'a Arc<str>, u64)>,
    taken: u64,
    drawn: Vec<Drawn>,
}

impl<'a> Purse<'a> {
    /// `now`: microseconds since 1970.
    fn new(credits: &'a mut BTreeMap<String, Counted>, grants: &'a [Grant], now: f64) -> Self {
        let now = (now / 1e6) as i64;
        let rooms = grants.iter().map(|grant| {
            let known = credits.get(&*grant.id).copied().unwrap_or_default();
            let raised = known.max(Counted {
                used: grant.floor,
                returned: grant.returned,
            });
            if raised != known {
                credits.insert(grant.id.to_string(), raised);
            }
            let alive = grant.expires_at.is_none_or(|end| end > now);
            let room = if alive {
                grant.available.saturating_sub(raised.net())
            } else {
                0
            };
            (&grant.id, room)
        });
        Self {
            rooms: rooms.collect(),
            credits,
            taken: 0,
            drawn: Vec::new(),
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
                let counted = self.credits.entry(id.to_string()).or_default();
                counted.spend(take);
                self.drawn.push(Drawn {
                    grant: Arc::clone(id),
                    credits: take,
                });
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
