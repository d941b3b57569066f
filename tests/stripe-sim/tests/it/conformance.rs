//! Stripe's OpenAPI and stripe-mock as the measure.

use glyph_harness::stripe_mock::StripeMock;
use glyph_stripe_sim::conformance::{DIFFERENCES, Spec, conforms, unused_endpoints};
use serde_json::Value;

use crate::client::Bench;

mod billing;
mod walk;

use walk::walk;

#[tokio::test]
async fn every_parameter_of_every_endpoint_is_stripes() {
    let spec = Spec::load(&StripeMock::openapi().await.expect("Stripe's OpenAPI"))
        .expect("a readable OpenAPI");
    let problems = spec.check_parameters();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[tokio::test]
async fn every_answer_fits_its_schema_and_every_request_passes_stripe_mock() {
    let bench = Bench::start().await;
    walk(&bench).await;
    let mock = StripeMock::start().await.expect("stripe-mock");
    let spec = StripeMock::openapi().await.expect("Stripe's OpenAPI");
    let log = bench.control().requests();
    let report = conforms(&log, mock.url(), &spec)
        .await
        .expect("a checked log");
    assert!(
        report.problems.is_empty(),
        "{} problems:\n{}",
        report.problems.len(),
        report.problems.join("\n")
    );
    assert_eq!(unused_endpoints(&log), Vec::<String>::new());
    assert_eq!(
        report.requests + 1,
        report.answers,
        "only the product without a name is not sent"
    );
}

#[tokio::test]
async fn the_check_finds_what_does_not_conform() {
    let bench = Bench::start().await;
    bench.made("/v1/customers", "name=A").await;
    let mut log = bench.control().requests();
    log[0].answer["colour"] = Value::from("red");
    log[0].answer["livemode"] = Value::from("no");
    log[0].body = "colour=red".to_owned();
    let mock = StripeMock::start().await.expect("stripe-mock");
    let report = conforms(
        &log,
        mock.url(),
        &StripeMock::openapi().await.expect("Stripe's OpenAPI"),
    )
    .await
    .expect("a checked log");
    assert_eq!(report.problems.len(), 3, "{:?}", report.problems);
}

#[tokio::test]
async fn every_tolerated_difference_is_still_one() {
    let spec = Spec::load(&StripeMock::openapi().await.expect("Stripe's OpenAPI"))
        .expect("a readable OpenAPI");
    for difference in DIFFERENCES {
        assert!(
            !spec.knows(difference.schema, difference.field),
            "{difference:?} is in Stripe's OpenAPI by now"
        );
    }
}
