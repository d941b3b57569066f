//! What the client does when things go wrong (CASE 32): what is tried again, under which key, and what is told.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use glyph_stripe_sim::{Control, Fault, FaultKind, When};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::captured::Captured;

const AT_ONCE: Duration = Duration::from_secs(5);

/// Makes a customer while `fault` strikes the next `times` requests to make one.
async fn create_with(world: &World, kind: FaultKind, times: u32) -> CallResult<Customer> {
    let fault = Fault::new(kind).on("POST", "/v1/customers").times(times);
    world.sim.control().add_fault(fault);
    world.stripe.create_customer("key-1", &ada()).await
}

/// Asserts that one customer came of these answers, all of them to the same key.
fn one_customer_after(world: &World, statuses: &[u16]) {
    let expected: Vec<_> = statuses
        .iter()
        .map(|&status| ("key-1".to_owned(), status))
        .collect();
    assert_eq!(world.tries(), expected);
    assert_eq!(world.customers(), 1);
}

fn rate_limit(should_retry: Option<bool>, retry_after: Option<u64>) -> FaultKind {
    FaultKind::RateLimit {
        should_retry,
        retry_after,
    }
}

#[tokio::test]
async fn a_429_without_a_word_of_stripes_is_tried_again_under_the_same_key() {
    let world = World::start().await;
    create_with(&world, rate_limit(None, None), 1)
        .await
        .unwrap();
    one_customer_after(&world, &[429, 200]);
}

#[tokio::test]
async fn a_429_that_says_do_not_retry_is_not_retried() {
    let world = World::start().await;
    let error = create_with(&world, rate_limit(Some(false), None), 1)
        .await
        .unwrap_err();
    assert_eq!(error.class, FailureClass::Throttled(None));
    assert_eq!(world.tries(), [("key-1".to_owned(), 429)]);
}

#[tokio::test]
async fn a_429_that_says_when_is_obeyed() {
    let world = World::start().await;
    let started = Instant::now();
    create_with(&world, rate_limit(Some(true), Some(1)), 1)
        .await
        .unwrap();
    assert!(started.elapsed() >= Duration::from_secs(1));
    one_customer_after(&world, &[429, 200]);
}

#[tokio::test]
async fn a_429_that_asks_for_an_hour_is_handed_on_at_once() {
    let world = World::start().await;
    let started = Instant::now();
    let error = create_with(&world, rate_limit(None, Some(3600)), 1)
        .await
        .unwrap_err();
    let five_minutes = Duration::from_secs(300);
    assert_eq!(error.class, FailureClass::Throttled(Some(five_minutes)));
    assert!(started.elapsed() < AT_ONCE);
}

#[tokio::test]
async fn a_storm_of_429_ends_after_four_tries() {
    let world = World::start().await;
    let error = create_with(&world, rate_limit(None, None), 100)
        .await
        .unwrap_err();
    assert_eq!(error.class, FailureClass::Throttled(None));
    assert_eq!(world.tries().len(), 4);
}

#[tokio::test]
async fn an_html_502_before_or_after_the_effect_leaves_one_customer() {
    let world = World::start().await;
    let before = FaultKind::BadGateway { when: When::Before };
    create_with(&world, before, 2).await.unwrap();
    one_customer_after(&world, &[502, 502, 200]);

    let world = World::start().await;
    let after = FaultKind::BadGateway { when: When::After };
    create_with(&world, after, 1).await.unwrap();
    one_customer_after(&world, &[502, 200]);
}

#[tokio::test]
async fn a_connection_reset_before_or_after_the_effect_leaves_one_customer() {
    let world = World::start().await;
    let before = FaultKind::Reset { when: When::Before };
    create_with(&world, before, 2).await.unwrap();
    one_customer_after(&world, &[0, 0, 200]);

    let world = World::start().await;
    let after = FaultKind::Reset { when: When::After };
    create_with(&world, after, 1).await.unwrap();
    one_customer_after(&world, &[0, 200]);
}

