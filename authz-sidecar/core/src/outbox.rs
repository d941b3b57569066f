//! Usage on its way to Redis: requests are added up in memory and go there in batches, each of which counts once. Pure.
//!
//! Of a customer nothing new is put into a batch while an earlier one has not been taken: so batches come in order, as
//! [`Batch`] demands, and while Redis is away rows grow in number of requests, not in number. What is over the cap is
//! not counted, and told.

use std::collections::{BTreeMap, HashMap};

use glyph_usage::{Batch, KEEP_SOURCE, Line, MAX_ROWS};

/// A batch that was not taken for this long is given up: after twice this time Redis would not know it any more.
pub const GIVE_UP_AFTER: i64 = KEEP_SOURCE / 2;

/// Requests that have not reached Redis yet.
pub struct Outbox {
    source: String,
    most: usize,
    /// Rows in `counted` and `sealed`.
    rows: usize,
    counted: HashMap<String, Counted>,
    sealed: HashMap<String, Sealed>,
    last_number: u64,
}

/// By hour.
type Counted = BTreeMap<i64, HashMap<Line, u64>>;

/// Batches of a customer, the first of which is the next to go.
struct Sealed {
    since: i64,
    /// In reverse.
    batches: Vec<Batch>,
}

impl Outbox {
    /// An empty one of at most `most` rows, whose batches are known by `source`: a name that no other process has.
    #[must_use]
    pub fn new(source: String, most: usize) -> Self {
        Self {
            source,
            most,
            rows: 0,
            counted: HashMap::new(),
            sealed: HashMap::new(),
            last_number: 0,
        }
    }

    /// Counts a request of `customer` in the hour that begins at `hour`; `false` when there are too many rows already.
    #[must_use]
    pub fn count(&mut self, customer: &str, hour: i64, line: Line) -> bool {
        let known = self.counted.get_mut(customer);
        let known = known.and_then(|hours| hours.get_mut(&hour)?.get_mut(&line));
        if let Some(requests) = known {
            *requests += 1;
            return true;
        }
        if self.rows >= self.most {
            return false;
        }
        self.rows += 1;
        let hours = self.counted.entry(customer.to_owned()).or_default();
        hours.entry(hour).or_default().insert(line, 1);
        true
    }

    /// Puts what was counted into batches, and gives the batches that are to go, in order for each customer. `now`:
    /// seconds since 1970.
    pub fn batches(&mut self, now: i64) -> Vec<Vec<Batch>> {
        let free = |customer: &String| !self.sealed.contains_key(customer);
        let customers: Vec<String> = self.counted.keys().filter(|c| free(c)).cloned().collect();
        for customer in customers {
            if let Some(hours) = self.counted.remove(&customer) {
                let batches = self.seal(&customer, hours);
                let since = now;
                self.sealed.insert(customer, Sealed { since, batches });
            }
        }
        let all = self.sealed.values();
        all.map(|sealed| sealed.batches.iter().rev().cloned().collect())
            .collect()
    }

    fn seal(&mut self, customer: &str, hours: Counted) -> Vec<Batch> {
        let mut batches = Vec::new();
        for (hour, lines) in hours {
            let lines: Vec<_> = lines.into_iter().collect();
            for rows in lines.chunks(MAX_ROWS) {
                self.last_number += 1;
                batches.push(Batch {
                    customer: customer.to_owned(),
                    hour,
                    source: self.source.clone(),
                    number: self.last_number,
                    rows: rows.to_vec(),
                });
            }
        }
        batches.reverse();
        batches
    }

    /// A batch was taken, or can never be.
    pub fn gone(&mut self, batch: &Batch) {
        let Some(sealed) = self.sealed.get_mut(&batch.customer) else {
            return;
        };
        let before = sealed.batches.len();
        sealed.batches.retain(|one| one.number != batch.number);
        if sealed.batches.len() < before {
            self.rows = self.rows.saturating_sub(batch.rows.len());
        }
        if sealed.batches.is_empty() {
            self.sealed.remove(&batch.customer);
        }
    }

