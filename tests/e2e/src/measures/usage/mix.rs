//! The calls that are sent, and how each has to end.

use super::place::Key;
use crate::measures::draw::Draw;

/// A way for a call to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Plain,
    Paid,
    NotFound,
    Failed,
    FailedAlways,
    Broken,
    Silent,
    Left,
    Retried,
    Refused,
}

/// Of a hundred calls, how many go each way.
const SHARES: [(Way, usize); 10] = [
    (Way::Plain, 50),
    (Way::Paid, 14),
    (Way::NotFound, 5),
    (Way::Failed, 8),
    (Way::FailedAlways, 4),
    (Way::Broken, 3),
    (Way::Silent, 1),
    (Way::Left, 2),
    (Way::Retried, 6),
    (Way::Refused, 7),
];

/// The endpoints of the API: name, path, cost, whether it pays on success only.
pub(super) const ENDPOINTS: [(&str, &str, u64, bool); 7] = [
    ("plain", "/v1/{*rest}", 1, false),
    ("dear", "/status/{status}", 5, true),
    ("always", "/status/{status}/{*rest}", 2, false),
    ("broken", "/broken", 5, true),
    ("silent", "/silent/{id}", 5, true),
    ("flaky", "/flaky/{id}", 3, true),
    ("scoped", "/scoped", 1, false),
];

/// A call that is to be made.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) key: Key,
    pub(super) way: Way,
    pub(super) path: String,
    pub(super) endpoint: &'static str,
    pub(super) cost: u64,
    pub(super) pays_on_success: bool,
}

/// All calls.
pub(super) struct Mix;

impl Mix {
    /// So many calls, each with one of `keys`.
    pub(super) fn drawn(draw: &mut Draw, calls: usize, keys: &[Key]) -> Vec<Call> {
        (0..calls)
            .map(|turn| {
                let way = way(draw.below(100));
                let key = keys[draw.below(keys.len())].clone();
                call(key, way, turn)
            })
            .collect()
    }
}

fn way(mut share: usize) -> Way {
    for (way, of_hundred) in SHARES {
        if share < of_hundred {
            return way;
        }
        share -= of_hundred;
    }
    Way::Plain
}

fn call(key: Key, way: Way, turn: usize) -> Call {
    let (at, path) = match way {
        Way::Plain => (0, "/v1/anything".to_owned()),
        Way::Paid => (1, "/status/200".to_owned()),
        Way::NotFound => (1, "/status/404".to_owned()),
        Way::Failed => (1, "/status/500".to_owned()),
        Way::FailedAlways => (2, "/status/503/for/all".to_owned()),
        Way::Broken => (3, "/broken".to_owned()),
        Way::Silent | Way::Left => (4, format!("/silent/{turn}")),
        Way::Retried => (5, format!("/flaky/{turn}")),
        Way::Refused => (6, "/scoped".to_owned()),
    };
    let (endpoint, _, cost, pays_on_success) = ENDPOINTS[at];
    Call {
        key,
        way,
        path,
        endpoint,
        cost,
        pays_on_success,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shares_are_of_a_hundred_and_each_is_drawn() {
        let all: usize = SHARES.iter().map(|(_, share)| share).sum();
        assert_eq!(all, 100);
        for (expected, _) in SHARES {
            assert!((0..100).any(|share| way(share) == expected), "{expected:?}");
        }
    }
}