#[tokio::test]
async fn a_500_that_stripe_stores_is_told_apart_and_a_new_key_gets_through() {
    let world = World::start().await;
    let kind = FaultKind::ServerError { when: When::Before };
    let error = create_with(&world, kind, 1).await.unwrap_err();
    assert_eq!(error.class, FailureClass::StoredFailure);
    assert_eq!(world.tries().len(), 2);
    world.stripe.create_customer("key-2", &ada()).await.unwrap();
    assert_eq!(world.customers(), 1);
}

#[tokio::test]
async fn a_409_while_the_first_is_in_flight_waits_for_its_answer() {
    let world = World::start().await;
    let slow = Fault::new(FaultKind::Latency { ms: 600 })
        .on("POST", "/v1/customers")
        .times(1);
    world.sim.control().add_fault(slow);
    let params = ada();
    let (first, second) = tokio::join!(
        world.stripe.create_customer("key-1", &params),
        world.stripe.create_customer("key-1", &params)
    );
    assert_eq!(first.unwrap().id, second.unwrap().id);
    assert!(
        world.tries().iter().any(|(_, status)| *status == 409),
        "{:?}",
        world.tries()
    );
    assert_eq!(world.customers(), 1);
}

#[tokio::test]
async fn a_stripe_that_hangs_is_given_up_at_the_deadline() {
    let sim = start_sim().await;
    let base = sim.base_url();
    let deadlines = Deadlines {
        attempt: Duration::from_millis(300),
        call: Duration::from_millis(700),
    };
    let world = World::at(sim, &base, deadlines);
    let started = Instant::now();
    let hang = Fault::new(FaultKind::Latency { ms: 60_000 }).on("GET", "/v1/customers/*");
    world.sim.control().add_fault(hang);
    let error = world.stripe.customer("cus_1").await.unwrap_err();
    assert_eq!(error.class, FailureClass::Transient);
    assert!(
        started.elapsed() < Duration::from_secs(10),
        "{:?}",
        started.elapsed()
    );
    assert_eq!(
        error.to_string(),
        "failed to read the Stripe customer: Stripe did not answer in time"
    );
}

#[tokio::test]
async fn nobody_listening_is_transient_and_says_so() {
    let sim = start_sim().await;
    let base = sim.base_url();
    sim.stop().await;
    let world = World::at(start_sim().await, &base, Deadlines::default());
    let error = world.stripe.customer("cus_1").await.unwrap_err();
    assert_eq!(error.class, FailureClass::Transient);
    assert!(error.message.contains("refused"), "{error}");
}

#[tokio::test]
async fn a_wrong_key_names_its_setting_and_the_right_one_works_without_a_restart() {
    let world = World::start().await;
    let wrong = "sk_test_wrongcanary";
    *world.key.lock().unwrap() = wrong.to_owned();
    let error = world
        .stripe
        .create_customer("key-1", &ada())
        .await
        .unwrap_err();
    assert_eq!(error.class, FailureClass::Credential("STRIPE_SECRET_KEY"));
    assert!(!error.to_string().contains(wrong), "{error}");
    *world.key.lock().unwrap() = KEY.to_owned();
    world.stripe.create_customer("key-1", &ada()).await.unwrap();
}

#[tokio::test]
async fn without_a_key_nothing_is_sent_and_the_setting_is_named() {
    let world = World::start().await;
    world.key.lock().unwrap().clear();
    let error = world.stripe.customer("cus_1").await.unwrap_err();
    assert_eq!(error.class, FailureClass::Credential("STRIPE_SECRET_KEY"));
    assert!(
        error.message.contains("STRIPE_SECRET_KEY is not set"),
        "{error}"
    );
    assert!(world.sim.control().requests().is_empty());
}

