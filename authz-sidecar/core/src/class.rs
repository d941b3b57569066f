//! How a request ended, as usage tells it, and whether the API has failed. Pure.

use crate::wire::Logged;

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    /// Let through; how it ended is not known, because no access log tells.
    Passed,
    /// Refused by Glyph. It took nothing.
    Refused,
    /// The status said that something else is spoken from here on, such as a WebSocket.
    Informational,
    /// Answered with a 2xx.
    Success,
    /// Answered with a 3xx.
    Redirection,
    /// Answered with a 4xx: the caller's mistake.
    ClientError,
    /// Answered with a 5xx, by the API or by Envoy in its place.
    ServerError,
    /// The API broke off in the middle of its answer.
    Broken,
    /// The caller broke off before an answer began.
    Aborted,
}

impl Class {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Passed,
        Self::Refused,
        Self::Informational,
        Self::Success,
        Self::Redirection,
        Self::ClientError,
        Self::ServerError,
        Self::Broken,
        Self::Aborted,
    ];

    /// What a request that was let through came to.
    #[must_use]
    pub fn of(logged: &Logged<'_>) -> Self {
        let broken = logged.api_broke_off && !logged.caller_broke_off;
        match logged.status {
            500.. => Self::ServerError,
            _ if broken => Self::Broken,
            400..=499 => Self::ClientError,
            300..=399 => Self::Redirection,
            200..=299 => Self::Success,
            100..=199 => Self::Informational,
            0..=99 => Self::Aborted,
        }
    }

    /// Whether the API has failed, so that what the request took is given back where the endpoint says so. A 4xx is no
    /// failure: the API has answered. Nor is a caller who leaves: else everybody could have the work for nothing.
    #[must_use]
    pub fn is_failure(self) -> bool {
        matches!(self, Self::ServerError | Self::Broken)
    }

    /// Its name in usage and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Refused => "refused",
            Self::Informational => "1xx",
            Self::Success => "2xx",
            Self::Redirection => "3xx",
            Self::ClientError => "4xx",
            Self::ServerError => "5xx",
            Self::Broken => "broken",
            Self::Aborted => "aborted",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(status: u64, api_broke_off: bool, caller_broke_off: bool) -> &'static str {
        let logged = Logged {
            status,
            api_broke_off,
            caller_broke_off,
            ..Logged::default()
        };
        Class::of(&logged).as_str()
    }

    #[test]
    fn a_request_is_of_the_class_of_its_status_unless_somebody_broke_off() {
        for (status, expected) in [
            (0, "aborted"),
            (101, "1xx"),
            (204, "2xx"),
            (304, "3xx"),
            (429, "4xx"),
            (503, "5xx"),
            (999, "5xx"),
        ] {
            assert_eq!(class(status, false, false), expected);
        }
        assert_eq!(class(200, true, false), "broken");
        assert_eq!(class(0, true, false), "broken");
        assert_eq!(class(503, true, false), "5xx", "Envoy has said so itself");
        assert_eq!(class(200, false, true), "2xx", "an answer had begun");
        assert_eq!(class(200, true, true), "2xx", "the caller came first");
        assert_eq!(class(0, true, true), "aborted");
    }

    #[test]
    fn only_the_apis_own_failures_are_failures() {
        let failures = Class::ALL.into_iter().filter(|class| class.is_failure());
        let names: Vec<_> = failures.map(Class::as_str).collect();
        assert_eq!(names, ["5xx", "broken"]);
    }
}
