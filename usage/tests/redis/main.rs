//! The counters on a real Redis: conformance, what they keep there, exactness, and what a Redis goes through.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod attempts;
mod clock;
mod cluster;
mod credits;
mod exact;
mod give_back;
mod keys;
mod life;
mod places;
mod support;

use std::sync::Arc;
use std::time::Duration;

use glyph_usage::RedisCounters;
use glyph_usage::conformance::Subject;
use support::{Front, RELAXED, front, redis_now};

impl Subject for Front {
    type Counters = RedisCounters;

    fn counters(&self) -> Arc<RedisCounters> {
        Arc::new(self.counters.clone())
    }

    async fn now(&self) -> i64 {
        redis_now(&self.redis).await
    }

    async fn pass(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}

mod conformance {
    glyph_usage::conformance_tests!(super::front(super::RELAXED));
}