#[tokio::test]
async fn a_base_may_carry_a_path() {
    let sim = start_sim().await;
    let control = Control::new(
        &Options {
            api_key: KEY.to_owned(),
            ..Options::default()
        },
        &sim.base_url(),
    );
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}/behind/a/path/", listener.local_addr().unwrap());
    let app = Router::new().nest("/behind/a/path", control.app());
    let server = tokio::spawn(async move { axum::serve(listener, app).await });
    let world = World::at(sim, &base, Deadlines::default());
    world.stripe.create_customer("key-1", &ada()).await.unwrap();
    assert_eq!(control.counts()["customer"].live, 1);
    server.abort();
}

/// Forwards bytes to `target` and counts connections.
async fn counting_forwarder(target: SocketAddr) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let count = Arc::new(AtomicUsize::new(0));
    let counted = count.clone();
    tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(async move {
                let mut far = TcpStream::connect(target).await.unwrap();
                copy_bidirectional(&mut near, &mut far).await
            });
        }
    });
    (address, count)
}

#[tokio::test]
async fn calls_one_after_the_other_share_a_connection() {
    let sim = start_sim().await;
    let target = sim
        .base_url()
        .strip_prefix("http://")
        .unwrap()
        .parse()
        .unwrap();
    let (address, connections) = counting_forwarder(target).await;
    let world = World::at(sim, &format!("http://{address}"), Deadlines::default());
    for _ in 0..10 {
        world.stripe.customer("cus_unknown").await.unwrap();
    }
    assert_eq!(connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn no_more_requests_a_second_are_sent_than_the_setting_says() {
    let sim = start_sim().await;
    let key = Arc::new(Mutex::new(KEY.to_owned()));
    let stripe = StripeBilling::new(
        &args(&sim.base_url(), 4),
        credentials(&key),
        &Metrics::default(),
    )
    .unwrap();
    let started = Instant::now();
    for _ in 0..8 {
        stripe.customer("cus_unknown").await.unwrap();
    }
    assert!(
        started.elapsed() >= Duration::from_secs(1),
        "{:?}",
        started.elapsed()
    );
}

#[tokio::test]
async fn calls_are_counted_by_route_and_outcome_never_by_object() {
    let world = World::start().await;
    world.stripe.customer("cus_unknown").await.unwrap();
    create_with(&world, rate_limit(None, None), 1)
        .await
        .unwrap();
    let text = world.metrics.encode().unwrap();
    for line in [
        r#"glyph_stripe_calls_total{method="GET",route="/v1/customers/{id}",outcome="missing"} 1"#,
        r#"glyph_stripe_calls_total{method="POST",route="/v1/customers",outcome="ok"} 1"#,
        r#"glyph_stripe_retries_total{method="POST",route="/v1/customers"} 1"#,
        r#"glyph_stripe_call_duration_seconds_count{method="POST",route="/v1/customers"} 1"#,
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
    assert!(!text.contains("cus_unknown"), "{text}");
}

#[tokio::test]
async fn the_key_stands_in_no_log_line_at_trace_and_each_call_in_a_span() {
    let world = World::start().await;
    let captured = Captured::start();
    create_with(&world, FaultKind::Reset { when: When::Before }, 1)
        .await
        .unwrap();
    create_with(&world, rate_limit(Some(false), None), 1)
        .await
        .unwrap_err();
    *world.key.lock().unwrap() = "sk_test_othercanary".to_owned();
    world.stripe.customer("cus_1").await.unwrap_err();
    let text = captured.text();
    assert!(!text.contains("canary"), "{text}");
    assert!(
        text.contains("hyper"),
        "the libraries' own lines are looked at too"
    );
    let call = text
        .lines()
        .find(|line| line.contains("called Stripe"))
        .unwrap();
    for field in [
        "stripe{",
        "method=\"POST\"",
        "route=\"/v1/customers\"",
        "status=200",
        "request_id=",
        "attempts=2",
    ] {
        assert!(call.contains(field), "{field} is not in {call}");
    }
    assert!(!call.contains("ada@example.com"), "{call}");
}
