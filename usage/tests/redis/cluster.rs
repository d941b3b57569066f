//! What a cluster goes through: slots that move, a node that hangs, forgets the script, breaks connections or evicts.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use glyph_harness::redis::RedisCluster;
use glyph_usage::{
    Charge, Counters, CountersError, CreditsUsed, DEFAULT_DEADLINE, GivenBack, Grant,
    RedisCounters, Spend, Unavailable,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use crate::places::{Elsewhere, clustered_with};
use crate::support::{MONTH, PLAIN, RELAXED, connect_to, eventually, redis_now};

/// As the breaker has it.
const FAILURES_TO_OPEN: usize = 5;

async fn used_after_one_more(
    counters: &RedisCounters,
    customer: &str,
) -> Result<u64, CountersError> {
    let spend = Spend { customer, ..PLAIN };
    Ok(counters.spend(&spend).await?.used)
}

/// A customer whose counters the master of this number holds.
async fn customer_of(redis: &RedisCluster, master: usize) -> String {
    for number in 0.. {
        let customer = format!("customer-{number}");
        let slot = redis.slot(&format!("{{{customer}}}")).await.unwrap();
        if redis.holder(slot).await.unwrap() == master {
            return customer;
        }
    }
    unreachable!("some customer is everywhere");
}

/// A slot with what is counted of a customer in it, on its way from one master to another.
struct Moving {
    slot: u16,
    keys: [String; 3],
    from: usize,
    to: usize,
}

impl Moving {
    async fn begin(redis: &RedisCluster, customer: &str) -> Self {
        let slot = redis.slot(&format!("{{{customer}}}")).await.unwrap();
        let from = redis.holder(slot).await.unwrap();
        let moving = Self {
            slot,
            keys: [
                format!("glyph:{{{customer}}}:quota:{}", MONTH.start),
                format!("glyph:{{{customer}}}:rate:key"),
                format!("glyph:{{{customer}}}:returned:{}", MONTH.start),
            ],
            from,
            to: (from + 1) % 3,
        };
        redis.begin_move(slot, from, moving.to).await.unwrap();
        moving
    }

    async fn key(&self, redis: &RedisCluster, number: usize) {
        let key = &self.keys[number];
        redis.move_key(key, self.from, self.to).await.unwrap();
    }

    async fn end(self, redis: &RedisCluster) {
        redis.end_move(self.slot, self.to).await.unwrap();
    }
}

/// CASE 56.
#[tokio::test]
async fn a_slot_that_moves_is_followed_at_each_stage_and_the_count_goes_on() {
    let Elsewhere {
        redis, counters, ..
    } = &clustered_with(RELAXED).await;
    // A node that is being given a slot takes a request only when it has all of its keys: so there is something returned.
    let charge = Charge {
        customer: "alice".into(),
        id: "one".to_owned(),
        at: redis_now(redis.master(0)).await,
        period: MONTH,
        calls: 1,
        credits: Vec::new(),
    };
    let used = used_after_one_more(counters, "alice").await;
    assert_eq!(used.unwrap(), 1);
    assert_eq!(counters.give_back(&charge).await.unwrap(), GivenBack::Now);
    let mut expected = 0;
    let mut one_more = async |stage: &str| {
        expected += 1;
        let used = used_after_one_more(counters, "alice").await;
        assert_eq!(used.unwrap(), expected, "{stage}");
    };
    one_more("at rest").await;
    let moving = Moving::begin(redis, "alice").await;
    one_more("about to move").await;
    moving.key(redis, 0).await;
    moving.key(redis, 2).await;
    one_more("moved, and asked for at the new node").await;
    moving.end(redis).await;
    one_more("given to the new node").await;
    // The cluster's own word comes by and by; each request is right before and after it.
    for _ in 0..50 {
        one_more("at rest again").await;
    }
}

/// CASE 56. Between two nodes a request with two keys is told to try again: it does, within its deadline.
#[tokio::test]
async fn a_request_whose_keys_are_between_two_nodes_waits_for_them() {
    let Elsewhere {
        redis, counters, ..
    } = &clustered_with(RELAXED).await;
    let rated = Spend {
        rate: Some(glyph_usage::Rate {
            requests_per_second: 1000,
            burst: 1000,
        }),
        ..PLAIN
    };
    assert_eq!(counters.spend(&rated).await.unwrap().used, 1);
    let moving = Moving::begin(redis, "alice").await;
    moving.key(redis, 0).await;
    let waits = async { counters.spend(&rated).await.unwrap().used };
    let moves = async {
        // By the old node, which has one key of two; or by the new one, when the other has expired meanwhile.
        eventually("the request to be told to try again", async || {
            let told = async |node: usize| {
                let errors = redis.master(node).answer("INFO errorstats").await;
                errors.unwrap().contains("errorstat_TRYAGAIN")
            };
            told(moving.from).await || told(moving.to).await
        })
        .await;
        moving.key(redis, 1).await;
        moving.end(redis).await;
    };
    assert_eq!(tokio::join!(waits, moves).0, 2);
}

/// CASE 57, while a slot goes to and fro.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exactly_the_limit_passes_while_its_slot_moves() {
    let world = Arc::new(clustered_with(RELAXED).await);
    let (limit, clients) = (400, 8);
    let stop = Arc::new(AtomicBool::new(false));
    let tasks: Vec<_> = (0..clients)
        .map(|_| {
            let (world, stop) = (Arc::clone(&world), Arc::clone(&stop));
            tokio::spawn(async move {
                let spend = Spend {
                    limit: Some(limit),
                    ..PLAIN
                };
                let mut admitted = 0;
                while !stop.load(Ordering::Relaxed) {
                    match world.counters.spend(&spend).await.unwrap().decision {
                        glyph_usage::Decision::Admitted => admitted += 1,
                        _ => return admitted,
                    }
                }
                admitted
            })
        })
        .collect();
    let mover = async {
        for _ in 0..6 {
            let moving = Moving::begin(&world.redis, "alice").await;
            moving.key(&world.redis, 0).await;
            moving.end(&world.redis).await;
        }
    };
    mover.await;
    let mut admitted = 0;
    for task in tasks {
        admitted += task.await.unwrap();
    }
    stop.store(true, Ordering::Relaxed);
    assert_eq!(admitted, limit);
}

