//! What comes from outside: failures of Stripe, of webhooks and of the operator, and people in Stripe's dashboard.

use anyhow::Result;
use glyph_stripe_sim::{Fault, WebhookMode};
use serde_json::Value;

use super::super::operation::{Edit, Operation, Webhooks};
use super::super::seen::{is_live, level_of};
use super::act::done;
use super::{Deed, Play};

impl Play<'_> {
    /// Fails, disturbs or kills.
    pub(super) async fn disturb(&mut self, operation: Operation) -> Result<Deed> {
        match operation {
            Operation::Outage(how, count) => {
                self.control()
                    .add_fault(Fault::new(how.kind()).times(count));
                self.disturbed = true;
            }
            Operation::Disturb(webhooks) => {
                if self.webhooks.is_some() {
                    return done(false);
                }
                let usual = WebhookMode::default();
                self.control().set_webhook_mode(match webhooks {
                    Webhooks::Dropped => WebhookMode {
                        dropped: true,
                        ..usual
                    },
                    Webhooks::Held | Webhooks::Reversed => WebhookMode {
                        held: true,
                        ..usual
                    },
                    Webhooks::Doubled => WebhookMode { copies: 2, ..usual },
                });
                self.webhooks = Some(webhooks);
            }
            Operation::Kill | Operation::Down => {
                if !self.operator.is_running() {
                    return done(false);
                }
                self.operator.kill();
                if operation == Operation::Kill {
                    self.operator.start_again().await?;
                } else {
                    self.disturbed = true;
                }
            }
            _ => return done(false),
        }
        done(true)
    }

    /// What a person does in the dashboard; false where Stripe refuses it.
    pub(super) fn edit_in_stripe(&self, edit: Edit) -> bool {
        let control = self.control();
        let subscriptions = control.objects("subscription");
        let live = subscriptions
            .iter()
            .find(|one| is_live(one))
            .and_then(|one| one["id"].as_str());
        let customers = control.objects("customer");
        let customer = customers.first().and_then(|one| one["id"].as_str());
        let on =
            |act: &dyn Fn(&str) -> Result<Value, String>| live.is_some_and(|id| act(id).is_ok());
        let write = |body: &str| {
            customer.is_some_and(|id| {
                control
                    .in_dashboard("POST", &format!("/v1/customers/{id}"), body)
                    .is_ok()
            })
        };
        let price = |level| {
            let prices = control.objects("price");
            prices
                .into_iter()
                .find(|one| level_of(one) == Some(level) && one["active"] == true)
        };
        match edit {
            Edit::Plan(level) => price(level).is_some_and(|price| {
                on(&|id| control.change_plan(id, price["id"].as_str().unwrap_or_default()))
            }),
            Edit::EndsWithPeriod(ends) => on(&|id| control.cancel_at_period_end(id, ends)),
            Edit::EndsNow => on(&|id| control.cancel_now(id)),
            Edit::PauseCollection(paused) => {
                on(&|id| control.pause_collection(id, paused.then_some("void")))
            }
            Edit::ArchivePrice(level) => price(level).is_some_and(|price| {
                control
                    .set_active(price["id"].as_str().unwrap_or_default(), false)
                    .is_ok()
            }),
            Edit::ArchiveProduct(level) => price(level).is_some_and(|price| {
                control
                    .set_active(price["product"].as_str().unwrap_or_default(), false)
                    .is_ok()
            }),
            Edit::LoseMetadata => write("metadata[glyph_uid]="),
            Edit::Rename => write("name=Ada&email=somebody%40else.example.com"),
            Edit::AfterRetries(after) => {
                control.set_after_retries(after.setting());
                true
            }
        }
    }
}
