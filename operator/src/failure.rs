//! What can go wrong in a pass, and when to try again.

use std::time::Duration;

use glyph_operator_core::billing::FailureClass;
use glyph_operator_core::{Blocker, reason};
use glyph_runtime::random::{RandomError, jitter};
use thiserror::Error;

use crate::leader::LostLease;
use crate::ports::CallError;

/// First wait after a failure that may pass.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// Longest wait after a failure that may pass: how late we may notice that it has.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// Longest wait after a failure that only a person can mend, perhaps in Stripe.
const UNMENDED: Duration = Duration::from_secs(600);
/// Wait until the cache has what the API server has.
const CATCH_UP: Duration = Duration::from_millis(200);

/// Why a pass did not come to its end.
#[derive(Debug, Error)]
pub enum Failure {
    /// Stripe or Cognito.
    #[error(transparent)]
    Call(#[from] CallError),
    /// Something that a person has to resolve, found while acting.
    #[error("{}", .0.message)]
    Blocked(Blocker),
    /// The API server.
    #[error("failed to {operation}")]
    Kubernetes {
        /// What was attempted.
        operation: &'static str,
        /// The API server's error.
        source: Box<kube::Error>,
    },
    /// The object has changed since it was observed; nothing was written.
    #[error("the resource has changed since it was observed")]
    Outdated,
    /// Another replica may lead.
    #[error(transparent)]
    LostLease(#[from] LostLease),
    /// The operating system.
    #[error(transparent)]
    Random(#[from] RandomError),
    /// An intent that JSON cannot express.
    #[error("failed to write down what was about to be made")]
    Intent(#[from] serde_json::Error),
    /// The plan keeps asking for actions: a service does not keep what it was told.
    #[error("a service does not keep what it was told: {0} steps changed nothing")]
    Restless(usize),
}

impl Failure {
    /// Names the operation that the API server refused.
    pub fn kubernetes(operation: &'static str) -> impl FnOnce(kube::Error) -> Self {
        move |source| Self::Kubernetes {
            operation,
            source: Box::new(source),
        }
    }

    /// How it is classed for the conditions; absent where the resource is not to blame.
    pub fn class(&self) -> Option<FailureClass> {
        match self {
            Self::Call(error) => Some(error.class.clone()),
            Self::Restless(_) | Self::Intent(_) => Some(FailureClass::Invalid),
            Self::Blocked(_)
            | Self::Kubernetes { .. }
            | Self::Outdated
            | Self::LostLease(_)
            | Self::Random(_) => None,
        }
    }

    /// What a person has to resolve, where that is already known.
    pub fn blocker(&self) -> Option<Blocker> {
        match self {
            Self::Blocked(blocker) => Some(blocker.clone()),
            Self::Kubernetes { operation, source } => match &**source {
                kube::Error::Api(status) if matches!(status.code, 403 | 422) => {
                    let message = format!(
                        "let the operator {operation}: Kubernetes refuses it: {}",
                        status.message
                    );
                    Some(Blocker::person(reason::KUBERNETES_REFUSED, message))
                }
                _ => None,
            },
            Self::Call(_)
            | Self::Outdated
            | Self::LostLease(_)
            | Self::Random(_)
            | Self::Intent(_)
            | Self::Restless(_) => None,
        }
    }

    /// Whether it belongs into the log. What is part of working with others does not.
    pub fn is_news(&self) -> bool {
        !matches!(self, Self::Outdated | Self::LostLease(_) | Self::Blocked(_))
    }

    /// When to try again after so many failures in a row; `resync` is the time between full passes.
    pub fn retry_in(&self, failures: u32, resync: Duration) -> Duration {
        let resync = resync.min(UNMENDED);
        let backoff =
            jitter((FIRST_WAIT * 2u32.saturating_pow(failures.min(16))).min(LONGEST_WAIT));
        match self {
            Self::Outdated => CATCH_UP,
            Self::Blocked(_) | Self::Restless(_) | Self::Intent(_) => jitter(resync),
            Self::Kubernetes { .. } | Self::Random(_) | Self::LostLease(_) => backoff,
            Self::Call(error) => match &error.class {
                // A change of the resource, or of the credentials, wakes the controller before that.
                FailureClass::Invalid | FailureClass::Credential(_) => jitter(resync),
                FailureClass::Throttled(Some(wait)) => *wait + jitter(FIRST_WAIT),
                FailureClass::Throttled(None)
                | FailureClass::IdempotencyMismatch
                | FailureClass::Transient
                | FailureClass::StoredFailure => backoff,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RESYNC: Duration = Duration::from_secs(600);

    fn call(class: FailureClass) -> Failure {
        let (message, request_id) = (String::new(), None);
        Failure::Call(CallError {
            operation: "test",
            message,
            class,
            request_id,
        })
    }

    #[test]
    fn a_failure_that_may_pass_backs_off_up_to_a_minute() {
        let failure = call(FailureClass::Transient);
        assert!(failure.retry_in(0, RESYNC) <= Duration::from_secs(1));
        assert!(failure.retry_in(5, RESYNC) >= Duration::from_secs(16));
        assert!(failure.retry_in(1000, RESYNC) <= Duration::from_secs(60));
    }

    #[test]
    fn a_missing_permission_is_said_and_a_busy_api_server_is_not() {
        let refused = |code| {
            let status =
                kube::core::Status::failure("secrets is forbidden", "Forbidden").with_code(code);
            Failure::kubernetes("create the Secret of the key")(kube::Error::Api(status.boxed()))
        };
        let blocker = refused(403).blocker().unwrap();
        assert_eq!(blocker.reason, reason::KUBERNETES_REFUSED);
        assert_eq!(
            blocker.message,
            "let the operator create the Secret of the key: Kubernetes refuses it: secrets is forbidden"
        );
        assert_eq!(refused(503).blocker(), None);
    }

    #[test]
    fn throttling_waits_as_long_as_it_was_told() {
        let wait = Duration::from_secs(77);
        assert!(call(FailureClass::Throttled(Some(wait))).retry_in(0, RESYNC) >= wait);
    }

    #[test]
    fn what_only_a_change_can_mend_waits_for_the_full_pass() {
        for class in [
            FailureClass::Invalid,
            FailureClass::Credential("STRIPE_SECRET_KEY"),
        ] {
            assert!(call(class).retry_in(0, RESYNC) >= RESYNC / 2);
        }
    }
}
