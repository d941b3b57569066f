//! Which span of time a monthly quota counts in. Pure: the time is an argument.
//!
//! A subscription's allowance is monthly, also inside a yearly price, and changes over with Stripe's periods; a free
//! tier's is the calendar month in UTC. Months keep the day of Stripe's billing cycle anchor where they have it and end
//! early where they do not (<https://docs.stripe.com/billing/subscriptions/billing-cycle>).

use jiff::{Timestamp, ToSpan, tz::TimeZone};

/// A span from `start` up to, not including, `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Period {
    /// First instant.
    pub start: Timestamp,
    /// First instant after it.
    pub end: Timestamp,
}

/// The calendar month in UTC that `now` is in.
#[must_use]
pub fn calendar_month(now: Timestamp) -> Period {
    let first = now.to_zoned(TimeZone::UTC).first_of_month();
    let start = first
        .and_then(|z| z.start_of_day())
        .map_or(now, |z| z.timestamp());
    Period {
        start,
        end: months_after(start, 1),
    }
}

/// How Stripe bills a subscription, as far as was heard of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cycle {
    /// Stripe's current period.
    pub period: Period,
    /// The instant whose day and time of the month every period begins at: Stripe's `billing_cycle_anchor`. In a trial
    /// it is the trial's end.
    pub anchor: Timestamp,
}

impl Cycle {
    /// The month of allowance that `now` is in. It never reaches over an edge of Stripe's period; past its end, of which
    /// no news has come yet, the next month has begun at that instant all the same. Before the period it is the first.
    #[must_use]
    pub fn month(&self, now: Timestamp) -> Period {
        let Period { start, end } = self.period;
        let month = month_of(self.anchor, now.max(start));
        if now < end {
            Period {
                start: month.start.max(start),
                end: month.end.min(end),
            }
        } else {
            Period {
                start: month.start.max(end),
                end: month.end,
            }
        }
    }
}

/// The month that `now` is in, of those that begin at the anchor's day, before it and after.
fn month_of(anchor: Timestamp, now: Timestamp) -> Period {
    let from = anchor.to_zoned(TimeZone::UTC);
    let to = now.to_zoned(TimeZone::UTC);
    let months = (i64::from(to.year()) - i64::from(from.year())) * 12 + i64::from(to.month())
        - i64::from(from.month());
    // The calendar distance is the number of whole months, or one too many.
    let whole = if months_after(anchor, months) > now {
        months - 1
    } else {
        months
    };
    Period {
        start: months_after(anchor, whole),
        end: months_after(anchor, whole + 1),
    }
}

fn months_after(anchor: Timestamp, months: i64) -> Timestamp {
    let zoned = anchor.to_zoned(TimeZone::UTC);
    zoned
        .checked_add(months.months())
        .map_or(Timestamp::MAX, |z| z.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_calendar_month_begins_and_ends_at_midnight_utc() {
        let period = calendar_month(at("2026-02-28T23:59:59Z"));
        assert_eq!(
            period,
            Period {
                start: at("2026-02-01T00:00:00Z"),
                end: at("2026-03-01T00:00:00Z")
            }
        );
        assert_eq!(calendar_month(period.end).start, period.end);
    }

    fn cycle(start: &str, end: &str, anchor: &str) -> Cycle {
        let (start, end) = (at(start), at(end));
        Cycle {
            period: Period { start, end },
            anchor: at(anchor),
        }
    }

    fn month(cycle: Cycle, now: &str) -> [String; 2] {
        let Period { start, end } = cycle.month(at(now));
        [start, end].map(|instant| instant.strftime("%Y-%m-%dT%H:%M").to_string())
    }

    #[test]
    fn a_month_changes_over_at_the_periods_instant_also_before_its_news() {
        let stale = cycle(
            "2026-01-15T10:30:00Z",
            "2026-02-15T10:30:00Z",
            "2025-11-15T10:30:00Z",
        );
        let january = ["2026-01-15T10:30", "2026-02-15T10:30"];
        assert_eq!(month(stale, "2026-01-15T10:29:59Z"), january);
        assert_eq!(month(stale, "2026-02-15T10:29:59Z"), january);
        let february = ["2026-02-15T10:30", "2026-03-15T10:30"];
        assert_eq!(month(stale, "2026-02-15T10:30:00Z"), february);
        assert_eq!(
            month(stale, "2026-03-15T10:30:00Z"),
            ["2026-03-15T10:30", "2026-04-15T10:30"]
        );
    }

    #[test]
    fn an_anchor_on_the_31st_gives_no_second_month_after_a_short_one() {
        for (start, end) in [
            ("2026-02-28T00:00:00Z", "2026-03-31T00:00:00Z"),
            ("2026-04-30T00:00:00Z", "2026-05-31T00:00:00Z"),
        ] {
            let renewed = cycle(start, end, "2025-12-31T00:00:00Z");
            let whole = [&start[..16], &end[..16]];
            for day in ["29", "30"] {
                let inside = format!("{}{day}T12:00:00Z", &end[..8]);
                assert_eq!(month(renewed, &inside), whole, "{inside}");
            }
        }
    }

    #[test]
    fn a_yearly_period_gives_twelve_months() {
        let year = cycle(
            "2026-06-10T00:00:00Z",
            "2027-06-10T00:00:00Z",
            "2026-06-10T00:00:00Z",
        );
        assert_eq!(
            month(year, "2027-05-20T00:00:00Z"),
            ["2027-05-10T00:00", "2027-06-10T00:00"]
        );
        assert_eq!(
            month(year, "2026-06-09T23:59:55Z"),
            ["2026-06-10T00:00", "2026-07-10T00:00"]
        );
    }

    #[test]
    fn a_trial_has_its_own_allowance_and_the_paid_month_begins_where_it_ends() {
        let trial = cycle(
            "2026-01-01T08:00:00Z",
            "2026-01-15T08:00:00Z",
            "2026-01-15T08:00:00Z",
        );
        assert_eq!(
            month(trial, "2026-01-10T00:00:00Z"),
            ["2026-01-01T08:00", "2026-01-15T08:00"]
        );
        assert_eq!(
            month(trial, "2026-01-15T08:00:00Z"),
            ["2026-01-15T08:00", "2026-02-15T08:00"]
        );
    }
}
