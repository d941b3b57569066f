//! Idempotency keys: <https://docs.stripe.com/api/idempotent_requests>.

use glyph_stripe_sim::{Fault, FaultKind, When};

use crate::client::{Bench, id};

const PATH: &str = "/v1/customers";

#[tokio::test]
async fn the_same_key_gives_the_same_answer_again_and_no_second_object() {
    let bench = Bench::start().await;
    let first = bench.post_with_key(PATH, "email=a@x.io&name=A", "k1").await;
    let again = bench.post_with_key(PATH, "name=A&email=a@x.io", "k1").await;
    assert_eq!(first.ok(), again.ok());
    assert_eq!(
        (
            first.header("idempotent-replayed"),
            again.header("idempotent-replayed")
        ),
        (None, Some("true"))
    );
    assert_eq!(again.header("original-request"), first.header("request-id"));
    assert_ne!(again.header("request-id"), first.header("request-id"));
    assert_eq!(bench.control().counts()["customer"].live, 1);
    assert_eq!(bench.event_types(), ["customer.created"]);
}

#[tokio::test]
async fn the_same_key_with_other_parameters_or_another_endpoint_is_an_error() {
    let bench = Bench::start().await;
    bench.post_with_key(PATH, "email=a@x.io", "k1").await.ok();
    for (path, body) in [
        (PATH, "email=b@x.io"),
        (PATH, ""),
        ("/v1/products", "name=P"),
    ] {
        let refused = bench.post_with_key(path, body, "k1").await;
        assert_eq!(
            (refused.status, refused.error("type").as_str()),
            (400, "idempotency_error"),
            "{path} {body}"
        );
        assert!(
            refused
                .error("message")
                .starts_with("Keys for idempotent requests can only be used")
        );
    }
    assert_eq!(bench.control().counts()["customer"].live, 1);
}

#[tokio::test]
async fn while_the_first_is_in_flight_the_second_gets_409() {
    let bench = Bench::start().await;
    bench
        .control()
        .add_fault(Fault::new(FaultKind::Latency { ms: 300 }).times(1));
    let (first, second) = tokio::join!(bench.post_with_key(PATH, "name=A", "k1"), async {
        while bench
            .control()
            .faults()
            .iter()
            .any(|fault| fault.count == Some(1))
        {
            tokio::task::yield_now().await;
        }
        bench.post_with_key(PATH, "name=A", "k1").await
    });
    first.ok();
    assert_eq!(
        (second.status, second.error("type").as_str()),
        (409, "idempotency_error")
    );
    let third = bench.post_with_key(PATH, "name=A", "k1").await;
    assert_eq!(id(&third.ok()), id(&first.ok()));
}

#[tokio::test]
async fn a_stored_500_comes_again_whether_or_not_the_effect_happened() {
    let bench = Bench::start().await;
    for (key, when, made) in [("k1", When::Before, 0), ("k2", When::After, 1)] {
        bench
            .control()
            .add_fault(Fault::new(FaultKind::ServerError { when }).times(1));
        let first = bench.post_with_key(PATH, "name=A", key).await;
        let again = bench.post_with_key(PATH, "name=A", key).await;
        assert_eq!(
            (
                first.status,
                again.status,
                again.header("idempotent-replayed")
            ),
            (500, 500, Some("true"))
        );
        assert_eq!(first.json(), again.json());
        assert_eq!(bench.control().objects("customer").len(), made);
    }
    bench.post_with_key(PATH, "name=A", "k3").await.ok();
}

#[tokio::test]
async fn a_key_is_forgotten_after_24_hours() {
    let bench = Bench::start().await;
    let first = bench.post_with_key(PATH, "name=A", "k1").await.ok();
    bench.control().advance(24 * 3600 - 60);
    assert_eq!(
        id(&bench.post_with_key(PATH, "name=A", "k1").await.ok()),
        id(&first)
    );
    bench.control().advance(61);
    assert_ne!(
        id(&bench.post_with_key(PATH, "name=A", "k1").await.ok()),
        id(&first)
    );
}

#[tokio::test]
async fn what_never_ran_is_not_stored() {
    let bench = Bench::start().await;
    assert_eq!(
        bench.post_with_key(PATH, "colour=red", "k1").await.status,
        400
    );
    bench.post_with_key(PATH, "name=A", "k1").await.ok();

    bench.control().add_fault(
        Fault::new(FaultKind::RateLimit {
            should_retry: None,
            retry_after: None,
        })
        .times(1),
    );
    assert_eq!(bench.post_with_key(PATH, "name=B", "k2").await.status, 429);
    bench.post_with_key(PATH, "name=B", "k2").await.ok();
}

#[tokio::test]
async fn an_error_of_the_endpoint_itself_is_stored() {
    let bench = Bench::start().await;
    let body = "customer=cus_none&items[0][price]=price_none";
    let first = bench.post_with_key("/v1/subscriptions", body, "k1").await;
    let again = bench.post_with_key("/v1/subscriptions", body, "k1").await;
    assert_eq!(
        (
            first.status,
            again.status,
            again.header("idempotent-replayed")
        ),
        (400, 400, Some("true"))
    );
}

#[tokio::test]
async fn keys_on_get_and_delete_have_no_effect() {
    let bench = Bench::start().await;
    let customer = bench.made(PATH, "name=A").await;
    let path = format!("{PATH}/{customer}");
    assert_eq!(
        bench
            .call("GET", &path, "", Some("k1"))
            .await
            .expect("an answer")
            .status,
        200
    );
    assert_eq!(
        bench
            .call("DELETE", &path, "", Some("k1"))
            .await
            .expect("an answer")
            .status,
        200
    );
    assert_eq!(
        bench
            .call("DELETE", &path, "", Some("k1"))
            .await
            .expect("an answer")
            .status,
        404
    );
}
