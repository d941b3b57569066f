//! What Redis' errors mean: whose they are, where a cluster sends a request, and what a person can do.

use redis::{ErrorKind, RedisError, ServerErrorKind};

use super::url::Node;
use crate::{CountersError, Unavailable};

/// Why a question has no answer of use.
#[derive(Debug)]
pub(super) enum Failure {
    /// No answer came.
    Away(Unavailable),
    /// The answer was an error.
    Answer(RedisError),
}

impl From<Failure> for CountersError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Away(why) => Self::Unavailable(why),
            Failure::Answer(error) => Self::Failed(Box::new(error)),
        }
    }
}

/// Where a node of a cluster sends a request instead of counting it.
#[derive(Debug, PartialEq)]
pub(super) enum Redirect {
    /// The slot is held by another node.
    Moved(Node),
    /// The keys are with another node already, which takes this one request for them.
    Ask(Node),
    /// Some keys are here and some with another node.
    TryAgain,
}

impl Redirect {
    /// The redirect that the node at `asked` answered with, if it is one.
    pub(super) fn of(error: &RedisError, asked: &Node) -> Option<Self> {
        let ErrorKind::Server(kind) = error.kind() else {
            return None;
        };
        let node = || Node::told(error.redirect_node()?.0, asked);
        match kind {
            ServerErrorKind::Moved => node().map(Self::Moved),
            ServerErrorKind::Ask => node().map(Self::Ask),
            ServerErrorKind::TryAgain => Some(Self::TryAgain),
            _ => None,
        }
    }
}

/// Whether an error answer is about the data of one customer (a counter overwritten by hand), or sends elsewhere. The others
/// (loading, read-only, out of memory, no permission) concern every request.
pub(super) fn is_one_requests(error: &RedisError) -> bool {
    use ServerErrorKind::{Ask, Moved, TryAgain};
    if matches!(error.kind(), ErrorKind::Server(Ask | Moved | TryAgain)) {
        return true;
    }
    matches!(error.code(), Some("ERR" | "WRONGTYPE")) && !is_forbidden(error)
}

/// Whether the user may not do what was asked, as a command or within a script.
fn is_forbidden(error: &RedisError) -> bool {
    error.code() == Some("NOPERM") || error.to_string().contains("ACL failure in script")
}

/// What a person can do about a Redis that cannot be used; empty where waiting is all.
pub(super) fn advice(error: &RedisError) -> &'static str {
    let said = error.to_string();
    let says = |words: &str| said.contains(words);
    if is_forbidden(error) {
        return "give the user the rights in docs/redis.md";
    }
    if error.kind() == ErrorKind::AuthenticationFailed || says("WRONGPASS") || says("NOAUTH") {
        return "correct user and password in REDIS_URL";
    }
    if says("certificate") {
        return "give the authority that vouches for Redis as REDIS_CA, and name Redis as its certificate does";
    }
    match error.code() {
        Some("MOVED" | "ASK" | "CROSSSLOT") => "this Redis is a cluster: write redis+cluster://",
        Some("READONLY") => "this Redis is a replica: name its master",
        Some("OOM") => "give Redis more memory",
        Some("ERR") if says("cluster support disabled") => {
            "this Redis is no cluster: write redis:// in place of redis+cluster://"
        }
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The error of Redis' answer.
    fn error(answer: &str) -> RedisError {
        let value = redis::parse_redis_value(format!("-{answer}\r\n").as_bytes());
        value.unwrap().extract_error().unwrap_err()
    }

    #[test]
    fn an_error_about_one_customers_data_is_an_answer_and_one_about_the_server_is_none() {
        for (answer, is_one) in [
            (
                "WRONGTYPE Operation against a key holding the wrong kind of value",
                true,
            ),
            ("ERR value is not an integer or out of range", true),
            ("MOVED 1 127.0.0.1:7000", true),
            (
                "TRYAGAIN Multiple keys request during rehashing of slot",
                true,
            ),
            (
                "ERR ACL failure in script: User glyph has no permissions to run the 'hset' command",
                false,
            ),
            (
                "NOPERM User glyph has no permissions to run the 'evalsha' command",
                false,
            ),
            (
                "OOM command not allowed when used memory > 'maxmemory'.",
                false,
            ),
            (
                "READONLY You can't write against a read only replica.",
                false,
            ),
            ("CLUSTERDOWN The cluster is down", false),
            ("LOADING Redis is loading the dataset in memory", false),
        ] {
            assert_eq!(is_one_requests(&error(answer)), is_one, "{answer}");
        }
    }

    #[test]
    fn what_can_be_done_is_said_and_nothing_where_waiting_is_all() {
        for (answer, words) in [
            (
                "WRONGPASS invalid username-password pair or user is disabled.",
                "REDIS_URL",
            ),
            ("NOAUTH Authentication required.", "REDIS_URL"),
            (
                "NOPERM User glyph has no permissions to run the 'eval' command",
                "docs/redis.md",
            ),
            (
                "ERR ACL failure in script: User glyph has no permissions",
                "docs/redis.md",
            ),
            ("MOVED 1 127.0.0.1:7000", "redis+cluster://"),
            (
                "ERR This instance has cluster support disabled",
                "redis:// in place of",
            ),
            (
                "READONLY You can't write against a read only replica.",
                "master",
            ),
        ] {
            let advice = advice(&error(answer));
            assert!(advice.contains(words), "{answer}: {advice}");
        }
        assert_eq!(
            advice(&error("LOADING Redis is loading the dataset in memory")),
            ""
        );
        let unknown = std::io::Error::other("invalid peer certificate: UnknownIssuer");
        assert!(advice(&unknown.into()).contains("REDIS_CA"));
    }

    #[test]
    fn a_redirect_names_the_node_and_everything_else_is_none() {
        let node = |port| Node {
            host: "a".to_owned(),
            port,
        };
        let of = |answer| Redirect::of(&error(answer), &node(1));
        assert_eq!(of("MOVED 3999 :2"), Some(Redirect::Moved(node(2))));
        assert_eq!(of("ASK 3999 a:3"), Some(Redirect::Ask(node(3))));
        assert_eq!(of("TRYAGAIN Multiple keys"), Some(Redirect::TryAgain));
        assert_eq!(of("MOVED 3999"), None);
        assert_eq!(of("ERR no"), None);
    }
}
