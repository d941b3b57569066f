//! The vocabulary of usage: how many requests each key made of each endpoint, and how they ended, by hour and day. Pure.
//!
//! These are figures for people, not counters that decide. They are added in batches; a batch that is added twice counts
//! once, because its number has to be higher than the last one of its source.

use crate::CountersError;
use crate::charge::HOUR;
use crate::spend::{MAX_COUNT, is_word, validate_customer};

/// How long requests can be looked up by the hour, in seconds: 35 days.
pub const KEEP_HOURS: i64 = 35 * DAY;

/// How long requests can be looked up by the day, in seconds: 400 days.
pub const KEEP_DAYS: i64 = 400 * DAY;

/// The most rows in a batch.
pub const MAX_ROWS: usize = 500;

/// How long the number of a source's last batch is remembered, in seconds: 2 days. A batch must not be tried again
/// after that.
pub const KEEP_SOURCE: i64 = 2 * DAY;

const DAY: i64 = 24 * HOUR;

/// What requests are told apart by, within a customer and an hour.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Line {
    /// Public id of the key.
    pub key_id: String,
    /// Name of the endpoint.
    pub endpoint: String,
    /// How the request ended.
    pub class: String,
}

/// Requests of one customer in one hour, to be added to what is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// The customer's UID.
    pub customer: String,
    /// The first second of the hour, since 1970.
    pub hour: i64,
    /// Who counted them: a name that no other process has.
    pub source: String,
    /// From 1; higher than that of every batch this source has added to this customer before.
    pub number: u64,
    /// How many of each line; at most [`MAX_ROWS`].
    pub rows: Vec<(Line, u64)>,
}

/// Requests of one line in one hour or day.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct UsageRow {
    /// The first second of the hour or day, since 1970 UTC.
    pub start: i64,
    /// What they have in common.
    pub line: Line,
    /// How many.
    pub requests: u64,
}

/// How finely usage is looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// By the hour, for [`KEEP_HOURS`].
    Hour,
    /// By the day, UTC, for [`KEEP_DAYS`].
    Day,
}

impl Step {
    /// Seconds.
    #[must_use]
    pub fn seconds(self) -> i64 {
        match self {
            Self::Hour => HOUR,
            Self::Day => DAY,
        }
    }

    /// The start of the hour or day that `second` is in.
    #[must_use]
    pub fn start_of(self, second: i64) -> i64 {
        second - second.rem_euclid(self.seconds())
    }

    fn keep(self) -> i64 {
        match self {
            Self::Hour => KEEP_HOURS,
            Self::Day => KEEP_DAYS,
        }
    }

    /// The starts of all hours or days from the one that `from` is in up to, not including, `to`.
    pub(crate) fn starts(self, from: i64, to: i64) -> Result<Vec<i64>, CountersError> {
        if !(0 <= from && from <= to && to <= MAX_COUNT as i64) || to - from > self.keep() {
            return Err(CountersError::Invalid(
                "usage is looked up from one second since 1970 to a later one, over at most 35 days by the hour or 400 by the day",
            ));
        }
        let step = usize::try_from(self.seconds()).unwrap_or(usize::MAX);
        Ok((self.start_of(from)..to).step_by(step).collect())
    }
}

impl Line {
    /// The field it is counted under.
    pub(crate) fn field(&self) -> String {
        format!("{} {} {}", self.key_id, self.endpoint, self.class)
    }

    /// The line of such a field.
    pub(crate) fn of_field(field: &str) -> Option<Self> {
        let mut words = field.split(' ').map(str::to_owned);
        let line = Self {
            key_id: words.next()?,
            endpoint: words.next()?,
            class: words.next()?,
        };
        words.next().is_none().then_some(line)
    }

    fn is_valid(&self) -> bool {
        [&self.key_id, &self.endpoint, &self.class]
            .into_iter()
            .all(|word| is_word(word))
    }
}

impl Batch {
    /// Refuses what could not be looked up again.
    pub(crate) fn validate(&self) -> Result<(), CountersError> {
        validate_customer(&self.customer)?;
        let fits = |(line, requests): &(Line, u64)| line.is_valid() && *requests <= MAX_COUNT;
        if self.hour < 0 || Step::Hour.start_of(self.hour) != self.hour {
            Err(CountersError::Invalid(
                "the hour of a batch must be the first second of one",
            ))
        } else if !is_word(&self.source) || !(1..=MAX_COUNT).contains(&self.number) {
            Err(CountersError::Invalid(
                "a batch must have a source, and a number from 1 to 2^53 - 1",
            ))
        } else if self.rows.len() > MAX_ROWS || !self.rows.iter().all(fits) {
            Err(CountersError::Invalid(
                "a batch must have at most 500 rows, of words without spaces",
            ))
        } else {
            Ok(())
        }
    }
}