/// CASE 54.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_hangs_costs_its_own_customers_the_deadline_and_nobody_else_anything() {
    let Elsewhere {
        redis, counters, ..
    } = &clustered_with(DEFAULT_DEADLINE).await;
    let (hung, well) = (customer_of(redis, 1).await, customer_of(redis, 2).await);
    redis.master(1).pause();
    for _ in 0..FAILURES_TO_OPEN {
        let answer = used_after_one_more(counters, &hung).await.unwrap_err();
        assert!(
            matches!(answer, CountersError::Unavailable(Unavailable::TooLate(_))),
            "{answer:?}"
        );
        // Answers of others are not held for the hung one's.
        eventually("the well node's answer", async || {
            used_after_one_more(counters, &well).await.is_ok()
        })
        .await;
    }
    let begun = Instant::now();
    for _ in 0..100 {
        let answer = used_after_one_more(counters, &hung).await;
        assert!(
            matches!(
                answer,
                Err(CountersError::Unavailable(Unavailable::NotConnected))
            ),
            "{answer:?}"
        );
    }
    assert!(begun.elapsed() < 100 * DEFAULT_DEADLINE / 2);
    redis.master(1).resume();
    eventually("an answer after SIGCONT", async || {
        used_after_one_more(counters, &hung).await.is_ok()
    })
    .await;
}

async fn used(counters: &RedisCounters, customer: &str) -> Option<u64> {
    counters.used(customer, MONTH).await.ok()
}

