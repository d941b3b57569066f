//! What is counted of the calls to Cognito: by operation and outcome, never by user.

use std::time::Duration;

use glyph_operator_core::billing::FailureClass;
use glyph_runtime::admin::Metrics;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;

use super::failure::Failure;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Call {
    operation: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Operation {
    operation: &'static str,
}

/// The families.
pub(super) struct CallMetrics {
    calls: Family<Call, Counter>,
    seconds: Family<Operation, Histogram, fn() -> Histogram>,
}

impl CallMetrics {
    /// Registers the families.
    pub(super) fn new(metrics: &Metrics) -> Self {
        let buckets = || Histogram::new([0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0]);
        let families = Self {
            calls: Family::default(),
            seconds: Family::new_with_constructor(buckets),
        };
        metrics.register(|registry| {
            let about = "Calls to Cognito by operation and outcome";
            registry.register("cognito_calls", about, families.calls.clone());
            let about = "Seconds that calls to Cognito took, attempts and waits together";
            let seconds = families.seconds.clone();
            registry.register("cognito_call_duration_seconds", about, seconds);
        });
        families
    }

    /// One call has ended.
    pub(super) fn record(&self, operation: &'static str, failed: Option<&Failure>, took: Duration) {
        let outcome = failed.map_or("ok", outcome);
        let call = Call { operation, outcome };
        self.calls.get_or_create(&call).inc();
        let seconds = self.seconds.get_or_create(&Operation { operation });
        seconds.observe(took.as_secs_f64());
    }
}

fn outcome(failure: &Failure) -> &'static str {
    match failure.class {
        _ if failure.is("UserNotFoundException") => "missing",
        _ if failure.is("UsernameExistsException") => "exists",
        FailureClass::Invalid | FailureClass::IdempotencyMismatch => "invalid",
        FailureClass::Credential(_) => "credential",
        FailureClass::Throttled(_) => "throttled",
        FailureClass::Transient | FailureClass::StoredFailure => "transient",
    }
}
