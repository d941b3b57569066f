//! What a measure hands back: a table for people and one JSON object for programs. Only text; nothing is
//! measured here.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::Value;

/// The result of a measure.
pub struct Report {
    /// What people read: one line a row, the first the heading.
    pub table: Table,
    /// What programs read: the last line that is printed.
    pub json: Value,
    /// Each promise that was not kept, as a sentence. Empty: all were.
    pub broken: Vec<String>,
}

impl Report {
    /// Everything that is printed: the table, the broken promises, and as the last line the JSON object.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = self.table.text();
        for promise in &self.broken {
            // Writing into a String cannot fail.
            let _ = writeln!(text, "NOT KEPT: {promise}");
        }
        let _ = writeln!(text, "{}", self.json);
        text
    }
}

/// Rows of cells, aligned when printed.
pub struct Table(Vec<Vec<String>>);

impl Table {
    /// A table with only its heading.
    #[must_use]
    pub fn new(heading: &[&str]) -> Self {
        Self(vec![heading.iter().map(ToString::to_string).collect()])
    }

    /// Adds a row.
    pub fn row<T: ToString>(&mut self, cells: impl IntoIterator<Item = T>) {
        self.0
            .push(cells.into_iter().map(|cell| cell.to_string()).collect());
    }

    /// The rows, each column as wide as its widest cell.
    #[must_use]
    pub fn text(&self) -> String {
        let columns = self.0.iter().map(Vec::len).max().unwrap_or_default();
        let width = |column: usize| {
            let cells = self.0.iter().filter_map(|row| row.get(column));
            cells
                .map(|cell| cell.chars().count())
                .max()
                .unwrap_or_default()
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let line = |row: &Vec<String>| {
            let cells = row
                .iter()
                .zip(&widths)
                .map(|(cell, width)| format!("{cell:<width$}"));
            format!("{}\n", cells.collect::<Vec<_>>().join("  ").trim_end())
        };
        self.0.iter().map(line).collect()
    }
}

/// The `percent`th percentile by nearest rank, in milliseconds; of nothing it is 0.
#[must_use]
pub fn percentile(samples: &[Duration], percent: usize) -> u64 {
    let mut sorted = samples.to_vec();
    sorted.sort_unstable();
    let rank = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(rank).map_or(0, |sample| {
        u64::try_from(sample.as_millis()).unwrap_or(u64::MAX)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_by_nearest_rank() {
        let samples: Vec<_> = (1..=50).rev().map(Duration::from_millis).collect();
        assert_eq!(percentile(&samples, 50), 25);
        assert_eq!(percentile(&samples, 99), 50);
        assert_eq!(percentile(&samples[..1], 99), 50);
        assert_eq!(percentile(&[], 50), 0);
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell_and_the_last_line_is_the_json() {
        let mut table = Table::new(&["customer", "n"]);
        table.row(["a", "100"]);
        assert_eq!(table.text(), "customer  n\na         100\n");
        let report = Report {
            table,
            json: serde_json::json!({"admitted": 1}),
            broken: vec!["one more than 0".to_owned()],
        };
        let text = report.text();
        assert_eq!(text.lines().last(), Some(r#"{"admitted":1}"#));
        assert!(text.contains("NOT KEPT: one more than 0"));
    }
}
