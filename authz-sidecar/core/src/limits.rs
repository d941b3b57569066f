//! The `RateLimit` and `RateLimit-Policy` response fields
//! (<https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/>, draft 10): what is left, and of what.
//!
//! Credits have a field of their own, `x-glyph-credits-remaining`: as an item of `RateLimit` they would have no window,
//! and a client that goes by the item of which least is left would stop at credits it has not needed yet.

use std::fmt::Write;

/// What a caller may know of the limits that held for a request. Empty when there is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// The monthly quota, in calls.
    pub month: Option<Window>,
    /// The rate limit of the key, in requests.
    pub rate: Option<Window>,
    /// Credits left, where the request could draw on some.
    pub credits: Option<u64>,
}

/// One limit and its state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// How much there is in all.
    pub quota: u64,
    /// In how many seconds it is there again.
    pub window: u64,
    /// How much is left.
    pub remaining: u64,
    /// After how many seconds all of it is there again.
    pub reset: u64,
}

impl Limits {
    /// Calls `set` with each response field and its value.
    pub(crate) fn fields(&self, mut set: impl FnMut(&'static str, &str)) {
        let [mut policy, mut state] = [const { String::new() }; 2];
        for (name, window) in [("month", self.month), ("rate", self.rate)] {
            let Some(Window {
                quota,
                window,
                remaining,
                reset,
            }) = window
            else {
                continue;
            };
            let separator = if policy.is_empty() { "" } else { ", " };
            // Writing to a String does not fail.
            let _ = write!(policy, "{separator}\"{name}\";q={quota};w={window}");
            let _ = write!(state, "{separator}\"{name}\";r={remaining};t={reset}");
        }
        if !policy.is_empty() {
            set("ratelimit-policy", &policy);
            set("ratelimit", &state);
        }
        if let Some(credits) = self.credits {
            set("x-glyph-credits-remaining", &credits.to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(limits: &Limits) -> Vec<String> {
        let mut fields = Vec::new();
        limits.fields(|name, value| fields.push(format!("{name}: {value}")));
        fields
    }

    #[test]
    fn each_limit_is_an_item_of_both_fields_and_no_limit_is_no_field() {
        let month = Window {
            quota: 100,
            window: 2_592_000,
            remaining: 50,
            reset: 30,
        };
        let rate = Window {
            quota: 20,
            window: 2,
            remaining: 19,
            reset: 1,
        };
        assert_eq!(fields(&Limits::default()), [""; 0]);
        assert_eq!(
            fields(&Limits {
                month: Some(month),
                ..Limits::default()
            }),
            [
                "ratelimit-policy: \"month\";q=100;w=2592000",
                "ratelimit: \"month\";r=50;t=30"
            ]
        );
        assert_eq!(
            fields(&Limits {
                month: Some(month),
                rate: Some(rate),
                credits: Some(7),
            }),
            [
                "ratelimit-policy: \"month\";q=100;w=2592000, \"rate\";q=20;w=2",
                "ratelimit: \"month\";r=50;t=30, \"rate\";r=19;t=1",
                "x-glyph-credits-remaining: 7"
            ]
        );
    }
}
