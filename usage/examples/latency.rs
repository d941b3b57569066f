//! How long a decision takes in front of a real Redis, by the number of grants that a request can draw on.
//!
//!     cargo run --release -p glyph-usage --example latency [rounds]
//!
//! All kinds of request take turns over one connection, one at a time, so that whatever else the machine does falls
//! on all of them alike.

use std::error::Error;
use std::io::Write as _;
use std::time::{Duration, Instant};

use glyph_harness::Redis;
use glyph_usage::{Counters, Grant, MAX_COUNT, Period, Rate, RedisCounters, Spend};
use tokio_util::sync::CancellationToken;

const GRANTS: [usize; 4] = [0, 1, 5, 50];
const RATE: Rate = Rate {
    requests_per_second: 1_000_000,
    burst: 1_000_000,
};
const MONTH: Period = Period {
    start: 4_000_000_000,
    end: 4_002_678_400,
};

/// One kind of request, and how long each took.
struct Kind {
    name: String,
    customer: String,
    limit: Option<u64>,
    grants: Vec<Grant>,
    took: Vec<Duration>,
}

fn kind(grants: usize, paid: bool) -> Kind {
    let grant = |n| Grant {
        id: format!("00000000-0000-0000-0000-{n:012}").into(),
        available: MAX_COUNT,
        floor: 0,
        returned: 0,
        expires_at: Some(MONTH.end),
    };
    let by = if paid { "credits" } else { "quota" };
    Kind {
        name: format!("{grants} grants, {by}"),
        customer: format!("customer-{grants}-{by}"),
        limit: Some(if paid { 0 } else { MAX_COUNT }),
        grants: (0..grants).map(grant).collect(),
        took: Vec::new(),
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let rounds = std::env::args().nth(1).map_or(Ok(5_000), |n| n.parse())?;
    let redis = Redis::start().await?;
    let counters = RedisCounters::new(&redis.url(), None, Duration::from_secs(10))?;
    let keeper = counters.clone();
    tokio::spawn(async move { keeper.keep_connected(CancellationToken::new()).await });
    while !counters.is_available() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let mut kinds: Vec<_> = GRANTS.map(|grants| kind(grants, false)).into();
    kinds.extend(GRANTS[1..].iter().map(|grants| kind(*grants, true)));
    for round in 0..rounds + rounds / 10 {
        for kind in &mut kinds {
            let spend = Spend {
                customer: &kind.customer,
                key_id: "key",
                cost: 1,
                period: MONTH,
                limit: kind.limit,
                floor: 0,
                rate: Some(RATE),
                grants: &kind.grants,
            };
            let begun = Instant::now();
            counters.spend(&spend).await?;
            // The first rounds are to warm up.
            if round >= rounds / 10 {
                kind.took.push(begun.elapsed());
            }
        }
    }
    let mut out = std::io::stdout();
    writeln!(out, "microseconds          median     p99")?;
    for kind in &mut kinds {
        kind.took.sort_unstable();
        let at = |share: f64| {
            let place = (kind.took.len() as f64 * share) as usize;
            kind.took.get(place).map_or(0, Duration::as_micros)
        };
        writeln!(out, "{:20} {:7} {:7}", kind.name, at(0.5), at(0.99))?;
    }
    Ok(())
}
