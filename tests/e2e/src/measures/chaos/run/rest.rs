//! Coming to rest: disturbances end, and soon everything holds and nothing is written any more.

use std::time::{Duration, Instant};

use anyhow::Result;
use glyph_crds::Subscription;
use glyph_stripe_sim::WebhookMode;
use hyper::Method;
use serde_json::{Value, json};

use super::super::check;
use super::super::operation::Webhooks;
use super::super::seen::Seen;
use super::Play;

/// Everything must hold by then: a pass that failed is tried again within a minute.
const DEADLINE: Duration = Duration::from_secs(90);
/// A world is at rest when nothing was written for so long: longer than a sweep, and a checkpoint, takes to come.
const QUIET: Duration = Duration::from_millis(1500);
/// After so long, what was refused for an archived price is woken.
const PATIENCE: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(150);

impl Play<'_> {
    /// Lets everything come to rest; what does not hold then.
    pub(super) async fn rest(&mut self) -> Result<Vec<String>> {
        self.calm().await?;
        let begun = Instant::now();
        let (mut last, mut since) = (Vec::new(), Instant::now());
        let (mut waited_for, mut woken) = (String::new(), !self.model.archived);
        loop {
            let seen = Seen::of(&self.stage).await?;
            let wrong = check::at_rest(&self.model, &seen);
            let written = self.written(&seen);
            if written != last || !wrong.is_empty() {
                if let Some(first) = wrong.first() {
                    waited_for.clone_from(first);
                }
                (last, since) = (written, Instant::now());
            } else if since.elapsed() > QUIET {
                self.model.rested(&seen);
                self.rests.push((begun.elapsed(), waited_for));
                return Ok(wrong);
            }
            if !wrong.is_empty() && !woken && begun.elapsed() > PATIENCE {
                woken = true;
                self.wake().await?;
            }
            if begun.elapsed() > DEADLINE {
                let restless =
                    vec!["all is as it should be, and still something is written".to_owned()];
                return Ok(if wrong.is_empty() { restless } else { wrong });
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// What was refused for an archived price is tried again after ten minutes (`docs/operator.md`), which are not
    /// waited for.
    async fn wake(&self) -> Result<()> {
        if let Some(wish) = self.model.wish() {
            let wake =
                json!({"metadata": {"annotations": {"glyphapi.ai/stripe-event": "evt_later"}}});
            self.stage.patch::<Subscription>(&wish.name, &wake).await?;
        }
        Ok(())
    }

    /// Ends every disturbance.
    async fn calm(&mut self) -> Result<()> {
        let control = self.stage.stripe.control();
        control.clear_faults();
        control.clear_requests();
        if let Some(mode) = self.webhooks.take() {
            control.set_webhook_mode(WebhookMode::default());
            control.release_webhooks(mode == Webhooks::Reversed);
        }
        if !self.operator.is_running() {
            self.operator.start_again().await?;
        }
        self.disturbed = false;
        Ok(())
    }

    /// What changes with every write, to Kubernetes and to Stripe.
    fn written(&self, seen: &Seen) -> Vec<Value> {
        let resources = seen.resources();
        let mut written: Vec<_> = resources
            .iter()
            .map(|one| one["metadata"]["resourceVersion"].clone())
            .collect();
        let requests = self.stage.stripe.control().requests();
        let writes = requests
            .iter()
            .filter(|request| request.method != Method::GET.as_str())
            .count();
        written.push(writes.into());
        written
    }
}