    /// Gives up batches that were not taken for too long. How many requests are lost by that.
    pub fn give_up(&mut self, now: i64) -> u64 {
        let late = |sealed: &&Sealed| now - sealed.since >= GIVE_UP_AFTER;
        let late = self.sealed.values().filter(late);
        let late: Vec<Batch> = late.flat_map(|sealed| sealed.batches.clone()).collect();
        late.iter().for_each(|batch| self.gone(batch));
        late.iter().map(requests).sum()
    }

    /// Whether nothing is left in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.counted.is_empty() && self.sealed.is_empty()
    }
}

/// How many requests a batch is of.
#[must_use]
pub fn requests(batch: &Batch) -> u64 {
    batch.rows.iter().map(|(_, requests)| requests).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(class: &str) -> Line {
        Line {
            key_id: "key".to_owned(),
            endpoint: "items".to_owned(),
            class: class.to_owned(),
        }
    }

    fn all(outbox: &mut Outbox, now: i64) -> Vec<Batch> {
        let mut all: Vec<_> = outbox.batches(now).into_iter().flatten().collect();
        all.sort_by_key(|batch| batch.number);
        all
    }

    #[test]
    fn requests_are_added_up_by_customer_hour_and_line() {
        let mut outbox = Outbox::new("me".to_owned(), 10);
        for (customer, hour, class) in [
            ("ada", 0, "2xx"),
            ("ada", 0, "2xx"),
            ("ada", 0, "5xx"),
            ("ada", 3600, "2xx"),
            ("eve", 0, "2xx"),
        ] {
            assert!(outbox.count(customer, hour, line(class)));
        }
        let batches = all(&mut outbox, 0);
        let mut seen: Vec<_> = batches
            .iter()
            .map(|batch| (batch.customer.as_str(), batch.hour, requests(batch)))
            .collect();
        seen.sort_unstable();
        assert_eq!(seen, [("ada", 0, 3), ("ada", 3600, 1), ("eve", 0, 1)]);
        assert!(batches.iter().all(|batch| batch.source == "me"));
    }

    #[test]
    fn a_batch_stays_as_it_is_until_it_was_taken_and_the_next_waits_for_it() {
        let mut outbox = Outbox::new("me".to_owned(), 10);
        assert!(outbox.count("ada", 0, line("2xx")));
        let first = all(&mut outbox, 0);
        assert!(outbox.count("ada", 0, line("2xx")));
        assert_eq!(all(&mut outbox, 1), first, "an answer that was too late");
        outbox.gone(&first[0]);
        let second = all(&mut outbox, 2);
        assert!(second[0].number > first[0].number);
        assert_eq!(requests(&second[0]), 1);
        outbox.gone(&second[0]);
        outbox.gone(&second[0]);
        assert!(outbox.is_empty());
    }

    #[test]
    fn what_is_over_the_cap_is_not_counted_and_what_has_a_row_is() {
        let mut outbox = Outbox::new("me".to_owned(), 1);
        assert!(outbox.count("ada", 0, line("2xx")));
        assert!(!outbox.count("ada", 0, line("5xx")));
        assert!(outbox.count("ada", 0, line("2xx")));
        let batches = all(&mut outbox, 0);
        assert!(
            !outbox.count("ada", 0, line("2xx")),
            "on its way, it is a row still"
        );
        outbox.gone(&batches[0]);
        assert!(outbox.count("ada", 0, line("5xx")));
    }

    #[test]
    fn many_rows_are_several_batches_in_order() {
        let mut outbox = Outbox::new("me".to_owned(), 10_000);
        for n in 0..1200 {
            assert!(outbox.count("ada", 0, line(&format!("class{n}"))));
        }
        let customers = outbox.batches(0);
        let sizes: Vec<_> = customers[0].iter().map(|batch| batch.rows.len()).collect();
        assert_eq!(sizes, [500, 500, 200]);
        assert!(customers[0].is_sorted_by_key(|batch| batch.number));
    }

    #[test]
    fn a_batch_that_redis_might_have_forgotten_is_given_up_and_its_requests_told() {
        let mut outbox = Outbox::new("me".to_owned(), 10);
        assert!(outbox.count("ada", 0, line("2xx")));
        all(&mut outbox, 100);
        assert_eq!(outbox.give_up(100 + GIVE_UP_AFTER - 1), 0);
        assert_eq!(outbox.give_up(100 + GIVE_UP_AFTER), 1);
        assert!(outbox.is_empty());
    }
}
