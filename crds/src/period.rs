//! Which span of time a monthly quota counts in. Pure: the time is an argument.
//!
//! A subscription's allowance is monthly and anchored at the start of Stripe's current period, also
//! inside a yearly price; a free tier's is the calendar month in UTC. Months keep their anchor's day
//! where they have it and end early where they do not, as Stripe's billing cycle anchor does
//! (<https://docs.stripe.com/billing/subscriptions/billing-cycle>).

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

/// The month of allowance that `now` is in, counted from `anchor`, the start of Stripe's current
/// period. It does not end with Stripe's period: should the news of a renewal be late, the next month
/// begins at the same instant all the same. Before the anchor, it is the first month.
#[must_use]
pub fn allowance_month(anchor: Timestamp, now: Timestamp) -> Period {
    let from = anchor.to_zoned(TimeZone::UTC);
    let to = now.to_zoned(TimeZone::UTC);
    let months = (i64::from(to.year()) - i64::from(from.year())) * 12 + i64::from(to.month())
        - i64::from(from.month());
    // The calendar distance is the number of whole months, or one too many.
    let whole = if months_after(anchor, months) > now {
        months - 1
    } else {
        months
    }
    .max(0);
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

    #[test]
    fn an_allowance_month_changes_over_at_the_anchors_instant() {
        let anchor = at("2026-01-15T10:30:00Z");
        let last = allowance_month(anchor, at("2026-02-15T10:29:59Z"));
        let next = allowance_month(anchor, at("2026-02-15T10:30:00Z"));
        assert_eq!(last.start, anchor);
        assert_eq!(last.end, next.start);
        assert_eq!(next.end, at("2026-03-15T10:30:00Z"));
    }

    #[test]
    fn an_anchor_on_the_31st_ends_early_in_short_months_and_comes_back() {
        let anchor = at("2026-01-31T00:00:00Z");
        assert_eq!(
            allowance_month(anchor, at("2026-02-27T00:00:00Z")).end,
            at("2026-02-28T00:00:00Z")
        );
        assert_eq!(
            allowance_month(anchor, at("2026-03-30T00:00:00Z")).end,
            at("2026-03-31T00:00:00Z")
        );
    }

    #[test]
    fn a_yearly_period_gives_twelve_months_and_skew_before_the_anchor_gives_the_first() {
        let anchor = at("2026-06-10T00:00:00Z");
        assert_eq!(
            allowance_month(anchor, at("2027-05-20T00:00:00Z")).start,
            at("2027-05-10T00:00:00Z")
        );
        assert_eq!(
            allowance_month(anchor, at("2026-06-09T23:59:55Z")).start,
            anchor
        );
    }
}
