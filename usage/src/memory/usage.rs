//! Usage in memory: what `add_usage.lua` adds, and how it is looked up.

use std::collections::{BTreeMap, HashMap};

use crate::{Batch, Line, MAX_COUNT, Step, UsageRow};

/// Requests by customer, hour or day, and line.
#[derive(Default)]
pub(super) struct Usage {
    requests: HashMap<(String, Step, i64), BTreeMap<Line, u64>>,
    /// The last batch, by customer and source.
    last: HashMap<(String, String), u64>,
}

impl Usage {
    /// Adds a batch, unless it was added before.
    pub(super) fn add(&mut self, batch: &Batch) -> bool {
        let source = (batch.customer.clone(), batch.source.clone());
        let last = self.last.entry(source).or_default();
        if batch.number <= *last {
            return false;
        }
        *last = batch.number;
        for step in [Step::Hour, Step::Day] {
            let place = (batch.customer.clone(), step, step.start_of(batch.hour));
            let requests = self.requests.entry(place).or_default();
            for (line, more) in &batch.rows {
                let sum = requests.entry(line.clone()).or_default();
                *sum = (*sum + more).min(MAX_COUNT);
            }
        }
        true
    }

    /// What is known of a customer's hours or days that begin at `starts`.
    pub(super) fn rows(&self, customer: &str, starts: &[i64], step: Step) -> Vec<UsageRow> {
        let of = |start: &i64| {
            let place = (customer.to_owned(), step, *start);
            let lines = self.requests.get(&place).into_iter().flatten();
            let row = |(line, requests): (&Line, &u64)| UsageRow {
                start: *start,
                line: line.clone(),
                requests: *requests,
            };
            lines.map(row).collect::<Vec<_>>()
        };
        starts.iter().flat_map(of).collect()
    }
}
