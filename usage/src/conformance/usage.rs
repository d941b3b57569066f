//! The rules of usage: added up once, and looked up as it was added.

use super::Subject;
use crate::{Batch, Counters, CountersError, KEEP_DAYS, KEEP_HOURS, Line, Step, UsageRow};

const HOUR: i64 = 3600;
/// The first second of a day.
const DAY: i64 = 20_000 * 24 * HOUR;

fn line(key_id: &str, class: &str) -> Line {
    Line {
        key_id: key_id.to_owned(),
        endpoint: "items".to_owned(),
        class: class.to_owned(),
    }
}

fn batch(number: u64, hour: i64, rows: &[(&str, &str, u64)]) -> Batch {
    let row = |(key_id, class, requests): &(&str, &str, u64)| (line(key_id, class), *requests);
    Batch {
        customer: "alice".to_owned(),
        hour,
        source: "one".to_owned(),
        number,
        rows: rows.iter().map(row).collect(),
    }
}

async fn add(subject: &impl Subject, batch: &Batch) -> bool {
    let counters = subject.counters();
    counters.add_usage(batch).await.expect("an answer")
}

async fn rows(subject: &impl Subject, from: i64, to: i64, step: Step) -> Vec<(i64, String, u64)> {
    let counters = subject.counters();
    let rows = counters.usage_of("alice", from, to, step).await;
    let told = |row: UsageRow| {
        let Line {
            key_id,
            endpoint,
            class,
        } = row.line;
        (
            row.start,
            format!("{key_id} {endpoint} {class}"),
            row.requests,
        )
    };
    rows.expect("rows").into_iter().map(told).collect()
}

/// By the hour for a month, by the day for a year.
pub async fn usage_is_added_up_by_hour_and_by_day(subject: &impl Subject) {
    let evening = DAY + 23 * HOUR;
    add(subject, &batch(1, DAY, &[("k", "2xx", 5), ("k", "5xx", 1)])).await;
    add(subject, &batch(2, DAY, &[("k", "2xx", 2)])).await;
    add(subject, &batch(3, evening, &[("k", "2xx", 10)])).await;
    add(subject, &batch(4, evening + HOUR, &[("k", "2xx", 100)])).await;
    let good = "k items 2xx".to_owned();
    let bad = "k items 5xx".to_owned();
    let hours = rows(subject, DAY, DAY + 24 * HOUR, Step::Hour).await;
    let expected = [
        (DAY, good.clone(), 7),
        (DAY, bad.clone(), 1),
        (evening, good.clone(), 10),
    ];
    assert_eq!(hours, expected);
    let days = rows(subject, DAY, DAY + 48 * HOUR, Step::Day).await;
    let expected = [
        (DAY, good.clone(), 17),
        (DAY, bad, 1),
        (evening + HOUR, good, 100),
    ];
    assert_eq!(days, expected);
    let of_bob = subject.counters();
    let of_bob = of_bob.usage_of("bob", DAY, DAY + 1, Step::Day).await;
    assert_eq!(of_bob.expect("rows"), []);
}

/// An answer that was too late, and is tried again.
pub async fn a_batch_that_comes_again_counts_once(subject: &impl Subject) {
    let first = batch(1, DAY, &[("k", "2xx", 5)]);
    assert!(add(subject, &first).await);
    assert!(!add(subject, &first).await);
    let second = batch(2, DAY, &[("k", "2xx", 1)]);
    assert!(add(subject, &second).await);
    assert!(!add(subject, &first).await);
    let other = Batch {
        source: "two".to_owned(),
        ..first.clone()
    };
    assert!(
        add(subject, &other).await,
        "another sidecar counts for itself"
    );
    let bobs = Batch {
        customer: "bob".to_owned(),
        ..first
    };
    assert!(add(subject, &bobs).await, "and so does each customer");
    let all = rows(subject, DAY, DAY + 1, Step::Hour).await;
    assert_eq!(all, [(DAY, "k items 2xx".to_owned(), 11)]);
}

/// In order of time, key, endpoint and class.
pub async fn usage_is_looked_up_in_order_and_within_its_bounds(subject: &impl Subject) {
    add(
        subject,
        &batch(
            1,
            DAY + HOUR,
            &[("b", "2xx", 1), ("a", "5xx", 2), ("a", "2xx", 3)],
        ),
    )
    .await;
    add(subject, &batch(2, DAY, &[("c", "2xx", 4)])).await;
    let all = rows(subject, DAY + 1, DAY + HOUR + 1, Step::Hour).await;
    let lines: Vec<_> = all.iter().map(|(_, line, _)| line.as_str()).collect();
    assert_eq!(
        lines,
        ["c items 2xx", "a items 2xx", "a items 5xx", "b items 2xx"]
    );
    assert_eq!(rows(subject, DAY + HOUR, DAY + HOUR, Step::Hour).await, []);
    assert_eq!(rows(subject, DAY, DAY + HOUR, Step::Hour).await.len(), 1);
    let counters = subject.counters();
    for (from, to, step) in [
        (DAY, DAY - 1, Step::Day),
        (-1, DAY, Step::Day),
        (DAY, DAY + KEEP_HOURS + 1, Step::Hour),
        (DAY, DAY + KEEP_DAYS + 1, Step::Day),
    ] {
        let answer = counters.usage_of("alice", from, to, step).await;
        let refused = matches!(answer, Err(CountersError::Invalid(_)));
        assert!(refused, "{answer:?}");
    }
    let longest = counters
        .usage_of("alice", DAY, DAY + KEEP_DAYS, Step::Day)
        .await;
    assert_eq!(longest.expect("rows").len(), 4);
}

/// A row is found by what it was written under.
pub async fn batches_that_could_not_be_looked_up_are_refused(subject: &impl Subject) {
    let good = batch(1, DAY, &[("k", "2xx", 1)]);
    let wrong = |change: &dyn Fn(&mut Batch)| {
        let mut batch = good.clone();
        change(&mut batch);
        batch
    };
    for batch in [
        wrong(&|batch| batch.customer = "a}".to_owned()),
        wrong(&|batch| batch.hour = DAY + 1),
        wrong(&|batch| batch.number = 0),
        wrong(&|batch| batch.source = "a b".to_owned()),
        wrong(&|batch| batch.rows[0].0.key_id = String::new()),
        wrong(&|batch| batch.rows[0].0.endpoint = "a b".to_owned()),
        wrong(&|batch| batch.rows = vec![batch.rows[0].clone(); 501]),
    ] {
        let answer = subject.counters().add_usage(&batch).await;
        let refused = matches!(answer, Err(CountersError::Invalid(_)));
        assert!(refused, "{batch:?}: {answer:?}");
    }
    assert!(add(subject, &good).await);
}
