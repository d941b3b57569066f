//! Attempts: counted together by all processes, in a window that begins with the first and ends by itself.

use std::time::Duration;

use futures::future::join_all;

use crate::support::{RELAXED, connect, front};

const WINDOW: Duration = Duration::from_secs(60);

#[tokio::test]
async fn attempts_of_one_are_counted_together_and_of_another_apart() {
    let front = front(RELAXED).await;
    let (other, _connected) = connect(&front.redis, RELAXED).await;
    let asked = (0..20).map(|turn| {
        if turn % 2 == 0 {
            &front.counters
        } else {
            &other
        }
    });
    let made = join_all(asked.map(|counters| counters.attempt("eve", WINDOW))).await;
    let mut made: Vec<_> = made.into_iter().map(|made| made.unwrap()).collect();
    made.sort_by_key(|attempts| attempts.made);
    assert!(made.iter().map(|attempts| attempts.made).eq(1..=20));
    assert!(made.iter().all(|attempts| attempts.forgotten_in <= WINDOW));
    assert_eq!(other.attempt("ada", WINDOW).await.unwrap().made, 1);
}

#[tokio::test]
async fn a_window_ends_by_itself_and_attempts_can_be_forgotten_before() {
    let front = front(RELAXED).await;
    let short = Duration::from_millis(300);
    assert_eq!(front.counters.attempt("eve", short).await.unwrap().made, 1);
    let again = glyph_harness::poll_until("the window to end", WINDOW, async || {
        let made = front.counters.attempt("eve", short).await.ok()?.made;
        (made == 1).then_some(())
    });
    again.await.unwrap();
    for _ in 0..3 {
        front.counters.attempt("ada", WINDOW).await.unwrap();
    }
    front.counters.forget_attempts("ada").await.unwrap();
    assert_eq!(front.counters.attempt("ada", WINDOW).await.unwrap().made, 1);
    assert!(front.counters.attempt("a{d}a", WINDOW).await.is_err());
}
