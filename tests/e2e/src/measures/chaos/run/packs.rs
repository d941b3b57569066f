//! What is done about packs and credits: buying, paying, giving back.

use anyhow::Result;
use glyph_crds::{CreditGrant, CreditPurchase};
use glyph_stripe_sim::Payment;
use serde_json::json;

use super::super::operation::{Card, Means, Operation};
use super::act::done;
use super::{CUSTOMER, Deed, PACK, Play};
use crate::resources;

impl Play<'_> {
    /// What is done about packs and credits.
    pub(super) async fn credits(&self, operation: Operation) -> Result<Deed> {
        use Operation as O;
        match operation {
            O::Buy => {
                let number = self.model.purchases.len() + self.model.dropped.len() + 1;
                let purchase: CreditPurchase =
                    resources::credit_purchase(&format!("pack-{number:02}"), CUSTOMER, PACK)?;
                self.stage.create(&purchase).await?;
                done(true)
            }
            O::PayPack(means) => done(self.pay_pack(means).await),
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

    /// The oldest open link of a purchase is paid.
    async fn pay_pack(&self, means: Means) -> bool {
        if self.model.purchases.is_empty() {
            return false;
        }
        let Some(session) = self.link("payment").await else {
            return false;
        };
        let control = self.control();
        let paid = match means {
            Means::Card => control.pay(&session, Card::Pays.number(), None),
            Means::DeclinedCard => control.pay(&session, Card::Declined.number(), None),
            Means::Bank => control.pay_by_bank(&session, None, false),
            Means::FailingBank => control.pay_by_bank(&session, None, true),
        };
        matches!(paid, Payment::Done(_))
    }

    /// A refund or a dispute of a pack's payment.
    pub(super) fn give_back(&self, operation: Operation) -> bool {
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
}
