//! Two replicas, one leader.

use glyph_crds::GlyphCustomer;
use glyph_harness::net::{get, send};
use glyph_harness::{Service, poll_until};
use glyph_stripe_sim::{Fault, FaultKind};
use http::Request;

use crate::stage::{SOON, Stage};

async fn leads(operator: &Service) -> bool {
    let metrics = get(&format!("{}/metrics", operator.admin_url())).await;
    metrics.is_ok_and(|answer| answer.text().contains("glyph_leader 1"))
}

async fn until_leading(operator: &Service) {
    poll_until("it to lead", SOON, async || {
        leads(operator).await.then_some(())
    })
    .await
    .unwrap();
}

/// Two replicas; the first leads.
async fn two(stage: &Stage) -> (Service, Service) {
    let first = stage.operator().await;
    until_leading(&first).await;
    let port = glyph_harness::net::free_port().unwrap();
    let listen = glyph_harness::net::loopback(port).to_string();
    let second = stage
        .operator_with(stage.settings().set("GLYPH_LISTEN", listen))
        .await;
    (first, second)
}

#[tokio::test]
async fn one_of_two_leads_both_answer_webhooks_and_the_other_takes_over_at_once() {
    let stage = Stage::new("two-replicas").await;
    let (first, second) = two(&stage).await;
    assert!(!leads(&second).await);
    for replica in [&first, &second] {
        let request = Request::post(format!("http://{}/webhooks/stripe", replica.address()));
        let answer = send(request.body("{}").unwrap()).await.unwrap();
        assert_eq!(answer.status, 400, "unsigned, and answered");
    }
    stage.customer("ada").await;
    stage
        .condition::<GlyphCustomer>("ada", "Ready", "True", "Linked")
        .await;
    assert!(first.stop(), "it ends by itself when asked to");
    assert!(first.log().contains("gave the lease back"));
    until_leading(&second).await;
    stage.customer("grace").await;
    stage
        .condition::<GlyphCustomer>("grace", "Ready", "True", "Linked")
        .await;
}

/// Sums over replicas are right, also while they change places.
#[tokio::test]
async fn the_figures_of_the_business_are_the_leaders_alone_and_the_next_ones_are_the_same() {
    let stage = Stage::new("two-figures").await;
    let (first, second) = two(&stage).await;
    stage.tiers().await;
    stage.customer("ada").await;
    let figures = async |operator: &Service| {
        let metrics = get(&format!("{}/metrics", operator.admin_url())).await;
        let text = metrics.unwrap().text();
        let ours = |line: &&str| {
            [
                "glyph_mrr",
                "glyph_customers",
                "glyph_signups",
                "glyph_resources",
            ]
            .iter()
            .any(|name| line.starts_with(name))
        };
        let mut lines: Vec<_> = text.lines().filter(ours).map(str::to_owned).collect();
        lines.sort();
        lines
    };
    let shown = poll_until("the figures of the leader", SOON, async || {
        let figures = figures(&first).await;
        figures
            .contains(&"glyph_customers 1.0".to_owned())
            .then_some(figures)
    });
    let shown = shown.await.unwrap();
    assert!(
        shown.contains(&"glyph_signups_30_days 1.0".to_owned()),
        "{shown:?}"
    );
    let mrr = r#"glyph_mrr_minor_units{tier="starter",currency="usd"} 0.0"#;
    assert!(shown.contains(&mrr.to_owned()), "{shown:?}");
    assert_eq!(figures(&second).await, Vec::<String>::new());
    first.kill();
    until_leading(&second).await;
    assert_eq!(figures(&second).await, shown);
}

/// CASE 9.
#[tokio::test]
async fn a_leader_stopped_in_mid_create_and_woken_later_makes_nothing_twice() {
    let stage = Stage::new("stopped").await;
    let (first, second) = two(&stage).await;
    let slow = Fault::new(FaultKind::Latency { ms: 2000 })
        .on("POST", "/v1/customers")
        .times(1);
    stage.stripe.control().add_fault(slow);
    stage.customer("ada").await;
    stage
        .until("ada", "an intent", |c: &GlyphCustomer| {
            c.status.as_ref()?.intent.clone()
        })
        .await;
    first.pause();
    until_leading(&second).await;
    stage
        .condition::<GlyphCustomer>("ada", "Ready", "True", "Linked")
        .await;
    first.resume();
    stage.customer("grace").await;
    stage
        .condition::<GlyphCustomer>("grace", "Ready", "True", "Linked")
        .await;
    poll_until("the first to know", SOON, async || {
        (!leads(&first).await).then_some(())
    })
    .await
    .unwrap();
    assert_eq!(stage.ever("customer"), 2);
}