/// A request whose connection breaks may have been counted: it is not sent again, so that it is never counted twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_whose_connection_breaks_is_counted_once_at_most() {
    let Elsewhere {
        redis, counters, ..
    } = &clustered_with(RELAXED).await;
    let customer = customer_of(redis, 1).await;
    let node = redis.master(1);
    let mut lost_though_counted = 0;
    for _ in 0..20 {
        eventually("a connection", async || {
            used(counters, &customer).await.is_some()
        })
        .await;
        let before = used(counters, &customer).await.unwrap();
        let mut killer = TcpStream::connect(("127.0.0.1", node.port()))
            .await
            .unwrap();
        killer.write_all(b"PING\r\n").await.unwrap();
        killer.read_exact(&mut [0; 7]).await.unwrap();
        // Requests and the kill lie before the node when it goes on: it counts, and closes before it has written its answers.
        node.pause();
        let spends = (0..20).map(|_| used_after_one_more(counters, &customer));
        let kill = async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            killer
                .write_all(b"CLIENT KILL TYPE normal SKIPME yes\r\n")
                .await
                .unwrap();
            node.resume();
        };
        let (answers, ()) = tokio::join!(futures::future::join_all(spends), kill);
        let answered = answers.iter().filter(|answer| answer.is_ok()).count();
        eventually("a connection", async || {
            used(counters, &customer).await.is_some()
        })
        .await;
        let counted = used(counters, &customer).await.unwrap() - before;
        assert!(counted <= 20, "{counted} counted of 20 that were sent");
        lost_though_counted += counted - u64::try_from(answered).unwrap();
    }
    assert!(
        lost_though_counted > 0,
        "no connection broke between count and answer"
    );
}

/// CASE 56.
#[tokio::test]
async fn a_node_that_has_forgotten_the_script_is_sent_it_within_the_same_request() {
    let Elsewhere {
        redis, counters, ..
    } = &clustered_with(RELAXED).await;
    for master in 0..3 {
        let customer = customer_of(redis, master).await;
        for used in 1..=3 {
            let said = redis.master(master).command_line("SCRIPT FLUSH").await;
            assert_eq!(said.unwrap(), "+OK");
            let now = used_after_one_more(counters, &customer).await;
            assert_eq!(now.unwrap(), used);
        }
    }
}

/// CASE 56.
#[tokio::test]
async fn a_cluster_of_which_one_node_evicts_counters_is_refused_at_the_start() {
    let redis = RedisCluster::start().await.unwrap();
    let set = "CONFIG SET maxmemory-policy allkeys-lru";
    assert_eq!(redis.master(2).command_line(set).await.unwrap(), "+OK");
    let counters = RedisCounters::new(&redis.url(), None, RELAXED).unwrap();
    let kept = counters.keep_connected(CancellationToken::new());
    let refused = kept.await.unwrap_err().to_string();
    assert!(
        refused.contains("maxmemory-policy allkeys-lru"),
        "{refused}"
    );
}

#[tokio::test]
async fn one_node_of_the_url_is_enough_to_find_all() {
    let redis = RedisCluster::start().await.unwrap();
    let url = format!(
        "redis+cluster://127.0.0.1:1,127.0.0.1:{}",
        redis.master(1).port()
    );
    let (counters, _keeper) = connect_to(&url, None, RELAXED).await;
    for master in 0..3 {
        let customer = customer_of(&redis, master).await;
        assert_eq!(used_after_one_more(&counters, &customer).await.unwrap(), 1);
    }
}

#[tokio::test]
async fn credits_of_customers_on_many_nodes_are_read_at_once() {
    let Elsewhere { counters, .. } = &clustered_with(RELAXED).await;
    let customers: Vec<_> = (0..30).map(|number| format!("customer-{number}")).collect();
    let grants = [Grant {
        id: "grant".into(),
        available: 100,
        floor: 0,
        returned: 0,
        expires_at: None,
    }];
    for (customer, cost) in customers.iter().zip(1..) {
        let spend = Spend {
            customer,
            cost,
            limit: Some(0),
            grants: &grants,
            ..PLAIN
        };
        counters.spend(&spend).await.unwrap();
    }
    let names: Vec<_> = customers.iter().map(String::as_str).collect();
    let read = counters.used_credits(&names).await.unwrap();
    let expected: Vec<_> = (1..=30)
        .map(|used| BTreeMap::from([("grant".to_owned(), CreditsUsed { used, returned: 0 })]))
        .collect();
    assert_eq!(read, expected);
}
