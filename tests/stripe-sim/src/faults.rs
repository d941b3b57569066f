//! Faults on demand: what goes wrong, for which requests, and how often.
//!
//! Only chooses; `dispatch` carries a fault out.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// On which side of the effect a fault strikes.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// Nothing has been done.
    #[default]
    Before,
    /// Everything has been done; only the answer is lost or wrong.
    After,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum FaultKind {
    /// The request takes this many real milliseconds longer, before its effect.
    Latency {
        /// Milliseconds.
        ms: u64,
    },
    /// 429, nothing done.
    RateLimit {
        /// `Stripe-Should-Retry`, if the header is to be there.
        #[serde(default)]
        should_retry: Option<bool>,
        /// `Retry-After` in seconds, if the header is to be there.
        #[serde(default)]
        retry_after: Option<u64>,
    },
    /// 500 `api_error`, kept under the idempotency key as Stripe keeps it.
    ServerError {
        /// Before or after the effect.
        #[serde(default)]
        when: When,
    },
    /// 502 with a page of HTML, from a proxy in front of the API.
    BadGateway {
        /// Before or after the effect.
        #[serde(default)]
        when: When,
    },
    /// The TCP connection is reset instead of an answer.
    Reset {
        /// Before or after the effect.
        #[serde(default)]
        when: When,
    },
}

/// A fault and the requests it strikes.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// What goes wrong.
    #[serde(flatten)]
    pub kind: FaultKind,
    /// Only requests with this method.
    #[serde(default)]
    pub method: Option<String>,
    /// Only paths that fit; `*` stands for any text: `/v1/customers/*`.
    #[serde(default)]
    pub path: Option<String>,
    /// How many requests it strikes; without a number it lasts until it is cleared.
    #[serde(default)]
    pub count: Option<u32>,
}

impl Fault {
    /// A fault for every request, until it is narrowed or cleared.
    pub fn new(kind: FaultKind) -> Self {
        Self {
            kind,
            method: None,
            path: None,
            count: None,
        }
    }

    /// Only for requests with this method and path (`*` stands for any text).
    #[must_use]
    pub fn on(mut self, method: &str, path: &str) -> Self {
        self.method = Some(method.to_owned());
        self.path = Some(path.to_owned());
        self
    }

    /// Only for so many requests.
    #[must_use]
    pub fn times(mut self, count: u32) -> Self {
        self.count = Some(count);
        self
    }

    fn strikes(&self, method: &str, path: &str) -> bool {
        let method_fits = self
            .method
            .as_ref()
            .is_none_or(|wanted| wanted.eq_ignore_ascii_case(method));
        method_fits && self.path.as_ref().is_none_or(|pattern| fits(pattern, path))
    }
}

/// What strikes one request.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Strike {
    pub(crate) latency: Duration,
    /// The one failure, if any; never a latency.
    pub(crate) failure: Option<FaultKind>,
}

/// The faults in force, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    pub(crate) active: Vec<Fault>,
}

impl Faults {
    /// What strikes this request: every latency that fits, and the first failure that fits. Counts go down.
    pub(crate) fn strike(&mut self, method: &str, path: &str) -> Strike {
        let mut strike = Strike::default();
        for fault in &mut self.active {
            if fault.count == Some(0) || !fault.strikes(method, path) {
                continue;
            }
            match fault.kind {
                FaultKind::Latency { ms } => strike.latency += Duration::from_millis(ms),
                _ if strike.failure.is_some() => continue,
                kind => strike.failure = Some(kind),
            }
            fault.count = fault.count.map(|left| left - 1);
        }
        self.active.retain(|fault| fault.count != Some(0));
        strike
    }
}

fn fits(pattern: &str, path: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == path,
        Some((head, rest)) => path.strip_prefix(head).is_some_and(|left| {
            (0..=left.len())
                .filter(|at| left.is_char_boundary(*at))
                .any(|at| fits(rest, &left[at..]))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_strikes_as_often_as_it_says_and_only_where_it_says() {
        let mut faults = Faults::default();
        faults.active.push(
            Fault::new(FaultKind::ServerError { when: When::After })
                .on("POST", "/v1/customers/*")
                .times(2),
        );
        assert!(faults.strike("POST", "/v1/customers").failure.is_none());
        assert!(
            faults
                .strike("GET", "/v1/customers/cus_1")
                .failure
                .is_none()
        );
        assert!(
            faults
                .strike("post", "/v1/customers/cus_1")
                .failure
                .is_some()
        );
        assert!(
            faults
                .strike("POST", "/v1/customers/cus_2")
                .failure
                .is_some()
        );
        assert!(
            faults
                .strike("POST", "/v1/customers/cus_3")
                .failure
                .is_none()
        );
    }

    #[test]
    fn latency_adds_to_a_failure() {
        let mut faults = Faults::default();
        faults.active.push(Fault::new(FaultKind::Latency { ms: 5 }));
        faults
            .active
            .push(Fault::new(FaultKind::Reset { when: When::Before }).times(1));
        let strike = faults.strike("GET", "/v1/prices");
        assert_eq!(strike.latency, Duration::from_millis(5));
        assert_eq!(
            strike.failure,
            Some(FaultKind::Reset { when: When::Before })
        );
        assert!(faults.strike("GET", "/v1/prices").failure.is_none());
    }

    #[test]
    fn faults_read_from_json() {
        let fault: Fault = serde_json::from_str(
            r#"{"kind":"rate_limit","retry_after":2,"path":"/v1/*","count":1}"#,
        )
        .expect("a fault");
        assert_eq!(
            fault.kind,
            FaultKind::RateLimit {
                should_retry: None,
                retry_after: Some(2)
            }
        );
        assert!(serde_json::from_str::<Fault>(r#"{"kind":"earthquake"}"#).is_err());
    }
}
