//! What is counted of the access log and of usage. Labels are bounded, as those of [`crate::metrics`].

use std::sync::Arc;

use glyph_authz_core::class::Class;
use glyph_usage::GivenBack;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use crate::metrics::{MOST_ENDPOINTS, Names};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Request {
    endpoint: Arc<str>,
    class: &'static str,
}

/// What becomes of entries, of charges, and of requests that are lost.
const ENTRIES: [&str; 6] = [
    "counted",
    "anonymous",
    "unchecked",
    "ignored",
    "forged",
    "unreadable",
];
const GIVEN_BACK: [&str; 6] = ["now", "before", "too_late", "too_many", "lost", "invalid"];
const LOST: [&str; 3] = ["full", "given_up", "invalid"];

/// What is counted as it happens.
pub struct UsageMetrics {
    entries: Family<Outcome, Counter>,
    requests: Family<Request, Counter>,
    given_back: Family<Outcome, Counter>,
    lost: Family<Reason, Counter>,
    flush_failures: Counter,
    endpoints: Names<MOST_ENDPOINTS>,
}

impl Default for UsageMetrics {
    /// All there is at 0: the first of a kind would not be seen as an increase.
    fn default() -> Self {
        let metrics = Self {
            entries: Family::default(),
            requests: Family::default(),
            given_back: Family::default(),
            lost: Family::default(),
            flush_failures: Counter::default(),
            endpoints: Names::default(),
        };
        for outcome in ENTRIES {
            let _born = metrics.entries.get_or_create(&Outcome { outcome });
        }
        for outcome in GIVEN_BACK {
            let _born = metrics.given_back.get_or_create(&Outcome { outcome });
        }
        for reason in LOST {
            let _born = metrics.lost.get_or_create(&Reason { reason });
        }
        metrics
    }
}

impl UsageMetrics {
    pub(crate) fn register(&self, registry: &mut Registry) {
        let help = "Entries of Envoy's access log, by what became of them";
        registry.register("log_entries", help, self.entries.clone());
        let help = "Requests as the access log tells them, by endpoint and how they ended";
        registry.register("requests", help, self.requests.clone());
        let help = "Calls that failed and pay on success only, by what became of giving them back";
        registry.register("given_back", help, self.given_back.clone());
        let help = "Requests that are missing in usage, by why";
        registry.register("usage_lost", help, self.lost.clone());
        let help = "Batches of usage that did not reach Redis, and are tried again";
        registry.register("usage_flush_failures", help, self.flush_failures.clone());
    }

    pub(super) fn entry(&self, outcome: &'static str) {
        self.entries.get_or_create(&Outcome { outcome }).inc();
    }

    pub(super) fn request(&self, endpoint: &str, class: Class) {
        let request = Request {
            endpoint: self.endpoints.known(endpoint),
            class: class.as_str(),
        };
        self.requests.get_or_create(&request).inc();
    }

    pub(super) fn given_back(&self, outcome: &'static str) {
        self.given_back.get_or_create(&Outcome { outcome }).inc();
    }

    pub(super) fn lost(&self, reason: &'static str, requests: u64) {
        self.lost.get_or_create(&Reason { reason }).inc_by(requests);
    }

    pub(super) fn flush_failed(&self) {
        self.flush_failures.inc();
    }
}

pub(super) fn name_of(given: GivenBack) -> &'static str {
    match given {
        GivenBack::Now => "now",
        GivenBack::Before => "before",
        GivenBack::TooLate => "too_late",
        GivenBack::TooMany => "too_many",
    }
}
