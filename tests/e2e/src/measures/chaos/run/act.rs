//! Doing an operation on the real parts, as the person does it whose doing it is.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use glyph_crds::Subscription;
use glyph_harness::net::send;
use glyph_stripe_sim::{Control, Payment};
use hyper::Request;
use serde_json::{Value, json};

use super::super::model::Wish;
use super::super::operation::{Card, Operation, Span, Webhooks};
use super::{CUSTOMER, Deed, Play};
use crate::resources;

/// How long a link, or a call, is waited for where nothing disturbs.
const PATIENCE: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(20);

/// Done, if it could be.
pub(super) fn done(could: bool) -> Result<Deed> {
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

    pub(super) fn control(&self) -> &Control {
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
    pub(super) async fn link(&self, mode: &str) -> Option<String> {
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
