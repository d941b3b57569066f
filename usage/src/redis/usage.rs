//! Usage in Redis: batches by the script `add_usage.lua`, looked up as the hashes they are kept in.

use std::sync::LazyLock;

use futures::future::join_all;
use redis::{Cmd, Script};

use super::{Hash, RedisCounters, link};
use crate::spend::validate_customer;
use crate::{Batch, CountersError, KEEP_DAYS, KEEP_HOURS, KEEP_SOURCE, Line, Step, UsageRow};

const SOURCE: &str = include_str!("../add_usage.lua");

static SCRIPT: LazyLock<Script> = LazyLock::new(|| Script::new(SOURCE));

/// Hours or days that are read at once.
const AT_ONCE: usize = 100;

impl RedisCounters {
    pub(super) async fn add_batch(&self, batch: &Batch) -> Result<bool, CountersError> {
        batch.validate()?;
        let arguments = &|command: &mut Cmd| arguments(command, batch);
        let hash = SCRIPT.get_hash();
        let run = |mut line: link::Line| async move { line.run(SOURCE, hash, arguments).await };
        Ok(self.ask(&batch.customer, run).await?)
    }

    /// At once for each 100 hours or days; each time may take the deadline.
    pub(super) async fn read_usage(
        &self,
        customer: &str,
        from: i64,
        to: i64,
        step: Step,
    ) -> Result<Vec<UsageRow>, CountersError> {
        validate_customer(customer)?;
        let starts = step.starts(from, to)?;
        let mut rows = Vec::new();
        for some in starts.chunks(AT_ONCE) {
            let hashes = some
                .iter()
                .map(|start| self.hash(customer, usage_key(customer, step, *start)));
            for (start, hash) in some.iter().zip(join_all(hashes).await) {
                let hash = hash?.map_err(|error| CountersError::Failed(Box::new(error)))?;
                rows.extend(rows_of(*start, hash));
            }
        }
        Ok(rows)
    }
}

/// The rows of an hour or a day that can be read, in order.
fn rows_of(start: i64, hash: Hash) -> Vec<UsageRow> {
    let row = |(field, requests): (String, String)| {
        let row = Line::of_field(&field).zip(requests.parse().ok());
        if row.is_none() {
            tracing::warn!("a row of usage is not of its form, and left out");
        }
        row.map(|(line, requests)| UsageRow {
            start,
            line,
            requests,
        })
    };
    let mut rows: Vec<_> = hash.into_iter().filter_map(row).collect();
    rows.sort_unstable();
    rows
}

fn usage_key(customer: &str, step: Step, start: i64) -> String {
    let step = match step {
        Step::Hour => "hour",
        Step::Day => "day",
    };
    format!("glyph:{{{customer}}}:usage:{step}:{start}")
}

/// The script's KEYS and ARGV, as documented at its head.
fn arguments(command: &mut Cmd, batch: &Batch) {
    let Batch {
        customer,
        hour,
        source,
        number,
        rows,
    } = batch;
    command.arg(3);
    for step in [Step::Hour, Step::Day] {
        command.arg(usage_key(customer, step, step.start_of(*hour)));
    }
    command.arg(format!("glyph:{{{customer}}}:usage:from:{source}"));
    command.arg(*number);
    command.arg(KEEP_HOURS).arg(KEEP_DAYS).arg(KEEP_SOURCE);
    for (line, requests) in rows {
        command.arg(line.field()).arg(*requests);
    }
}
