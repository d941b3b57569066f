//! The same counters wherever Redis is: with TLS and a user of few rights, behind Sentinels, in a cluster; and what a failover
//! costs.

use std::sync::Arc;
use std::time::Duration;

use glyph_harness::Redis;
use glyph_harness::redis::{Certificate, RedisCluster, SentinelRedis};
use glyph_usage::conformance::Subject;
use glyph_usage::{Counters as _, CountersError, RedisCounters, Spend};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::support::{MONTH, PLAIN, RELAXED, connect_to, eventually, redis_now};

/// Exactly the rights that the counters need (docs/redis.md).
const RIGHTS: &str = "~glyph:* -@all +evalsha +eval +script|load +info +time +get +set +ttl +pttl +expire +hset +hmget +hgetall";

/// Counters at a Redis that is not a plain server, and a server of it whose clock is looked at.
pub struct Elsewhere<R> {
    pub redis: R,
    pub counters: RedisCounters,
    clock: fn(&R) -> &Redis,
    _keeper: DropGuard,
}

impl<R: Send + Sync + 'static> Subject for Elsewhere<R> {
    type Counters = RedisCounters;

    fn counters(&self) -> Arc<RedisCounters> {
        Arc::new(self.counters.clone())
    }

    async fn now(&self) -> i64 {
        redis_now((self.clock)(&self.redis)).await
    }

    async fn pass(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}

async fn guarded() -> Elsewhere<Redis> {
    let (redis, url, authority) = secure(RIGHTS).await;
    let (counters, keeper) = connect_to(&url, Some(&authority), RELAXED).await;
    Elsewhere {
        redis,
        counters,
        clock: |redis| redis,
        _keeper: keeper,
    }
}

/// A server that takes TLS as well, and a user with `rights`; the URL for both, and who vouches for the server.
async fn secure(rights: &str) -> (Redis, String, String) {
    let certificate = Certificate::make().await.unwrap();
    let port = glyph_harness::net::free_port().unwrap().to_string();
    let of = |file: &std::path::Path| file.display().to_string();
    let (certificate_file, key_file, authority_file) = (
        of(&certificate.certificate),
        of(&certificate.key),
        of(&certificate.authority),
    );
    let mut options = vec![
        "--tls-port",
        &port,
        "--tls-cert-file",
        &certificate_file,
        "--tls-key-file",
        &key_file,
        "--tls-ca-cert-file",
        &authority_file,
        "--tls-auth-clients",
        "no",
    ];
    options.extend(user(rights));
    let redis = Redis::start_with(&options).await.unwrap();
    let authority = std::fs::read_to_string(&certificate.authority).unwrap();
    (
        redis,
        format!("rediss://glyph:word@127.0.0.1:{port}"),
        authority,
    )
}

/// The words that give every server a user with `rights`.
fn user(rights: &str) -> Vec<&str> {
    let user = ["--user", "glyph", "on", ">word"];
    user.into_iter().chain(rights.split(' ')).collect()
}

/// `url` with that user's name and password.
fn as_user(url: &str) -> String {
    url.replacen("://", "://glyph:word@", 1)
}

async fn watched() -> Elsewhere<SentinelRedis> {
    let redis = SentinelRedis::start_with(&user(RIGHTS)).await.unwrap();
    let (counters, keeper) = connect_to(&as_user(&redis.url()), None, RELAXED).await;
    Elsewhere {
        redis,
        counters,
        clock: SentinelRedis::first_master,
        _keeper: keeper,
    }
}

/// With the rights that a cluster takes besides.
async fn clustered() -> Elsewhere<RedisCluster> {
    clustered_with(RELAXED).await
}

pub async fn clustered_with(deadline: Duration) -> Elsewhere<RedisCluster> {
    let rights = format!("{RIGHTS} +cluster|slots +asking");
    let redis = RedisCluster::start_with(&user(&rights)).await.unwrap();
    let (counters, keeper) = connect_to(&as_user(&redis.url()), None, deadline).await;
    Elsewhere {
        redis,
        counters,
        clock: |redis| redis.master(0),
        _keeper: keeper,
    }
}

mod with_tls_and_few_rights {
    glyph_usage::conformance_tests!(super::guarded());
}

mod behind_sentinels_with_few_rights {
    glyph_usage::conformance_tests!(super::watched());
}

