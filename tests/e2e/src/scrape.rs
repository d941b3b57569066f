//! What a program's `/metrics` says, as Prometheus reads it.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result};
use glyph_harness::Service;
use glyph_harness::net::get;

/// One value.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// The series' name, as `glyph_webhook_age_seconds_bucket`.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// The value.
    pub value: f64,
}

/// All that a program says at one moment.
#[derive(Clone, Debug, Default)]
pub struct Scrape {
    samples: Vec<Sample>,
    /// Names of metrics as one writes them in a query (`…_total`, `…_info`; a histogram's without its endings), and the
    /// names of their labels.
    pub metrics: BTreeMap<String, BTreeSet<String>>,
}

impl Scrape {
    /// Asks a program.
    ///
    /// # Errors
    /// When it does not answer in the form of OpenMetrics.
    pub async fn of(service: &Service) -> Result<Self> {
        let answer = get(&format!("{}/metrics", service.admin_url())).await?;
        Self::read(&answer.text())
    }

    fn read(text: &str) -> Result<Self> {
        let (mut scrape, mut types) = (Self::default(), BTreeMap::new());
        for line in text.lines() {
            if let Some(typed) = line.strip_prefix("# TYPE ") {
                let (name, of) = typed.split_once(' ').context("a TYPE without a type")?;
                types.insert(name.to_owned(), of.to_owned());
            } else if !line.starts_with('#') {
                let sample = sample(line).with_context(|| format!("no sample: {line}"))?;
                scrape.note(&sample, &types);
                scrape.samples.push(sample);
            }
        }
        Ok(scrape)
    }

    fn note(&mut self, sample: &Sample, types: &BTreeMap<String, String>) {
        let family = ["_bucket", "_sum", "_count"].iter().find_map(|ending| {
            let name = sample.name.strip_suffix(ending)?;
            (types.get(name)? == "histogram").then_some(name)
        });
        let is_histogram = family.is_some();
        let name = family.unwrap_or(&sample.name).to_owned();
        let labels = self.metrics.entry(name).or_default();
        let of_its_own = |label: &&String| !(is_histogram && *label == "le");
        labels.extend(sample.labels.keys().filter(of_its_own).cloned());
    }

    /// The values of the series `name`.
    #[must_use]
    pub fn all(&self, name: &str) -> Vec<Sample> {
        let of_name = self.samples.iter().filter(|sample| sample.name == name);
        of_name.cloned().collect()
    }

    /// The sum of the series `name` that have these labels.
    #[must_use]
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let has = |sample: &Sample| {
            let mut all = labels.iter();
            all.all(|(label, value)| sample.labels.get(*label).is_some_and(|is| is == value))
        };
        let all = self.samples.iter().filter(|sample| sample.name == name);
        all.filter(|sample| has(sample))
            .map(|sample| sample.value)
            .sum()
    }
}

fn sample(line: &str) -> Option<Sample> {
    let (series, value) = line.rsplit_once(' ')?;
    let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
    let mut rest = labels.strip_suffix('}')?;
    let mut labels = BTreeMap::new();
    while let Some((label, quoted)) = rest.split_once("=\"") {
        let (text, after) = quoted.split_once('"')?;
        labels.insert(label.to_owned(), text.to_owned());
        rest = after.strip_prefix(',').unwrap_or(after);
    }
    rest.is_empty().then_some(Sample {
        name: name.to_owned(),
        labels,
        value: value.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_read_as_prometheus_reads_it() {
        let page = "# HELP glyph_calls Calls.\n# TYPE glyph_calls counter\n\
            glyph_calls_total{of=\"a, b\",step=\"\"} 2\nglyph_calls_total{of=\"c\",step=\"x\"} 3\n\
            # TYPE glyph_seconds histogram\nglyph_seconds_sum 0.5\nglyph_seconds_bucket{le=\"+Inf\"} 1\n# EOF\n";
        let scrape = Scrape::read(page).unwrap();
        assert_eq!(scrape.sum("glyph_calls_total", &[]), 5.0);
        assert_eq!(scrape.sum("glyph_calls_total", &[("of", "a, b")]), 2.0);
        let names: Vec<_> = scrape.metrics.keys().map(String::as_str).collect();
        assert_eq!(names, ["glyph_calls_total", "glyph_seconds"]);
        assert_eq!(scrape.metrics["glyph_seconds"].len(), 0);
        assert!(Scrape::read("nonsense").is_err());
    }
}
