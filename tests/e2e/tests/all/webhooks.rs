//! However Stripe's webhooks arrive, the end is the same.

use anyhow::Result;
use glyph_e2e::flow::{End, Flow, difference};
use glyph_e2e::world::{SOON, Stage};
use glyph_harness::{ControlPlane, Program, Service, poll_until};
use glyph_stripe_sim::WebhookMode;

use crate::support::conforms_to_stripe;

/// What happens to the webhooks of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Delivery {
    Once,
    ThreeTimes,
    InReverse,
    Never,
}

#[tokio::test]
async fn the_same_webhook_three_times_all_in_reverse_or_none_at_all_come_to_the_same_end()
-> Result<()> {
    let wanted = end_of(Delivery::Once, None).await?;
    assert_eq!(wanted.faults(), Vec::<String>::new(), "{}", wanted.text);
    for delivery in [Delivery::ThreeTimes, Delivery::InReverse, Delivery::Never] {
        let end = end_of(delivery, Some(&wanted)).await?;
        let differs = difference(&wanted.text, &end.text);
        assert_eq!(differs, "", "{delivery:?}");
        assert_eq!(end.faults(), Vec::<String>::new(), "{delivery:?}");
    }
    Ok(())
}

/// Runs the main flow; with `wanted`, waits for that end.
async fn end_of(delivery: Delivery, wanted: Option<&End>) -> Result<End> {
    let stage = Stage::start(ControlPlane::shared().await?, "webhooks").await?;
    let control = stage.stripe.control();
    control.set_webhook_mode(WebhookMode {
        held: delivery == Delivery::InReverse,
        dropped: delivery == Delivery::Never,
        copies: if delivery == Delivery::ThreeTimes {
            3
        } else {
            1
        },
    });
    // Full passes are rare unless they are all there is.
    let resync = if delivery == Delivery::Never {
        "2"
    } else {
        "600"
    };
    let settings = stage.operator_settings().set("GLYPH_RESYNC", resync);
    let _operator = Service::start(Program::Operator, settings).await?;
    Flow::Main.apply(&stage).await?;
    if delivery == Delivery::InReverse {
        let paid = async || Flow::Main.act(&stage).await.ok().filter(|acted| *acted);
        poll_until("a link to pay at", SOON, paid).await?;
        assert!(
            control.release_webhooks(true) > 3,
            "expected several webhooks to turn around"
        );
    }
    Flow::Main.play(&stage).await?;
    if let Some(wanted) = wanted {
        let same = async || {
            End::of(&stage, Flow::Main)
                .await
                .ok()
                .filter(|end| end.text == wanted.text)
        };
        // What differs after that is shown by the caller.
        let _ = poll_until("the same end", SOON, same).await;
    }
    conforms_to_stripe(&stage).await?;
    End::of(&stage, Flow::Main).await
}