mod in_a_cluster_with_few_rights {
    glyph_usage::conformance_tests!(super::clustered());
}

/// Spends one call of a quota of ten; gives how much is used.
async fn spend(counters: &RedisCounters, customer: &str) -> Result<u64, CountersError> {
    let spend = Spend {
        customer,
        limit: Some(10),
        period: MONTH,
        ..PLAIN
    };
    Ok(counters.spend(&spend).await?.used)
}

#[tokio::test]
async fn a_server_that_nobody_vouches_for_is_not_asked() {
    let (_redis, url, _) = secure(RIGHTS).await;
    let counters = RedisCounters::new(&url, None, RELAXED).unwrap();
    let stop = CancellationToken::new();
    let _guard = stop.clone().drop_guard();
    let keeper = counters.clone();
    tokio::spawn(async move { keeper.keep_connected(stop).await });
    counters.tried().await;
    assert!(!counters.is_available());
}

#[tokio::test]
async fn attempts_are_counted_with_the_least_rights() {
    let guarded = guarded().await;
    let minute = Duration::from_secs(60);
    let made = async || guarded.counters.attempt("eve", minute).await.unwrap().made;
    assert_eq!(made().await, 1);
    guarded.counters.forget_attempts("eve").await.unwrap();
    assert_eq!(made().await, 1);
}

#[tokio::test]
async fn a_user_who_lacks_a_right_is_found_out_before_a_request_depends_on_it() {
    for right in ["+evalsha +eval", "+hmget", "+ttl", "+script|load"] {
        let (_redis, url, authority) = secure(&RIGHTS.replace(right, "")).await;
        let counters = RedisCounters::new(&url, Some(&authority), RELAXED).unwrap();
        let stop = CancellationToken::new();
        let _guard = stop.clone().drop_guard();
        let keeper = counters.clone();
        tokio::spawn(async move { keeper.keep_connected(stop).await });
        counters.tried().await;
        assert!(!counters.is_available(), "without {right}");
        assert!(spend(&counters, "alice").await.is_err());
    }
}

#[tokio::test]
async fn a_sentinel_that_hangs_does_not_keep_the_master_from_being_found() {
    let redis = SentinelRedis::start().await.unwrap();
    redis.pause_sentinel(0);
    let (counters, _keeper) = connect_to(&redis.url(), None, RELAXED).await;
    assert_eq!(spend(&counters, "alice").await.unwrap(), 1);
}

#[tokio::test]
async fn when_the_sentinels_hand_over_to_another_master_the_count_goes_on_there() {
    let Elsewhere {
        redis,
        counters,
        _keeper,
        ..
    } = watched().await;
    for used in 1..=4 {
        assert_eq!(spend(&counters, "alice").await.unwrap(), used);
    }
    redis.hand_over().await.unwrap();
    eventually("the new master to be asked", async || {
        spend(&counters, "alice").await.is_ok_and(|used| used > 4)
    })
    .await;
}

#[tokio::test]
async fn after_a_failover_by_sentinels_the_count_goes_on_from_the_highest_seen() {
    let Elsewhere {
        redis,
        counters,
        _keeper,
        ..
    } = watched().await;
    for used in 1..=4 {
        assert_eq!(spend(&counters, "alice").await.unwrap(), used);
    }
    // The new master may lack the last writes: here it lacks all of them.
    redis.fail_over().await.unwrap();
    eventually("the new master to be asked", async || {
        spend(&counters, "bob").await.is_ok()
    })
    .await;
    assert_eq!(spend(&counters, "alice").await.unwrap(), 5);
}

#[tokio::test]
async fn after_a_replicas_promotion_in_a_cluster_nobody_gets_back_what_was_used() {
    let Elsewhere {
        redis,
        counters,
        _keeper,
        ..
    } = clustered().await;
    let customers: Vec<_> = (0..20).map(|number| format!("customer-{number}")).collect();
    for customer in &customers {
        assert_eq!(spend(&counters, customer).await.unwrap(), 1);
    }
    redis.fail_over().await.unwrap();
    for customer in &customers {
        let mut used = 0;
        eventually("the count to go on", async || {
            used = spend(&counters, customer).await.unwrap_or(0);
            used > 0
        })
        .await;
        assert!(used >= 2, "{customer} got back what was used: {used}");
    }
}
