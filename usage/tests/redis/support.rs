//! A Redis, counters connected to it, and the ways to wait.

use std::time::Duration;

use glyph_harness::{Redis, poll_until};
use glyph_usage::{Period, RedisCounters, Spend};
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

/// For tests that are not about the deadline: a busy machine must not fail them.
pub const RELAXED: Duration = Duration::from_secs(10);

/// A month far from the present one.
pub const MONTH: Period = Period {
    start: 4_000_000_000,
    end: 4_002_678_400,
};

/// A request of cost 1 by the key `key` of the customer `alice`, without limits.
pub const PLAIN: Spend<'static> = Spend {
    customer: "alice",
    key_id: "key",
    cost: 1,
    period: MONTH,
    limit: None,
    floor: 0,
    rate: None,
    grants: &[],
};

/// A Redis of its own, and counters connected to it.
pub struct Front {
    pub redis: Redis,
    pub counters: RedisCounters,
    _keeper: DropGuard,
}

/// A new Redis, and counters connected to it that wait `deadline` for an answer.
pub async fn front(deadline: Duration) -> Front {
    front_of(Redis::start().await.unwrap(), deadline).await
}

/// Counters connected to this Redis.
pub async fn front_of(redis: Redis, deadline: Duration) -> Front {
    let (counters, keeper) = connect(&redis, deadline).await;
    Front {
        redis,
        counters,
        _keeper: keeper,
    }
}

/// Further counters on the same Redis, as another sidecar has them. They stay connected while the guard lives.
pub async fn connect(redis: &Redis, deadline: Duration) -> (RedisCounters, DropGuard) {
    connect_to(&redis.url(), None, deadline).await
}

/// Counters connected to whatever is at `url`.
pub async fn connect_to(
    url: &str,
    authority: Option<&str>,
    deadline: Duration,
) -> (RedisCounters, DropGuard) {
    let counters = RedisCounters::new(url, authority, deadline).unwrap();
    let stop = CancellationToken::new();
    let keeper = counters.clone();
    let guard = stop.clone().drop_guard();
    let _task: JoinHandle<_> = tokio::spawn(async move { keeper.keep_connected(stop).await });
    eventually("a connection", async || counters.is_available()).await;
    (counters, guard)
}

/// Waits until `condition` holds.
pub async fn eventually(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let deadline = Duration::from_secs(20);
    poll_until(what, deadline, async || condition().await.then_some(()))
        .await
        .unwrap();
}

/// The number in Redis' answer `:42`.
pub fn int(answer: &str) -> i64 {
    answer.trim_start_matches(':').parse().unwrap()
}

/// The second that Redis' clock shows, since 1970.
pub async fn redis_now(redis: &Redis) -> i64 {
    let script = r#"EVAL "return tonumber(redis.call('TIME')[1])" 0"#;
    int(&redis.command_line(script).await.unwrap())
}
