//! `GET /billing/usage`: what was used in this month of allowance, and how many requests each key made of each endpoint, by
//! the day or the hour.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use glyph_usage::{KEEP_DAYS, KEEP_HOURS, Step, UsageRow};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Account;
use super::billing::status::{CreditBalance, Quota};
use super::caller::Caller;
use super::input::Parameters;
use super::problem::{Answer, Problem};

/// Rows on a page.
const PAGE: u16 = 100;
const LARGEST_PAGE: u16 = 1000;

/// How finely requests are told apart.
#[derive(Clone, Copy, Default, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum UsageStep {
    /// By the day, in UTC; the last 400 days.
    #[default]
    Day,
    /// By the hour; the last 35 days.
    Hour,
}

/// Which usage.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct WhichUsage {
    /// From this time on; the begin of this month of allowance unless said.
    #[param(value_type = Option<String>, format = DateTime)]
    from: Option<Timestamp>,
    /// Up to, not including, this time; now unless said.
    #[param(value_type = Option<String>, format = DateTime)]
    to: Option<Timestamp>,
    /// By the `day` (unless said) or the `hour`.
    #[param(inline)]
    step: Option<UsageStep>,
    /// Of this key alone.
    key_id: Option<String>,
    /// How many rows, from 1 to 1000; 100 unless said.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u16>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Requests that a key made of an endpoint in a day or an hour.
#[derive(Serialize, ToSchema)]
pub(super) struct UsageLine {
    /// When the day or the hour began.
    #[schema(value_type = String, format = DateTime)]
    start: Timestamp,
    /// The key's id.
    key_id: String,
    /// The endpoint's name.
    endpoint: String,
    /// How they ended, such as `2xx`.
    #[schema(example = "2xx")]
    class: String,
    /// How many.
    requests: u64,
}

/// What was used.
#[derive(Serialize, ToSchema)]
pub(super) struct Usage {
    /// What is used of the monthly requests.
    quota: Quota,
    /// Prepaid credits.
    credits: CreditBalance,
    /// Requests, the oldest first.
    data: Vec<UsageLine>,
    /// Whether there are more.
    has_more: bool,
    /// Ask for the next ones with `cursor`.
    next_cursor: Option<String>,
}

/// A span of time, and how it is cut.
struct Span {
    from: i64,
    to: i64,
    step: Step,
}

impl WhichUsage {
    fn span(&self, begin: Timestamp, now: Timestamp) -> Answer<Span> {
        let (step, keep, longest) = match self.step.unwrap_or_default() {
            UsageStep::Day => (Step::Day, KEEP_DAYS, "Ask for 400 days at most."),
            UsageStep::Hour => (
                Step::Hour,
                KEEP_HOURS,
                "Ask for 35 days at most, by the hour.",
            ),
        };
        // What is going on now is part of what has been.
        let to = self.to.unwrap_or(now).as_second();
        let to = if self.to.is_none() { to + 1 } else { to };
        let from = self.from.unwrap_or(begin).as_second();
        if from < 0 || to < from {
            return Err(Problem::value(
                "from",
                "Choose a time after 1970 that is not after to.",
            ));
        }
        if to - from > keep {
            return Err(Problem::value("from", longest));
        }
        Ok(Span { from, to, step })
    }
}

/// Where a page ends: what its last row is told apart by.
fn cursor(row: &UsageRow) -> String {
    let line = &row.line;
    let text = format!(
        "{} {} {} {}",
        row.start, line.key_id, line.endpoint, line.class
    );
    URL_SAFE_NO_PAD.encode(text)
}

/// What you used.
///
/// The present month of allowance, the credits, and how many requests each key made of each endpoint. Figures come a few
/// seconds after the requests.
#[utoipa::path(get, path = "/billing/usage", tag = "Billing", params(WhichUsage), security(("access_token" = [])),
    responses((status = 200, body = Usage, description = "What was used")))]
pub(super) async fn usage(
    State(account): State<Arc<Account>>,
    caller: Caller,
    Parameters(which): Parameters<WhichUsage>,
) -> Answer<Json<Usage>> {
    let limit = which.limit.unwrap_or(PAGE);
    if !(1..=LARGEST_PAGE).contains(&limit) {
        return Err(Problem::value("limit", "A page has 1 to 1000 rows."));
    }
    let (quota, credits) = account.balance(&caller.customer).await?;
    let span = which.span(quota.period_start, account.now())?;
    let rows = account
        .counters
        .usage(&caller.uid(), span.from, span.to, span.step)
        .await;
    let mut rows = rows.map_err(|error| Problem::unavailable(&error))?;
    if let Some(key) = &which.key_id {
        rows.retain(|row| row.line.key_id == *key);
    }
    if let Some(after) = &which.cursor {
        let last = rows.iter().position(|row| cursor(row) == *after);
        let last = last
            .ok_or_else(|| Problem::value("cursor", "Send the next_cursor of the page before."))?;
        rows.drain(..=last);
    }
    let has_more = rows.len() > usize::from(limit);
    rows.truncate(limit.into());
    let next_cursor = rows.last().filter(|_| has_more).map(cursor);
    Ok(Json(Usage {
        quota,
        credits,
        data: rows.into_iter().map(line).collect(),
        has_more,
        next_cursor,
    }))
}

fn line(row: UsageRow) -> UsageLine {
    UsageLine {
        start: Timestamp::from_second(row.start).unwrap_or(Timestamp::UNIX_EPOCH),
        key_id: row.line.key_id,
        endpoint: row.line.endpoint,
        class: row.line.class,
        requests: row.requests,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(from: Option<&str>, to: Option<&str>, step: UsageStep) -> Option<(i64, i64)> {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let which = WhichUsage {
            from: from.map(at),
            to: to.map(at),
            step: Some(step),
            key_id: None,
            limit: None,
            cursor: None,
        };
        let span = which.span(at("2026-11-01T00:00:00Z"), at("2026-11-25T12:00:00Z"));
        span.ok().map(|span| (span.from, span.to))
    }

    #[test]
    fn unless_said_it_is_this_month_up_to_and_with_now() {
        let begin = 1_793_491_200;
        assert_eq!(
            span(None, None, UsageStep::Day),
            Some((begin, begin + 24 * 86_400 + 43_201))
        );
    }

    #[test]
    fn a_span_is_in_order_and_no_longer_than_what_is_kept() {
        let year = Some("2025-12-01T00:00:00Z");
        assert!(span(year, None, UsageStep::Day).is_some());
        assert!(span(year, None, UsageStep::Hour).is_none());
        assert!(span(Some("2026-11-26T00:00:00Z"), None, UsageStep::Day).is_none());
        assert!(
            span(
                Some("1969-01-01T00:00:00Z"),
                Some("1969-01-02T00:00:00Z"),
                UsageStep::Day
            )
            .is_none()
        );
    }
}
