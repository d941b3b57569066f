//! Doing an operation on the real parts, as the person does it whose doing it is.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use glyph_crds::{CreditGrant, CreditPurchase, Subscription};
use glyph_harness::net::send;
use glyph_stripe_sim::{Control, Fault, Payment, WebhookMode};
use hyper::Request;
use serde_json::{Value, json};

use super::super::model::Wish;
use super::super::operation::{Card, Edit, Means, Operation, Span, Webhooks};
use super::super::seen::{is_live, level_of};
use super::{CUSTOMER, Deed, PACK, Play};
use crate::resources;

/// How long a link, or a call, is waited for where nothing disturbs.
const PATIENCE: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(20);

/// Done, if it could be.
fn done(could: bool) -> Result<Deed> {
    Ok(if could { Deed::Done } else { Deed::PassedOver })
}

impl Play<'_> {
    /// Does what `operation` says, if it can be done.
    pub(super) async fn act(&mut self, operation: Operation) -> Result<Deed> {
        use Operation as O;
        match operation {
            O::Subscribe(level) => {
                let free = self.model.wishes.is_empty() || self.has_ended().await?;
                if free {
                    let name = format!("plan-{:02}", self.model.made + 1);
                    let wish = resources::subscription(&name, CUSTOMER, level.name());
                    self.stage.create(&wish).await?;
                }
                done(free)
            }
            O::Choose(level) => {
                self.edit(json!({"tier": level.name()}), |wish| wish.level != level)
                    .await
            }
            O::End(ends) => {
                self.edit(json!({"cancelAtPeriodEnd": ends}), |wish| wish.ends != ends)
                    .await
            }
            O::Revert(reverts) => {
                let policy = if reverts { "Revert" } else { "Accept" };
                self.edit(json!({"driftPolicy": policy}), |wish| {
                    wish.reverts != reverts
                })
                .await
            }
            O::Unsubscribe => {
                let Some(wish) = self.model.wish() else {
                    return done(false);
                };
                self.stage.delete::<Subscription>(&wish.name).await?;
                done(true)
            }
            O::Pay(_) | O::ReplaceCard(_) | O::PayInvoice(_) => self.pay(operation).await,
            O::Buy | O::PayPack(_) | O::BankSpeaks(_) | O::DropPurchase(_) | O::Give(_) => {
                self.credits(operation).await
            }
            O::Refund(..) | O::Dispute(_) | O::CloseDispute(_) => done(self.give_back(operation)),
            O::Pass(span) => {
                // Stripe keeps events for thirty days, in which there are sweeps.
                let long = span == Span::Month;
                for (number, piece) in span.pieces().into_iter().enumerate() {
                    if long && number.is_multiple_of(4) {
                        self.await_sweep().await;
                    }
                    self.pass(piece).await?;
                }
                done(true)
            }
            O::Outage(..) | O::Disturb(_) | O::Kill | O::Down => self.disturb(operation).await,
            O::AwaitCall => done(self.await_call().await),
            O::InStripe(edit) => done(self.edit_in_stripe(edit)),
            O::Settle => done(true),
        }
    }

    /// Lets so many seconds pass at one moment for Stripe and the operator, which is stopped meanwhile; then lets what
    /// Stripe has to tell arrive, so that no delivery takes days.
    async fn pass(&self, seconds: i64) -> Result<()> {
        let control = self.control();
        let events = || control.counts().get("event").map_or(0, |count| count.live);
        let (before, delivered) = (events(), control.deliveries().len());
        self.operator.pause();
        let passed = self.stage.pass_time(seconds);
        self.operator.resume();
        passed?;
        let begun = Instant::now();
        let held = matches!(self.webhooks, Some(Webhooks::Held | Webhooks::Reversed));
        while self.operator.is_running() && !held && begun.elapsed() < PATIENCE / 5 {
            if control.deliveries().len() - delivered >= events() - before {
                break;
            }
            tokio::time::sleep(POLL).await;
        }
        Ok(())
    }

    /// Waits until a running operator has listed Stripe's events once more.
    async fn await_sweep(&self) {
        let swept = || {
            let requests = self.control().requests();
            let listed = requests
                .iter()
                .filter(|one| one.path.starts_with("/v1/events"));
            listed.filter(|one| one.status == 200).count()
        };
        let (before, begun) = (swept(), Instant::now());
        while self.operator.is_running() && swept() == before && begun.elapsed() < PATIENCE {
            tokio::time::sleep(POLL).await;
        }
    }

    fn control(&self) -> &Control {
        self.stage.stripe.control()
    }

    /// Whether the newest Subscription says that it has ended.
    async fn has_ended(&self) -> Result<bool> {
        let Some(wish) = self.model.wish() else {
            return Ok(false);
        };
        let resource = self
            .stage
            .namespace
            .api::<Subscription>()
            .get(&wish.name)
            .await?;
        Ok(glyph_crds::entitlement::is_final(
            resource.status.and_then(|status| status.state),
        ))
    }

    async fn edit(&self, spec: Value, differs: impl Fn(&Wish) -> bool) -> Result<Deed> {
        let Some(wish) = self.model.wish().filter(|wish| differs(wish)) else {
            return done(false);
        };
        self.stage
            .patch::<Subscription>(&wish.name, &json!({"spec": spec}))
            .await?;
        done(true)
    }

    /// The oldest open session of a mode, waited for where nothing disturbs.
    async fn link(&self, mode: &str) -> Option<String> {
        let begun = Instant::now();
        loop {
            let sessions = self.control().objects("checkout.session");
            let open = |one: &&Value| one["mode"] == mode && one["status"] == "open";
            if let Some(session) = sessions.iter().find(open) {
                return session["id"].as_str().map(ToOwned::to_owned);
            }
            if self.disturbed || begun.elapsed() > PATIENCE {
                return None;
            }
            tokio::time::sleep(POLL).await;
        }
    }

    async fn pay(&self, operation: Operation) -> Result<Deed> {
        let url = match operation {
            Operation::Pay(card) => {
                if self.model.wishes.is_empty() || self.has_ended().await? {
                    return done(false);
                }
                let Some(session) = self.link("subscription").await else {
                    return done(false);
                };
                return done(matches!(
                    self.control().pay(&session, card.number(), None),
                    Payment::Done(_)
                ));
            }
            Operation::ReplaceCard(card) => {
                let customers = self.control().objects("customer");
                let id = customers.first().and_then(|one| one["id"].as_str());
                let Some(id) = id else { return done(false) };
                let body = format!("customer={id}&return_url=https%3A%2F%2Fshop.example");
                let portal =
                    self.control()
                        .in_dashboard("POST", "/v1/billing_portal/sessions", &body);
                let portal = portal.map_err(anyhow::Error::msg)?;
                Some((
                    format!("{}/card", portal["url"].as_str().unwrap_or_default()),
                    card,
                ))
            }
            Operation::PayInvoice(card) => {
                let invoices = self.control().objects("invoice");
                let open = invoices.iter().rev().find(|one| one["status"] == "open");
                let page = open.and_then(|one| one["hosted_invoice_url"].as_str());
                page.map(|page| (page.to_owned(), card))
            }
            _ => None,
        };
        match url {
            Some((url, card)) => done(fill_in(&url, card).await?),
            None => done(false),
        }
    }

    async fn credits(&self, operation: Operation) -> Result<Deed> {
        use Operation as O;
        match operation {
            O::Buy => {
                let number = self.model.purchases.len() + self.model.dropped.len() + 1;
                let purchase: CreditPurchase =
                    resources::credit_purchase(&format!("pack-{number:02}"), CUSTOMER, PACK)?;
                self.stage.create(&purchase).await?;
                done(true)
            }
            O::PayPack(means) => {
                let session = if self.model.purchases.is_empty() {
                    None
                } else {
                    self.link("payment").await
                };
                let Some(session) = session else {
                    return done(false);
                };
                let control = self.control();
                let paid = match means {
                    Means::Card => control.pay(&session, Card::Pays.number(), None),
                    Means::DeclinedCard => control.pay(&session, Card::Declined.number(), None),
                    Means::Bank => control.pay_by_bank(&session, None, false),
                    Means::FailingBank => control.pay_by_bank(&session, None, true),
                };
                done(matches!(paid, Payment::Done(_)))
            }
            O::BankSpeaks(paid) => {
                let control = self.control();
                let sessions = control.objects("checkout.session");
                let mut ordered = sessions
                    .iter()
                    .filter(|one| one["status"] == "complete" && one["payment_status"] == "unpaid");
                done(ordered.any(|one| {
                    control.conclude_debit(one["id"].as_str().unwrap_or_default(), paid)
                }))
            }
            O::DropPurchase(number) => {
                let purchases = &self.model.purchases;
                let Some(name) = purchases.get(number % purchases.len().max(1)) else {
                    return done(false);
                };
                self.stage.delete::<CreditPurchase>(name).await?;
                done(true)
            }
            O::Give(credits) => {
                let name = format!("given-{:02}", self.model.given.len() + 1);
                let source = json!({"type": "Admin", "reason": "a drawn present"});
                let spec = json!({"customerRef": {"name": CUSTOMER}, "credits": credits, "source": source});
                self.stage
                    .create(&CreditGrant::new(&name, serde_json::from_value(spec)?))
                    .await?;
                done(true)
            }
            _ => done(false),
        }
    }

    /// A refund or a dispute of a pack's payment.
    fn give_back(&self, operation: Operation) -> bool {
        let control = self.control();
        let sessions = control.objects("checkout.session");
        let paid = sessions
            .iter()
            .filter(|one| one["mode"] == "payment" && one["payment_status"] == "paid");
        let payments: Vec<_> = paid
            .filter_map(|one| one["payment_intent"].as_str())
            .collect();
        let nth = |number: usize| payments.get(number % payments.len().max(1));
        match operation {
            Operation::Refund(number, amount) => {
                nth(number).is_some_and(|id| control.refund(id, amount).is_ok())
            }
            Operation::Dispute(number) => nth(number).is_some_and(|id| control.dispute(id).is_ok()),
            Operation::CloseDispute(won) => {
                let disputes = control.objects("dispute");
                let mut ids = disputes.iter().filter_map(|one| one["id"].as_str());
                ids.any(|id| control.close_dispute(id, won).is_ok())
            }
            _ => false,
        }
    }

    async fn disturb(&mut self, operation: Operation) -> Result<Deed> {
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

    /// Waits until one thing more is asked of Stripe than a sweep; false when nothing is.
    async fn await_call(&self) -> bool {
        let asked = || {
            let requests = self.control().requests();
            requests
                .iter()
                .filter(|one| !one.path.starts_with("/v1/events"))
                .count()
        };
        let (before, begun) = (asked(), Instant::now());
        while !self.disturbed && begun.elapsed() < PATIENCE / 5 {
            if asked() > before {
                return true;
            }
            tokio::time::sleep(POLL).await;
        }
        false
    }

    /// What a person does in the dashboard; false where Stripe refuses it.
    fn edit_in_stripe(&self, edit: Edit) -> bool {
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

/// Types a card into the form of a page of Stripe's; whether it was taken.
async fn fill_in(page: &str, card: Card) -> Result<bool> {
    let request = Request::post(page)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(format!("card_number={}", card.number()))?;
    let answer = send(request).await?;
    ensure!(
        matches!(answer.status, 200 | 303 | 402),
        "{page} answers {} {}",
        answer.status,
        answer.text()
    );
    Ok(answer.status != 402)
}
